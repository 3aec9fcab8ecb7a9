"""From a question to a lock: uv over our view of an index, with builds, ranges and a store behind."""

import gzip
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.request import Request, urlopen

import pytest
from msgspec.structs import replace

from tests.fakes import Told
from tests.pythons import running
from tests.simulator import LyingRange, NoRanges, Simulator, Status
from tests.transfers import transferring
from tests.wheels import make_sdist, make_wheel, metadata_text, zip_of
from tf_tester.errors import BuildFailed, DownloadFailed, IndexUnreachable, StoreError, TfTesterError, Unresolvable
from tf_tester.execute.local import LocalExecutor
from tf_tester.index.http import HttpIndex, PageAccess
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import Delay, DelayKind, Event, WheelBuilt
from tf_tester.model.framework import Placeholder
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.ports.execute import Command
from tf_tester.ports.resolve import Question
from tf_tester.resolve.builder import Builder
from tf_tester.resolve.confinement import Confinement
from tf_tester.resolve.indexed_uv import IndexedUv
from tf_tester.resolve.loopback import LoopbackIndex, QuestionView
from tf_tester.resolve.metadata import MetadataReader
from tf_tester.resolve.resolver import EarlierLocks, KnownSources, UvResolver, question_key
from tf_tester.resolve.uv import Uv
from tf_tester.sandbox.none import NoSandbox
from tf_tester.store.blobs import BlobStore
from tf_tester.store.folder import StoreFolder
from tf_tester.store.ledger import Ledger, LedgerMemos, LedgerPages
from tf_tester.store.memos.packages import KeptLocks, wheel_memos
from tf_tester.store.memos.table import BUILT
from tf_tester.store.removal import remove_tree
from tf_tester.transfer.settings import Timeouts

ERA = datetime(2021, 6, 1, tzinfo=UTC)
QUICK = Timeouts(connect=5, stall=5, page=5, retry_delay=0.01, retry_after_cap=0.02)


class CountingUv(Uv):
    """uv, and how often it was asked for what."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.calls: list[str] = []

    def command(self, words: Sequence[str], **more: Any) -> Command:
        self.calls.append(words[0])
        return super().command(words, **more)


class Process:
    """What one process of ours has: everything but the store is new."""

    def __init__(self, world: "World", stack: ExitStack, *, offline: bool = False) -> None:
        folder = world.folder
        self.told: list[Event] = []
        """What takes its time."""
        self.workplace = stack.enter_context(folder.workplace())
        self.ledger = Ledger(folder.ledger)
        stack.callback(self.ledger.close)
        self.blobs = BlobStore(folder, self.ledger)
        self.transfer = stack.enter_context(transferring(self.blobs, Told(), timeouts=QUICK, offline=offline))
        access = PageAccess(self.transfer.client, LedgerPages(self.ledger), lambda: world.now, offline=offline)
        self.index = HttpIndex(world.simulator.simple_url, access)
        self.metadata = MetadataReader(wheel_memos(self.ledger), self.blobs, self.transfer)
        self.loopback = LoopbackIndex(self.index, self.transfer)
        stack.callback(self.loopback.close)
        self.uv = CountingUv(world.uv_home)
        indexed = IndexedUv(self.uv, self.loopback, self.metadata, self.workplace)
        self.builder = Builder(
            indexed,
            confinement=Confinement(LocalExecutor(), NoSandbox, Limits(), None, tell=self.told.append),
            memory=LedgerMemos(self.ledger, BUILT),
            blobs=self.blobs,
            fetcher=self.transfer,
            exclusive=folder.exclusive,
            remove_tree=remove_tree,
        )
        self.resolver = UvResolver(
            indexed,
            index=self.index,
            authority=world.simulator.simple_url,
            builder=self.builder,
            earlier=EarlierLocks(KeptLocks(self.ledger), self.blobs, lambda: world.now, offline=offline),
            sources=KnownSources(frozenset({"known"}), (Placeholder("empty", "full"),)),
            interpreters=list,
        )

    def lock(
        self,
        *requirements: str,
        resolution: Resolution = Resolution.ERA,
        cutoff: datetime | None = ERA,
        constraints: Sequence[str] = (),
        good_for: timedelta | None = None,
        allow: Sequence[str] = (),
        python: Interpreter | None = None,
    ) -> tuple[Lock, bool]:
        return self.resolver.lock(
            Question(
                requirements=requirements,
                interpreter=python or running(),
                resolution=resolution,
                cutoff=cutoff if resolution is Resolution.ERA else None,
                constraints=tuple(constraints),
                good_for=good_for,
                allow_build=frozenset(allow),
            )
        )


class World:
    """An index, and a store that outlives processes."""

    def __init__(self, simulator: Simulator, root: Path, uv_home: Path, stack: ExitStack) -> None:
        self.simulator = simulator
        self.uv_home = uv_home
        self.folder = StoreFolder(root)
        self.folder.open()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self._stack = stack

    def process(self, *, offline: bool = False) -> Process:
        return Process(self, self._stack, offline=offline)

    def wheel(
        self, name: str, version: str, day: str | None, *requires: str, metadata: bool = True, **more: str
    ) -> Artifact:
        content = make_wheel(name, version, requires=requires, **more)  # type: ignore[arg-type]
        return self.simulator.add_wheel(*content, upload_time=f"{day}T00:00:00Z" if day else None, metadata=metadata)

    def sdist(self, name: str, version: str, day: str, *requires: str, fails: str | None = None) -> Artifact:
        content = make_sdist(name, version, requires=requires, build_fails=fails)
        return self.simulator.add_sdist(*content, upload_time=f"{day}T00:00:00Z")


@pytest.fixture(scope="module")
def uv_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, because what uv remembers of the interpreter saves half of the time."""
    return tmp_path_factory.mktemp("uv")


