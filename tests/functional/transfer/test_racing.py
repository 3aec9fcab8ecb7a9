"""Many mirrors bring one file: shared out, moved, healed, and the liar named."""

import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.fakes import MemoryishBlobs, Told
from tests.simulator import After, Cut, Lie, LyingRange, NoRanges, Portal, Simulator, Slow, Stall, Status
from tests.transfers import transferring
from tests.wheels import make_wheel
from tf_tester.core.fetch.claims import RaceTerms
from tf_tester.errors import DownloadFailed
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferFinished, TransferTrouble
from tf_tester.model.source import Source, SourceUse
from tf_tester.transfer.settings import Timeouts

WHEEL = make_wheel("toy", "1.0", files={"toy.bin": random.Random(7).randbytes(4_000_000)})
NAME, CONTENT = WHEEL
TERMS = RaceTerms(share=300_000, steal=100_000)
PATIENT = Timeouts(retry_delay=0.01, retry_after_cap=0.02)
"""On a busy machine a mirror may be silent for long."""
QUICK = replace(PATIENT, stall=0.5)


class Course:
    """Four mirrors with one file, and what was learnt of them."""

    def __init__(self, mirrors: Sequence[Simulator], folder: Path) -> None:
        self.mirrors = mirrors
        self.blobs = MemoryishBlobs(folder)
        self.told = Told()
        self.uses: list[SourceUse] = []
        self.proven: set[int] = set()
        artifacts = [mirror.add_wheel(*WHEEL) for mirror in mirrors]
        self.artifact: Artifact = artifacts[0]

    def sources(self, _: Artifact) -> list[Source]:
        return [
            Source(f"m{number}", f"{mirror.url}/files/{NAME}", proven=number in self.proven)
            for number, mirror in enumerate(self.mirrors)
        ]

    def fetch(self, timeouts: Timeouts = PATIENT) -> Path:
        with transferring(
            self.blobs,
            self.told,
            sources=self.sources,
            learn=self.uses.append,
            terms=TERMS,
            timeouts=timeouts,
        ) as transfer:
            return transfer.fetch(self.artifact)

    def slow_down(self, bytes_per_second: float = 4_000_000) -> None:
        """So that all of them have the time to take part."""
        for mirror in self.mirrors:
            mirror.fault(NAME, Slow(bytes_per_second=bytes_per_second, piece=20_000))

    def wait_for(self, first: int) -> None:
        """So that this one takes part before the others have brought all there is."""
        for number, mirror in enumerate(self.mirrors):
            if number != first:
                mirror.fault(NAME, After(lambda: self.sent[first]))

    @property
    def sent(self) -> list[int]:
        return [mirror.bytes_sent[NAME] for mirror in self.mirrors]

    @property
    def reasons(self) -> list[str]:
        return [f"{trouble.source} {trouble.reason}" for trouble in self.told.of(TransferTrouble)]

    @property
    def liars(self) -> list[str]:
        return [use.source for use in self.uses if use.right is False]


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    with ExitStack() as stack:
        mirrors = [stack.enter_context(Simulator()) for _ in range(4)]
        yield Course(mirrors, tmp_path / "store")


def test_all_bring_a_part_and_no_byte_comes_twice(course: Course) -> None:
    course.slow_down()
    for mirror in course.mirrors:
        mirror.fault(NAME, After(lambda: all(course.sent), first=20_000))
    assert course.fetch().read_bytes() == CONTENT
    assert min(course.sent) > 0  # how much of it depends on how busy this machine is
    assert sum(course.sent) <= len(CONTENT) + 4 * 400_000  # what was under way when a claim was shortened
    (finished,) = course.told.of(TransferFinished)
    assert sorted(finished.source.split("+")) == ["m0", "m1", "m2", "m3"]
    assert finished.received == len(CONTENT)
    assert {use.source for use in course.uses if use.right} == {"m0", "m1", "m2", "m3"}
    assert course.reasons == []


def test_a_liar_is_named_and_what_the_others_brought_is_kept(course: Course) -> None:
    course.slow_down()
    course.proven = {1, 2, 3}
    course.mirrors[0].fault(NAME, Lie(at=10))
    course.wait_for(0)
    assert course.fetch().read_bytes() == CONTENT
    assert course.liars == ["m0"]
    assert "m0 gave other bytes than the index promises: with its part from others the file is right" in course.reasons
    received = course.told.of(TransferFinished)[0].received
    assert received <= len(CONTENT) * 1.34
    assert "m0" not in course.told.of(TransferFinished)[0].source


@pytest.mark.parametrize(
    "fault", [Status(404), Status(503), Portal(), Stall(after=50_000), Cut(after=1000), NoRanges(), LyingRange()]
)
def test_one_that_fails_leaves_its_part_to_the_others(course: Course, fault: object) -> None:
    course.slow_down()
    course.mirrors[2].fault(NAME, fault)  # type: ignore[arg-type]
    assert course.fetch(QUICK if isinstance(fault, Stall) else PATIENT).read_bytes() == CONTENT


def test_dead_slow_and_lying_ones_beside_a_good_one(course: Course) -> None:
    course.slow_down()
    course.mirrors[0].stop()
    course.mirrors[1].heal(NAME)
    course.mirrors[1].fault(NAME, Slow(bytes_per_second=300_000, piece=20_000))
    course.mirrors[2].fault(NAME, Lie(at=0))
    course.proven = {1, 3}
    course.wait_for(2)
    assert course.fetch().read_bytes() == CONTENT
    assert course.liars == ["m2"]


