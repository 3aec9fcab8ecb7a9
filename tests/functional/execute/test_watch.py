"""A look at a running tree sees what it takes."""

import ctypes
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tf_tester.execute import watch
from tf_tester.execute.disk_use import disk_use
from tf_tester.execute.watch import Watch, resident, tree
from tf_tester.model.host.limits import Exceeded, Limit, Limits
from tf_tester.store.removal import remove_tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are forked")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")

MIB = 1 << 20
NOTHING: frozenset[Limit] = frozenset()
BEGINNING = """
import ctypes, os, sys, threading

def stay(also=b""):
    os.write(1, b"%d%s\\n" % (os.getpid(), also))
    os.read(0, 1)
    os._exit(0)

def fork(work):
    if os.fork() == 0:
        work()
        stay()
"""
FAMILY = """
fork(lambda: fork(lambda: None))
stay()
"""


class Programs:
    """Python texts that run until the test is over; a process says its number when it is as it is to stay."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, body: str, *, processes: int = 1) -> tuple[int, set[int]]:
        """The number of the first process, and of all."""
        text = BEGINNING + textwrap.dedent(body)
        process = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._running.append(process)
        assert process.stdout is not None
        return process.pid, {int(process.stdout.readline()) for _ in range(processes)}

    def end(self) -> None:
        for process in self._running:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()  # which all that were forked hear
            process.stdout.read()  # until the last of them has gone
            process.stdout.close()
            process.wait()


@pytest.fixture
def programs() -> Iterator[Programs]:
    made = Programs()
    yield made
    made.end()


def look(pid: int, limits: Limits, *, grouped: frozenset[Limit] = NOTHING) -> Exceeded | None:
    return Watch(limits, (), (), grouped=grouped).look(pid)


@pytest.fixture(params=["lists of children", "no lists of children"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without `CONFIG_PROC_CHILDREN`."""
    if request.param == "no lists of children":
        monkeypatch.setattr("os.path.exists", lambda _: False)


# -- who belongs to a tree


@pytest.mark.usefixtures("kernel")
def test_a_tree_has_children_and_grandchildren(programs: Programs) -> None:
    pid, family = programs.start(FAMILY, processes=3)
    assert len(family) == 3
    assert sorted(tree(pid)) == sorted(family)
    assert next(tree(pid)) == pid


@needs_linux
@pytest.mark.usefixtures("kernel")
def test_a_daemon_belongs_to_who_adopts_orphans(programs: Programs) -> None:
    pid, family = programs.start(
        """
        assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER, as in the launcher
        if os.fork() == 0:
            os.setsid()
            fork(lambda: fork(lambda: None))
            os._exit(0)
        os.wait()
        stay()
        """,
        processes=3,
    )
    assert sorted(tree(pid)) == sorted(family)


@pytest.mark.usefixtures("kernel")
def test_a_thread_has_children_too(programs: Programs) -> None:
    pid, family = programs.start(
        """
        threading.Thread(target=lambda: (fork(lambda: None), os.read(0, 1))).start()
        stay()
        """,
        processes=2,
    )
    assert sorted(tree(pid)) == sorted(family)


def test_another_tree_is_not_of_it(programs: Programs) -> None:
    one, _ = programs.start("stay()")
    other, _ = programs.start("stay()")
    assert [*tree(one)] == [one]
    assert {one, other} <= {*tree(os.getpid())}


@pytest.mark.usefixtures("kernel")
def test_a_process_that_has_ended_is_alone_and_holds_nothing(programs: Programs) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert [*tree(process.pid)] in ([process.pid], [])
    assert resident(process.pid) == 0
    assert look(process.pid, Limits(memory=1, processes=1)) is None


# -- processes


@pytest.mark.usefixtures("kernel")
def test_more_processes_than_allowed_are_seen(programs: Programs) -> None:
    pid, _ = programs.start(FAMILY, processes=3)
    assert look(pid, Limits(processes=2)) == Exceeded(Limit.PROCESSES, 2)
    assert look(pid, Limits(processes=3)) is None


def test_threads_count_as_processes(programs: Programs) -> None:
    pid, _ = programs.start(
        """
        for _ in range(5):
            threading.Thread(target=lambda: os.read(0, 1)).start()
        stay()
        """
    )
    assert look(pid, Limits(processes=5)) == Exceeded(Limit.PROCESSES, 5)
    assert look(pid, Limits(processes=6)) is None


