"""Our own transfer into a store, as a process that imports what the command would; prints what it cost.

python bench/fetch.py STORE SHA256 SIZE NAME|PROVEN|RESERVE|URL ...
"""

import gc
import json
import sys
import time
from pathlib import Path

from tf_tester.cli.main import GARBAGE

gc.set_threshold(GARBAGE)  # before the other imports, as the command does


def main(words: list[str]) -> None:
    from tf_tester.model.artifact import Artifact
    from tf_tester.model.events import Event, TransferFinished
    from tf_tester.model.source import Source, SourceUse
    from tf_tester.store.blobs import BlobStore
    from tf_tester.store.folder import StoreFolder
    from tf_tester.store.ledger import Ledger
    from tf_tester.transfer.client import Client
    from tf_tester.transfer.fetch import Transfer
    from tf_tester.transfer.settings import ClientSettings

    folder, sha256, size, *mirrors = words
    parts = [mirror.split("|") for mirror in mirrors]
    sources = [Source(n, url, proven=p == "1", reserve=r == "1") for n, p, r, url in parts]
    events: list[Event] = []
    uses: list[SourceUse] = []
    store = StoreFolder(Path(folder))
    store.open()
    blobs = BlobStore(store, Ledger(store.ledger))
    artifact = Artifact("ballast-1.0-py3-none-any.whl", "ballast", "1.0", sources[0].url, sha256=sha256, size=int(size))
    import tf_tester.transfer.session  # noqa: F401 - what importing costs is not a matter of the link

    began = time.monotonic()
    with Client(ClientSettings()) as client:
        Transfer(client, blobs, events.append, sources=lambda _: sources, learn=uses.append).fetch(artifact)
    wall = time.monotonic() - began
    [finished] = [event for event in events if isinstance(event, TransferFinished)]
    liars = [use.source for use in uses if use.right is False]
    print(json.dumps([wall, finished.received, liars]))


if __name__ == "__main__":
    main(sys.argv[1:])
    gc.freeze()  # at the end, as the command does
