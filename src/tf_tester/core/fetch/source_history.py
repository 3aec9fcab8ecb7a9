"""What one use of a source changes in its history, and what of a history still counts. Pure.

A source that gave wrong bytes, which is only ever told where replacing its part made the file right, has a cooldown
of a week: a broken disk or a poisoned cache takes about so long to be noticed and repaired.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from tf_tester.model.source import SourceHistory, SourceUse

COOLDOWN = timedelta(days=7)
_SPEED_LASTS = timedelta(hours=12)
"""Links are other ones at night, and at another place."""


def as_of(history: SourceHistory, now: datetime) -> SourceHistory:
    """Return what counts now: no speed of long ago, no cooldown that is over, no bytes of another day."""
    if history.measured is None or not timedelta(0) <= now - history.measured < _SPEED_LASTS:
        history = replace(history, speed=None)
    if history.cooldown_until is not None and history.cooldown_until <= now:
        history = replace(history, cooldown_until=None)
    if history.day != _day(now):
        history = replace(history, day=_day(now), bytes_today=0, requests_today=0)
    return history


def after(history: SourceHistory, use: SourceUse, now: datetime) -> SourceHistory:
    """Return the history with one use more; `history` is as of now."""
    history = replace(
        history,
        bytes_today=history.bytes_today + use.bytes,
        requests_today=history.requests_today + use.requests,
    )
    if use.right is False:
        return replace(history, right=0, speed=None, measured=None, cooldown_until=now + COOLDOWN)
    if use.right is None:
        return history if use.speed is None else replace(history, speed=use.speed, measured=now)
    if use.speed is None:
        return replace(history, right=history.right + 1)
    speed = use.speed if history.speed is None else (history.speed + use.speed) / 2
    return replace(history, right=history.right + 1, speed=speed, measured=now)


def _day(now: datetime) -> str:
    return f"{now:%Y-%m-%d}"
