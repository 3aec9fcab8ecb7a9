"""A part of a store in one file, to be carried to a machine without a network: a plain tar.

    tf-tester-bundle.json     what this is, and how much
    blobs/<sha256>            files, as they came
    answers.jsonl             pages, metadata, locks, names of files: a line each, with its CRC-32 at its end

Nothing in it is believed but names of the form above: each file is hashed on the way in, and gets its name only where
the hash is right. The answers are believed as the store's own would be: a bundle is as good as whoever made it. What is
damaged on the way is left out and told, and the rest is taken in.
"""

import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import msgspec
from msgspec import Struct

from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.errors import OurFailure, UsageError, WrongBytes
from tf_tester.ports.store import Blobs
from tf_tester.store.folder import store_errors
from tf_tester.store.ledger import LedgerAnswer

_HEAD = "tf-tester-bundle.json"
_ANSWERS = "answers.jsonl"
_BLOB = re.compile(r"blobs/([0-9a-f]{64})")
_FORMAT = 1
_CHUNK = 1 << 20
_MOST = 1 << 30
"""Bytes of answers: they are read whole."""
_SUM = b',"sum":'


class _Head(msgspec.Struct, frozen=True):
    format: int
    tool: str
    files: int
    bytes: int
    answers: int | None = None
    """Lines, each with its sum; bundles of earlier versions don't tell, and have no sums."""


class UnpackedBundle(Struct, frozen=True):
    """What a bundle has brought."""

    files: int
    """That were not there before."""
    size: int
    were_there: int
    answers: int
    trouble: str = ""
    """A sentence on what in it is damaged or missing; empty: nothing."""


class _Hashed:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.sum.update(chunk)
        return chunk


def write_bundle(target: Path, blobs: Iterable[tuple[str, Path]], answers: Iterable[LedgerAnswer], *, tool: str) -> int:
    """Make the file, whole or not at all, and return its size in bytes.

    Raises `WrongBytes`, whose detail is the digest, where a file isn't what its name says, and `OurFailure`.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    chosen = sorted(blobs)
    lines = [_summed(msgspec.json.encode(answer)) for answer in answers]
    try:
        with tarfile.open(temporary, "w") as archive:
            total = sum(path.stat().st_size for _, path in chosen)
            head = _summed(msgspec.json.encode(_Head(_FORMAT, tool, len(chosen), total, len(lines))))
            archive.addfile(_member(_HEAD, len(head)), io.BytesIO(head))
            for digest, path in chosen:
                with path.open("rb") as stream:
                    hashed = _Hashed(stream)
                    archive.addfile(
                        _member(f"blobs/{digest}", os.fstat(stream.fileno()).st_size), cast(IO[bytes], hashed)
                    )
                if hashed.sum.hexdigest() != digest:
                    raise WrongBytes(f"{path} was damaged on the disk.", detail=digest)
            content = b"".join(lines)
            archive.addfile(_member(_ANSWERS, len(content)), io.BytesIO(content))
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(target)
        return target.stat().st_size
    except OSError as error:
        raise OurFailure(
            f"{target} can't be written: {error.strerror}.", hint="Free some space, or choose another place."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_bundle(
    source: Path, blobs: Blobs, learn: Callable[[LedgerAnswer], bool | None], *, files_only: bool
) -> UnpackedBundle:
    """Take in all that is whole of a bundle. `learn`: whether an answer was new; None: it can't be read.

    Raises `UsageError` where it is no bundle, `StoreError`.
    """
    if source.exists() and not source.is_file():
        raise UsageError(f"{source} is no file.", hint="Give what `tf-tester cache export` has made.")
    intake = _Intake(source, blobs, None if files_only else learn)
    try:
        with source.open("rb") as stream:
            intake.read(stream)
    except OSError as error:
        raise UsageError(f"{source} can't be read: {error.strerror or error}.") from error
    return intake.result()


class _Intake:
    """What has come of a bundle."""

    def __init__(self, source: Path, blobs: Blobs, learn: Callable[[LedgerAnswer], bool | None] | None) -> None:
        self._source = source
        self._blobs = blobs
        self._learn = learn
        """None: answers aren't wanted."""
        self._head: _Head | None = None
        """None: it can't be read."""
        self._new = self._size = self._were_there = self._wrong = 0
        self._learnt = self._whole = self._broken = 0
        self._end = ""
        """What has become of the bundle's end; empty: it is there."""

    def read(self, stream: IO[bytes]) -> None:
        """Take in what can be read. Raises `UsageError`, `StoreError`, and `OSError` of the bundle's own file."""
        begins = stream.read(len(_HEAD))
        if not begins or not _HEAD.encode().startswith(begins):
            raise _no_bundle(self._source, f"it doesn't begin with {_HEAD}" if begins else "it is empty")
        stream.seek(0)
        follows, is_complete = 0, False
        with suppress(tarfile.TarError), tarfile.open(fileobj=stream, mode="r:") as archive:
            for number, member in enumerate(archive):
                follows = archive.offset
                self._take_member(member, _content(archive, member, self._source), is_first=number == 0)
                is_complete = member.name == _ANSWERS
        if not is_complete:  # where a header is damaged, `tarfile` is at the end without a word
            size = os.fstat(stream.fileno()).st_size
            is_cut = size < follows + tarfile.BLOCKSIZE
            self._end = f"cut off after {size_text(size)}" if is_cut else "damaged"

    def result(self) -> UnpackedBundle:
        """Return what came of it, and what didn't."""
        head, lost = self._head, []
        if head is None:
            lost.append("its head")
        files = self._wrong if head is None else head.files - self._new - self._were_there
        if files > 0:
            lost.append(_share(files, head.files if head else None, "file"))
        packed = head.answers if head else None
        answers = self._broken if packed is None else packed - self._whole
        if answers > 0 and self._learn is not None:
            lost.append(f"{_share(answers, packed, 'answer')} (pages, metadata, locks)")
        if self._end and not lost:
            lost.append("its end")
        trouble = (
            f"{self._source} is {self._end or 'damaged'}. Missing or not as it was packed: {', '.join(lost)}."
            if lost
            else ""
        )
        return UnpackedBundle(self._new, self._size, self._were_there, self._learnt, trouble)

    def _take_member(self, member: tarfile.TarInfo, stream: IO[bytes], *, is_first: bool) -> None:
        if is_first:
            self._head = _head(member, stream, self._source)
        elif member.name == _ANSWERS:
            if member.size > _MOST:
                raise _no_bundle(self._source, "its answers are too large")
            for line in stream if self._learn is not None else ():
                self._take_answer(line)
        elif match := _BLOB.fullmatch(member.name):
            if self._blobs.find(match[1]) is not None:
                self._were_there += 1
            elif _take_blob(match[1], stream, self._blobs, self._source):
                self._new, self._size = self._new + 1, self._size + member.size
            else:
                self._wrong += 1
        else:
            raise _no_bundle(self._source, f"it holds {member.name!r}")

    def _take_answer(self, line: bytes) -> None:
        try:
            has_no_sums = self._head is not None and self._head.answers is None
            answer = msgspec.json.decode(line, type=LedgerAnswer) if _is_whole(line, has_no_sums) else None
        except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested for ever
            answer = None
        learnt = None if answer is None or self._learn is None else self._learn(answer)
        self._whole += learnt is not None
        self._broken += learnt is None
        self._learnt += bool(learnt)


