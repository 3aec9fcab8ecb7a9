"""Remember the warnings that were shown, each distinct one once with its count."""

import warnings

from .failures import MESSAGE_LIMIT, line_number, message_of, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DISTINCT_LIMIT = 100


class WarningCollector:
    """Warnings since the last ``take``; the first hundred distinct ones are kept."""

    def __init__(self) -> None:
        self._counts = {}  # type: dict[tuple[str, str, str, int], int]

    def add(self, warning: "Any") -> None:
        """Count a ``warnings.WarningMessage``."""
        message = message_of(warning.message)[:MESSAGE_LIMIT]
        key = (type_name(warning.category), message, str(warning.filename), line_number(warning.lineno) or 0)
        if key in self._counts or len(self._counts) < DISTINCT_LIMIT:
            self._counts[key] = self._counts.get(key, 0) + 1

    def take(self) -> "list[dict[str, Any]]":
        """Return the warnings in the order of their first showing, and forget them."""
        counts, self._counts = self._counts, {}
        return [
            {"category": category, "message": message, "file": file, "line": line, "count": count}
            for (category, message, file, line), count in counts.items()
        ]

    def watch(self) -> None:
        """Count every warning that Python prints from now on; what is printed stays the same.

        The wrapped function is the one below ``warnings.showwarning``: replacing that one would lose what Python prints
        about the source of a ResourceWarning. ``catch_warnings(record=True)`` and a user's own ``showwarning`` replace
        both, so a warning that nobody sees is not counted.
        """
        show = warnings._showwarnmsg_impl  # type: ignore[attr-defined]
        context = getattr(warnings, "_get_context", None)  # Python 3.14, where recording may be a context variable

        def show_and_count(warning: "Any") -> None:
            if context is None or context().log is None:
                self.add(warning)
            show(warning)

        warnings._showwarnmsg_impl = show_and_count  # type: ignore[attr-defined]
