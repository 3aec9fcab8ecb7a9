"""What an index tells of a file, as far as it can be: impossible values are mended, or dropped.

Promise: nothing here raises, and what comes out can be handed on to any client and written to any terminal.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from msgspec.structs import replace
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from tf_tester.model.artifact import Artifact

_FIRST = datetime(1998, 1, 1, tzinfo=UTC)
"""Before that Python had nothing that made files to be uploaded: it is no time, but the beginning of some count."""
_AHEAD = timedelta(days=1)
"""How far the clocks of two machines may be apart."""
_STAR_TOO_MUCH = re.compile(r"((?:[<>]=?|~=)\s*\d+(?:\.\d+)*)\.?\*")
_STAR_WITHOUT_DOT = re.compile(r"([!=]=\s*\d+(?:\.\d+)*)\*")
_LONGEST_REASON = 2000
"""Characters."""


def upload_time(text: str) -> datetime | None:
    """Return a time (RFC 3339) in UTC; None where it isn't one, or nothing can have been uploaded then.

    >>> upload_time("1970-01-01T00:00:00Z"), upload_time("2021-05-05T16:18:17+02:00").isoformat()
    (None, '2021-05-05T14:18:17+00:00')
    """
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not UTC:
            time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if time >= _FIRST else None


def without_future(artifacts: Iterable[Artifact], now: datetime) -> tuple[Artifact, ...]:
    """Return the files without upload times that are yet to come."""
    latest = now + _AHEAD
    return tuple(
        one if one.upload_time is None or one.upload_time <= latest else replace(one, upload_time=None)
        for one in artifacts
    )


@lru_cache(maxsize=4096)
def requires_python(text: str | None) -> str | None:
    """Return a `Requires-Python` that clients can read; None where there is none, or nothing can be made of it.

    Without it clients take the file for every Python, as pip does where it can't read one.

    >>> requires_python(">=3.6.*, <4"), requires_python(">=2.7, !=3.0*"), requires_python("3,x"), requires_python("")
    ('>=3.6, <4', '>=2.7, !=3.0.*', None, None)
    """
    if not text:
        return None
    for one in (text.strip(), _STAR_WITHOUT_DOT.sub(r"\1.*", _STAR_TOO_MUCH.sub(r"\1", text.strip()))):
        try:
            SpecifierSet(one)
        except InvalidSpecifier:
            continue
        return one if one.isprintable() else " ".join(one.split())
    return None


def reason(text: str) -> str:
    r"""Return what somebody wrote as one line of printable characters.

    >>> reason("broken\x1b[31m,\r\nuse 1.1")
    'broken [31m, use 1.1'
    """
    if text.isprintable() and len(text) <= _LONGEST_REASON:
        return text
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_LONGEST_REASON]
