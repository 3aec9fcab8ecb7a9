"""A program for `test_store`: do the store's work over and over, killed each time at another moment, and look.

    python -m tests.functional.store.dying_process STORE COMPILER WHEEL_NAME WHEEL STEP

Fills a store with one wheel in forked children. A child dies by SIGKILL at its n-th call of the system (an audit
hook counts them) or in the middle of a write (a limit of the file size, whose signal kills). After each death
whatever has a final name must be right, what was verified must still be there, and the work must succeed.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
from pathlib import Path

from tests.pythons import running
from tf_tester.model.host.layer import Layer
from tf_tester.store.blobs import BlobStore
from tf_tester.store.folder import StoreFolder
from tf_tester.store.layers import LayerStore
from tf_tester.store.ledger import Ledger

ROOT, COMPILER, NAME, WHEEL = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
STEP = int(sys.argv[5])
"""Die at every so many calls."""
CONTENT = WHEEL.read_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CALLS = ("os.", "open", "fcntl.", "shutil.", "sqlite3.", "subprocess.")
SIZES = (1, 20, 1500, 3000, 10_000)
"""Bytes after which a child can't write on."""


def main() -> None:
    python = running()
    calls, status = child(0, 0)
    assert status == 0
    expected = fill()[0].files
    shutil.rmtree(ROOT)
    dice = random.Random(20)
    points = [(number, 0) for number in range(1, calls + 1, STEP)] + [(0, size) for size in SIZES]
    deaths = 0
    for deadly, size in points:
        if size:  # the bytes are there already: what is written is what adopting and unpacking write
            StoreFolder(ROOT).open()
            Path(ROOT, "incoming", f"{SHA256}.part").write_bytes(CONTENT)
        _, status = child(deadly, size)
        deaths += status in (-signal.SIGKILL, -signal.SIGXFSZ)
        check(expected)
        if dice.random() < 0.2:
            # Another one dies over what the first one left.
            before = blobs()
            child(dice.randrange(1, calls), 0)
            check(expected)
            assert before <= blobs(), "what was verified is gone"
        if dice.random() < 0.2:
            known = bool(blobs())
            layer, fetched = fill()
            assert fetched is not known, "what was verified was fetched again"
            assert layer.files == expected
            assert any(python.cache_tag in name for name in layer.bytecode)
            assert not list(ROOT.glob("tmp/*")), "the folder of a dead process was not swept"
            check(expected)
        shutil.rmtree(ROOT, ignore_errors=True)
    print(f"{deaths} of {len(points)} died")


def fill() -> tuple[Layer, bool]:
    """What a run does with one wheel; whether its bytes had to come."""
    fetched = False
    folder = StoreFolder(ROOT)
    folder.open()
    with folder.workplace() as workplace:
        ledger = Ledger(folder.ledger)
        store = BlobStore(folder, ledger)
        with store.exclusive(SHA256):
            if store.find(SHA256) is None:
                fetched = True
                partial = store.partial(SHA256)
                if not partial.exists() or partial.stat().st_size < len(CONTENT):
                    partial.write_bytes(CONTENT)
                store.adopt(SHA256, NAME, "tuna")
        wheel = store.find(SHA256)
        assert wheel is not None
        layer = LayerStore(folder, workplace, cpus=1, compiler=COMPILER).layer(NAME, SHA256, wheel, running())
        ledger.close()
    return layer, fetched


def child(deadly: int, size: int) -> tuple[int, int]:
    """Fill the store in a fork; how many calls it made, and its exit status (negative: a signal)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(writer, str(counted(deadly, size)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        calls = int(pipe.read() or 0)
    return calls, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def counted(deadly: int, size: int) -> int:
    number = 0

    def count(event: str, _words: object) -> None:
        nonlocal number
        number += event.startswith(CALLS)
        if number == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    if size:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    sys.addaudithook(count)
    fill()
    return number


def blobs() -> set[str]:
    return {path.name for path in ROOT.glob("blobs/*/*")}


def check(expected: tuple[str, ...]) -> None:
    """Whatever has its final name is right."""
    for path in ROOT.glob("blobs/*/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    for layer in ROOT.glob("layers/*"):
        assert tuple(json.loads((layer / "files.json").read_bytes().partition(b"\n")[0])) == expected
        for name in expected:
            if not name.startswith("site/"):
                assert (layer / name).stat().st_mode & 0o777 in (0o644, 0o755)
        for listed in layer.glob("*/bytecode.json"):
            own = json.loads(listed.read_bytes().partition(b"\n")[0])
            site = listed.parent / "tree" / own["site"]
            for name in expected:
                if name.startswith("site/"):
                    assert (site / name.removeprefix("site/")).stat().st_mode & 0o777 in (0o644, 0o755)
            assert len(own["bytecode"]) == sum(name.endswith(".py") for name in expected)
            assert all((site / name).stat().st_size for name in own["bytecode"])


if __name__ == "__main__":
    main()