def _summed(line: bytes) -> bytes:
    """Return an object in JSON with the CRC-32 of all before it as its last field, and a line's end."""
    return b"%b%b%d}\n" % (line[:-1], _SUM, zlib.crc32(line[:-1]))


def _is_whole(line: bytes, without: bool) -> bool:
    """Tell whether a line is as `_summed` made it; `without`: what is to be said of one that has no sum."""
    before, mark, after = line.rpartition(_SUM)
    return after == b"%d}\n" % zlib.crc32(before) if mark else without


def _share(count: int, total: int | None, noun: str) -> str:
    return f"{count} of its {noun}s" if total is None else f"{count} of its {count_text(total, noun)}"


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Return a member's head: the same content makes the same bundle, whenever and wherever."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, source: Path) -> IO[bytes]:
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is None:
        raise _no_bundle(source, f"{member.name!r} is not an ordinary file")
    return stream


def _head(member: tarfile.TarInfo, stream: IO[bytes], source: Path) -> _Head | None:
    """Return what a bundle tells of itself; None where that can't be read."""
    if member.name != _HEAD or member.size > _CHUNK:
        raise _no_bundle(source, "its head is missing")
    content = stream.read()
    try:
        head = msgspec.json.decode(content, type=_Head) if _is_whole(content, without=True) else None
    except (ValueError, RecursionError):
        return None
    if head is not None and head.format != _FORMAT:
        raise UsageError(f"{source} was made by {head.tool}, in a form that this version doesn't know.")
    return head


def _take_blob(digest: str, stream: IO[bytes], blobs: Blobs, source: Path) -> bool:
    """Keep a file; False: it isn't what its name says."""
    with blobs.exclusive(digest):
        if blobs.find(digest) is not None:
            return True
        partial = blobs.partial(digest)
        notes = partial.with_name(f"{partial.name}.notes")
        try:
            with store_errors(partial.parent.parent), partial.open("wb") as growing:
                while chunk := _read(stream, source):
                    growing.write(chunk)
            blobs.adopt(digest, digest, f"bundle {source.name}")
        except WrongBytes:
            partial.unlink(missing_ok=True)
            return False
        finally:
            notes.unlink(missing_ok=True)
    return True


def _read(stream: IO[bytes], source: Path) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as error:
        raise UsageError(f"{source} can't be read: {error.strerror or error}.") from error


def _no_bundle(source: Path, why: str) -> UsageError:
    return UsageError(f"{source} is not a bundle of tf-tester: {why}.", hint="Make one with `tf-tester cache export`.")
