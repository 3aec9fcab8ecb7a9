"""How often somebody may ask: a bucket that fills steadily and is emptied by requests. Pure but for its state."""

from collections import OrderedDict

_MOST_CLIENTS = 10_000


class Rate:
    """Limit how often each client may ask."""

    def __init__(self, per_second: float) -> None:
        """Allow ten seconds' worth at once: an installation asks for all its pages together."""
        self._rate = per_second
        self._size = max(1.0, per_second * 10)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What is left, and when; whoever was here last is last."""

    def wait(self, client: str, now: float) -> float:
        """Return seconds for which the client has to wait; 0: it may go on.

        `now`: of a clock that only goes forward.
        """
        left, then = self._buckets.pop(client, (self._size, now))
        left = min(self._size, left + (now - then) * self._rate)
        allowed = left >= 1
        self._buckets[client] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate
