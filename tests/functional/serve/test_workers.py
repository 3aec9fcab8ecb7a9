"""Several processes behind one port, without the port."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
