"""How fast something comes, over the last seconds."""

from collections import deque


class Speed:
    """A moving average of a growing count; time is told, not read.

    >>> speed = Speed(window=5.0)
    >>> for second in range(8):
    ...     speed.observe(float(second), second * 10)
    >>> speed.per_second(7.0)
    10.0
    >>> speed.per_second(12.0)  # nothing came for five seconds
    0.0
    """

    def __init__(self, *, window: float = 5.0) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def observe(self, moment: float, count: int) -> None:
        """Note the count at a moment; a smaller one than before means that it was begun anew."""
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((moment, count))
        self._forget(moment)

    def per_second(self, moment: float) -> float:
        """Return the average over the window that ends at a moment; 0.0 as long as it can't be told."""
        self._forget(moment)
        if not self._seen:
            return 0.0
        (start, first), (_, last) = self._seen[0], self._seen[-1]
        return (last - first) / (moment - start) if moment > start else 0.0

    def _forget(self, moment: float) -> None:
        """Drop what is older than the window, but for the one point from which it is measured."""
        while len(self._seen) > 1 and self._seen[1][0] <= moment - self._window:
            self._seen.popleft()
