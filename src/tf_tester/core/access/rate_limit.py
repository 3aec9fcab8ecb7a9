"""How often somebody may ask: a bucket that fills steadily and is emptied by requests. Pure but for its state."""

from collections import OrderedDict

_MOST_CLIENTS = 10_000


_BURST = 10.0
"""Seconds' worth that may come at once: an installation asks for all its pages together."""


def bucket_after(before: tuple[float, float] | None, now: float, per_second: float) -> tuple[float, float]:
    """Return what is left in a bucket after a request, and for how many seconds that one has to wait; 0: not at all.

    `before`: what was left, and when; None: it is full.
    """
    size = max(1.0, per_second * _BURST)
    left = size if before is None else min(size, before[0] + max(0.0, now - before[1]) * per_second)
    return (left - 1, 0.0) if left >= 1 else (left, (1 - left) / per_second)


class Rate:
    """Limit how often each client may ask."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What is left, and when; whoever was here last is last."""

    def wait(self, client: str, now: float) -> float:
        """Return seconds for which the client has to wait; 0: it may go on.

        `now`: of a clock that only goes forward.
        """
        left, wait = bucket_after(self._buckets.pop(client, None), now, self._rate)
        self._buckets[client] = (left, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait
