"""Core metadata of a distribution, as cheaply as it can be had, remembered for ever."""

import io
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from tf_tester.core.wheel.wheel_rules import BROKEN_ARCHIVE, MAX_METADATA, check_metadata, find_dist_info
from tf_tester.errors import BadWheel, DownloadFailed, InstallFailed
from tf_tester.model.artifact import Artifact
from tf_tester.ports.fetch import Fetcher
from tf_tester.ports.memory import WheelMemos
from tf_tester.ports.store import Blobs

_TAIL = 256 * 1024
"""Enough for the central directory of nearly every wheel in one request."""


class MetadataReader:
    """A wheel's METADATA: from the store, else the advertised file, else ranges of the wheel, else the wheel."""

    def __init__(self, memos: WheelMemos, blobs: Blobs, fetcher: Fetcher, *, brings_small: bool = True) -> None:
        """Bring small wheels whole, which are likely to be wanted; `brings_small=False`: only without ranges."""
        self._look_into = _TAIL if brings_small else -1
        """Wheels of more bytes are looked into where they are."""
        self._memos = memos
        self._blobs = blobs
        self._fetcher = fetcher

    def read(self, artifact: Artifact) -> bytes:
        """Read METADATA.

        Raises `DownloadFailed` where no way leads to it, `BadWheel` where it contradicts the file name.
        """
        key = artifact.sha256 or artifact.url
        remembered = self._memos.metadata.recall(key)
        if remembered is not None:
            return remembered
        metadata = self._find(artifact)
        check_metadata(metadata, artifact.project, artifact.version)
        self._memos.metadata.remember(key, metadata)
        return metadata

    def digest(self, artifact: Artifact) -> str | None:
        """Return the SHA-256 of the METADATA in a wheel that is, or was, in the store; None: it never was, or has none.

        What `read` gives from then on is that METADATA: what came by ranges is verified by nobody.
        """
        if artifact.sha256 is None:
            return None
        remembered = self._memos.digests.recall(artifact.sha256)
        if remembered is not None:
            return remembered or None
        blob = self._blobs.find(artifact.sha256)
        if blob is None:
            return None
        try:
            metadata = from_wheel(lambda: zipfile.ZipFile(blob), artifact)
            check_metadata(metadata, artifact.project, artifact.version)
        except BadWheel:
            if not self._blobs.is_sound(artifact.sha256):
                return None
            self._memos.digests.remember(artifact.sha256, "")
            return None
        digest = sha256(metadata).hexdigest()
        self._memos.metadata.remember(artifact.sha256, metadata)
        self._memos.digests.remember(artifact.sha256, digest)
        return digest

    def entry_points(self, artifact: Artifact) -> bytes:
        """Return a wheel's `entry_points.txt`, empty where it has none; raises as `read` does.

        No whole wheel is brought.
        """
        key = artifact.sha256 or artifact.url
        remembered = self._memos.entry_points.recall(key)
        if remembered is not None:
            return remembered
        blob = self._blobs.find(artifact.sha256) if artifact.sha256 else None
        if blob is None and artifact.size is not None and artifact.size <= self._look_into:
            blob = self._fetcher.fetch(artifact)
        found = from_wheel(
            lambda: zipfile.ZipFile(blob if blob is not None else _Remote(self._fetcher, artifact)),
            artifact,
            "entry_points.txt",
        )
        self._memos.entry_points.remember(key, found)
        return found

    def _find(self, artifact: Artifact) -> bytes:
        blob = self._blobs.find(artifact.sha256) if artifact.sha256 else None
        if blob is not None and artifact.sha256 is not None:
            try:
                return from_wheel(lambda: zipfile.ZipFile(blob), artifact)
            except BadWheel:
                if self._blobs.is_sound(artifact.sha256):
                    raise
        if artifact.metadata_sha256 is not None:
            metadata = self._fetcher.metadata(artifact)
            if metadata is not None:
                return metadata
        if artifact.size is not None and artifact.size > self._look_into:
            try:
                return from_wheel(lambda: zipfile.ZipFile(_Remote(self._fetcher, artifact)), artifact)
            except (DownloadFailed, BadWheel):
                pass  # a server without ranges, or with wrong ones: the whole wheel then, which is verified
        wheel = self._fetcher.fetch(artifact)
        return from_wheel(lambda: zipfile.ZipFile(wheel), artifact)


def check_shown(memos: WheelMemos, artifact: Artifact, wheel: Path) -> None:
    """Let a wheel's own METADATA count, whatever was shown of it before the wheel was there.

    Raises `InstallFailed` where that was something else: what was resolved by it is wrong. An index may show another
    file beside the wheel (PEP 658), and nobody verifies what comes by ranges.
    """
    shown = memos.metadata.recall(artifact.sha256) if artifact.is_wheel and artifact.sha256 else None
    if shown is None or artifact.sha256 is None:
        return
    try:
        own = from_wheel(lambda: zipfile.ZipFile(wheel), artifact)
    except BadWheel:
        return  # told by whoever unpacks it
    if own != shown:
        memos.metadata.remember(artifact.sha256, own)
        memos.digests.remember(artifact.sha256, sha256(own).hexdigest())
        raise InstallFailed(
            f"{artifact.filename} has other METADATA than its index shows of it.",
            hint="The wheel's own counts: repeat the command, and what it requires is resolved by that.",
        )


def from_wheel(open_archive: Callable[[], zipfile.ZipFile], artifact: Artifact, name: str = "METADATA") -> bytes:
    """Return a file of the one `.dist-info` folder; only METADATA has to be there. Raises `BadWheel`."""
    try:
        with open_archive() as archive:
            folder = find_dist_info(archive.namelist(), artifact.project, artifact.version)
            if name != "METADATA" and f"{folder}/{name}" not in archive.namelist():
                return b""
            member = archive.getinfo(f"{folder}/{name}")
            if member.file_size > MAX_METADATA:
                raise BadWheel(f"its {name} has {member.file_size} bytes")
            return archive.read(member)
    except KeyError as error:
        raise BadWheel("it has no METADATA") from error
    except BROKEN_ARCHIVE as error:
        raise BadWheel(f"it is not an archive that can be read: {error}") from error


class _Remote(io.RawIOBase):
    """A file at the index, read by ranges: its tail at once, then what is asked for."""

    def __init__(self, fetcher: Fetcher, artifact: Artifact) -> None:
        self._fetcher = fetcher
        self._artifact = artifact
        self._size = artifact.size or 0
        self._position = 0
        self._start = max(0, self._size - _TAIL)
        self._window = fetcher.read_range(artifact, self._start, self._size)
        if self._start == 0 and artifact.sha256 not in (None, sha256(self._window).hexdigest()):
            raise DownloadFailed(f"{artifact.filename} isn't what the index promises")

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, length: int = -1) -> bytes:
        end = self._size if length < 0 else min(self._size, self._position + length)
        if end <= self._position:
            return b""
        if not self._start <= self._position <= end <= self._start + len(self._window):
            self._start = self._position
            # zipfile reads a local header, then its data: one request for both.
            self._window = self._fetcher.read_range(
                self._artifact, self._start, min(self._size, max(end, self._start + 32768))
            )
        piece = self._window[self._position - self._start : end - self._start]
        self._position += len(piece)
        return piece