@pytest.fixture
def world(tmp_path: Path, uv_home: Path) -> Iterator[World]:
    with Simulator() as simulator, ExitStack() as stack:
        yield World(simulator, tmp_path / "store", uv_home, stack)


@pytest.fixture
def process(world: World) -> Process:
    return world.process()


@pytest.fixture
def gears(world: World) -> None:
    """toy 1.0 of 2021, and gear 1.0 to 3.0 of 2020, 2021 and 2023."""
    world.wheel("toy", "1.0", "2021-05-20", "gear>=1")
    for version, day in (("1.0", "2020-01-01"), ("2.0", "2021-05-30"), ("3.0", "2023-01-01")):
        world.wheel("gear", version, day)


def versions(lock: Lock) -> dict[str, str]:
    return {pin.name: pin.version for pin in lock.pins}


def refused(kind: type[TfTesterError], ask: Callable[[], object]) -> TfTesterError:
    with pytest.raises(kind) as caught:
        ask()
    assert caught.value.hint
    return caught.value


def changed(sdist: tuple[str, bytes], old: str, new: str) -> tuple[str, bytes]:
    """An sdist with another text in its `pyproject.toml` or its build backend."""
    buffer = io.BytesIO()
    found = 0
    with (
        tarfile.open(fileobj=io.BytesIO(sdist[1])) as archive,
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as target,
    ):
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            text = stream.read().decode()
            if member.name.endswith(("pyproject.toml", "tiny_backend.py")):
                found += text.count(old)
                text = text.replace(old, new)
            member.size = len(text.encode())
            target.addfile(member, io.BytesIO(text.encode()))
    assert found
    return sdist[0], buffer.getvalue()


# -- which versions


@pytest.mark.usefixtures("gears")
def test_era_takes_what_was_current(process: Process) -> None:
    lock, known = process.lock("toy==1.0")
    assert (versions(lock), known) == ({"toy": "1.0", "gear": "2.0"}, False)
    assert (lock.cutoff, lock.resolution, lock.python, lock.remarks) == (ERA, Resolution.ERA, running().version, ())


@pytest.mark.usefixtures("gears")
def test_latest_takes_the_newest_and_lowest_the_oldest(process: Process) -> None:
    assert versions(process.lock("toy==1.0", resolution=Resolution.LATEST)[0])["gear"] == "3.0"
    assert versions(process.lock("toy==1.0", resolution=Resolution.LOWEST)[0])["gear"] == "1.0"


def test_pins_are_the_authoritys_files_sorted_by_name(world: World, process: Process) -> None:
    toy = world.wheel("Toy-Box", "1.0", "2021-01-02", "zebra", "ant")
    ant = world.wheel("ant", "1.0", "2020-01-01", metadata=False)
    world.wheel("zebra", "0.1", "2020-01-01")
    pins = process.lock("toy-box")[0].pins
    assert [pin.name for pin in pins] == ["ant", "toy-box", "zebra"]
    assert pins[0] == Pin("ant", "1.0", ant.filename, str(ant.sha256), ant.size, ant.url, None, ant.upload_time)
    assert pins[1].filename == toy.filename
    assert not any(name.endswith(".whl") and name != ant.filename for name in world.simulator.requests)


