"""Tell why a package can't be imported by what it said the first time.

Python forgets a module whose import has failed, and keeps what that had imported until then: a second import fails
elsewhere, or seems to succeed, and what the user's next file then says ("has no attribute") is no reason of anything.
"""

import re
import sys

from .imports import is_installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_NAMED = re.compile(r"(?:module|from|named) '([^'.]+)")
_FOLLOWING = (AttributeError, ImportError, KeyError, NameError)
"""What is raised for want of something that a module would have had."""


class FailedImports:
    """The top-level modules whose import has failed in this process, each with its first failure."""

    def __init__(self) -> None:
        self._first = {}  # type: dict[str, tuple[dict[str, Any], str]]

    def reason(
        self, error: BaseException, trace: "TracebackType | None", told: "tuple[dict[str, Any], str]"
    ) -> "tuple[dict[str, Any], str]":
        """Return what is to be told of an exception: itself, or the first failure of the import that it comes from.

        Either is a description and a traceback.
        """
        failed = [name for name in _being_imported(trace) if name not in sys.modules]
        named = _NAMED.findall(told[0]["message"]) if isinstance(error, _FOLLOWING) else []
        for name in failed + named:
            if name in self._first:
                return _instead_of(told[0], self._first[name], name)
        for name in failed:
            self._first[name] = told
        return told


def _being_imported(trace: "TracebackType | None") -> "list[str]":
    """Return the installed top-level packages of which a module was being imported."""
    found = {}  # type: dict[str, None]
    while trace:
        code, name = trace.tb_frame.f_code, trace.tb_frame.f_globals.get("__name__")
        if code.co_name == "<module>" and isinstance(name, str) and is_installed(code.co_filename):
            found[name.partition(".")[0]] = None
        trace = trace.tb_next
    return list(found)


def _instead_of(
    later: "dict[str, Any]", first: "tuple[dict[str, Any], str]", name: str
) -> "tuple[dict[str, Any], str]":
    if (later["type"], later["message"]) == (first[0]["type"], first[0]["message"]):
        return first
    line = (later["message"].splitlines() or [""])[0]
    note = f"\nThe import of {name} had failed like this before; here it said {later['type']}: {line}\n"
    return first[0], first[1] + note
