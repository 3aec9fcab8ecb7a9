"""What a file does before anything else: it imports the framework, and sets variables that this reads.

Once that is done, a fork of the process is where the file's own process would be. Nothing else of the file is done
before the fork: whatever uses the framework starts threads that no fork has.
"""

import ast
import importlib.util
import os

from ..importing.imports import is_installed
from ..importing.provided import NAME as HELPER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Head:
    """The first statements of a file, up to the first one that may be more than an import or a setting."""

    def __init__(self, file: str, names: "list[str]") -> None:
        """Take imports of the top-level modules ``names`` and of the standard library."""
        self._file = file
        self._names = frozenset(names)
        self._scope = {"__name__": "_tf_tester_head"}  # type: dict[str, Any]

    def run(self) -> None:
        """Do them, one after another. Raises what they raise, and SyntaxError."""
        with open(self._file, "rb") as source:
            text = source.read()
        for node in ast.parse(text, self._file).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = _imported(node)
                if set(names) <= {HELPER, "__future__"}:
                    continue  # the helper looks at variables of the process that it is in
                if not all(map(self._is_taken, names)):
                    return
            elif _is_text(node):
                continue
            elif not _sets_variable(node):
                return
            one = ast.parse("")
            one.body = [node]
            exec(compile(one, self._file, "exec", dont_inherit=True), self._scope)

    def _is_taken(self, name: str) -> bool:
        """Return whether a top-level module is one of those, and not another one of that name beside the tests."""
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return False
        if spec.origin in ("built-in", "frozen"):
            return True
        library = os.path.join(os.path.dirname(os.path.abspath(os.__file__)), "")
        places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
        if not places or not all(map(is_installed, places)):
            return False
        inside = [place[len(library) :] for place in places if place.startswith(library)]
        is_standard = len(inside) == len(places) and not any(one.startswith("site-packages") for one in inside)
        return name in self._names or is_standard


def _imported(node: "ast.Import | ast.ImportFrom") -> "list[str]":
    """Return top-level names; of a relative import the empty one."""
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0] if not node.level else ""]
    return [alias.name.partition(".")[0] for alias in node.names]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(_constant(node.value), str)


def _constant(node: "Any") -> object:
    """Return the value of a literal: ``Str`` until Python 3.7, in an ``Index`` until 3.8."""
    if type(node).__name__ == "Index":
        node = node.value
    kind = type(node).__name__
    return node.value if kind == "Constant" else node.s if kind == "Str" else None


def _sets_variable(node: ast.stmt) -> bool:
    """Return whether a statement is ``os.environ["A"] = "b"`` or ``os.environ.setdefault("A", "b")``."""
    if isinstance(node, ast.Assign):
        [*others, target] = node.targets
        if others or not isinstance(target, ast.Subscript) or not _is_environ(target.value):
            return False
        return isinstance(_constant(target.slice), str) and isinstance(_constant(node.value), str)
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or call.keywords or not isinstance(call.func, ast.Attribute):
        return False
    words = [isinstance(_constant(word), str) for word in call.args]
    return call.func.attr == "setdefault" and _is_environ(call.func.value) and words == [True, True]


def _is_environ(node: ast.expr) -> bool:
    if not isinstance(node, ast.Attribute) or node.attr != "environ":
        return False
    return isinstance(node.value, ast.Name) and node.value.id == "os"
