"""Describe an exception: what it is, where it was raised, and how Python prints it.

Nothing here raises, whatever the exception does: its ``__str__`` may fail, its chain may be thousands long.
"""

import linecache
import os
import traceback

from .events import clip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

MESSAGE_LIMIT = 2000
LAST_LINE = 2**31
HARNESS = ("_tf_tester_harness",)
MACHINERY = (*HARNESS, "unittest", "_pytest", "pluggy", "importlib", "_frozen_importlib", "_frozen_importlib_external")
"""Top-level modules whose frames stand between the harness and the user's code, or below a user's ``import_module``."""


def describe(error: BaseException, trace: "TracebackType | None", folders: "list[str]") -> "dict[str, Any]":
    """Return type, message and place of an exception; ``folders`` are those of the package under test."""
    steps = _steps(trace)
    leading, trailing = _machinery_around(steps, MACHINERY)
    place = _place(steps[len(steps) - trailing - 1] if leading + trailing < len(steps) else None)
    if _lies_in_file(error):
        assert isinstance(error, SyntaxError)
        line, text = line_number(error.lineno), _one_line(error.text)
        place = {"file": error.filename, "line": line, "function": None, "text": text}
    if _is_doctest_failure(error):
        place = _doctest_place(error)
    inside = [step for step in steps if _is_below(step[0], folders)]
    package_place = _place(inside[-1]) if inside else None
    if package_place:
        del package_place["text"]
    message = _doctest_message(error) if _is_doctest_failure(error) else message_of(error)
    if type(error).__name__ == "FixtureLookupError":  # pytest tells it so; its text has the name and an object
        said = getattr(error, "msg", None)
        message = message_of(said) if said else f"fixture '{message_of(getattr(error, 'argname', None))}' not found"
    description = {"type": type_name(type(error)), "message": message, "in_package": package_place}
    description.update(place)
    return description


def format_traceback(error: BaseException, trace: "TracebackType | None", limit: int, whole: bool = False) -> str:
    """Return what Python prints for an exception, without the frames of the machinery around the user's code.

    ``whole`` keeps all but the harness's own frames.
    """
    steps = _steps(trace)
    leading, trailing = _machinery_around(steps, (*MACHINERY, "ast") if _lies_in_file(error) else MACHINERY)
    if whole:
        leading, trailing = _machinery_around(steps, HARNESS)[0], 0
    try:
        report = traceback.TracebackException(type(error), error, trace if leading < len(steps) else None)
        del report.stack[len(steps) - trailing :]
        del report.stack[:leading]
        text = "".join(report.format())
    except Exception as failure:  # a chain too long, a __str__ that fails in a new way, no memory
        text = _plain_traceback(error, steps[leading : len(steps) - trailing])
        text += f"(without source lines and causes, because of {type_name(type(failure))} in formatting)\n"
    return clip(text, limit)


def _plain_traceback(error: BaseException, steps: "list[Any]") -> str:
    """Return a traceback that needs nothing but what we hold."""
    lines = [f'  File "{file}", line {line}, in {function}' for file, line, function, _ in steps]
    return "\n".join(
        ["Traceback (most recent call last):", *lines, f"{type_name(type(error))}: {message_of(error)}", ""]
    )


def without_harness(trace: "TracebackType | None") -> "TracebackType | None":
    """Return the part of a traceback that begins in the user's code."""
    while trace and _root_module(trace.tb_frame.f_globals) in HARNESS:
        trace = trace.tb_next
    return trace


def type_name(kind: type) -> str:
    """Return a type's name as tracebacks write it."""
    module = getattr(kind, "__module__", None)
    name = str(kind.__qualname__)
    return name if module in (None, "builtins", "__main__") else f"{module}.{name}"


def message_of(error: object) -> str:
    """Return the first characters of ``str(error)``, or a note that it has none."""
    try:
        return str(error)[:MESSAGE_LIMIT]
    except BaseException:  # the user's __str__ may raise anything, also SystemExit
        return "<exception str() failed>"


def line_number(line: object) -> "int | None":
    """Return what may be a line's number; whoever raises a SyntaxError may give it anything."""
    return int(line) if isinstance(line, int) and 0 <= line <= LAST_LINE else None


def _steps(trace: "TracebackType | None") -> "list[tuple[str, int, str, dict[str, Any]]]":
    steps = []
    while trace:
        code = trace.tb_frame.f_code
        steps.append((code.co_filename, trace.tb_lineno, code.co_name, trace.tb_frame.f_globals))
        trace = trace.tb_next
    return steps


def _machinery_around(steps: "list[Any]", roots: "tuple[str, ...]") -> "tuple[int, int]":
    """Return how many steps at the start and at the end belong to the machinery; all of them count as the start."""
    foreign = [_root_module(step[3]) not in roots for step in steps]
    if True not in foreign:
        return len(steps), 0
    return foreign.index(True), foreign[::-1].index(True)


def _lies_in_file(error: BaseException) -> bool:
    """Return whether an exception names a file that Python could not compile."""
    return isinstance(error, SyntaxError) and isinstance(error.filename, str) and os.path.isabs(error.filename)


def _root_module(names: "dict[str, Any]") -> str:
    name = names.get("__name__")
    return name.partition(".")[0] if isinstance(name, str) else ""


def _place(step: "tuple[str, int, str, dict[str, Any]] | None") -> "dict[str, Any]":
    if step is None:
        return {"file": None, "line": None, "function": None, "text": None}
    file, line, function, names = step
    try:
        text = linecache.getline(file, line, names)
    except Exception:  # the user's loader may have any get_source
        text = ""
    return {"file": file, "line": line, "function": function, "text": _one_line(text)}


def _one_line(text: object) -> "str | None":
    return text.strip()[:MESSAGE_LIMIT] if isinstance(text, str) and text.strip() else None


def _is_below(file: str, folders: "list[str]") -> bool:
    return any(file == folder or file.startswith(folder + os.sep) for folder in folders)


def _is_doctest_failure(error: BaseException) -> bool:
    return type(error).__module__ == "doctest" and hasattr(error, "example") and hasattr(error, "got")


def _doctest_message(error: "Any") -> str:
    """Return what an example of a doctest should have printed, and what it printed; by itself it says neither."""
    want, got = (
        clip(str(text).rstrip("\n"), MESSAGE_LIMIT // 2) or "nothing" for text in (error.example.want, error.got)
    )
    return f"expected {want}, got {got}" if "\n" not in want + got else f"expected:\n{want}\ngot:\n{got}"


def _doctest_place(error: "Any") -> "dict[str, Any]":
    line = line_number((error.test.lineno or 0) + error.example.lineno + 1)
    return {"file": error.test.filename, "line": line, "function": None, "text": _one_line(error.example.source)}
