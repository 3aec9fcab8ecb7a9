"""How a file wants to be run: by its name and, where that says nothing, by its text."""

import ast
import re
import warnings
from collections.abc import Sequence
from enum import StrEnum
from fnmatch import fnmatch

_TEST_LINE = re.compile(r"^(async )?def test|^class Test|^class \w+\(.*TestCase", re.MULTILINE)
_TEXT_TESTS = (".rst", ".txt", ".md")
NOTEBOOK = ".ipynb"
_PYTEST_ARGUMENTS = frozenset(
    """
    -k -x --exitfirst --maxfail --lf --last-failed --ff --failed-first --nf --sw --stepwise --doctest-modules
    --doctest-glob --doctest-continue-on-failure --doctest-report --import-mode --confcutdir --collect-only --co
    --deselect --ignore --ignore-glob --pyargs --durations --tb --runxfail --strict-markers --markers --fixtures
    --setup-show --junitxml --junit-xml --rootdir --noconftest --override-ini
    """.split()  # noqa: SIM905 - one line each would be a page
)
"""Options of pytest that no script is likely to have."""


_PICKING = (
    r"-[km].*|-[lqsv]*x[lqsvx]*|(?:--(?:deselect|exitfirst|maxfail|ignore|ignore-glob|sw|stepwise|stepwise-skip"
    r"|sw-skip))(?:=.*)?"
)
_TELLING = frozenset(
    ("--collect-only", "--co", "--markers", "--fixtures", "--fixtures-per-test", "--setup-plan", "--version", "--help")
)
"""Options with which pytest runs no test."""


class Runner(StrEnum):
    """Who runs the tests."""

    AUTO = "auto"
    SCRIPT = "script"
    """By exit code; a notebook by its cells."""
    PYTEST = "pytest"
    UNITTEST = "unittest"
    PRODUCT = "product"
    """The harness itself calls the functions that are marked for a grid."""
    COMMAND = "command"
    """Any program; what follows `--`."""


def is_named_for_pytest(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether pytest collects a file of this name, where `python_files` has these patterns.

    >>> is_named_for_pytest("test_model.py", PYTHON_FILES), is_named_for_pytest("train.py", PYTHON_FILES)
    (True, False)
    """
    return name.endswith(".py") and any(fnmatch(name, pattern.rpartition("/")[2]) for pattern in patterns)


PYTHON_FILES = ("test_*.py", "*_test.py")
"""pytest's own patterns."""


def imports_pytest(text: str) -> bool:
    """Tell whether a file of tests imports pytest somewhere, whoever is to run it.

    >>> imports_pytest("import os\\n    import pytest"), imports_pytest("# no pytest")
    (True, False)
    """
    return re.search(r"^\s*(?:import|from)\s+pytest\b", text, re.MULTILINE) is not None


def means_pytest(arguments: Sequence[str]) -> bool:
    """Tell whether some arguments are for pytest and nobody else.

    >>> means_pytest(["--doctest-modules"]), means_pytest(["--maxfail=2"]), means_pytest(["--epochs", "3"])
    (True, True, False)
    """
    return any(argument.partition("=")[0] in _PYTEST_ARGUMENTS for argument in arguments)


def picks_tests(arguments: Sequence[str]) -> bool:
    """Return whether pytest runs only some of the tests with these, or not all of them where one fails.

    >>> picks_tests(["-k", "fast"]), picks_tests(["-mslow"]), picks_tests(["-vx"]), picks_tests(["-q", "--cov=x"])
    (True, True, True, False)
    """
    return any(re.fullmatch(_PICKING, argument) is not None for argument in arguments)


def runs_nothing(arguments: Sequence[str]) -> str:
    """Return the argument with which pytest only tells something; empty: there is none.

    >>> runs_nothing(["-q", "--collect-only"]), runs_nothing(["-k", "--co"])
    ('--collect-only', '')
    """
    pairs = zip(("", *arguments), arguments, strict=False)
    return next((one for before, one in pairs if one in _TELLING and before not in ("-k", "-m")), "")


def runner_of(name: str, source: str, patterns: Sequence[str] = PYTHON_FILES) -> Runner:
    """Return pytest for a file that is named like tests or has some, otherwise a script.

    A file that this Python can't parse may be valid in the one that it is for: then its lines decide.

    >>> runner_of("checks.py", "def test_add(): assert 1 + 1 == 2")
    <Runner.PYTEST: 'pytest'>
    >>> runner_of("checks.py", "print('hello')")
    <Runner.SCRIPT: 'script'>
    """
    if name.endswith(NOTEBOOK):
        return Runner.SCRIPT
    if is_named_for_pytest(name, patterns) or name.endswith(_TEXT_TESTS):
        return Runner.PYTEST
    try:
        with warnings.catch_warnings():
            # What is odd in the user's file is for the Python that runs it to say.
            warnings.simplefilter("ignore")
            has_tests = _has_tests_by_syntax(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        has_tests = (
            re.search(r"^(async )?def test|^class Test|^class \w+\(.*TestCase", source, re.MULTILINE) is not None
        )
    return Runner.PYTEST if has_tests else Runner.SCRIPT


def _has_tests_by_syntax(tree: ast.Module) -> bool:
    # The `test_step(images, labels)` of a training loop is called by its own file; a test is called by its runner.
    helpers = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (node.args or node.keywords)
    }
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test") and node.name not in helpers:
                return True
        elif isinstance(node, ast.ClassDef) and (
            any("TestCase" in ast.unparse(base) for base in node.bases)
            or (node.name.startswith("Test") and _has_test_methods(node))
        ):
            return True
    return False


def _has_test_methods(node: ast.ClassDef) -> bool:
    return any(
        isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.name.startswith("test") for part in node.body
    )