@pytest.mark.whole
def test_two_that_lie_are_both_named(course: Course) -> None:
    course.slow_down()
    course.mirrors[0].fault(NAME, Lie(at=10))
    course.mirrors[1].fault(NAME, Lie(at=11))
    assert course.fetch().read_bytes() == CONTENT
    assert set(course.liars) <= {"m0", "m1"}


def test_when_all_lie_nothing_is_kept_and_all_are_told(course: Course) -> None:
    for number, mirror in enumerate(course.mirrors):
        mirror.fault(NAME, Lie(at=number))
    with pytest.raises(DownloadFailed) as caught:
        course.fetch()
    assert "gave other bytes than the index promises" in str(caught.value)
    assert [line.split(":")[0] for line in caught.value.detail.splitlines()]
    assert not list(course.blobs.folder.glob("*.partial*"))


def test_what_was_brought_in_parts_is_gone_on_with_by_the_next_run(course: Course) -> None:
    course.slow_down()
    for mirror in course.mirrors:
        mirror.fault(NAME, Cut(after=200_000))
        mirror.fault(NAME, Stall(after=200_000))
    with pytest.raises(DownloadFailed):
        course.fetch(Timeouts(stall=0.2, retry_delay=0.01))
    before = sum(course.sent)
    for mirror in course.mirrors:
        mirror.heal(NAME)
        mirror.forget_counts()
    assert course.fetch().read_bytes() == CONTENT
    assert sum(course.sent) <= len(CONTENT) - before + 4 * 400_000
    assert course.told.of(TransferFinished)[-1].received == len(CONTENT) - before


DYING = """
    import sys
    from pathlib import Path
    from tests.fakes import MemoryishBlobs
    from tf_tester.core.fetch.claims import RaceTerms
    from tf_tester.model.artifact import Artifact
    from tf_tester.model.source import Source
    from tests.transfers import transferring
    name, sha256, size, folder, *urls = sys.argv[1:]
    artifact = Artifact(name, "toy", "1.0", urls[0], sha256=sha256, size=int(size))
    sources = lambda _: [Source(f"m{number}", url, proven=True) for number, url in enumerate(urls)]
    with transferring(
        MemoryishBlobs(Path(folder)), lambda _: None, sources=sources,
        terms=RaceTerms(share=300_000, steal=100_000),
    ) as transfer:
        transfer.fetch(artifact)
"""


@pytest.mark.whole
def test_killed_at_random_moments_nothing_that_came_is_fetched_again(course: Course) -> None:
    """What counts as come is what was on the disk and noted when it was killed."""
    course.slow_down(1_000_000)
    dice = random.Random(11)
    assert course.artifact.sha256
    urls = [source.url for source in course.sources(course.artifact)]
    words = [NAME, course.artifact.sha256, str(len(CONTENT)), str(course.blobs.folder), *urls]
    command = [sys.executable, "-c", textwrap.dedent(DYING), *words]
    notes = course.blobs.partial(course.artifact.sha256)
    notes = notes.with_name(f"{notes.name}.notes")
    deaths, held = 0, 0
    while course.blobs.find(course.artifact.sha256) is None:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        while process.poll() is None and _noted(notes) <= held:
            time.sleep(0.005)
        time.sleep(dice.random() * 0.1)
        deaths += process.poll() is None
        process.kill()
        process.wait()
        assert _noted(notes) >= held or not notes.exists()
        held = _noted(notes)
        assert deaths < 60
    path = course.blobs.find(course.artifact.sha256)
    assert path is not None
    assert path.read_bytes() == CONTENT
    assert deaths > 1
    # Each death costs what was on its way: one buffer for each mirror and the system's own.
    assert sum(course.sent) <= len(CONTENT) + deaths * 4 * 700_000


def _noted(notes: Path) -> int:
    """Bytes of which it is written down who brought them; a cut-off last line isn't."""
    lines = notes.read_text().split("\n")[:-1] if notes.exists() else []
    return sum(int(line.split()[1]) - int(line.split()[0]) for line in lines)


def test_a_fast_mirror_takes_over_from_a_slow_one(course: Course) -> None:
    course.mirrors[0].fault(NAME, Slow(bytes_per_second=100_000, piece=10_000))
    for mirror in course.mirrors[1:]:
        mirror.fault(NAME, Slow(bytes_per_second=4_000_000, piece=20_000))
    assert course.fetch().read_bytes() == CONTENT
    assert course.sent[0] < len(CONTENT) / 4


def test_bytes_of_an_earlier_run_are_replaced_and_blamed_on_nobody(course: Course) -> None:
    """A power cut may have taken what was noted."""
    assert course.artifact.sha256
    partial = course.blobs.partial(course.artifact.sha256)
    partial.write_bytes(CONTENT[:1_000_000] + bytes(1_000_000))
    partial.with_name(f"{partial.name}.notes").write_text("0 1000000 m0\n1000000 2000000 m1\n0 99")
    assert course.fetch().read_bytes() == CONTENT
    assert course.liars == []
    received = course.told.of(TransferFinished)[0].received
    assert received <= len(CONTENT) - 1_000_000 + 1_000_000, "what was right may be had twice, no more"


def test_notes_of_a_file_that_has_become_a_blob_count_for_nothing(course: Course) -> None:
    assert course.artifact.sha256
    partial = course.blobs.partial(course.artifact.sha256)
    partial.with_name(f"{partial.name}.notes").write_text(f"0 {len(CONTENT)} m0\n")
    assert course.fetch().read_bytes() == CONTENT
    assert course.told.of(TransferFinished)[0].received == len(CONTENT)
    assert course.reasons == []
