"""What comes of an answer: alone, and beside a good source or a second time."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests.corpus.answers import Answer
from tests.corpus.case import RIGHT
from tests.fakes import MemoryishBlobs, MemoryPages
from tests.simulator import Fault, Redirect, Simulator
from tests.wheels import make_wheel
from tf_tester.errors import TfTesterError
from tf_tester.index.http import HttpIndex, PageAccess
from tf_tester.model.artifact import Artifact
from tf_tester.model.source import Source
from tf_tester.transfer.client import Client
from tf_tester.transfer.fetch import Transfer
from tf_tester.transfer.settings import ClientSettings, Timeouts

QUICK = Timeouts(connect=10, stall=10, page=10, retry_delay=0.01, retry_after_cap=0.02)
IMPATIENT = Timeouts(connect=10, stall=2, slow_window=2, page=2, retry_delay=0.01)


class Judged(NamedTuple):
    """What came of it."""

    alone: str
    """`RIGHT`, or the sentence."""
    healed: str
    """Likewise, with a good source besides (a file), or when the server is well again (a page)."""


class Servers:
    """A server that answers wrongly and a good one with the same files, for all cases; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number: Iterator[int] = itertools.count()
        self._opened = ExitStack()
        self._bad, self._good = Simulator(), Simulator()
        self._clients = {slow: Client(ClientSettings(timeouts=IMPATIENT if slow else QUICK)) for slow in (True, False)}

    def __enter__(self) -> "Servers":
        for simulator in (self._bad, self._good):
            self._opened.enter_context(simulator)
        for client in self._clients.values():
            self._opened.enter_context(client)
        self._bad.add_wheel(*make_wheel("other", "1.0"))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def judge(self, answer: Answer) -> Judged:
        """Return what comes of an answer to a question of its own; callable from many threads."""
        project = f"toy{next(self._number)}"
        filename, content = make_wheel(project, "1.0", files={f"{project}.txt": "".join(map(str, range(400)))})
        promised = self._bad.add_wheel(filename, content)
        self._good.add_wheel(filename, content)
        name = project if answer.is_page else filename

        def break_again() -> None:
            self._bad.heal(name)
            for fault in answer.faults:
                self._bad.fault(name, _own(fault, project, filename), times=answer.times)

        break_again()
        if answer.is_page:
            return self._judge_page(answer, project, promised)
        alone = self._fetched(answer, promised, content, [Source("authority", promised.url, proven=True)])
        break_again()
        good = self._good.artifact(filename).url
        healed = self._fetched(
            answer, promised, content, [Source("mirror", promised.url), Source("authority", good, proven=True)]
        )
        return Judged(alone, healed)

    def _fetched(self, answer: Answer, artifact: Artifact, content: bytes, sources: Sequence[Source]) -> str:
        blobs = MemoryishBlobs(self._folder / str(next(self._number)))
        client = self._clients[answer.is_slow]
        try:
            path = Transfer(client, blobs, lambda _event: None, sources=lambda _artifact: sources).fetch(artifact)
        except TfTesterError as error:
            kept = [one.name for one in blobs.folder.iterdir() if one.name == artifact.sha256]
            return f"wrong bytes kept: {kept}" if kept else str(error)
        return RIGHT if path.read_bytes() == content else "wrong bytes"

    def _judge_page(self, answer: Answer, project: str, promised: Artifact) -> Judged:
        pages = MemoryPages()

        def asked(client: Client) -> str:
            """As one process does it, which has an index of its own, and wants a page that is of use."""
            access = PageAccess(client, pages, lambda: datetime.now(UTC))
            index = HttpIndex(self._bad.simple_url, access)
            try:
                try:
                    page = index.page(project)
                except TfTesterError:
                    if not index.doubt(project):
                        raise
                    page = index.page(project)
            except TfTesterError as error:
                return f"{error} {error.detail}"
            return RIGHT if page.artifacts == (promised,) else f"another page: {page.artifacts}"

        alone = asked(self._clients[answer.is_slow])
        self._bad.heal(project)
        return Judged(alone, asked(self._clients[False]))


def _own(fault: Fault, project: str, filename: str) -> Fault:
    if isinstance(fault, Redirect):
        return Redirect(fault.to.format(project=project, file=filename), fault.status)
    return fault
