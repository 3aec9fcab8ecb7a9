"""One file, from the first source that tells the truth."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tf_tester.core.links import display_url, local_path
from tf_tester.errors import DownloadFailed, WrongBytes
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferFinished, TransferProgress, TransferTrouble
from tf_tester.ports import Blobs, Source, Tell
from tf_tester.transfer.network import Network
from tf_tester.transfer.partial import PartialFile
from tf_tester.transfer.patience import Patience
from tf_tester.transfer.settings import MIB, Timeouts
from tf_tester.transfer.stream import Asking, stream
from tf_tester.transfer.trouble import Kind, Trouble

_PROGRESS_EVERY = 0.1
"""Seconds between two events of one file."""

_HINTS = {
    Kind.WRONG: "Nothing of it was kept. Ask whoever runs that source, or choose another one with --mirror.",
    Kind.CONNECT: "Check the network and the proxy settings, or choose another source with --mirror.",
    Kind.REFUSED: "Choose another source with --mirror, or ask whoever runs it why it refuses.",
    Kind.BUSY: "Wait a while, or choose another source with --mirror.",
}
_HINT = "Run again: what has arrived is kept, and the transfer goes on from there; or try another --mirror."


class Download:
    """Brings one blob while its caller holds it exclusively."""

    def __init__(
        self, artifact: Artifact, sha256: str, blobs: Blobs, network: Network, tell: Tell, timeouts: Timeouts
    ) -> None:
        self._artifact = artifact
        self._sha256 = sha256
        self._blobs = blobs
        self._network = network
        self._tell = tell
        self._timeouts = timeouts
        self._partial = PartialFile(blobs.partial(sha256), artifact.size)
        self._reported = 0.0

    def run(self, sources: Sequence[Source]) -> Path:
        """The verified file. Raises `DownloadFailed` (also when interrupted) and `StoreError`."""
        failures: list[tuple[Source, Trouble]] = []
        began = time.monotonic()
        for source in sources:
            try:
                path = self._from(source)
            except Trouble as trouble:
                failures.append((source, trouble))
            else:
                self._tell_finished(source, path, time.monotonic() - began)
                return path
        raise self._failed(failures)

    def _from(self, source: Source) -> Path:
        """From one source, as often as it is worth it. Raises `Trouble` when it isn't any more."""
        asking = Asking(source)
        patience = Patience(self._timeouts)
        while True:
            before = self._partial.size
            try:
                self._bring_the_rest(asking)
                return self._adopt(source)
            except Trouble as trouble:
                self._tell(TransferTrouble(self._artifact.filename, source.name, trouble.reason))
                pause = patience.after(trouble, progressed=self._partial.size > before)
                if pause is None:
                    raise
            self._network.pause(pause)

    def _bring_the_rest(self, asking: Asking) -> None:
        partial = self._partial
        if partial.expected is not None and partial.size > partial.expected:
            partial.restart()
        if partial.is_complete:
            return
        report = self._progress(asking.source)
        if asking.source.url.startswith("file:"):
            self._copy(asking.source, report)
        else:
            self._network.run(lambda session: stream(session, asking, partial, report))

    def _copy(self, source: Source, report: Callable[[int | None], None]) -> None:
        """From a file of this machine: an index may be a folder."""
        self._partial.restart()
        try:
            with (
                local_path(source.url).open("rb") as origin,
                self._partial.writing(source.name),
            ):
                while chunk := origin.read(MIB):
                    self._partial.append([chunk])
                    report(self._partial.expected)
                    self._network.pause(0)
        except OSError as error:
            raise Trouble(Kind.REFUSED, f"can't be read: {error.strerror}") from error

    def _adopt(self, source: Source) -> Path:
        try:
            return self._blobs.adopt(self._sha256, self._artifact.filename, source.name)
        except WrongBytes as error:
            alone = self._partial.is_by(source.name)
            self._partial.vanished()
            reason = "gave other bytes than the index promises"
            if alone:
                raise Trouble(Kind.WRONG, reason) from error
            raise Trouble(Kind.WRONG_MIXED, f"and an earlier attempt together {reason}") from error

    def _progress(self, source: Source) -> Callable[[int | None], None]:
        """Tells how far it is, ten times a second at most."""

        def report(total: int | None) -> None:
            now = time.monotonic()
            if now - self._reported >= _PROGRESS_EVERY:
                self._reported = now
                done = self._partial.size
                self._tell(TransferProgress(self._sha256, self._artifact.filename, done, total, source.name))

        return report

    def _tell_finished(self, source: Source, path: Path, seconds: float) -> None:
        self._tell(
            TransferFinished(
                sha256=self._sha256,
                filename=self._artifact.filename,
                size=self._artifact.size if self._artifact.size is not None else path.stat().st_size,
                received=self._partial.received,
                source=source.name,
                seconds=seconds,
            )
        )

    def _failed(self, failures: Sequence[tuple[Source, Trouble]]) -> DownloadFailed:
        source, last = failures[-1]
        return DownloadFailed(
            f"{self._artifact.filename} can't be had: {source.name} {last.reason}",
            hint=_HINTS.get(last.kind, _HINT),
            detail="\n".join(
                f"{source.name}: {trouble.reason} ({display_url(source.url)})" for source, trouble in failures
            ),
        )
