"""What MirrorZ publishes of its members' copies of PyPI: when each was last filled, and whether that works.

Format: https://github.com/mirrorz-org/mirrorz, `mirrorz.json` 1.7. Real feeds have null, letters without a time and
members without a site; what can't be read is left out.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from tf_tester.model.mirror import Mirror
from tf_tester.model.moment import Moment

_STATUS = re.compile(r"([A-Z])(\d{0,12})", re.ASCII)
_PROJECT = "pypi"


class FeedState(StrEnum):
    """How its operator says that a mirror is doing."""

    FILLED = "filled"
    FILLING = "filling"
    FAILED = "failed"
    PAUSED = "paused"
    PROXY = "proxy"
    UNKNOWN = "unknown"


_STATES = {
    "S": FeedState.FILLED,
    "Y": FeedState.FILLING,
    "D": FeedState.FILLING,
    "F": FeedState.FAILED,
    "P": FeedState.PAUSED,
    "C": FeedState.PROXY,
    "R": FeedState.PROXY,
}


class FeedReport(Struct, frozen=True):
    """Of one mirror."""

    state: FeedState
    filled: Moment | None
    """When it was last filled, as far as that is told."""


def reports(content: bytes) -> dict[str, FeedReport]:
    """Return what a feed, or a pack of them, reports of PyPI, by host of the site.

    Raises `ValueError` where it is none.

    >>> reports(b'[{"site":{"url":"https://m.example"},"mirrors":[{"cname":"pypi","status":"F1700000060O1700000000"}]}]')
    {'m.example': FeedReport(state=<FeedState.FAILED: 'failed'>, filled=datetime.datetime(2023, 11, 14, 22, 13, 20, \
tzinfo=datetime.timezone.utc))}
    """
    decoded = msgspec.json.decode(content, type=list[dict[str, object]] | dict[str, object])
    found: dict[str, FeedReport] = {}
    for member in decoded if isinstance(decoded, list) else [decoded]:
        site, mirrors = member.get("site"), member.get("mirrors")
        url = site.get("url") if isinstance(site, dict) else None
        host = _host(url) if isinstance(url, str) else None
        if host is None or not isinstance(mirrors, list):
            continue
        for mirror in mirrors:
            if isinstance(mirror, dict) and mirror.get("cname") == _PROJECT:
                found[host] = _report(mirror.get("status"))
    return found


def reports_of(content: bytes, mirrors: Iterable[Mirror]) -> dict[str, FeedReport]:
    """Return the reports on those mirrors that a feed knows, by name. Raises `ValueError` where it is no feed."""
    told = reports(content)
    found = {}
    for mirror in mirrors:
        # Some have a name of its own for PyPI: the one for packages tells the site.
        hosts = [_host(url) for url in (mirror.url, mirror.apt) if url]
        report = next((told[host] for host in hosts if host in told), None)
        if report is not None:
            found[mirror.name] = report
    return found


def _report(status: object) -> FeedReport:
    parts = dict(_STATUS.findall(status)) if isinstance(status, str) else {}
    state = next((_STATES[letter] for letter in parts if letter in _STATES), FeedState.UNKNOWN)
    at = parts.get("S") or parts.get("O")
    return FeedReport(state, datetime.fromtimestamp(int(at), UTC) if at and int(at) < 2**33 else None)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
