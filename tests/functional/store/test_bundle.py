"""What was damaged or cut off on its way in a bundle is told, and the rest comes in."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tf_tester.errors import UsageError
from tf_tester.ports.index import CachedPage
from tf_tester.store.blobs import BlobStore
from tf_tester.store.bundle import UnpackedBundle, read_bundle, write_bundle
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import METADATA, PEAK

FILES = sorted((os.urandom(3_000), os.urandom(700)), key=lambda content: hashlib.sha256(content).hexdigest())
NOW = datetime(2026, 11, 1, tzinfo=UTC)
SHARE = "Missing or not as it was packed: "


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Two files, a page, and two memos."""
    folder = StoreFolder(tmp_path / "from")
    folder.open()
    with closing(Ledger(folder.ledger)) as ledger:
        blobs = BlobStore(folder, ledger)
        paths = []
        for content in FILES:
            digest = hashlib.sha256(content).hexdigest()
            blobs.partial(digest).write_bytes(content)
            paths.append((digest, blobs.adopt(digest, digest, "test")))
        ledger.put_page("https://i/toy/", CachedPage(b"<a>toy</a>" * 20, "text/html", None, NOW))
        ledger.remember(METADATA, "ab" * 32, b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        ledger.remember(PEAK, "toy", 1 << 30)
        answers = [answer for answer in ledger.answers(None) if answer.kind != "name"]
        write_bundle(tmp_path / "b.tar", paths, answers, tool="tf-tester 1")
    return tmp_path / "b.tar"


@pytest.fixture
def other(tmp_path: Path) -> Iterator["Other"]:
    folder = StoreFolder(tmp_path / "to")
    folder.open()
    with closing(Ledger(folder.ledger)) as ledger:
        yield Other(folder, ledger)


class Other:
    """A store on another machine."""

    def __init__(self, folder: StoreFolder, ledger: Ledger) -> None:
        self.folder = folder
        self.ledger = ledger
        self.blobs = BlobStore(folder, ledger)

    def read(self, bundle: Path, *, files_only: bool = False) -> UnpackedBundle:
        came = read_bundle(bundle, self.blobs, self.ledger.learn, files_only=files_only)
        assert all(not self.blobs.check(digest) for digest in self.blobs.every())
        return came


def _flipped(bundle: Path, at: int) -> None:
    content = bytearray(bundle.read_bytes())
    content[at] ^= 1
    bundle.write_bytes(content)


def test_a_whole_bundle_brings_all_and_tells_of_no_trouble(bundle: Path, other: Other) -> None:
    assert other.read(bundle) == UnpackedBundle(2, 3_700, 0, 3)
    assert other.read(bundle) == UnpackedBundle(0, 0, 2, 0)


@pytest.mark.parametrize(
    ("mark", "beyond", "came", "lost"),
    [
        (FILES[0], 5, (1, 3), "1 of its 2 files."),
        (FILES[1], 5, (1, 3), "1 of its 2 files."),
        (b'"kind":"page"', 60, (2, 2), "1 of its 3 answers (pages, metadata, locks)."),
        (b'"kind":"metadata"', 150, (2, 2), "1 of its 3 answers (pages, metadata, locks)."),
        (b'"kind":"peak"', 3, (2, 2), "1 of its 3 answers (pages, metadata, locks)."),
        (b'{"kind":"peak"', -1, (2, 1), "2 of its 3 answers (pages, metadata, locks)."),
        (b'"answers":3', 10, (2, 3), "its head."),
        (b'"format"', 0, (2, 3), "its head."),
        (b"blobs/", 2, (0, 0), "2 of its 2 files, 3 of its 3 answers (pages, metadata, locks)."),
        (b"answers.jsonl", 2, (2, 0), "3 of its 3 answers (pages, metadata, locks)."),
    ],
)
def test_damage_costs_no_more_than_that_and_is_told(
    bundle: Path, other: Other, mark: bytes, beyond: int, came: tuple[int, int], lost: str
) -> None:
    _flipped(bundle, bundle.read_bytes().index(mark) + beyond)
    found = other.read(bundle)
    assert (found.files, found.answers) == came
    assert found.trouble == f"{bundle} is damaged. {SHARE}{lost}"
    assert not list(other.folder.incoming.iterdir())


@pytest.mark.parametrize(
    ("mark", "beyond", "came", "lost"),
    [
        (b"tf-tester-bundle", 9, (0, 0), "its head."),
        (b'"format"', 9, (0, 0), "its head."),
        (b"blobs/", 0, (0, 0), "2 of its 2 files, 3 of its 3 answers (pages, metadata, locks)."),
        (FILES[1], 0, (1, 0), "1 of its 2 files, 3 of its 3 answers (pages, metadata, locks)."),
        (FILES[1], 600, (1, 0), "1 of its 2 files, 3 of its 3 answers (pages, metadata, locks)."),
        (b"answers.jsonl", 0, (2, 0), "3 of its 3 answers (pages, metadata, locks)."),
        (b'"kind":"peak"', 0, (2, 0), "3 of its 3 answers (pages, metadata, locks)."),
    ],
)
def test_a_bundle_that_was_cut_off_says_so(
    bundle: Path, other: Other, mark: bytes, beyond: int, came: tuple[int, int], lost: str
) -> None:
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[: whole.index(mark) + beyond])
    found = other.read(bundle)
    assert (found.files, found.answers) == came
    assert found.trouble.startswith(f"{bundle} is cut off after ")
    assert found.trouble.endswith(f". {SHARE}{lost}")
    bundle.write_bytes(whole)
    assert other.read(bundle).trouble == ""
    assert len(other.blobs.every()) == 2
    assert not list(other.folder.incoming.iterdir())


