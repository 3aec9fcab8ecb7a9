"""How a file wants to be run."""

import pytest

from tf_tester.core.select.runner import Runner, means_pytest, runner_of

TUTORIAL = """
import tensorflow as tf

@tf.function
def test_step(images, labels):
    loss(labels, model(images))

for images, labels in test_ds:
    test_step(images, labels)
"""


@pytest.mark.parametrize(
    ("source", "runner"),
    [
        ("import tensorflow as tf\nprint(tf.add(1, 2))", Runner.SCRIPT),
        ("", Runner.SCRIPT),
        ("def test_add(): pass", Runner.PYTEST),
        ("async def test_add(): pass", Runner.PYTEST),
        ("def test_add(): pass\nif __name__ == '__main__':\n    test_add()", Runner.PYTEST),
        ("class TestAdd:\n    def test_it(self): pass", Runner.PYTEST),
        ("class TestData:\n    size = 3", Runner.SCRIPT),
        ("import unittest\nclass Add(unittest.TestCase):\n    def test_it(self): pass", Runner.PYTEST),
        ("class Add(tf.test.TestCase):\n    def test_it(self): pass\ntf.test.main()", Runner.PYTEST),
        ("import pytest\nclass Add(TestCase): pass", Runner.PYTEST),
        ("from pytest import mark\nclass Add(TestCase): pass", Runner.PYTEST),
        ("import pytest_mock\nclass Add(TestCase): pass", Runner.PYTEST),
        ("class TestAdd(TestCase):\n    def test_it(self): pass", Runner.PYTEST),
        ("class Add(TestCase): pass\ndef test_too(): pass", Runner.PYTEST),
        ("if True:\n    def main(): pass", Runner.SCRIPT),
        (TUTORIAL, Runner.SCRIPT),
        (TUTORIAL + "\ndef test_model(): pass", Runner.PYTEST),
    ],
)
def test_the_text_says_how_it_is_run(source: str, runner: Runner) -> None:
    assert runner_of("checks.py", source) is runner


@pytest.mark.parametrize(
    ("source", "runner"),
    [
        ("print 'Python 2'", Runner.SCRIPT),
        ("print 'Python 2'\ndef test_add(): pass", Runner.PYTEST),
        ("print 'Python 2'\nclass Add(unittest.TestCase): pass", Runner.PYTEST),
        ("print 'Python 2'\nclass TestAdd: pass", Runner.PYTEST),
        ("\0", Runner.SCRIPT),
        ("(" * 10_000, Runner.SCRIPT),
        ("class A(" + ".".join("a" * 100_000) + "): pass", Runner.SCRIPT),
    ],
)
def test_what_this_python_cannot_parse_is_judged_by_its_lines(source: str, runner: Runner) -> None:
    assert runner_of("checks.py", source) is runner


def test_oddities_of_the_users_file_are_not_announced_here() -> None:
    # A DeprecationWarning or SyntaxWarning of our own parsing would be an error in this test.
    assert runner_of("checks.py", "PATTERN = '\\d'\ndef test_add(): assert 1 is 1") is Runner.PYTEST


@pytest.mark.parametrize("source", ["", "print(1)", "from checks import *", "(" * 10_000])
@pytest.mark.parametrize("name", ["test_model.py", "my_model_test.py", "test.rst"])
def test_what_is_named_like_tests_is_for_pytest_whatever_stands_in_it(name: str, source: str) -> None:
    assert runner_of(name, source) is Runner.PYTEST


def test_a_project_may_name_its_tests_as_it_likes() -> None:
    assert runner_of("check_it.py", "", ("check_*.py",)) is Runner.PYTEST
    assert runner_of("check_it.py", "", ("tests/check_*.py",)) is Runner.PYTEST
    assert runner_of("test_it.py", "", ("check_*.py",)) is Runner.SCRIPT


def test_a_notebook_is_run_by_its_cells() -> None:
    assert runner_of("test_it.ipynb", "def test_a(): pass") is Runner.SCRIPT


@pytest.mark.parametrize("arguments", [["-k", "add"], ["--doctest-modules"], ["--import-mode=importlib"], ["a", "-x"]])
def test_arguments_that_only_pytest_knows(arguments: list[str]) -> None:
    assert means_pytest(arguments)


@pytest.mark.parametrize("arguments", [[], ["--epochs", "3"], ["-v"], ["data.csv"], ["--keep"]])
def test_arguments_that_may_be_the_scripts(arguments: list[str]) -> None:
    assert not means_pytest(arguments)
