"""A folder with images (OCI image layout 1.0), written so that nothing half written has a name.

    oci-layout               what this is
    index.json               which images there are; written last, at once
    blobs/sha256/<digest>    layers, configurations, manifests
    .part-…                  what is being written; gone at the end, or swept by the next who writes
    .lock                    held by whoever writes

Whoever reads meanwhile sees the images of before, or those of after; what they need is there. Images of others stay.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

import filelock

from tf_tester.core.image.documents import (
    Blob,
    Compression,
    Descriptor,
    ImageIndex,
    index_bytes,
    read_index,
)
from tf_tester.core.image.tar import TarEntry
from tf_tester.errors import NotAnImage, OurFailure, UsageError
from tf_tester.export.image_layer import pack, packing_of, tar_of
from tf_tester.given_files import read_given

_MARK = "oci-layout"
_INDEX = "index.json"
_VERSION = "1.0.0"
_LOCK = ".lock"
_PART = ".part-"
_CHUNK = 1 << 20
_MOST = 32 << 20
"""Bytes of a document."""


class LayoutFolder:
    """`ports.images.ImageLayout`."""

    def __init__(self, root: Path, sync: Callable[[Path], None], compression: Compression = Compression.GZIP) -> None:
        """Take a folder. `sync`: make all below it survive a power cut."""
        self._root = root
        self._sync = sync
        self._compression = compression
        self._right: dict[str, bool] = {}
        """By digest: whether a blob was read and found right."""
        self._unused: set[str] = set()
        """Digests of what was written and belongs to no image that is shown."""
        self._is_unsynced = False
        """Something was written that may not be on the disk yet."""
        self._stopped = Event()

    @property
    def packing(self) -> str:
        return packing_of(self._compression)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._errors():
            was_there, had_images = self._root.exists(), (self._root / _MARK).exists()
            self._check_place()
            self._root.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self._root / _LOCK, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                raise OurFailure(f"Somebody else is writing images to {self._root}.", hint="Wait for it.") from None
        try:
            self._sweep()
            if not had_images:  # without one it is a folder of images, too
                self._write(_INDEX, index_bytes((), {}))
                self._write(_MARK, json.dumps({"imageLayoutVersion": _VERSION}).encode())
            yield
        finally:
            with suppress(OSError, UsageError):
                self._sweep()
                self._forget_unused()
                if not (had_images or self.index().manifests):
                    self._unmake(keep=was_there)
            lock.release()

    def index(self) -> ImageIndex:
        if not (self._root / _MARK).exists():
            if not self._root.exists():
                raise UsageError(
                    f"There is no folder {self._root}.", hint="`tf-tester image build -o oci:FOLDER` makes one."
                )
            raise self._foreign()
        return self._read_index()[0]

    def holds(self, descriptor: Descriptor) -> bool:
        known = self._right.get(descriptor.digest)
        if known is None:
            known = self._right[descriptor.digest] = self._is_right(descriptor)
        return known

    def path(self, descriptor: Descriptor) -> Path:
        return self._root / "blobs" / "sha256" / descriptor.sha256

    def read(self, descriptor: Descriptor) -> bytes:
        try:
            content = read_given(self.path(descriptor), most=_MOST)
        except OSError as error:
            raise NotAnImage(f"{descriptor.digest} can't be read: {error.strerror}") from error
        if len(content) != descriptor.size or hashlib.sha256(content).hexdigest() != descriptor.sha256:
            raise NotAnImage(f"{descriptor.digest} isn't what its name says")
        return content

    def add(self, blob: Blob) -> None:
        if not self.holds(blob.descriptor):
            with self._growing() as part:
                with self._opened(part) as sink:
                    sink.write(blob.content)
                self._publish(part, blob.descriptor.digest)

    def add_layer(self, entries: Iterable[TarEntry]) -> tuple[Descriptor, str]:
        return self.add_tar(tar_of(entries))

    def add_tar(self, tar: Iterable[bytes]) -> tuple[Descriptor, str]:
        with self._growing() as part:
            with self._opened(part) as sink:
                packed = pack(tar, sink, self._compression, self._go_on)
            digest = f"sha256:{packed.digest}"
            self._publish(part, digest)
        return Descriptor(self._compression.media_type, digest, packed.size), f"sha256:{packed.unpacked}"

    def add_copy(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        digest = hashlib.sha256()
        with self._growing() as part:
            with self._opened(part) as sink:
                for piece in pieces:
                    self._go_on()
                    digest.update(piece)
                    sink.write(piece)
            if digest.hexdigest() != descriptor.sha256:
                raise NotAnImage(f"{descriptor.digest} isn't what its name says")
            self._publish(part, descriptor.digest)

    def show(self, manifests: Sequence[Descriptor]) -> None:
        before = self._read_index()[1]
        content = index_bytes(manifests, before)
        if content == index_bytes(before.get("manifests", ()), before) and not self._is_unsynced:
            return
        with self._errors():
            self._sync(self._root)
        self._write(_INDEX, content)
        with self._errors():
            self._sync(self._root)
        self._is_unsynced = False
        self._unused.clear()

    def stop(self) -> None:
        self._stopped.set()

    def _go_on(self) -> None:
        """Raise `InterruptedError` after `stop`."""
        if self._stopped.is_set():
            raise InterruptedError

    def _check_place(self) -> None:
        """Raise `UsageError` where the folder isn't ours to write images into."""
        if self._root.exists() and not self._root.is_dir():
            raise UsageError(f"{self._root} is no folder.", hint="Name another one, or a new one.")
        if (self._root / _MARK).exists():
            self._read_index()
        elif self._root.exists() and not self._is_empty():
            raise self._foreign()

    def _is_empty(self) -> bool:
        with self._errors():
            return all(path.name == _LOCK or path.name.startswith(_PART) for path in self._root.iterdir())

    def _foreign(self) -> UsageError:
        return UsageError(
            f"{self._root} is a folder with something else than images (it has no {_MARK}).",
            hint="Name a new or empty folder.",
        )

    def _read_index(self) -> tuple[ImageIndex, dict[str, Any]]:
        """Return the index, and all that stands in it. Raises `UsageError`."""
        try:
            mark = json.loads(read_given(self._root / _MARK, most=_MOST))
            content = read_given(self._root / _INDEX, most=_MOST)
            version = mark.get("imageLayoutVersion") if isinstance(mark, dict) else None
            if version != _VERSION:
                raise NotAnImage(f"its layout is {version!r}, not {_VERSION}")
            return read_index(content), json.loads(content)
        except OSError as error:
            raise UsageError(f"{self._root} can't be read: {error.strerror}.", hint="Check its permissions.") from error
        except (NotAnImage, ValueError, RecursionError) as error:
            raise UsageError(
                f"{self._root} is a damaged folder of images: {error}.", hint="Name another one, or make it anew."
            ) from error

    def _is_right(self, descriptor: Descriptor) -> bool:
        path = self.path(descriptor)
        digest = hashlib.sha256()
        with self._errors():
            try:
                if not path.is_file() or path.stat().st_size != descriptor.size:
                    return False
                with path.open("rb") as stream:
                    while piece := stream.read(_CHUNK):
                        self._go_on()
                        digest.update(piece)
            except FileNotFoundError:
                return False
        return digest.hexdigest() == descriptor.sha256

    @contextmanager
    def _growing(self) -> Iterator[Path]:
        """Yield a name for what is being written; nothing has it in the end."""
        part = self._root / f"{_PART}{os.getpid()}-{os.urandom(4).hex()}"
        try:
            yield part
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    @contextmanager
    def _opened(self, part: Path) -> "Iterator[_Sink]":
        """Yield what writes a file. Its errors are the folder's; those of what is read meanwhile are not."""
        with self._errors():
            stream = part.open("wb")
        try:
            yield _Sink(stream, self._errors)
        finally:
            with self._errors():
                stream.close()

    def _publish(self, part: Path, digest: str) -> None:
        with self._errors():
            folder = self._root / "blobs" / "sha256"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / digest.partition(":")[2]
            if not path.exists():
                self._unused.add(digest)  # what was there may belong to an image
            part.replace(path)
        self._right[digest] = self._is_unsynced = True

    def _write(self, name: str, content: bytes) -> None:
        with self._growing() as part, self._errors():
            part.write_bytes(content)
            part.replace(self._root / name)

    def _sweep(self) -> None:
        with self._errors():
            for part in self._root.glob(f"{_PART}*"):
                part.unlink()

    def _forget_unused(self) -> None:
        """Delete what was written for images that have not come to be."""
        for digest in self._unused:
            (self._root / "blobs" / "sha256" / digest.partition(":")[2]).unlink(missing_ok=True)

    def _unmake(self, *, keep: bool) -> None:
        """Take away what was made of a folder that has no image in the end. `keep`: the folder itself was there."""
        for name in (_MARK, _INDEX, _LOCK):
            (self._root / name).unlink(missing_ok=True)
        for folder in (self._root / "blobs" / "sha256", self._root / "blobs", *(() if keep else (self._root,))):
            if folder.exists():
                folder.rmdir()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except InterruptedError:
            raise  # the user's Ctrl-C
        except OSError as error:
            raise _translated(error, self._root) from error


class _Sink:
    """A file that is being written."""

    def __init__(self, stream: BinaryIO, errors: Callable[[], AbstractContextManager[None]]) -> None:
        self._stream = stream
        self._errors = errors

    def write(self, piece: bytes) -> None:
        with self._errors():
            self._stream.write(piece)


def _translated(error: OSError, root: Path) -> OurFailure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OurFailure(
            f"The disk of {root} is full.",
            hint="Free some space, or name another folder; images that are there are whole, and their layers are used.",
        )
    place = "" if error.filename in (None, str(root)) else f" ({error.filename})"
    return OurFailure(
        f"{root} can't be used: {error.strerror or error}{place}.",
        hint="Name another folder, or correct its permissions.",
    )
