"""Where a file may be had: a mirror's address of it is looked up by name on the mirror's own page.

Only the name and the address are taken from a mirror; hash, size and everything that decides come from the
authority. A mirror that doesn't answer costs nothing but its help.
"""

import threading
from collections.abc import Callable, Sequence

from tf_tester.core.fetch.sourcing import MirrorFile, is_private, is_remembered, reason_against, sources_of
from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.index.copies import MirrorCopies
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferTrouble
from tf_tester.model.mirror import Mirror
from tf_tester.model.source import AUTHORITY, Source, SourceUse
from tf_tester.ports.index import Index
from tf_tester.ports.memory import SourceMemory
from tf_tester.ports.tell import Tell


class FileSources:
    """Sources of files in the order in which they are wanted; callable from many threads."""

    def __init__(
        self,
        mirrors: Callable[[Artifact], Sequence[Mirror]],
        copies: MirrorCopies,
        histories: SourceMemory,
        tell: Tell,
    ) -> None:
        """Ask for a file those that `mirrors` gives, the most wanted first."""
        self._mirrors = mirrors
        self._copies = copies
        self._histories = histories
        self._tell = tell
        self._lock = threading.Lock()
        self._told: set[str] = set()
        """Mirrors of which it was told that they aren't asked."""

    def __call__(self, artifact: Artifact) -> Sequence[Source]:
        """Return the mirrors that have a file, and the authority itself."""
        if is_private(artifact):
            return [Source(AUTHORITY, artifact.url, proven=True)]
        found = [file for mirror in self._mirrors(artifact) if (file := self._at(mirror, artifact)) is not None]
        return sources_of(artifact, found, self._histories.of(AUTHORITY))

    def learn(self, use: SourceUse) -> None:
        """Remember how a source did with one file."""
        if is_remembered(use):
            self._histories.learn(use)

    def _at(self, mirror: Mirror, artifact: Artifact) -> MirrorFile | None:
        copy, history = self._copies.of(mirror), self._histories.of(mirror.name)
        if copy is None:
            return None
        reason = reason_against(mirror, history)
        if reason:
            self._tell_once(TransferTrouble(artifact.filename, mirror.name, reason))
            return None
        url = address_at(mirror.name, copy.index, artifact, self._tell)
        return None if url is None else MirrorFile(mirror, history, url)

    def _tell_once(self, trouble: TransferTrouble) -> None:
        with self._lock:
            is_new = trouble.source not in self._told
            self._told.add(trouble.source)
        if is_new:
            self._tell(trouble)


def address_at(name: str, index: Index, artifact: Artifact, tell: Tell) -> str | None:
    """Return a mirror's address of a file, or None (told as trouble) where it lacks the file or doesn't answer."""
    try:
        page = index.page(artifact.project)
    except UnknownProject:
        reason = f"it has no project named {artifact.project}"
    except IndexUnreachable as error:
        reason = error.message
    else:
        for offered in page.artifacts:
            if offered.filename == artifact.filename:
                return offered.url
        older = ": it shows an older state than was seen before" if page.behind else ""
        reason = f"its page doesn't list the file{older}"
    tell(TransferTrouble(artifact.filename, name, reason))
    return None
