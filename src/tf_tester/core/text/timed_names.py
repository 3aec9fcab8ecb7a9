"""Names that sort by time: those of runs and of published generations.

A name is a moment in UTC, to the microsecond, in the basic format of ISO 8601, and some random digits:
`20261127T140026.482913-5e0f92a1`. Names made before were `20261127T140026-a9c1`; as a point comes after a hyphen, all
sort as plain text, one without a fraction before those of the same second that have one.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_NAME = re.compile(r"(?P<moment>2\d{7}T\d{6}(\.\d{6})?)-[0-9a-f]{4,8}", re.ASCII)
_TICK = timedelta(microseconds=1)
RANDOM_BYTES = 4
"""Enough that two processes which choose the same microsecond don't choose the same name."""


def name_after(existing: Iterable[str], moment: datetime, chance: bytes) -> str:
    """Return a name of a moment (aware) that sorts after all existing ones, whatever the clock was when they were made.

    Of what exists, anything that is no such name counts for nothing. `chance`: `RANDOM_BYTES` random bytes.

    >>> name_after([], datetime(2026, 11, 27, 14, tzinfo=UTC), b"abcd")
    '20261127T140000.000000-61626364'
    >>> name_after(["20261127T140001-a9c1", "current"], datetime(2026, 11, 27, 14, tzinfo=UTC), b"abcd")
    '20261127T140001.000001-61626364'
    """
    stamp = _stamp(moment)
    newest = max((later for one in existing if one >= stamp and (later := _moment_of(one))), default=None)
    return f"{stamp if newest is None else _stamp(newest + _TICK)}-{chance.hex()}"


def is_timed_name(text: str) -> bool:
    """Return whether a text is such a name, an old one included."""
    return _moment_of(text) is not None


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S.%f}"


def _moment_of(name: str) -> datetime | None:
    match = _NAME.fullmatch(name)
    try:
        return None if match is None else datetime.fromisoformat(match["moment"]).replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None
