"""Several processes behind one port, without the port."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tf_tester.model.events import TransferProgress, TransferTrouble
from tf_tester.serve.clients.shared_rate import SharedRate
from tf_tester.serve.metrics import Metrics, forget_worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

_SIGNALLED_AT_BIRTH = """
import os, signal
from tf_tester.serve.server import work

born = []

def signalled():
    if not born:
        os.kill(os.getpid(), signal.SIGTERM)

os.register_at_fork(after_in_child=signalled, after_in_parent=lambda: born.append(1))

def one():
    if not born:
        signal.pause()
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()

work(1, one)
"""


def test_a_signal_reaches_a_worker_that_is_being_made(tmp_path: Path) -> None:
    """Taken with the handler of its parent, it would be lost, and the worker would stay when all others have gone."""
    done = subprocess.run(
        [sys.executable, "-c", _SIGNALLED_AT_BIRTH],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has died (status 15)") == 1


_TOLD_WHILE_IT_STARTS = """
import asyncio, os, signal
from types import SimpleNamespace
from tf_tester.serve import server

make = asyncio.events.new_event_loop

def told():
    os.kill(os.getpid(), signal.SIGTERM)
    return make()

asyncio.events.new_event_loop = told
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line has it
server.App = lambda *_: SimpleNamespace(quick=None)
place = server.listen(server.ListenAddress(port=0))
server.run(SimpleNamespace(stop=lambda: None), place, None, lambda: print("ready"))
assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
print("ended")
"""


def test_a_signal_while_it_starts_ends_it_in_good_order() -> None:
    """As an exception it leaves a loop behind that is half made, which says so with a traceback."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _TOLD_WHILE_IT_STARTS], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("ready\nended\n", "")


_WAITS_FOR_EVER = """
import http.client, os, signal, socket, sys, threading
from types import SimpleNamespace
from tf_tester.serve import server

server._LAST_ANSWERS, server._CUT_OFF, server._GONE_BY = 0.1, 0.1, float(sys.argv[1])
place = server.listen(server.ListenAddress(port=0))

class App:
    quick = None

    def __init__(self, offer, executor, asks, fetches):
        self.asks = asks

    async def __call__(self, request):
        if sys.argv[2] == "thread":
            self.asks.submit(threading.Event().wait)
        os.kill(os.getpid(), signal.SIGTERM)
        await server.asyncio.Event().wait()

def visit():
    with socket.create_connection(place.getsockname()) as client:
        client.sendall(b"POST / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n\\r\\n")
        print(client.recv(100), flush=True)

server.App = App
visitor = threading.Thread(target=visit)
server.run(SimpleNamespace(stop=lambda: None), place, None, visitor.start)
visitor.join()
print("ended")
"""


@pytest.mark.whole
@pytest.mark.parametrize(("gone_by", "waits", "said"), [("60", "handler", "b''\nended\n"), ("2", "thread", "b''\n")])
def test_an_answer_that_does_not_end_is_cut_and_a_thread_that_does_not_is_left(
    gone_by: str, waits: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WAITS_FOR_EVER, gone_by, waits], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)


def test_workers_count_a_client_s_requests_together(tmp_path: Path) -> None:
    """Twenty at once are ten seconds' worth; who comes late gets its place of whoever was here longest ago."""
    workers = [SharedRate(tmp_path / "rate", 2), SharedRate(tmp_path / "rate", 2)]
    waits = [workers[number % 2].wait("10.0.0.1", 100.0) for number in range(21)]
    assert waits == [0.0] * 20 + [0.5]
    assert workers[0].wait("10.0.0.2", 100.0) == 0.0, "each client has its own"
    assert workers[1].wait("10.0.0.1", 101.0) == 0.0, "two have come in that second"
    for number in range(40_000):
        workers[0].wait(f"client {number}", 102.0 + number)
    assert workers[1].wait("10.0.0.1", 50_000.0) == 0.0


def test_workers_tell_one_another_what_they_are_at(tmp_path: Path) -> None:
    mine, place = Metrics(shared=tmp_path), tmp_path / "1.state"
    other = Metrics(shared=tmp_path)
    for one, name in ((mine, "a"), (other, "b")):
        one.hear(TransferProgress(name * 64, f"{name}.whl", 1, 2, "authority"))
        one.hear(TransferTrouble(f"{name}.whl", "authority", "is slow"))
    (tmp_path / f"{os.getpid()}.state").rename(place)  # as if the other one were another process
    found = mine.work()
    assert sorted(found.underway) == ["a" * 64, "b" * 64]
    assert len(found.recent) == 2
    assert found.began == mine.began
    place.write_bytes(b"{")
    assert mine.work().underway.keys() == {"a" * 64}
    forget_worker(tmp_path, 1)
    assert not place.exists()
