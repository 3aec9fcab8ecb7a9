"""How a file wants to be run, from its text alone."""

import ast
import re
import warnings
from collections.abc import Iterable
from enum import StrEnum


class Runner(StrEnum):
    """Who runs the tests."""

    AUTO = "auto"
    SCRIPT = "script"
    """By exit code."""
    PYTEST = "pytest"
    UNITTEST = "unittest"
    COMMAND = "command"
    """Any program; what follows `--`."""


def runner_of(source: str) -> Runner:
    """Return pytest for functions and classes named like tests, unittest for TestCases alone, otherwise a script.

    A file that this Python can't parse may be valid in the one that it is for: then its lines decide.

    >>> runner_of("def test_add(): assert 1 + 1 == 2")
    <Runner.PYTEST: 'pytest'>
    >>> runner_of("print('hello')")
    <Runner.SCRIPT: 'script'>
    """
    try:
        with warnings.catch_warnings():
            # What is odd in the user's file is for the Python that runs it to say.
            warnings.simplefilter("ignore")
            return _by_syntax(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _by_lines(source)


def runner_of_all(sources: Iterable[str]) -> Runner:
    """Return the runner of several files: unittest only if all test files are content with it, scripts only
    if all are.
    """
    found = {runner_of(source) for source in sources}
    if Runner.PYTEST in found or not found:
        return Runner.PYTEST
    return Runner.UNITTEST if Runner.UNITTEST in found else Runner.SCRIPT


def _by_syntax(tree: ast.Module) -> Runner:
    # The `test_step(images, labels)` of a training loop is called by its own file; a test is called by its runner.
    helpers = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (node.args or node.keywords)
    }
    functions = any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test")
        and node.name not in helpers
        for node in tree.body
    )
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    cases = [node for node in classes if any("TestCase" in ast.unparse(base) for base in node.bases)]
    plain = [node for node in classes if node.name.startswith("Test") and node not in cases and _has_tests(node)]
    if functions or plain or (cases and _imports(tree, "pytest")):
        return Runner.PYTEST
    return Runner.UNITTEST if cases else Runner.SCRIPT


def _by_lines(source: str) -> Runner:
    if re.search(r"^(def test|async def test)", source, re.MULTILINE):
        return Runner.PYTEST
    if re.search(r"^class \w+\(.*TestCase", source, re.MULTILINE):
        return Runner.UNITTEST
    return Runner.PYTEST if re.search(r"^class Test", source, re.MULTILINE) else Runner.SCRIPT


def _has_tests(node: ast.ClassDef) -> bool:
    return any(
        isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.name.startswith("test") for part in node.body
    )


def _imports(tree: ast.Module, module: str) -> bool:
    return any(
        (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == module for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == module)
        for node in ast.walk(tree)
    )
