"""The private folder where disks are full, read-only or rotten."""

import errno
import hashlib
import os
import resource
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.wheels import make_wheel
from tf_tester.errors import OurFailure, UnknownProject
from tf_tester.serve import private as module
from tf_tester.serve.private import PrivateFolder, Upload
from tf_tester.serve.private_names import PrivateNames

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def private(tmp_path: Path) -> PrivateFolder:
    folder = PrivateFolder(tmp_path / "private", tmp_path / "store")
    assert folder.open() == [f"The folder {tmp_path / 'private'} was not there: a new one was made."]
    return folder


def upload(private: PrivateFolder, version: str, source: str = "x = 1\n") -> Path:
    filename, content = make_wheel("toy", version, files={"toy.py": source})
    place = private.incoming
    place.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    private.add(Upload(place, filename, "toy", digest, len(content)), NOW)
    return private.root / "toy" / filename


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets no file with such a name be written; an empty one: all can."""
    write, names = module._write, [""]

    def refuse(target: Path, content: bytes) -> None:
        if target.name == names[-1]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        write(target, content)

    monkeypatch.setattr(module, "_write", refuse)
    return names.append


@pytest.mark.parametrize("before", [(), ("1.0",)])
def test_an_upload_that_found_no_space_leaves_nothing_that_is_in_the_way(
    private: PrivateFolder, full: Callable[[str], None], before: tuple[str, ...]
) -> None:
    for version in before:
        upload(private, version)
    full("page.json")
    with pytest.raises(OurFailure, match="can't be kept"):
        upload(private, "2.0")
    full("")
    if before:
        assert [one.version for one in private.page("toy").artifacts] == ["1.0"]
    else:
        with pytest.raises(UnknownProject):
            private.page("toy")
    upload(private, "2.0", "x = 'built anew'\n")
    assert [one.version for one in private.page("toy").artifacts] == [*before, "2.0"]


def test_what_was_put_there_on_a_full_disk_is_entered_when_there_is_space(
    private: PrivateFolder, full: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.0)
    filename, content = make_wheel("toy", "1.0")
    (private.root / "toy").mkdir()
    (private.root / "toy" / filename).write_bytes(content)
    full("page.json")
    assert private.page("toy").artifacts == ()
    full("")
    assert [one.filename for one in private.page("toy").artifacts] == [filename]


@pytest.mark.parametrize("file", [".names", "private-names"])
def test_names_are_noted_where_they_can_be_and_it_is_told_where_not(
    private: PrivateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    files = {".names": private.root / ".names", "private-names": tmp_path / "store" / "private-names"}
    refused = files.pop(file)
    [other] = files.values()
    add = PrivateNames._add

    def refuse(names: PrivateNames, place: Path, lines: set[tuple[str, str]]) -> None:
        if place == refused:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(place))
        add(names, place, lines)

    monkeypatch.setattr(PrivateNames, "_add", refuse)
    upload(private, "1.0")
    told = f"Private names can't be noted in {refused}: Read-only file system. They are known in {other} alone"
    assert told in caplog.text
    assert "toy " in other.read_text()
    again = PrivateFolder(private.root, tmp_path / "store")
    assert [line.startswith(told) for line in again.open()] == [True]
    monkeypatch.undo()
    assert again.open() == []
    assert "toy " in refused.read_text()


def test_names_stay_where_one_cannot_be_forgotten_for_want_of_space(private: PrivateFolder) -> None:
    upload(private, "1.0")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        with pytest.raises(OurFailure, match="can't be changed"):
            private.known.forget("other")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "toy " in (private.root / ".names").read_text()
    assert private.known.forget("toy")
    assert not PrivateFolder(private.root, private.root.parent / "store").known.own


def test_a_damaged_file_is_read_once_however_often_it_is_asked_for(
    private: PrivateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = upload(private, "1.0")
    [artifact] = private.page("toy").artifacts
    content = place.read_bytes()
    place.write_bytes(content[:-1] + b"!")
    reads, digest = [], hashlib.file_digest

    def counted(*words: object) -> object:
        reads.append(words)
        return digest(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", counted)
    monkeypatch.setattr(module, "_YOUNG", -1)
    for _ in range(3):
        assert private.trouble(artifact).startswith("is damaged: it has SHA-256 ")
    assert len(reads) == 1
    place.write_bytes(content)
    os.utime(place, (1, 1))
    assert private.trouble(artifact) == ""


def test_a_pipe_in_place_of_a_file_is_not_waited_for(private: PrivateFolder) -> None:
    place = upload(private, "1.0")
    [artifact] = private.page("toy").artifacts
    place.unlink()
    os.mkfifo(place)
    assert private.trouble(artifact) == "is no file."


def test_what_a_killed_upload_has_left_makes_room_for_the_next(private: PrivateFolder) -> None:
    left, growing = private.incoming, private.incoming
    for file in (left, growing):
        file.write_bytes(b"half a wheel")
    os.utime(left, (1, 1))
    private.sweep()
    assert (left.exists(), growing.exists()) == (False, True)