def test_a_wheel_that_was_added_later_belongs_to_its_version(world: World, process: Process) -> None:
    world.wheel("jaxlib", "1.0", "2020-01-01", tag="cp27-cp27m-win32")
    late = world.wheel("jaxlib", "1.0", "2025-12-01")
    assert process.lock("jaxlib")[0].pins[0].filename == late.filename


def test_constraints_bind_without_asking_for_anything(world: World, process: Process, gears: None) -> None:
    assert versions(process.lock("toy==1.0", constraints=["gear<2", "other==1"])[0]) == {"toy": "1.0", "gear": "1.0"}


def test_a_yanked_version_is_taken_only_when_it_is_pinned(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2020-01-01")
    world.simulator.add_wheel(*make_wheel("toy", "2.0"), upload_time="2020-02-01T00:00:00Z", yanked="broken")
    assert versions(process.lock("toy")[0]) == {"toy": "1.0"}
    assert versions(process.lock("toy==2.0")[0]) == {"toy": "2.0"}
    world.wheel("car", "1.0", "2020-01-01")
    assert process.lock("car", "toy==2.0")[0].remarks == ("toy 2.0 is yanked: broken",)
    assert process.lock("car", "toy")[0].remarks == ()


def test_what_has_no_hash_is_not_there(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2020-01-01")
    world.simulator.add_wheel(*make_wheel("toy", "2.0"), upload_time="2020-02-01T00:00:00Z", hashes=False)
    assert versions(process.lock("toy")[0]) == {"toy": "1.0"}


def test_a_wheel_that_calls_itself_otherwise_is_passed_over(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2020-01-01")
    lie = metadata_text("numpy", "2.0").encode()
    world.simulator.add_wheel(*make_wheel("toy", "2.0"), upload_time="2020-02-01T00:00:00Z", metadata=lie)
    assert versions(process.lock("toy")[0]) == {"toy": "1.0"}


# -- eras that need help


def test_an_index_without_times_is_not_limited_and_that_is_told(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", None, "gear")
    world.wheel("gear", "1.0", "2020-01-01")
    world.wheel("gear", "3.0", "2024-01-01")
    lock, _ = process.lock("toy")
    assert versions(lock) == {"toy": "1.0", "gear": "1.0"}
    assert lock.remarks == ("the index tells no upload times for toy: not limited to the era",)


def test_where_nothing_of_the_era_fits_a_later_date_is_taken_and_told(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2021-05-20", "gear>=2")
    world.wheel("gear", "1.0", "2020-01-01")
    world.wheel("gear", "2.0", "2022-01-01")
    world.wheel("gear", "2.1", "2023-01-01")
    lock, _ = process.lock("toy==1.0")
    assert versions(lock)["gear"] == "2.0"
    assert lock.cutoff == ERA + timedelta(days=365)
    told = "nothing as of 2021-06-01 fits together; dependencies are those of 2022-06-01"
    assert lock.remarks == (f"{told}: gear>=2 is there since 2022-01-01",)
    assert process.lock("toy==1.0") == (lock, True)


def test_what_came_out_years_later_is_told_with_its_day_and_the_grace_that_it_takes(
    world: World, process: Process, gears: None
) -> None:
    question = Question(("toy==1.0", "gear==3.0"), running(), Resolution.ERA, ERA, released=ERA - timedelta(days=12))
    world.wheel("gear", "4.0", "2024-01-01")
    error = refused(
        Unresolvable, lambda: process.resolver.lock(replace(question, requirements=("toy==1.0", "gear==4.0")))
    )
    assert (
        str(error) == "Newer than the era of toy==1.0, which ends on 2021-06-01: gear==4.0 is there since 2024-01-01."
    )
    assert "--grace 957d" in error.hint
    assert "no version of gear==4.0" in error.detail
    # What nothing ever met is no matter of the time.
    error = refused(
        Unresolvable, lambda: process.resolver.lock(replace(question, requirements=("toy==1.0", "gear==5.0")))
    )
    assert "--grace" not in error.hint


def test_a_major_release_that_has_just_come_out_counts_only_where_nothing_fits_without_it(
    world: World, process: Process, gears: None
) -> None:
    question = Question(("toy==1.0",), running(), Resolution.ERA, ERA, majors_until=ERA - timedelta(days=10))
    lock, _ = process.resolver.lock(question)
    assert (versions(lock)["gear"], lock.remarks) == ("1.0", ())
    assert process.resolver.lock(replace(question, majors_until=None))[0].pins != lock.pins
    world.wheel("cog", "1.0", "2020-01-01")
    world.wheel("cog", "2.0", "2021-05-31")
    lock, _ = process.resolver.lock(replace(question, requirements=("toy==1.0", "gear==2.0", "cog")))
    assert versions(lock) == {"toy": "1.0", "gear": "2.0", "cog": "1.0"}
    assert lock.remarks == ("nothing fits together without a major release that had just come out: gear 2.0",)
    assert lock.cutoff == ERA


def test_what_fits_at_no_time_comes_with_uvs_reasoning(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2021-05-20", "gear<2", "cog")
    world.wheel("cog", "1.0", "2020-01-01", "gear>=2")
    world.wheel("gear", "1.0", "2020-01-01")
    world.wheel("gear", "2.0", "2020-01-02")
    error = refused(Unresolvable, lambda: process.lock("toy==1.0"))
    assert str(error) == f"No set of dependencies fits toy==1.0 on Python {running().label}."
    for word in ("No solution found", "cog", "gear<2", "gear>=2"):
        assert word in error.detail
    latest = refused(Unresolvable, lambda: process.lock("toy==1.0", resolution=Resolution.LATEST))
    assert "--resolve era" in latest.hint


def test_an_address_is_not_a_requirement(process: Process) -> None:
    error = refused(Unresolvable, lambda: process.lock("toy @ https://example.org/toy-1.0-py3-none-any.whl"))
    assert "names an address" in str(error)
    assert process.uv.calls == []


# -- what was found out once


@pytest.mark.usefixtures("gears")
def test_the_second_time_nobody_is_asked_anything(world: World, process: Process) -> None:
    lock, _ = process.lock("toy==1.0")
    world.simulator.forget_counts()
    world.now += timedelta(days=400)
    other = world.process()
    assert other.lock("toy==1.0") == (lock, True)
    assert (world.simulator.log, other.uv.calls) == ([], [])


@pytest.mark.usefixtures("gears")
def test_an_answer_of_today_is_good_for_a_while(world: World, process: Process) -> None:
    def ask() -> tuple[dict[str, str], bool]:
        lock, known = world.process().lock("toy", resolution=Resolution.LATEST, good_for=timedelta(hours=1))
        return versions(lock), known

    assert ask() == ({"toy": "1.0", "gear": "3.0"}, False)
    world.wheel("gear", "4.0", "2025-12-31")
    world.now = datetime.now(UTC) + timedelta(minutes=59)
    assert ask() == ({"toy": "1.0", "gear": "3.0"}, True)
    world.now += timedelta(minutes=2)
    assert ask() == ({"toy": "1.0", "gear": "4.0"}, False)


@pytest.mark.usefixtures("gears")
def test_an_index_that_is_gone_is_answered_for_by_the_store(world: World, process: Process) -> None:
    lock, _ = process.lock("toy", resolution=Resolution.LATEST, good_for=timedelta(hours=1))
    for name in ("toy", "gear"):
        world.simulator.fault(name, Status(503))
    world.now = datetime.now(UTC) + timedelta(days=30)
    assert world.process().lock("toy", resolution=Resolution.LATEST, good_for=timedelta(hours=1))[0] == lock
    assert world.process(offline=True).lock("toy", resolution=Resolution.LATEST, good_for=timedelta(0)) == (lock, True)


@pytest.mark.usefixtures("gears")
def test_an_index_that_is_gone_is_told_where_nothing_is_known(world: World, process: Process) -> None:
    world.simulator.fault("gear", Status(503))
    refused(IndexUnreachable, lambda: process.lock("toy==1.0"))
    world.simulator.heal()
    assert versions(process.lock("toy==1.0")[0])["gear"] == "2.0"


@pytest.mark.usefixtures("gears")
def test_a_lock_that_cannot_be_read_any_more_is_made_anew(process: Process) -> None:
    lock, _ = process.lock("toy==1.0")
    for damaged in (b"", b"{", b'{"python": 3}'):
        with process.ledger._database() as database:
            database.execute("UPDATE memo SET value = ? WHERE kind = 'lock'", (damaged,))
        assert process.lock("toy==1.0") == (lock, False)


def test_every_part_of_a_question_counts() -> None:
    question = Question(("toy==1.0",), running(), Resolution.ERA, ERA)
    others = [
        replace(question, requirements=("toy==1.1",)),
        replace(question, constraints=("gear==1",)),
        replace(question, interpreter=replace(running(), version="3.99.1")),
        replace(question, interpreter=replace(running(), abi="cp399")),
        replace(
            question, interpreter=replace(running(), bits=32, platform=Platform("linux-i686", ("linux_i686",), 32))
        ),
        replace(question, resolution=Resolution.LOWEST),
        replace(question, cutoff=None),
        replace(question, allow_build=frozenset({"toy"})),
    ]
    keys = {question_key(one, frozenset(), "index") for one in (question, *others)}
    keys |= {question_key(question, frozenset({"a"}), "index"), question_key(question, frozenset(), "another index")}
    assert len(keys) == len(others) + 3
    same = replace(question, good_for=timedelta(1), interpreter=replace(running(), path=Path("/other")))
    assert question_key(same, frozenset(), "index") == question_key(question, frozenset(), "index")


# -- metadata


def big(world: World, name: str, day: str = "2020-01-01") -> Artifact:
    noise: dict[str, str | bytes] = {f"{name}/noise.bin": os.urandom(1_000_000), f"{name}/__init__.py": ""}
    return world.simulator.add_wheel(*make_wheel(name, "1.0", files=noise), upload_time=f"{day}T00:00:00Z")


def test_of_a_big_wheel_only_the_end_is_read(world: World, process: Process) -> None:
    toy = big(world, "toy")
    assert versions(process.lock("toy")[0]) == {"toy": "1.0"}
    assert 0 < world.simulator.bytes_sent[toy.filename] <= 300_000
    assert process.blobs.find(str(toy.sha256)) is None


@pytest.mark.parametrize("fault", [NoRanges(), LyingRange()])
def test_without_ranges_the_whole_wheel_comes_and_is_kept(world: World, process: Process, fault: NoRanges) -> None:
    toy = big(world, "toy")
    world.simulator.fault(toy.filename, fault, times=1 if isinstance(fault, LyingRange) else None)
    assert versions(process.lock("toy")[0]) == {"toy": "1.0"}
    assert process.blobs.find(str(toy.sha256)) is not None


def test_metadata_is_read_once_for_all_questions(world: World, process: Process) -> None:
    toy = world.wheel("toy", "1.0", "2020-01-01", metadata=False)
    big(world, "gear")
    process.lock("toy", "gear")
    world.simulator.forget_counts()
    other = world.process()
    assert other.lock("toy", "gear", cutoff=ERA + timedelta(1))[1] is False
    assert [name for name in world.simulator.requests if name.endswith((".whl", ".metadata"))] == []
    assert other.blobs.find(str(toy.sha256)) is not None


def test_metadata_with_a_wrong_hash_is_taken_from_the_wheel(world: World, process: Process) -> None:
    toy = world.wheel("toy", "1.0", "2020-01-01", "gear")
    world.wheel("gear", "1.0", "2020-01-01")
    world.simulator.replace(toy.filename, b"")
    world.simulator.replace(toy.filename, make_wheel("toy", "1.0", requires=["gear"])[1])
    file = world.simulator._files[toy.filename]
    file.metadata = metadata_text("toy", "1.0").encode()
    assert versions(process.lock("toy")[0]) == {"toy": "1.0", "gear": "1.0"}


def test_a_wheel_that_is_no_archive_is_passed_over(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2020-01-01")
    world.simulator.add_wheel("toy-2.0-py3-none-any.whl", b"no archive", upload_time="2020-02-01T00:00:00Z")
    world.simulator.add_wheel(
        "toy-3.0-py3-none-any.whl", zip_of({"toy-3.0.dist-info/RECORD": b""}), upload_time="2020-02-01T00:00:00Z"
    )
    assert versions(process.lock("toy")[0]) == {"toy": "1.0"}


# -- building


def test_a_known_source_is_built_and_locked(world: World, process: Process) -> None:
    sdist = world.sdist("known", "1.0", "2020-01-01", "gear")
    world.wheel("gear", "1.0", "2020-01-01")
    lock, _ = process.lock("known")
    assert versions(lock) == {"gear": "1.0", "known": "1.0"}
    pin = lock.pins[1]
    assert (pin.filename, pin.built_from, pin.url) == ("known-1.0-py3-none-any.whl", sdist.sha256, sdist.url)
    assert process.blobs.find(pin.sha256) is not None
    assert process.uv.calls == ["pip", "venv"]


def test_an_unknown_source_is_not_there_and_the_hint_says_what_to_do(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2020-01-01", "strange")
    world.sdist("strange", "1.0", "2020-01-01")
    error = refused(Unresolvable, lambda: process.lock("toy"))
    assert error.hint == ("Only as source for this Python: strange; allow building it with --allow-build strange.")
    assert "venv" not in process.uv.calls


@pytest.mark.whole
def test_what_backs_off_from_sources_says_so_and_names_them_all(world: World, process: Process) -> None:
    """The newest bench needs two projects that have no wheel; the oldest, which needs none, is what is left."""
    world.wheel("bench", "3.0", "2015-01-01")
    world.wheel("bench", "3.9", "2020-01-01", "strange")
    world.wheel("bench", "4.0", "2021-01-01", "strange", "odd; python_version >= '3'", "even; python_version < '3'")
    for name in ("strange", "odd", "even"):
        world.sdist(name, "1.0", "2020-01-01")
    lock, _ = process.lock("bench")
    assert versions(lock) == {"bench": "3.0"}
    assert lock.remarks == (
        "bench is 3.0 of 2015, because 4.0 requires odd and strange: only as source for this Python: odd, strange; "
        "allow building them with --allow-build odd --allow-build strange",
    )
    allowed, _ = process.lock("bench", allow=["strange", "odd"])
    assert (versions(allowed)["bench"], allowed.remarks) == ("4.0", ())
    error = refused(Unresolvable, lambda: process.lock("bench>3", "even"))
    for name in ("even", "odd", "strange"):
        assert f"--allow-build {name}" in error.hint


def test_who_requires_a_placeholder_is_told_what_is_meant(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2020-01-01", "empty", "strange")
    for name in ("empty", "strange"):
        world.sdist(name, "1.0", "2020-01-01")
    error = refused(Unresolvable, lambda: process.lock("toy"))
    assert error.hint.startswith("Empty is a placeholder that brings nothing: full is meant; only as source")
    assert "--allow-build strange" in error.hint
    assert "--allow-build empty" not in error.hint


@pytest.mark.parametrize("allow", ["strange", "all"])
def test_a_source_that_is_allowed_is_built(world: World, process: Process, allow: str) -> None:
    world.sdist("strange", "1.0", "2020-01-01")
    assert process.lock("strange", allow=[allow])[0].pins[0].built_from is not None


def test_a_wheel_comes_before_a_source_of_its_version(world: World, process: Process) -> None:
    world.sdist("known", "1.0", "2020-01-01")
    world.wheel("known", "1.0", "2020-01-01")
    assert process.lock("known")[0].pins[0].built_from is None
    assert process.uv.calls == ["pip"]


def test_the_cutoff_does_not_bind_what_builds(world: World, process: Process) -> None:
    sdist = changed(make_sdist("known", "1.0"), "requires = []", 'requires = ["helper>=9"]')
    world.simulator.add_sdist(*sdist, upload_time="2020-01-01T00:00:00Z")
    world.wheel("helper", "9.0", "2025-01-01")
    assert versions(process.lock("known")[0]) == {"known": "1.0"}


def test_a_pure_wheel_is_built_once_for_all_pythons(world: World, process: Process) -> None:
    world.sdist("known", "1.0", "2020-01-01")
    one = process.lock("known")[0].pins
    two = process.lock("known", python=replace(running(), version="3.99.0"))[0].pins
    three = world.process().lock("known", python=replace(running(), abi=f"{running().abi}d"))[0].pins
    assert one == two == three
    assert process.uv.calls == ["pip", "venv", "pip"]
    what = f"known for Python {running().label}"
    *delays, told = process.told
    assert delays == [Delay(DelayKind.BUILD, what), Delay(DelayKind.BUILD, what, is_over=True)]
    assert isinstance(told, WheelBuilt)
    assert (told.name, told.python, told.filename, told.sha256) == (
        "known",
        running().label,
        one[0].filename,
        one[0].sha256,
    )
    assert told.seconds > 0


@pytest.mark.whole
def test_a_wheel_for_one_python_is_built_for_each(world: World, process: Process) -> None:
    sdist = changed(
        make_sdist("known", "1.0"),
        '"-py3-none-any.whl"',
        '"-cp%d%d-none-any.whl" % __import__("sys").version_info[:2]',
    )
    artifact = world.simulator.add_sdist(*sdist, upload_time="2020-01-01T00:00:00Z")
    for abi in (running().abi, "other", "other"):
        process.builder.built(process.index.page("known").artifacts[0], replace(running(), abi=abi))
    assert artifact.sha256
    assert process.uv.calls == ["venv", "venv"]


def test_a_build_that_fails_says_its_own_words_and_is_not_repeated_without_end(world: World, process: Process) -> None:
    world.sdist("known", "1.0", "2020-01-01", fails="no compiler, no luck")
    error = refused(BuildFailed, lambda: process.lock("known"))
    assert "known could not be built from source" in str(error)
    assert "no compiler, no luck" in error.detail
    assert process.uv.calls == ["pip", "venv", "venv"]


@pytest.mark.whole
def test_lowest_passes_over_what_can_no_longer_be_built(world: World, process: Process) -> None:
    world.sdist("known", "0.1", "2019-01-01", fails="too old")
    world.sdist("known", "1.0", "2020-01-01")
    lock, _ = process.lock("known", resolution=Resolution.LOWEST)
    assert versions(lock) == {"known": "1.0"}
    assert lock.remarks == ("could not be built and were passed over: known-0.1.tar.gz",)


@pytest.mark.whole
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no archive", "known-1.0.tar.gz is not an archive that can be read"),
        (changed(make_sdist("known", "1.0"), "'known', '1.0'", "'known', '2.0'")[1], "is not that of known 1.0"),
        (
            changed(make_sdist("known", "1.0"), "Name: known", "Name: other")[1],
            "is wrong: its METADATA says Name: other",
        ),
        (
            changed(
                make_sdist("known", "1.0"),
                "return filename",
                "open(os.path.join(wheel_directory, 'b-1-py3-none-any.whl'), 'w').close(); return filename",
            )[1],
            "left 2 wheels",
        ),
    ],
)
def test_a_source_that_does_not_give_its_wheel_is_a_failed_build(
    world: World, process: Process, content: bytes, said: str
) -> None:
    world.simulator.add_sdist("known-1.0.tar.gz", content, upload_time="2020-01-01T00:00:00Z")
    with pytest.raises(BuildFailed, match=said):
        process.lock("known")
    assert list(process.workplace.glob("build-*")) == []


def test_a_source_that_cannot_be_fetched_is_a_failed_download(world: World, process: Process) -> None:
    sdist = world.sdist("known", "1.0", "2020-01-01")
    world.simulator.fault(sdist.filename, Status(404))
    refused(DownloadFailed, lambda: process.lock("known"))


def test_a_built_wheel_that_is_gone_is_built_again(world: World, process: Process) -> None:
    world.sdist("known", "1.0", "2020-01-01")
    lock, _ = process.lock("known")
    built = process.blobs.find(lock.pins[0].sha256)
    assert built is not None
    built.unlink()
    other = world.process()
    again, known = other.lock("known")
    assert (again.pins[0].built_from, known) == (lock.pins[0].built_from, False)
    assert other.uv.calls == ["pip", "venv"]
    assert other.blobs.find(again.pins[0].sha256) is not None


def test_the_users_project_becomes_a_wheel(process: Process, tmp_path: Path) -> None:
    filename, content = make_sdist("Mine.Own", "0.3", requires=["gear"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            (tmp_path / member.name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / member.name).write_bytes(stream.read())
    project = tmp_path / filename.removesuffix(".tar.gz")
    pin, metadata = process.builder.project_wheel(project, running())
    assert (pin.name, pin.version, pin.url, pin.built_from) == ("mine-own", "0.3", "", None)
    assert b"Requires-Dist: gear" in metadata
    assert process.blobs.find(pin.sha256) is not None
    assert process.builder.project_wheel(project, replace(running(), abi="cp399")) == (pin, metadata)
    assert process.uv.calls == ["venv"]
    assert _left_by_builds(process) == []


def test_an_interrupted_build_leaves_nothing(
    world: World, process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "mine"
    project.mkdir()
    sdist = world.sdist("known", "1.0", "2020-01-01")

    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(process.uv, "command", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.builder.project_wheel(project, running())
    with pytest.raises(KeyboardInterrupt):
        process.builder.built(sdist, running())
    assert _left_by_builds(process) == []


def _left_by_builds(process: Process) -> list[str]:
    words = ("build-", "home-", "project-", "source-")
    return [path.name for path in process.workplace.iterdir() if path.name.startswith(words)]


_TELLTALE = '''
"""A build backend whose wheel holds all it can see of its source: names, modes, times, the umask."""
import os, zipfile


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    mask = os.umask(0)
    seen = ["umask %o" % mask]
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for path in [folder] + [os.path.join(folder, name) for name in sorted(names)]:
            status = os.lstat(path)
            seen.append("%s %o %d" % (path, status.st_mode, 0 if os.path.isdir(path) else status.st_mtime))
    with zipfile.ZipFile(wheel_directory + "/mine-0.1-py3-none-any.whl", "w") as archive:
        for name, text in (("mine.txt", "\\n".join(seen)), ("mine-0.1.dist-info/METADATA", METADATA)):
            archive.writestr(zipfile.ZipInfo(name), text)
    return "mine-0.1-py3-none-any.whl"


METADATA = "Metadata-Version: 2.1\\nName: mine\\nVersion: 0.1\\n"
'''


def test_a_projects_wheel_is_the_same_from_another_checkout(process: Process, tmp_path: Path) -> None:
    digests = []
    for checkout, mode, changed in (("one", 0o644, 1_000_000_000), ("other/place", 0o664, 1_500_000_000)):
        project = tmp_path / checkout / "mine"
        (project / "sub").mkdir(parents=True)
        (project / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )
        (project / "backend.py").write_text(_TELLTALE)
        (project / "sub/program").write_text("#!/bin/sh\n")
        (project / "sub").chmod(mode | 0o111)
        for path in ("pyproject.toml", "backend.py", "sub/program"):
            (project / path).chmod(mode | 0o100 * path.endswith("program"))
            os.utime(project / path, (changed, changed))
        before = os.umask(0o777 & ~(mode | 0o100))
        try:
            digests.append(process.builder.project_wheel(project, running())[0].sha256)
        finally:
            os.umask(before)
    assert digests[0] == digests[1]


# -- the loopback index


def test_uv_sees_only_its_own_view(world: World, process: Process) -> None:
    toy = world.wheel("toy", "1.0", "2020-01-01")
    view = QuestionView(running(), ERA, lambda _: False, process.metadata.read)
    url = process.loopback.url(view)
    base = url.removesuffix(f"/{view.token}/simple")

    def status(path: str, method: str = "GET") -> int:
        from urllib.error import HTTPError

        try:
            with urlopen(Request(f"{base}{path}", method=method)) as response:
                assert response.read() or method == "HEAD"
                return int(response.status)
        except HTTPError as error:
            return error.code

    file = f"/{view.token}/files/{toy.sha256}/{toy.filename}"
    assert status(f"{file}.metadata") == 404, "before the page was shown"
    assert status(f"/{view.token}/simple/toy/") == 200
    assert status(f"{file}.metadata") == status(f"{file}.metadata", "HEAD") == 200
    assert status(file) == 404, "files are for builds only"
    assert status(f"/{view.token}/simple/none/") == 404
    for path in ("/", "/simple/toy/", f"/{'0' * 16}/simple/toy/", f"/{view.token}/", f"/{view.token}/files/../../x"):
        assert status(path) == 404
    process.loopback.forget(view)
    assert status(f"/{view.token}/simple/toy/") == 404


def test_stopping_ends_who_waits(world: World, process: Process) -> None:
    world.wheel("toy", "1.0", "2020-01-01", "gear")
    world.wheel("gear", "1.0", "2020-01-01")
    asked, go_on = threading.Event(), threading.Event()
    read = process.metadata.read

    def slow(artifact: Artifact) -> bytes:
        asked.set()
        go_on.wait(60)
        return read(artifact)

    process.metadata.read = slow  # type: ignore[method-assign]

    def stop() -> None:
        asked.wait(60)
        process.uv.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(InterruptedError):
        process.lock("toy")
    stopper.join()
    go_on.set()
    with pytest.raises(InterruptedError):
        process.lock("toy==1.0")


def test_a_full_disk_is_told_as_such(process: Process, gears: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told = "error: Failed to initialize cache at `cache`\n  cause: No space left on device (os error 28)\n"
    full = subprocess.CompletedProcess(["uv"], 2, "", told)
    monkeypatch.setattr(Uv, "run", lambda *_, **__: full)
    with pytest.raises(StoreError, match="no space left on the disk") as caught:
        process.lock("toy==1.0")
    assert "os error 28" in caught.value.detail
