"""How a file wants to be run."""

import pytest

from tf_tester.core.select.runner import Runner, runner_of, runner_of_all

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
        ("import unittest\nclass Add(unittest.TestCase):\n    def test_it(self): pass", Runner.UNITTEST),
        ("class Add(tf.test.TestCase):\n    def test_it(self): pass\ntf.test.main()", Runner.UNITTEST),
        ("import pytest\nclass Add(TestCase): pass", Runner.PYTEST),
        ("from pytest import mark\nclass Add(TestCase): pass", Runner.PYTEST),
        ("import pytest_mock\nclass Add(TestCase): pass", Runner.UNITTEST),
        ("class TestAdd(TestCase):\n    def test_it(self): pass", Runner.UNITTEST),
        ("class Add(TestCase): pass\ndef test_too(): pass", Runner.PYTEST),
        ("if True:\n    def main(): pass", Runner.SCRIPT),
        (TUTORIAL, Runner.SCRIPT),
        (TUTORIAL + "\ndef test_model(): pass", Runner.PYTEST),
    ],
)
def test_the_text_says_how_it_is_run(source: str, runner: Runner) -> None:
    assert runner_of(source) is runner


@pytest.mark.parametrize(
    ("source", "runner"),
    [
        ("print 'Python 2'", Runner.SCRIPT),
        ("print 'Python 2'\ndef test_add(): pass", Runner.PYTEST),
        ("print 'Python 2'\nclass Add(unittest.TestCase): pass", Runner.UNITTEST),
        ("print 'Python 2'\nclass TestAdd: pass", Runner.PYTEST),
        ("\0", Runner.SCRIPT),
        ("(" * 10_000, Runner.SCRIPT),
        ("class A(" + ".".join("a" * 100_000) + "): pass", Runner.SCRIPT),
    ],
)
def test_what_this_python_cannot_parse_is_judged_by_its_lines(source: str, runner: Runner) -> None:
    assert runner_of(source) is runner


def test_oddities_of_the_users_file_are_not_announced_here() -> None:
    # A DeprecationWarning or SyntaxWarning of our own parsing would be an error in this test.
    assert runner_of("PATTERN = '\\d'\ndef test_add(): assert 1 is 1") is Runner.PYTEST


@pytest.mark.parametrize(
    ("sources", "runner"),
    [
        (["class A(TestCase): pass", "class B(TestCase): pass"], Runner.UNITTEST),
        (["class A(TestCase): pass", "def test_b(): pass"], Runner.PYTEST),
        (["class A(TestCase): pass", "print(1)"], Runner.UNITTEST),
        (["print(1)", "print(2)"], Runner.SCRIPT),
        ([], Runner.PYTEST),
    ],
)
def test_files_together_are_run_by_what_all_are_content_with(sources: list[str], runner: Runner) -> None:
    assert runner_of_all(sources) is runner
