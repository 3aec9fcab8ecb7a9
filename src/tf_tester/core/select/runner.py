"""How a file wants to be run: by its name and, where that says nothing, by its text."""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
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


def has_doctests(arguments: Sequence[str]) -> bool:
    """Return whether pytest looks for doctests in modules, too, with these.

    >>> has_doctests(["-q", "--doctest-modules"]), has_doctests(["-q"])
    (True, False)
    """
    return any(argument.startswith("--doctest-m") for argument in arguments)


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


_PREPARES = frozenset({"sys", "os", "warnings", "logging", "pytest", "matplotlib", "random"})
"""Modules of which a call in a file makes no test."""
_ADDS_NAMES = frozenset({"globals", "vars", "locals", "setattr", "exec", "eval", "modules"})
_OF_UNITTEST = frozenset({"object", "TestCase", "IsolatedAsyncioTestCase"})
"""Bases that bring no tests."""


def near_tests(source: str, name: str) -> tuple[str, ...] | None:
    """Return the tests of a file that are called nearly so, where it has none of that name; None: it may have.

    `name`: what stands behind `FILE::`. What code makes of names when it is imported can't be told from its text.

    >>> near_tests("class TestIt:\\n    def test_add(self): pass", "TestIt::test_ad[1]")
    ('TestIt::test_add',)
    >>> near_tests("from checks import *", "test_add") is None, near_tests("def test_add(): pass", "test_add") is None
    (True, True)
    """
    from difflib import get_close_matches

    parts = name.partition("[")[0].split("::")
    # Plugins have names of their own for what they check: `FILE::BLACK`.
    if not re.fullmatch(r"[Tt]est\w*", parts[-1]) or not all(map(str.isidentifier, parts)):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        if not _lacks(tree, tree.body, parts):
            return None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tuple(get_close_matches("::".join(parts), list(_named_tests(tree.body)), n=3))


def _lacks(tree: ast.Module, body: Sequence[ast.stmt], parts: Sequence[str]) -> bool:
    """Return whether it is certain that neither the module nor a class in it has what the first name says."""
    name, *inside = parts
    nodes = list(_outside_functions(body))
    if body is tree.body and any(map(_may_add_names, nodes)):
        return False
    if any(isinstance(node, ast.Call) and not _only_prepares(node) for node in _called(body)):
        return False
    made = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    if any(node.decorator_list and name.startswith(node.name) for node in made):
        return False  # `@parameterized.expand` makes `test_add_0` of `test_add`
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    found = [node for node in made if node.name == name]
    if not found or not inside:
        return not found and name not in stored | imported
    return all(isinstance(node, ast.ClassDef) and _class_lacks(tree, node, inside) for node in found)


def _class_lacks(tree: ast.Module, node: ast.ClassDef, parts: Sequence[str]) -> bool:
    if node.decorator_list or node.keywords or not _lacks(tree, node.body, parts):
        return False
    for base in node.bases:
        text = ast.unparse(base).rpartition(".")[2]
        same = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == text and one is not node]
        if text not in _OF_UNITTEST and not (same and all(_class_lacks(tree, one, parts) for one in same)):
            return False
    return True


def _outside_functions(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield the parts of statements, but what stands in functions and classes, and their names for themselves."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _outside_functions(list(ast.iter_child_nodes(node)))


def _called(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the calls that are statements of their own: what they are for, they do to something else."""
    for node in _outside_functions(body):
        if isinstance(node, ast.Expr):
            yield node.value


def _only_prepares(call: ast.Call) -> bool:
    return ast.unparse(call.func).partition(".")[0] in _PREPARES


def _may_add_names(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    if isinstance(node, ast.Attribute):
        return node.attr in _ADDS_NAMES or isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.Name) and node.id in _ADDS_NAMES


def _named_tests(body: Sequence[ast.AST], before: str = "") -> Iterator[str]:
    for node in _outside_functions(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield before + node.name
        elif isinstance(node, ast.ClassDef):
            yield before + node.name
            yield from _named_tests(node.body, f"{before}{node.name}::")
