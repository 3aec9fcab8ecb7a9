"""The thread in which everything asynchronous happens; started by the first request, ended by `close`."""

import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from tf_tester.errors import InterruptedTransfer

if TYPE_CHECKING:
    import asyncio

    from tf_tester.transfer.session import HttpSession

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for threads that wait."""

    def __init__(self, make_session: "Callable[[], HttpSession]") -> None:
        self._make_session = make_session
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._session: HttpSession | None = None

    def run(self, work: "Callable[[HttpSession], Coroutine[Any, Any, T]]") -> T:
        """Return what the coroutine returns or raises; `InterruptedTransfer` when we are closed meanwhile."""
        import asyncio

        over = threading.Event()

        async def working() -> T:
            try:
                if self._session is None:
                    self._session = self._make_session()
                return await work(self._session)
            finally:
                over.set()

        with self._lock:
            if self._closed.is_set():
                raise interrupted()
            future = asyncio.run_coroutine_threadsafe(working(), self._started())
        try:
            return future.result()
        except CancelledError:
            raise interrupted() from None
        except BaseException:
            # Ctrl-C in the waiting thread: nobody may write after this thread has let go of the file.
            if future.cancel():
                over.wait(timeout=5)
            raise

    def pause(self, seconds: float) -> None:
        """Wait, unless the network is closed meanwhile."""
        if self._closed.wait(seconds):
            raise interrupted()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def wait_for(self, event: threading.Event) -> None:
        """Wait for an event of another thread, unless the network is closed meanwhile."""
        while not event.wait(0.2):
            self.pause(0)

    def close(self) -> None:
        """Cancel what runs, close the connections, end the thread."""
        with self._lock:
            self._closed.set()
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _started(self) -> "asyncio.AbstractEventLoop":
        import asyncio  # 50 ms: not before something is fetched

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._serve, args=(self._loop,), name="tf-tester-network", daemon=True
            )
            self._thread.start()
        return self._loop

    def _serve(self, loop: "asyncio.AbstractEventLoop") -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(self._wind_down())
        finally:
            loop.close()

    async def _wind_down(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()


def interrupted() -> InterruptedTransfer:
    return InterruptedTransfer(
        "the transfer was interrupted",
        hint="Run again: what has arrived is kept, and the transfer goes on from there.",
    )
