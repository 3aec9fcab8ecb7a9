"""A part of a store in one file, to be carried to a machine without a network: a plain tar.

    tf-tester-bundle.json     what this is
    blobs/<sha256>            files, as they came
    answers.jsonl             pages, metadata, locks, names of files: a line each

Nothing in it is believed but names of the form above: each file is hashed on the way in, and gets its name only where
the hash is right. The answers are believed as the store's own would be: a bundle is as good as whoever made it.
"""

import io
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from tf_tester.errors import OurFailure, UsageError, WrongBytes
from tf_tester.ports.store import Blobs
from tf_tester.store.ledger import LedgerAnswer

_HEAD = "tf-tester-bundle.json"
_ANSWERS = "answers.jsonl"
_BLOB = re.compile(r"blobs/([0-9a-f]{64})")
_FORMAT = 1
_CHUNK = 1 << 20
_MOST = 1 << 30
"""Bytes of answers: they are read whole."""


class _Head(msgspec.Struct, frozen=True):
    format: int
    tool: str
    files: int
    bytes: int


class UnpackedBundle(Struct, frozen=True):
    """What a bundle has brought."""

    files: int
    """That were not there before."""
    size: int
    were_there: int
    answers: int


def write_bundle(target: Path, blobs: Iterable[tuple[str, Path]], answers: Iterable[LedgerAnswer], *, tool: str) -> int:
    """Make the file, whole or not at all, and return its size in bytes. Raises `OurFailure`."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    chosen = sorted(blobs)
    lines = b"".join(msgspec.json.encode(answer) + b"\n" for answer in answers)
    try:
        with tarfile.open(temporary, "w") as archive:
            total = sum(path.stat().st_size for _, path in chosen)
            head = msgspec.json.encode(_Head(_FORMAT, tool, len(chosen), total))
            archive.addfile(_member(_HEAD, len(head)), io.BytesIO(head))
            for digest, path in chosen:
                with path.open("rb") as stream:
                    archive.addfile(_member(f"blobs/{digest}", os.fstat(stream.fileno()).st_size), stream)
            archive.addfile(_member(_ANSWERS, len(lines)), io.BytesIO(lines))
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
    source: Path, blobs: Blobs, learn: Callable[[LedgerAnswer], bool], *, files_only: bool
) -> UnpackedBundle:
    """Take a bundle in. `learn`: whether an answer was new. What was taken in before a failure stays.

    Raises `UsageError` where it is no bundle, `OurFailure` where a file in it is damaged, `StoreError`.
    """
    new = size = were_there = answers = 0
    number = -1
    if source.exists() and not source.is_file():
        raise UsageError(f"{source} is no file.", hint="Give what `tf-tester cache export` has made.")
    try:
        with tarfile.open(source, "r:") as archive:
            for number, (member, stream) in enumerate(_members(archive, source)):
                if number == 0:
                    _check_head(member, stream, source)
                elif member.name == _ANSWERS:
                    for line in _lines(member, stream, source):
                        answers += not files_only and learn(line)
                elif match := _BLOB.fullmatch(member.name):
                    if blobs.find(match[1]) is not None:
                        were_there += 1
                    else:
                        _take(match[1], member, stream, blobs, source)
                        new, size = new + 1, size + member.size
                else:
                    raise _no_bundle(source, f"it holds {member.name!r}")
            if number < 0:
                raise _no_bundle(source, "it holds nothing")
    except tarfile.TarError as error:
        raise _no_bundle(source, str(error)) from error
    except OSError as error:
        raise UsageError(f"{source} can't be read: {error.strerror or error}.") from error
    return UnpackedBundle(new, size, were_there, answers)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Return a member's head: the same content makes the same bundle, whenever and wherever."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _members(archive: tarfile.TarFile, source: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in archive:
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is None:
            raise _no_bundle(source, f"{member.name!r} is not an ordinary file")
        yield member, stream


def _check_head(member: tarfile.TarInfo, stream: IO[bytes], source: Path) -> None:
    if member.name != _HEAD or member.size > _CHUNK:
        raise _no_bundle(source, "its head is missing")
    try:
        head = msgspec.json.decode(stream.read(), type=_Head)
    except msgspec.DecodeError as error:
        raise _no_bundle(source, str(error)) from error
    if head.format != _FORMAT:
        raise UsageError(f"{source} was made by {head.tool}, in a form that this version doesn't know.")


def _lines(member: tarfile.TarInfo, stream: IO[bytes], source: Path) -> Iterator[LedgerAnswer]:
    if member.size > _MOST:
        raise _no_bundle(source, "its answers are too large")
    for line in stream:
        try:
            yield msgspec.json.decode(line, type=LedgerAnswer)
        except msgspec.DecodeError as error:
            raise _no_bundle(source, str(error)) from error


def _take(digest: str, member: tarfile.TarInfo, stream: IO[bytes], blobs: Blobs, source: Path) -> None:
    with blobs.exclusive(digest):
        if blobs.find(digest) is not None:
            return
        partial = blobs.partial(digest)
        notes = partial.with_name(f"{partial.name}.notes")
        try:
            with partial.open("wb") as growing:
                while chunk := stream.read(_CHUNK):
                    growing.write(chunk)
            blobs.adopt(digest, digest, f"bundle {source.name}")
        except WrongBytes as error:
            partial.unlink(missing_ok=True)
            raise OurFailure(
                f"{source} is damaged: one of its files is not what its name says.",
                hint="Copy it again; what came before is kept.",
                detail=str(error),
            ) from error
        finally:
            notes.unlink(missing_ok=True)


def _no_bundle(source: Path, why: str) -> UsageError:
    return UsageError(f"{source} is not a bundle of tf-tester: {why}.", hint="Make one with `tf-tester cache export`.")