def test_an_end_of_zeros_is_damage(bundle: Path, other: Other) -> None:
    """As a file system leaves it after a power cut."""
    whole = bundle.read_bytes()
    at = whole.rindex(b"blobs/")
    bundle.write_bytes(whole[:at] + b"\0" * (len(whole) - at))
    assert other.read(bundle).trouble == (
        f"{bundle} is damaged. {SHARE}1 of its 2 files, 3 of its 3 answers (pages, metadata, locks)."
    )


def test_answers_that_are_not_wanted_are_not_missed(bundle: Path, other: Other) -> None:
    whole = bundle.read_bytes()
    _flipped(bundle, whole.index(b'"kind":"peak"') + 3)
    assert other.read(bundle, files_only=True) == UnpackedBundle(2, 3_700, 0, 0)


def test_a_bundle_without_sums_is_read_and_its_damage_told(bundle: Path, other: Other) -> None:
    """As earlier versions made them."""
    with tarfile.open(bundle) as archive, tarfile.open(bundle.with_name("old.tar"), "w") as old:
        for member in archive:
            stream = archive.extractfile(member)
            content = b"" if stream is None else stream.read()
            if not member.name.startswith("blobs/"):
                lines = [json.loads(line) for line in content.splitlines()]
                for line in lines:
                    line.pop("sum")
                    line.pop("answers", None)
                content = "".join(json.dumps(line) + "\n" for line in lines).encode()
            member.size = len(content)
            old.addfile(member, io.BytesIO(content))
    old_bundle = bundle.with_name("old.tar")
    assert other.read(old_bundle) == UnpackedBundle(2, 3_700, 0, 3)
    _flipped(old_bundle, old_bundle.read_bytes().index(b'"value": "') + 14)
    assert other.read(old_bundle).trouble.endswith(f"{SHARE}1 of its answers (pages, metadata, locks).")


@pytest.mark.parametrize(("content", "why"), [(b"", "it is empty"), (b"junk", "it doesn't begin with")])
def test_what_never_was_a_bundle_is_refused(tmp_path: Path, other: Other, content: bytes, why: str) -> None:
    (tmp_path / "junk.tar").write_bytes(content)
    with pytest.raises(UsageError, match=why):
        other.read(tmp_path / "junk.tar")
