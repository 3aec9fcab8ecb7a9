"""How a file wants to be run."""

import pytest

from tf_tester.core.select.runner import Runner, means_pytest, near_tests, runner_of

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


IN_A_CLASS = """
import unittest, pytest
pytest.importorskip("toy")
if pytest:
    @pytest.mark.parametrize("x", [1, 2])
    def test_numbers(x): pass
class Base(unittest.TestCase):
    def test_learns_a_line(self): pass
class TestModel(Base):
    SIZE = max(1, 2)
    def test_saves(self): pass
"""


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("test_nubmers", ("test_numbers",)),
        ("test_nubmers[1-2]", ("test_numbers",)),
        ("TestModell::test_saves", ("TestModel::test_saves",)),
        ("TestModel::test_save", ("TestModel::test_saves",)),
        ("test_quite_another", ()),
    ],
)
def test_a_name_that_no_test_of_a_file_has_is_known_by_its_text(name: str, near: tuple[str, ...]) -> None:
    found = near_tests(IN_A_CLASS, name)
    assert found is not None
    assert found[:1] == near


@pytest.mark.parametrize(
    "name", ["test_numbers", "test_numbers[1]", "Base::test_learns_a_line", "TestModel::test_saves"]
)
def test_a_test_that_there_is_isnt_refused(name: str) -> None:
    assert near_tests(IN_A_CLASS, name) is None
    assert near_tests(IN_A_CLASS, "TestModel::test_learns_a_line") is None, "it inherits that"


@pytest.mark.parametrize(
    "source",
    [
        "from checks import *",
        "from checks import test_it",
        "test_it = make()",
        "globals()['test_it'] = make()",
        "import sys\nsys.modules[__name__].test_it = make()",
        "from pytest_bdd import scenarios\nscenarios('it.feature')",
        "@expand([1])\ndef test_i(x): pass",
        "for name in names:\n    setattr(module, name, make(name))",
        "(",
        "def test_it(): pass",
        "try:\n    pass\nexcept E:\n    def test_it(): pass",
    ],
)
def test_what_code_may_make_of_names_is_left_to_pytest(source: str) -> None:
    assert near_tests(source, "test_it") is None


@pytest.mark.parametrize(
    "source",
    [
        "from checks import Base\nclass TestIt(Base): pass",
        "@ddt\nclass TestIt: pass",
        "class TestIt(metaclass=Meta): pass",
        "class TestIt:\n    test_it = make()",
        "class TestIt:\n    @expand([1])\n    def test_i(self, x): pass",
        "class TestIt: pass\nTestIt.test_it = make()",
        "class TestIt(TestIt): pass",
        "def TestIt():\n    def test_it(): pass",
    ],
)
def test_what_a_class_may_have_besides_is_left_to_pytest(source: str) -> None:
    assert near_tests(source, "TestIt::test_it") is None


@pytest.mark.parametrize("name", ["BLACK", "mypy-status", "calc.test_it", "describe_it::it_adds"])
def test_names_that_plugins_make_are_left_to_pytest(name: str) -> None:
    assert near_tests("def test_it(): pass", name) is None
