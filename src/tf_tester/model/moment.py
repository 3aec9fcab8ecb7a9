"""Points in time, as values that are read from outside have them."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]
"""An aware datetime: one without an offset, which can't be compared with others, is refused where it is decoded."""


def moment_of(text: object) -> datetime | None:
    """Return the moment that an RFC 3339 text tells; None where it tells none, or not of which offset.

    >>> moment_of("2026-11-27T14:00:26Z"), moment_of("2026-11-27T14:00:26"), moment_of(None)
    (datetime.datetime(2026, 11, 27, 14, 0, 26, tzinfo=datetime.timezone.utc), None, None)
    """
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else moment