@needs_linux
def test_a_tree_is_not_counted_where_the_whole_machine_has_no_more_processes(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid, _ = programs.start(FAMILY, processes=3)
    monkeypatch.setattr(watch, "_all_tasks", lambda: 3)
    assert look(pid, Limits(processes=3)) is None
    assert look(pid, Limits(processes=2)) == Exceeded(Limit.PROCESSES, 2)
    monkeypatch.undo()
    assert watch._all_tasks() >= len(list(Path("/proc/self/task").iterdir()))
    monkeypatch.setattr(watch, "_tasks", pytest.fail)
    assert look(pid, Limits(processes=1_000_000)) is None


# -- memory


def test_more_memory_than_allowed_is_seen(programs: Programs) -> None:
    pid, _ = programs.start("held = b'x' * (100 << 20)\nstay()")
    assert resident(pid) > 100 * MIB
    assert look(pid, Limits(memory=100 * MIB)) == Exceeded(Limit.MEMORY, 100 * MIB)
    assert look(pid, Limits(memory=1000 * MIB)) is None


def test_memory_is_that_of_all_together(programs: Programs) -> None:
    pid, _ = programs.start(
        """
        for _ in range(2):
            fork(lambda: globals().update(held=b'x' * (60 << 20)))
        stay()
        """,
        processes=3,
    )
    assert look(pid, Limits(memory=110 * MIB)) == Exceeded(Limit.MEMORY, 110 * MIB)


SHARING = """
held = bytearray(b'x') * (100 << 20)
def work():
    if {writes}:
        for place in range(0, len(held), 4096):
            held[place] = 1
for _ in range(5):
    fork(work)
stay()
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this kernel doesn't tell shares of memory")
def test_memory_that_is_shared_counts_once(programs: Programs) -> None:
    sharing, _ = programs.start(SHARING.format(writes=False), processes=6)
    assert resident(sharing) > 600 * MIB
    assert look(sharing, Limits(memory=300 * MIB)) is None
    copying, _ = programs.start(SHARING.format(writes=True), processes=6)
    assert look(copying, Limits(memory=300 * MIB)) == Exceeded(Limit.MEMORY, 300 * MIB)


@needs_linux
def test_memory_in_a_file_that_nobody_has_mapped_counts_once(programs: Programs) -> None:
    pid, _ = programs.start(
        """
        file = os.memfd_create("held")
        for _ in range(100):
            os.write(file, b"x" * (1 << 20))
        fork(lambda: None)
        stay()
        """,
        processes=2,
    )
    assert look(pid, Limits(memory=100 * MIB)) == Exceeded(Limit.MEMORY, 100 * MIB)
    assert look(pid, Limits(memory=180 * MIB)) is None


@needs_linux
def test_memory_in_files_that_is_mapped_counts_once(programs: Programs) -> None:
    pid, _ = programs.start(
        """
        import mmap
        file = os.memfd_create("held")
        os.ftruncate(file, 100 << 20)
        memory = mmap.mmap(file, 100 << 20)
        for place in range(0, 100 << 20, 4096):
            memory[place] = 1
        stay()
        """
    )
    assert look(pid, Limits(memory=100 * MIB)) == Exceeded(Limit.MEMORY, 100 * MIB)
    assert look(pid, Limits(memory=180 * MIB)) is None


def test_a_tree_of_which_the_kernel_has_killed_one_for_want_of_memory_is_beyond_its_limit() -> None:
    deaths: list[int] = []
    limits = Limits(memory=100 * MIB)
    watched = Watch(limits, (), (), grouped=frozenset({Limit.MEMORY}), ran_out=lambda: bool(deaths))
    assert watched.look(os.getpid()) is None
    deaths.append(1)
    assert watched.look(os.getpid()) == Exceeded(Limit.MEMORY, 100 * MIB)


# -- limits that the kernel sees to


def test_what_the_kernel_sees_to_is_not_looked_at(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    pid, _ = programs.start(FAMILY, processes=3)
    limits = Limits(memory=1, processes=1)
    assert look(pid, limits, grouped=frozenset({Limit.MEMORY})) == Exceeded(Limit.PROCESSES, 1)
    assert look(pid, limits, grouped=frozenset({Limit.PROCESSES})) == Exceeded(Limit.MEMORY, 1)
    monkeypatch.delattr(watch, "tree")
    assert look(pid, limits, grouped=frozenset({Limit.MEMORY, Limit.PROCESSES})) is None
    assert look(pid, Limits()) is None


# -- output


def test_more_output_than_allowed_is_seen_in_whatever_files_it_is(tmp_path: Path) -> None:
    files = (tmp_path / "out", tmp_path / "err")
    watched = Watch(Limits(output=100), (), files, grouped=NOTHING)
    assert watched.look(os.getpid()) is None  # there are none yet
    for file in files:
        file.write_bytes(b"x" * 50)
    assert watched.look(os.getpid()) is None
    files[1].write_bytes(b"x" * 51)
    assert watched.look(os.getpid()) == Exceeded(Limit.OUTPUT, 100)


def test_what_others_had_written_before_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"x" * 1_000)
    watched = Watch(Limits(output=100), (), (file,), grouped=NOTHING)
    file.write_bytes(b"x" * 1_100)
    assert watched.look(os.getpid()) is None
    file.write_bytes(b"x" * 1_101)
    assert watched.look(os.getpid()) == Exceeded(Limit.OUTPUT, 100)


@needs_linux
def test_output_counts_as_what_it_takes_of_the_disk_and_nothing_is_left_beyond_what_is_allowed(tmp_path: Path) -> None:
    taken, long = tmp_path / "out", tmp_path / "err"
    limits = Limits(output=MIB)
    watched = Watch(limits, (), (taken, long), grouped=NOTHING)
    with taken.open("wb") as stream:
        stream.write(b"x")
        stream.flush()
        keep_size = 1
        if ctypes.CDLL(None, use_errno=True).fallocate(stream.fileno(), keep_size, *map(ctypes.c_long, (0, 80 * MIB))):
            pytest.skip("this file system gives nothing ahead")
    assert watched.look(os.getpid()) == Exceeded(Limit.OUTPUT, MIB)
    long.touch()
    os.truncate(long, 1 << 43)
    watched.cut()
    assert (taken.stat().st_size, long.stat().st_size) == (1, MIB)
    assert taken.stat().st_blocks * 512 < MIB


# -- scratch


class Disk:
    """Of which somebody takes."""

    def __init__(self) -> None:
        self.free = 1000 * MIB

    def statvfs(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=self.free // 4096, f_frsize=4096)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr("os.statvfs", made.statvfs)
    return made


def fill(file: Path, size: int) -> None:
    with file.open("wb") as stream:
        stream.write(os.urandom(size))
        os.fsync(stream.fileno())


def scratch_watch(folders: Sequence[Path], allowed: int | None = 8 * MIB) -> Watch:
    return Watch(Limits(scratch=allowed), folders, (), grouped=NOTHING)


def test_a_scratch_that_grows_beyond_its_limit_is_seen(tmp_path: Path, disk: Disk) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "inner").mkdir(parents=True)
    other.mkdir()
    watched = scratch_watch((one, other))
    for file in (one / "inner" / "a", other / "b"):
        assert watched.look(os.getpid()) is None
        fill(file, 5 * MIB)
        disk.free -= 5 * MIB
    assert watched.look(os.getpid()) == Exceeded(Limit.SCRATCH, 8 * MIB)


def test_what_others_take_of_the_disk_is_not_the_scratchs(tmp_path: Path, disk: Disk) -> None:
    watched = scratch_watch((tmp_path,))
    fill(tmp_path / "a", MIB)
    disk.free -= 500 * MIB
    assert watched.look(os.getpid()) is None


def test_files_are_not_counted_while_the_disk_has_lost_little(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_SUMS", 3600)
    monkeypatch.delattr(watch, "disk_use")
    watched = scratch_watch((tmp_path,))
    for change in (-2 * MIB, +300 * MIB, -2 * MIB):
        disk.free += change
        assert watched.look(os.getpid()) is None


def test_a_loss_counts_from_when_the_disk_was_emptiest(tmp_path: Path, disk: Disk) -> None:
    watched = scratch_watch((tmp_path,))
    disk.free += 300 * MIB
    assert watched.look(os.getpid()) is None
    fill(tmp_path / "a", 9 * MIB)
    disk.free -= 9 * MIB
    assert watched.look(os.getpid()) == Exceeded(Limit.SCRATCH, 8 * MIB)


def test_a_scratch_is_counted_though_others_have_freed_as_much(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_SUMS", 0)
    watched = scratch_watch((tmp_path,))
    fill(tmp_path / "a", 9 * MIB)
    disk.free += 300 * MIB
    assert watched.look(os.getpid()) == Exceeded(Limit.SCRATCH, 8 * MIB)


def test_what_was_exceeded_right_before_the_end_is_seen(tmp_path: Path, disk: Disk) -> None:
    output = tmp_path / "out"
    watched = Watch(Limits(output=100, scratch=8 * MIB), (tmp_path / "s",), (output,), grouped=NOTHING)
    assert watched.last() is None
    (tmp_path / "s").mkdir()
    fill(tmp_path / "s" / "a", 9 * MIB)
    assert watched.last() == Exceeded(Limit.SCRATCH, 8 * MIB)
    output.write_bytes(b"x" * 101)
    assert watched.last() == Exceeded(Limit.OUTPUT, 100)


def test_only_what_is_on_the_disk_below_the_scratch_counts(tmp_path: Path, disk: Disk) -> None:
    scratch, elsewhere = tmp_path / "scratch", tmp_path / "elsewhere"
    scratch.mkdir()
    elsewhere.mkdir()
    fill(elsewhere / "big", 10 * MIB)
    (scratch / "file").symlink_to(elsewhere / "big")
    (scratch / "folder").symlink_to(elsewhere)
    with (scratch / "sparse").open("wb") as stream:
        stream.truncate(1000 * MIB)
    watched = scratch_watch((scratch,))
    disk.free -= 500 * MIB
    assert watched.look(os.getpid()) is None


def test_files_without_content_take_room_too(tmp_path: Path) -> None:
    for number in range(2100):
        (tmp_path / str(number)).touch()
    assert scratch_watch((tmp_path,)).last() == Exceeded(Limit.SCRATCH, 8 * MIB)


@needs_linux
@pytest.mark.parametrize("keeps", ["file", "memory"])
def test_a_deleted_file_counts_while_it_is_open_or_mapped(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch, keeps: str
) -> None:
    monkeypatch.setattr(watch, "_SUMS", 0)
    watched = scratch_watch((tmp_path,))
    pid, _ = programs.start(
        f"""
        import mmap
        os.chdir({str(tmp_path)!r})
        with open("big", "w+b") as file:
            file.write(os.urandom(9 << 20))
            file.flush()
            os.fsync(file.fileno())
            os.unlink("big")
            file = file if {keeps == "file"} else mmap.mmap(file.fileno(), 9 << 20)
            if {keeps == "file"}:
                fork(lambda: None)
                stay()
        fork(lambda: None)
        stay()
        """,
        processes=2,
    )
    assert disk_use((tmp_path,)) == 0
    assert watched.look(pid) == Exceeded(Limit.SCRATCH, 8 * MIB)


@pytest.mark.parametrize("folders", [(), ("absent",)])
def test_a_scratch_that_is_not_there_takes_nothing(tmp_path: Path, disk: Disk, folders: tuple[str, ...]) -> None:
    watched = scratch_watch([tmp_path / folder for folder in folders])
    disk.free = 0
    assert watched.look(os.getpid()) is None


def test_a_scratch_without_a_limit_may_grow(tmp_path: Path, disk: Disk) -> None:
    watched = scratch_watch((tmp_path,), None)
    disk.free = 0
    assert watched.look(os.getpid()) is None


# -- the price


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.1), (0.004, 0.1), (0.01, 0.2), (0.3, 0.5)])
def test_looks_that_cost_more_are_rarer_but_never_rare(
    monkeypatch: pytest.MonkeyPatch, took: float, pause: float
) -> None:
    watched = Watch(Limits(), (), (), grouped=NOTHING)
    assert watched.pause == 0.1
    moments = iter([10.0, 10.0 + took])
    monkeypatch.setattr(watch, "time", SimpleNamespace(perf_counter=lambda: next(moments)))
    watched.look(os.getpid())
    assert watched.pause == pytest.approx(pause)


@pytest.mark.parametrize(("depth", "length"), [(1500, 1), (60, 200)])
def test_what_lies_deep_or_at_a_long_path_is_counted(tmp_path: Path, depth: int, length: int) -> None:
    """As a program's own folder may be filled: by going down, a step at a time."""
    code = (
        "import os, sys\nos.chdir(sys.argv[1])\n"
        f"for _ in range({depth}): os.mkdir('d' * {length}); os.chdir('d' * {length})\n"
        "open('file', 'wb').write(os.urandom(1 << 20))\nos.sync()"
    )
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/beside").mkdir()
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "tree")], check=True)
    found = disk_use((tmp_path / "tree", tmp_path / "nothing"))
    remove_tree(tmp_path / "tree")
    assert MIB <= found < MIB + (depth + 8) * 8192
