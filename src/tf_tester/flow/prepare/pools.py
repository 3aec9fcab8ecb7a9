"""Threads whose work ends at once on Ctrl-C."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def interruptible(count: int, name: str, stop: Callable[[], None]) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads; `stop` ends what they wait for: transfers and processes."""
    with ThreadPoolExecutor(count, name) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
