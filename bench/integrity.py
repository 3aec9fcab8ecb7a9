"""What it costs to look at files before they are handed on: beside the SHA-256 of the same files, in one run.

    python bench/integrity.py

For 200 files of 1 MB each: the look of a process that has just started (it asks the ledger), the next look of the same
process, and reading the file. For one layer of 5,000 files: the look that runs beside the tests, and reading it all.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tf_tester.model.host.layer import Layer, Listing
from tf_tester.store.blobs import BlobStore
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger
from tf_tester.store.verifying import _status

FILES, SIZE = 200, 1 << 20
MODULES = 5_000


def timed(work: Callable[[], object], count: int) -> float:
    """Return microseconds of CPU for each of so many."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) / count * 1e6


def blobs(folder: StoreFolder, ledger: Ledger) -> None:
    digests = []
    store = BlobStore(folder, ledger)
    for number in range(FILES):
        content = number.to_bytes(4, "big") * (SIZE // 4)
        digest = hashlib.sha256(content).hexdigest()
        store.partial(digest).write_bytes(content)
        store.adopt(digest, f"{number}.whl", "bench")
        digests.append(digest)
    fresh = BlobStore(folder, ledger)
    first = timed(lambda: [fresh.find(one) for one in digests], FILES)
    again = timed(lambda: [fresh.find(one) for one in digests], FILES)
    read = timed(lambda: [fresh.check(one) for one in digests], FILES)
    print(f"a file of 1 MB: first look {first:.0f} us, next {again:.0f} us, read {read:.0f} us: {again / read:.3f} x")


def layer(root: Path) -> None:
    site = root / "cpython-311/tree/lib/python3.11/site-packages/package"
    site.mkdir(parents=True)
    for number in range(MODULES):
        (site / f"m{number}.py").write_text("x = 1\n" * 500)
    for name in ("layer.json", "files.json"):
        (root / name).write_text("{}")
    tree = root / "cpython-311/tree"
    made = Layer("", "package", root, tree, "lib/python3.11/site-packages", lambda: Listing(()))
    look = timed(lambda: _status(made, lambda: None), MODULES)
    read = timed(lambda: [hashlib.sha256(path.read_bytes()) for path in site.iterdir()], MODULES)
    print(f"a layer: look {look:.1f} us a file, read {read:.1f} us a file: {look / read:.2f} x")


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = StoreFolder(Path(place) / "store")
        folder.open()
        with closing(Ledger(folder.ledger, now=lambda: datetime.now(UTC))) as ledger:
            blobs(folder, ledger)
        layer(Path(place) / "layer")


if __name__ == "__main__":
    main()
