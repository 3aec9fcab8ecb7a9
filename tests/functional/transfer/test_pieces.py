"""Sums of a file's pieces, kept from when it was right: what they are good for later."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes import Told
from tests.simulator import Lie, Simulator
from tests.transfers import transferring
from tests.wheels import make_wheel
from tf_tester.core.fetch.claims import MIB
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferFinished
from tf_tester.model.source import Source, SourceUse
from tf_tester.store.blobs import BlobStore
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger
from tf_tester.store.memos.table import PIECES
from tf_tester.transfer.settings import Timeouts

NAME, CONTENT = make_wheel("ballast", "1.0", files={"noise.bin": os.urandom(41 * MIB)})
PIECE = 4 * MIB


class World:
    """A store, and mirrors that have the file."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        store = StoreFolder(folder)
        store.open()
        ledger = Ledger(store.ledger)
        stack.callback(ledger.close)
        self.blobs = BlobStore(store, ledger)
        self.mirrors = [stack.enter_context(Simulator()) for _ in range(3)]
        self.artifacts = [mirror.add_wheel(NAME, CONTENT) for mirror in self.mirrors]
        self.uses: list[SourceUse] = []
        self.received = 0

    @property
    def artifact(self) -> Artifact:
        return self.artifacts[0]

    @property
    def sha256(self) -> str:
        assert self.artifact.sha256 is not None
        return self.artifact.sha256

    def fetch(self, *mirrors: int) -> bytes:
        told = Told()
        sources = [Source(f"m{number}", self.artifacts[number].url, proven=True) for number in mirrors]
        with transferring(
            self.blobs,
            told,
            sources=lambda _: sources,
            learn=self.uses.append,
            timeouts=Timeouts(retry_delay=0.01),
        ) as transfer:
            path = transfer.fetch(self.artifact)
        (finished,) = told.of(TransferFinished)
        self.received = finished.received
        return path.read_bytes()

    @property
    def liars(self) -> list[str]:
        return [use.source for use in self.uses if use.right is False]

    def damage(self, *places: int) -> None:
        """Flip bytes of the blob and set it aside."""
        blob = self.blobs.find(self.sha256)
        assert blob is not None
        blob.chmod(0o600)
        with blob.open("r+b") as stream:
            for place in places:
                stream.seek(place)
                byte = stream.read(1)
                stream.seek(place)
                stream.write(bytes([byte[0] ^ 1]))
        assert not self.blobs.is_sound(self.sha256)
        assert self.blobs.find(self.sha256) is None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def test_sums_are_kept_of_all_pieces(world: World) -> None:
    assert world.blobs.pieces(world.sha256) is None
    world.fetch(0)
    pieces = world.blobs.pieces(world.sha256)
    assert pieces is not None
    assert pieces.size == PIECE
    assert len(pieces.sums) == -(-len(CONTENT) // PIECE)
    assert pieces.span(len(pieces.sums) - 1, len(CONTENT))[1] == len(CONTENT)


def test_of_a_damaged_file_only_the_wrong_pieces_come_again(world: World) -> None:
    world.fetch(0)
    world.damage(5 * MIB, 13 * MIB)
    assert world.fetch(0) == CONTENT
    assert world.received == 2 * PIECE
    assert world.liars == []


def test_a_file_without_sums_comes_again_as_a_whole(world: World) -> None:
    world.fetch(0)
    world.blobs._ledger.forget(PIECES, world.sha256)
    world.damage(5 * MIB)
    assert world.fetch(0) == CONTENT
    assert world.received >= len(CONTENT)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_one_that_lies_is_found_at_its_first_wrong_piece(world: World, order: tuple[int, ...]) -> None:
    world.fetch(1)
    blob = world.blobs.find(world.sha256)
    assert blob is not None
    blob.unlink()
    world.mirrors[0].fault(NAME, Lie(at=100))
    assert world.fetch(*order) == CONTENT
    assert world.liars == ["m0"]
    assert world.received < len(CONTENT) + 3 * PIECE


def test_when_all_lie_nothing_is_kept(world: World) -> None:
    from tf_tester.errors import DownloadFailed

    world.fetch(1)
    blob = world.blobs.find(world.sha256)
    assert blob is not None
    blob.unlink()
    for mirror in world.mirrors:
        mirror.fault(NAME, Lie(at=100))
    with pytest.raises(DownloadFailed):
        world.fetch(0, 1, 2)
    assert world.blobs.find(world.sha256) is None
    assert sorted(set(world.liars)) == ["m0", "m1", "m2"]
