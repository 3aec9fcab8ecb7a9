"""What a file of Python does when it is run, told from its syntax: definitions alone, something, a main block."""

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
SETTING_UP = frozenset({"sys", "os", "site", "warnings", "logging", "random", "matplotlib"})
"""Modules of which a call tests nothing, whatever it does."""
SETTINGS = frozenset(
    {"seed", "set_seed", "manual_seed", "setLevel", "set_verbosity", "filterwarnings", "importorskip", "use", "insert"}
)
"""Functions, wherever they are from, that only prepare."""


def main_blocks(tree: ast.Module) -> "List[ast.If]":
    """Return the statements ``if __name__ == "__main__":`` of a module, but those that only start a test runner."""
    return [node for node in tree.body if _is_main_block(node) and not _only_starts_tests(node.body)]  # type: ignore


def acts(tree: ast.Module) -> bool:
    """Return whether a module does more, when it is imported, than define, import, name constants and set up."""
    return any(not _is_inert(node) for node in tree.body if not _is_main_block(node))


def defined(tree: ast.Module) -> "List[str]":
    """Return the names of a module's functions and classes, those under `if` and `try` too."""
    return [name for node in tree.body for name in _defined_in(node)]


def tests_left_out(tree: ast.Module) -> "List[str]":
    """Return the tests that a module defines, as pytest finds them, where it neither calls nor starts any itself."""
    if starts_tests(tree):
        return []
    names = [name for node in tree.body for name in _tests_of(node)]
    return [] if mentions(tree, frozenset(names)) else names


def imports(tree: ast.Module) -> bool:
    """Return whether a module imports anything, wherever it does."""
    return any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(tree))


def mentions(tree: ast.Module, names: "frozenset[str]") -> bool:
    """Return whether any of these names is read somewhere in a module.

    ``globals()[name] = ...`` and ``globals().update(...)`` only define.
    """
    defining = {id(call.func) for node in ast.walk(tree) for call in _defining_calls(node)}
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names)
    return any(not _is_stored(node) and id(node) not in defining for node in found)


def starts_tests(tree: ast.Module) -> bool:
    """Return whether a module calls a test runner, such as ``unittest.main``."""
    return any(isinstance(node, ast.Call) and _is_test_main(node) for node in ast.walk(tree))


def _tests_of(node: ast.AST) -> "List[str]":
    if isinstance(node, ast.ClassDef):
        inside = [name for part in node.body for name in _tests_of(part)]
        is_case = any("TestCase" in _dotted(base)[-1:] for base in node.bases)
        return [node.name] if inside and (is_case or node.name.startswith("Test")) else []
    return [name for name in _defined_in(node) if name.startswith("test")]


def _defined_in(node: ast.AST) -> "List[str]":
    if isinstance(node, _DEFINITIONS):
        return [node.name]
    parts = ast.iter_child_nodes(node) if isinstance(node, (ast.If, ast.Try, ast.ExceptHandler)) else ()
    return [name for part in parts for name in _defined_in(part)]


def _defining_calls(node: ast.AST) -> "List[ast.Call]":
    is_definition = isinstance(node, ast.Subscript) and _is_stored(node)
    if is_definition or (isinstance(node, ast.Attribute) and node.attr in ("update", "setdefault", "__setitem__")):
        return [node.value] if isinstance(node.value, ast.Call) else []  # type: ignore[attr-defined]
    return []


def _is_stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def _is_main_block(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    sides = [node.test.left, *node.test.comparators]
    named = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
    return named and len(sides) == 2 and any(_text(side) == "__main__" for side in sides)


def _text(node: ast.expr) -> object:
    return getattr(node, "value", None) if type(node).__name__ == "Constant" else getattr(node, "s", None)


def _is_inert(node: ast.stmt) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass, *_DEFINITIONS)):
        return True
    if isinstance(node, ast.Delete) or _defines_by_name(node):
        return True
    if isinstance(node, ast.For):
        return all(map(_defines_by_name, node.body)) and not node.orelse
    if isinstance(node, ast.If):
        return all(map(_is_inert, [*node.body, *node.orelse])) and not _calls(node.test)
    if isinstance(node, ast.Try):
        handlers = [part for handler in node.handlers for part in handler.body]
        return all(map(_is_inert, [*node.body, *handlers, *node.orelse, *node.finalbody]))
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr)):
        return all(map(_only_prepares, _calls(node)))
    return False


def _defines_by_name(node: ast.stmt) -> bool:
    """Return whether a statement does no more than ``globals()[name] = ...`` or ``globals().update(...)``."""
    if isinstance(node, ast.Assign):
        found = [call for target in node.targets for call in _defining_calls(target)]
    else:
        call = node.value if isinstance(node, ast.Expr) else None
        found = _defining_calls(call.func) if isinstance(call, ast.Call) else []
    return any(isinstance(call.func, ast.Name) and call.func.id in ("globals", "locals", "vars") for call in found)


def _calls(node: ast.AST) -> "List[ast.Call]":
    return [part for part in ast.walk(node) if isinstance(part, ast.Call)]


def _only_prepares(call: ast.Call) -> bool:
    words = _dotted(call.func)
    return bool(words) and (words[0] in SETTING_UP or words[-1] in SETTINGS or _is_test_main(call))


def _dotted(node: ast.expr) -> "List[str]":
    """Return ``a.b.c`` as words; of anything else, what can be told of its end."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [*_dotted(node.value), node.attr]
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    return []


def _is_test_main(call: ast.Call) -> bool:
    """Return whether a call starts a test runner: ``unittest.main``, ``pytest.main``, ``tf.test.main`` or the like."""
    words = _dotted(call.func)
    if words[-1:] in (["run_module_suite"], ["runmodule"], ["rundocs"]):
        return True
    return words[-1:] == ["main"] and any("test" in word or word == "nose" for word in words[:-1])


def _only_starts_tests(body: "List[ast.stmt]") -> bool:
    """Return whether some statements do nothing but start a test runner, and leave with what it says."""
    starts = [node for node in body if any(map(_is_test_main, _calls(node)))]
    plain = [node for node in starts if isinstance(node, (ast.Expr, ast.Raise, ast.Assign))]
    return bool(starts) and all(node in plain or _is_inert(node) for node in body)
