"""Run a Jupyter notebook: its code cells in their order, in one namespace, until one of them raises.

With IPython, which the parent adds where a cell needs it, cells run in its shell; without, in the interpreter itself.
The format is nbformat 4; 3 is read, too.
"""

import ast
import json
import linecache
import os
import sys

from ..failures import without_harness
from ..rows import OpenRow
from .script import fresh_main

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..session import HarnessSession

DISPLAY_ONLY = ("%matplotlib", "%config", "%load_ext", "%reload_ext", "%autoreload", "%pylab")
"""Magics that change nothing but what is shown, or when modules are read again."""
RAISES, SKIPPED = "raises-exception", "skip-execution"
"""Tags of cells, as nbclient reads them."""


class CodeCell:
    """One cell of code."""

    def __init__(self, source: str, tags: "list[str]") -> None:
        self.source = source
        self.tags = tags


class NotANotebook(Exception):
    """Why a file can't be run as a notebook."""


def run(session: "HarnessSession") -> int:
    """Run the only target; return 0 if no cell has failed."""
    target = session.targets[0]
    session.shown_warnings.watch()
    row = OpenRow(session, session.identify(target), session.shown_warnings).start()
    session.collected = 1
    try:
        with open(target, "rb") as file:
            cells = read_cells(file.read())
    except NotANotebook as error:
        row.judge("error", str(error))
        return _leave(session, row)
    except OSError as error:
        row.blame("error", error.with_traceback(None), None)
        return _leave(session, row)
    if not cells:
        row.judge("empty", "it has no cells of code")
        return _leave(session, row)
    sys.argv[:] = [target, *session.args]
    session.put_on_path(os.path.dirname(os.path.realpath(target)))
    shell = _shell(target)
    for number, cell in enumerate(cells, 1):
        if SKIPPED in cell.tags:
            continue
        name = f"{target}[cell {number}]"
        lines = cell.source.splitlines(True)
        linecache.cache[name] = (len(cell.source), None, lines, name)
        try:
            shell.run(cell.source, name)
        except NotANotebook as error:
            row.remarks.append(f"it failed in code cell {number} of {len(cells)}")
            row.judge("fail", str(error))
            break
        except BaseException as error:
            if RAISES in cell.tags and isinstance(error, Exception):
                continue
            error = error.with_traceback(without_harness(error.__traceback__))
            row.remarks.append(f"it failed in code cell {number} of {len(cells)}")
            row.blame("fail", error, error.__traceback__)
            sys.stderr.write(row.traceback)
            break
    return _leave(session, row)


def read_cells(content: bytes) -> "list[CodeCell]":
    """Return the cells with code in them, in their order. Raises `NotANotebook`."""
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
        cells = notebook.get("cells")
        if cells is None:
            cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        metadata = notebook.get("metadata") or {}
        language = (metadata.get("language_info") or {}).get("name") or "python"
        found = []
        for cell in cells:
            if cell["cell_type"] == "code":
                source = cell["source"] if "source" in cell else cell["input"]
                tags = (cell.get("metadata") or {}).get("tags") or []
                found.append(CodeCell(source if isinstance(source, str) else "".join(source), list(tags)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotANotebook(f"it is no notebook: {type(error).__name__}: {error}") from None
    if "python" not in str(language).lower():
        raise NotANotebook(f"it is written in {language}: only notebooks in Python are run")
    return [cell for cell in found if cell.source.strip()]


def _leave(session: "HarnessSession", row: OpenRow) -> int:
    row.exit_code = session.exit_code = 0 if row.status in ("pass", "empty") else 1
    row.finish()
    return session.exit_code


def _shell(file: str) -> "Any":
    module = fresh_main(file)
    sys.modules["__main__"] = module
    try:
        from IPython.core.interactiveshell import InteractiveShell
    except ImportError:
        return PlainShell(vars(module))
    return IPythonShell(InteractiveShell.instance(user_module=module))


class IPythonShell:
    """Runs cells as a kernel does, magics included."""

    def __init__(self, shell: "Any") -> None:
        self._shell = shell
        shell.showtraceback = lambda *_args, **_options: None  # the row has it
        shell.system = shell.system_piped  # a sandbox has no terminal
        shell.enable_gui = lambda *_args, **_options: None  # and no screen

    def run(self, source: str, name: str) -> None:
        """Run one cell; raise what it raises."""
        result = self._shell.run_cell(source, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            raise error


class PlainShell:
    """Runs cells without IPython: the value of the last expression is printed, and ``await`` may stand outside."""

    def __init__(self, names: "dict[str, Any]") -> None:
        self._names = names
        self._loop = None  # type: Any
        names.setdefault("display", _display)

    def run(self, source: str, name: str) -> None:
        """Run one cell; raise what it raises, and `NotANotebook` where only IPython can run it."""
        tree = ast.parse(_plain(source, name), name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self._execute(compile(tree, name, "exec", flags=_AWAIT, dont_inherit=True))
        if isinstance(last, ast.Expr):
            expression = ast.Expression(last.value)
            value = self._execute(compile(expression, name, "eval", flags=_AWAIT, dont_inherit=True))
            if value is not None and not source.rstrip().endswith(";"):
                _display(value)

    def _execute(self, code: "Any") -> object:
        value = eval(code, self._names)  # of statements, too
        if code.co_flags & 0x80:  # CO_COROUTINE
            import asyncio

            self._loop = self._loop or asyncio.new_event_loop()
            return self._loop.run_until_complete(value)  # type: ignore[no-any-return]
        return value


_AWAIT = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)  # from Python 3.8 on


def _display(*values: object) -> None:
    for value in values:
        print(repr(value))


def _plain(source: str, name: str) -> str:
    """Return a cell without magics that only change what is shown. Raises `NotANotebook` for others."""
    lines = source.splitlines(True)
    for number, line in enumerate(lines):
        text = line.strip()
        if text.startswith(DISPLAY_ONLY):
            lines[number] = line.replace(text, "pass")
        elif text.startswith(("%", "!")) and not _is_continued(lines[:number]):
            raise NotANotebook(f"{text.split()[0]} needs IPython: add it with --with ipython")
    return "".join(lines)


def _is_continued(lines: "list[str]") -> bool:
    """Return whether what follows some lines is still of their last statement: ``%`` may begin a line there."""
    text = "".join(line for line in lines if not line.lstrip().startswith("%"))
    try:
        ast.parse(text)
    except SyntaxError:
        return True
    return text.rstrip(" \t").endswith("\\\n")
