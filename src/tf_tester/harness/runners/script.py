"""Run a script as ``python script.py`` does, and judge it when its main code has ended."""

import builtins
import os
import sys

from ..failures import without_harness
from ..rows import OpenRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    from ..session import HarnessSession

INTERRUPTED = 130
NOTHING_COLLECTED = 5
"""Exit status of pytest, and of unittest since Python 3.12, where there were no tests."""
LOOKS_FOR_NAMES = frozenset({"globals", "locals", "vars", "dir", "getmembers", "inspect"})
"""Names of what finds the tests of a module to call them."""


def run(session: "HarnessSession") -> object:
    """Run the only target; return what to give to ``sys.exit``."""
    target = session.targets[0]
    file = os.path.join(target, "__main__.py") if os.path.isdir(target) else target
    session.shown_warnings.watch()
    row = OpenRow(session, session.identify(target), session.shown_warnings).start()
    session.collected = 1
    try:
        code = _compile(file)
    except BaseException as error:  # not only SyntaxError: null bytes, too deeply nested, not readable
        return _leave(session, row, "error", error.with_traceback(None), 2 if isinstance(error, OSError) else 1)
    module = fresh_main(file)
    sys.modules["__main__"] = module
    sys.argv[:] = [target, *session.args]
    session.put_on_path(os.path.dirname(os.path.realpath(file)))
    try:
        exec(code, module.__dict__)
    except SystemExit as leaving:
        return _leave_by_request(session, row, leaving, file, module)
    except BaseException as error:
        error = error.with_traceback(without_harness(error.__traceback__))
        return _leave(session, row, "fail", error, INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
    row.exit_code = session.exit_code = 0
    _judge_tests(row, file, module)
    row.finish()
    return None


def _judge_tests(row: OpenRow, file: str, module: "ModuleType") -> None:
    """Say so where a script defines tests that running it doesn't run; where it does nothing else, it is empty."""
    import ast

    from .script_parts import acts, defined, imports, main_blocks, mentions, starts_tests

    tests = _tests_in(vars(module))

    with open(file, "rb") as source:
        tree = ast.parse(source.read(), file)
    if not tests:
        names = defined(tree)
        if acts(tree) or main_blocks(tree) or (imports(tree) and not names):
            return
        only = ": it only defines " + _listed(names) if names else ""
        row.judge("empty", "it does nothing when it is run" + only)
        return
    if starts_tests(tree) or mentions(tree, frozenset(tests) | LOOKS_FOR_NAMES):
        return
    told = _listed(sorted(tests))
    if acts(tree) or main_blocks(tree):
        row.remarks.append(f"defines tests ({told}) that running it doesn't run: --runner pytest does")
    else:
        row.judge("empty", f"it only defines tests ({told}), and running it runs none: --runner pytest does")


def _listed(names: "list[str]") -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _tests_in(names: "dict[str, Any]") -> "list[str]":
    """Return the names in a module under which pytest would collect tests."""
    found = []
    for name, value in list(names.items()):
        if isinstance(value, type):
            bases = [base.__module__ + "." + base.__qualname__ for base in value.__mro__]
            attributes = [attribute for base in value.__mro__ for attribute in vars(base)]
            has_tests = any(attribute.startswith("test") for attribute in attributes)
            if has_tests and (name.startswith("Test") or "unittest.case.TestCase" in bases):
                found.append(name)
        elif name.startswith("test") and isinstance(value, type(_tests_in)):
            code = value.__code__
            if code.co_argcount <= len(value.__defaults__ or ()):  # `test_step(images, labels)` is a helper
                found.append(name)
    return found


def _compile(file: str) -> "CodeType":
    with open(file, "rb") as source:
        text = source.read()
    return compile(text, file, "exec", dont_inherit=True)


def fresh_main(file: str):  # type: ignore[no-untyped-def]
    """Return a module like the one in which Python runs a script: pickle, multiprocessing and inspect depend on it."""
    ours = vars(sys.modules["__main__"])
    module = type(sys)("__main__")
    loader = type(ours["__loader__"])("__main__", file)
    module.__dict__.update({"__builtins__": builtins, "__file__": file, "__loader__": loader})
    for name, value in (("__annotations__", {}), ("__cached__", None)):
        if name in ours:  # which of them Python itself sets depends on its version
            module.__dict__[name] = value
    return module


def _leave_by_request(
    session: "HarnessSession", row: OpenRow, leaving: SystemExit, file: str, module: "ModuleType"
) -> object:
    row.exit_code = session.exit_code = exit_status(leaving.code)
    if found_no_tests(leaving):
        row.judge("empty", "no tests were found")
    elif session.exit_code:
        row.blame("fail", leaving, without_harness(leaving.__traceback__))
        row.traceback = ""  # Python prints none
    else:
        _judge_tests(row, file, module)
    row.finish()
    return leaving.code


def exit_status(code: object) -> int:
    """Return the status that a process has after ``sys.exit(code)``."""
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def found_no_tests(leaving: SystemExit) -> bool:
    """Return whether ``unittest.main`` or ``pytest.main`` has found no tests, and nothing that failed, and leaves."""
    if exit_status(leaving.code) not in (0, NOTHING_COLLECTED):
        return False
    if getattr(leaving.code, "name", "") == "NO_TESTS_COLLECTED":
        return True
    trace = leaving.__traceback__
    while trace:
        names = trace.tb_frame.f_locals
        if trace.tb_frame.f_globals.get("__name__") == "unittest.main" and "self" in names:
            return getattr(getattr(names["self"], "result", None), "testsRun", None) == 0
        trace = trace.tb_next
    return False


def _leave(session: "HarnessSession", row: OpenRow, status: str, error: BaseException, exit_code: int) -> int:
    """Write the row before the user's ``sys.excepthook`` runs, because that may do anything."""
    row.blame(status, error, error.__traceback__, whole=True)
    row.exit_code = session.exit_code = exit_code
    row.finish()
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    _print(error)
    return exit_code


def _print(error: BaseException) -> None:
    """Print an exception as Python does when nobody catches it."""
    try:
        getattr(sys, "excepthook", sys.__excepthook__)(type(error), error, error.__traceback__)
    except BaseException as failure:
        failure = failure.with_traceback(without_harness(failure.__traceback__))
        _write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        _write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, error.__traceback__)


def _write(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
