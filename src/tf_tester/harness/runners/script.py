"""Run a script as ``python script.py`` does, and judge it when its main code has ended."""

import builtins
import os
import sys

from ..failures import without_harness
from ..rows import OpenRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from ..session import HarnessSession

INTERRUPTED = 130


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
    module = _fresh_main(file)
    sys.modules["__main__"] = module
    sys.argv[:] = [target, *session.args]
    session.put_on_path(os.path.dirname(os.path.realpath(file)))
    try:
        exec(code, module.__dict__)
    except SystemExit as leaving:
        return _leave_by_request(session, row, leaving)
    except BaseException as error:
        error = error.with_traceback(without_harness(error.__traceback__))
        return _leave(session, row, "fail", error, INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
    row.exit_code = session.exit_code = 0
    row.finish()
    return None


def _compile(file: str) -> "CodeType":
    with open(file, "rb") as source:
        text = source.read()
    return compile(text, file, "exec", dont_inherit=True)


def _fresh_main(file: str):  # type: ignore[no-untyped-def]
    """Return a module like the one in which Python runs a script: pickle, multiprocessing and inspect depend on it."""
    ours = vars(sys.modules["__main__"])
    module = type(sys)("__main__")
    loader = type(ours["__loader__"])("__main__", file)
    module.__dict__.update({"__builtins__": builtins, "__file__": file, "__loader__": loader})
    for name, value in (("__annotations__", {}), ("__cached__", None)):
        if name in ours:  # which of them Python itself sets depends on its version
            module.__dict__[name] = value
    return module


def _leave_by_request(session: "HarnessSession", row: OpenRow, leaving: SystemExit) -> object:
    row.exit_code = session.exit_code = _exit_status(leaving.code)
    if session.exit_code:
        row.blame("fail", leaving, without_harness(leaving.__traceback__))
        row.traceback = ""  # Python prints none
    row.finish()
    return leaving.code


def _exit_status(code: object) -> int:
    """Return the status that a process has after ``sys.exit(code)``."""
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


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
