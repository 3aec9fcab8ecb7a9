"""Groups are made where the kernel lets us make them, and nothing is held elsewhere."""

import errno
import os
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import ClassVar

import pytest

from tf_tester.execute import groups
from tf_tester.execute.groups import ControlGroups, Group
from tf_tester.model.host.limits import Limit, Limits

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the kernel's files are made of POSIX paths")

US = str(os.getpid())
BOTH = Limits(memory=1 << 30, processes=100)
V1 = "5:pids:/user\n4:cpu,cpuacct:/\n3:memory:/jobs/1\n2:name=systemd:/\n"
V2 = "0::/ours.scope\n"


class KernelFolder(PosixPath):
    """A folder whose control files come, go and answer by themselves."""

    FILES: ClassVar = {
        (1, "memory"): ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"),
        (1, "pids"): ("pids.max",),
        (2, "memory"): ("memory.max", "memory.swap.max", "memory.oom.group", "memory.events"),
        (2, "pids"): ("pids.max",),
    }
    refused: ClassVar[set[str]] = set()
    """Names of files that can't be written."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        new = not self.exists()
        super().mkdir(mode, parents, exist_ok)
        if new:
            self.furnish()

    def furnish(self) -> None:
        above = self.parent / "cgroup.subtree_control"
        version = 2 if above.exists() else 1
        controllers = above.read_text().split() if version == 2 else {*self.parts} & {"memory", "pids"}
        files = [file for controller in controllers for file in self.FILES.get((version, controller), ())]
        for file in ["cgroup.procs", *files]:
            (self / file).touch()
        if version == 2:
            Path(self, "cgroup.controllers").write_text(" ".join(controllers))
            (self / "cgroup.subtree_control").touch()

    def rmdir(self) -> None:
        if (self / "cgroup.procs").exists() and (self / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, "Device or resource busy")
        for file in self.iterdir():
            if file.is_file():
                file.unlink()
        super().rmdir()

    def write_text(
        self, data: str, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> int:
        if self.name in self.refused or not self.exists():
            raise PermissionError(errno.EACCES, "Permission denied")
        if self.name == "cgroup.subtree_control":
            if (self.parent / "cgroup.procs").read_text():
                raise OSError(errno.EBUSY, "Device or resource busy")
            data = data.replace("+", "")
        if self.name == "cgroup.procs":
            Path(self.parent.parent, self.name).write_text("")
        return super().write_text(data, encoding, errors, newline)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(KernelFolder, "refused", set())
    return KernelFolder(tmp_path / "cgroup")


def refuse(*names: str) -> None:
    KernelFolder.refused |= {*names}


def control_groups(root: Path, membership: str) -> ControlGroups:
    file = Path(root.parent, "membership")
    file.write_text(membership)
    return ControlGroups(root=root, membership=file)


def first(root: Path) -> ControlGroups:
    """Version 1: a tree for each controller, with the groups of `V1`."""
    for folder in (root / "memory" / "jobs" / "1", root / "pids" / "user"):
        folder.mkdir(parents=True)
    return control_groups(root, V1)


def second(root: Path, *, processes: str, given: str = "", available: str = "cpu memory pids") -> ControlGroups:
    """Version 2: our group with these processes, and the controllers given to groups below it."""
    ours = root / "ours.scope"
    Path(ours).mkdir(parents=True)
    texts = {
        "ours.scope/cgroup.controllers": available,
        "ours.scope/cgroup.subtree_control": given,
        "ours.scope/cgroup.procs": processes,
        "cgroup.controllers": "cpu memory pids",
    }
    for name, text in texts.items():
        Path(root, name).write_text(text)
    return control_groups(root, V2)


def texts(group: Group) -> dict[str, str]:
    """What was written into a group's files."""
    return {
        file.name: file.read_text()
        for folder in group.folders
        for file in folder.iterdir()
        if file.is_file() and file.read_text() and file.name != "cgroup.controllers"
    }


def groups_in(root: Path) -> list[str]:
    return sorted(folder.name for folder in root.rglob("tf-tester-*"))


# -- version 1


def test_version_1_has_a_folder_for_each_limit_below_where_we_are(root: Path) -> None:
    group = first(root).make(BOTH)
    assert [folder.parent for folder in group.folders] == [root / "memory" / "jobs" / "1", root / "pids" / "user"]
    assert group.held == {Limit.MEMORY, Limit.PROCESSES}
    assert texts(group) == {
        "memory.limit_in_bytes": "1073741824",
        "memory.memsw.limit_in_bytes": "1073741824",
        "pids.max": "101",  # one is the launcher's
    }


def test_version_1_does_without_counting_swapped_memory(root: Path) -> None:
    refuse("memory.memsw.limit_in_bytes")
    assert first(root).make(BOTH).held == {Limit.MEMORY, Limit.PROCESSES}


def test_one_controller_of_two_is_used(root: Path) -> None:
    made = first(root)
    (root / "pids" / "user").rmdir()
    group = made.make(BOTH)
    assert len(group.folders) == 1
    assert group.held == {Limit.MEMORY}


def test_the_trees_of_version_1_are_used_beside_an_empty_one_of_version_2(root: Path) -> None:
    made = first(root)
    (root / "unified" / "user.slice").mkdir(parents=True)
    Path(root, "unified", "cgroup.controllers").write_text("")
    made = control_groups(root, f"{V1}0::/user.slice\n")
    group = made.make(BOTH)
    assert {folder.relative_to(root).parts[0] for folder in group.folders} == {"memory", "pids"}
    assert group.held == {Limit.MEMORY, Limit.PROCESSES}


# -- version 2


def test_version_2_has_one_folder_for_all_limits(root: Path) -> None:
    group = second(root, processes="", given="memory pids").make(BOTH)
    assert [folder.parent for folder in group.folders] == [root / "ours.scope"]
    assert group.held == {Limit.MEMORY, Limit.PROCESSES}
    assert texts(group) == {
        "memory.max": "1073741824",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "101",
    }


def test_nobody_is_moved_where_groups_below_have_their_controllers(root: Path) -> None:
    made = second(root, processes=f"1\n{US}\n", given="cpu memory pids")
    group = made.make(BOTH)
    assert group.held == {Limit.MEMORY, Limit.PROCESSES}
    assert groups_in(root) == [group.folders[0].name]
    assert Path(root, "ours.scope", "cgroup.procs").read_text() == f"1\n{US}\n"


def test_we_move_down_where_we_are_alone(root: Path) -> None:
    group = second(root, processes=f"{US}\n").make(BOTH)
    assert group.held == {Limit.MEMORY, Limit.PROCESSES}
    assert [folder.parent for folder in group.folders] == [root / "ours.scope"]
    assert Path(root, "ours.scope", f"tf-tester-{US}", "cgroup.procs").read_text() == US
    assert Path(root, "ours.scope", "cgroup.subtree_control").read_text() == "memory pids"


def test_we_move_once(root: Path) -> None:
    made = second(root, processes=f"{US}\n")
    names = {folder.name for group in (made.make(BOTH), made.make(BOTH)) for folder in group.folders}
    assert len(names) == 2
    assert groups_in(root) == sorted([f"tf-tester-{US}", *names])


@pytest.mark.parametrize("with_us", ["1\n{us}\n", "{us}\n99999\n", "1\n"])
def test_nothing_is_held_where_others_are_with_us(root: Path, with_us: str) -> None:
    processes = with_us.format(us=US)
    group = second(root, processes=processes).make(BOTH)
    assert group == Group((), frozenset())
    assert groups_in(root) == []
    assert Path(root, "ours.scope", "cgroup.procs").read_text() == processes


def test_nothing_is_held_where_we_may_not_move(root: Path) -> None:
    refuse("cgroup.procs")
    assert second(root, processes=f"{US}\n").make(BOTH) == Group((), frozenset())


def test_only_what_was_given_to_groups_below_is_held(root: Path) -> None:
    group = second(root, processes="1\n", given="cpu pids").make(BOTH)
    assert group.held == {Limit.PROCESSES}
    assert texts(group) == {"pids.max": "101"}


def test_a_controller_that_is_not_there_is_not_asked_for(root: Path) -> None:
    group = second(root, processes="", given="pids", available="cpu pids").make(BOTH)
    assert group.held == {Limit.PROCESSES}


def test_all_of_a_group_ends_together_though_there_is_no_swap(root: Path) -> None:
    refuse("memory.swap.max")
    assert texts(second(root, processes="", given="memory pids").make(BOTH))["memory.oom.group"] == "1"


# -- where nothing can be had


@pytest.mark.parametrize("membership", ["", V1, V2, f"{V1}{V2}"])
def test_nothing_is_held_where_there_are_no_folders(root: Path, membership: str) -> None:
    assert control_groups(root, membership).make(BOTH) == Group((), frozenset())


def test_nothing_is_held_on_a_system_without_groups(root: Path) -> None:
    assert ControlGroups(root=root, membership=root / "none").make(BOTH) == Group((), frozenset())


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_is_held_where_nothing_may_be_written(
    root: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = first(root) if version == 1 else second(root, processes="", given="memory pids")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert made.make(BOTH) == Group((), frozenset())
    assert groups_in(root) == []


def test_nothing_is_held_where_no_folder_can_be_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = first(root)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(KernelFolder, "mkdir", full)
    assert made.make(BOTH) == Group((), frozenset())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("files", "held"),
    [
        ({"pids.max"}, {Limit.MEMORY}),
        ({"memory.max", "memory.limit_in_bytes"}, {Limit.PROCESSES}),
        ({"pids.max", "memory.max", "memory.limit_in_bytes"}, set()),
    ],
)
def test_a_limit_that_is_refused_is_not_held_and_its_folder_goes_too(
    root: Path, version: int, files: set[str], held: set[Limit]
) -> None:
    made = first(root) if version == 1 else second(root, processes="", given="memory pids")
    refuse(*files)
    group = made.make(BOTH)
    assert group.held == held
    group.remove()
    assert groups_in(root) == []


def test_what_is_not_limited_needs_no_group(root: Path) -> None:
    made = first(root)
    assert made.make(Limits(output=1, scratch=1)) == Group((), frozenset())
    assert made.make(Limits(processes=1)).held == {Limit.PROCESSES}
    assert made.make(Limits(memory=1)).held == {Limit.MEMORY}


def test_what_can_be_had_is_found_out_once(root: Path) -> None:
    made = first(root)
    made.make(BOTH)
    (root.parent / "membership").unlink()
    assert made.make(BOTH).held == {Limit.MEMORY, Limit.PROCESSES}


# -- afterwards


@pytest.mark.parametrize("version", [1, 2])
def test_a_removed_group_leaves_nothing(root: Path, version: int) -> None:
    made = first(root) if version == 1 else second(root, processes="", given="memory pids")
    one, other = made.make(BOTH), made.make(BOTH)
    one.remove()
    assert not any(folder.exists() for folder in one.folders)
    assert all(folder.exists() for folder in other.folders)
    one.remove()


def test_a_group_is_removed_when_its_last_process_has_gone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = first(root).make(BOTH)
    memory = group.folders[0]
    Path(memory, "cgroup.procs").write_text("4711")
    time = SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _: Path(memory, "cgroup.procs").write_text(""))
    monkeypatch.setattr(groups, "time", time)
    group.remove()
    assert groups_in(root) == []


def test_a_folder_that_stays_keeps_no_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = first(root).make(BOTH)
    memory, pids = group.folders
    Path(memory, "cgroup.procs").write_text("4711")
    seconds = iter(range(1_000))
    monkeypatch.setattr(groups, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None))
    group.remove()
    assert memory.exists()
    assert not pids.exists()


@pytest.mark.parametrize(
    ("version", "file", "text", "ran_out"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", True),
        (1, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n", False),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 1\n", False),
        (2, "memory.events", "low 0\nhigh 0\nmax 31\noom 1\noom_kill 1\noom_group_kill 1\n", True),
        (2, "memory.events", "low 0\nhigh 0\nmax 31\noom 1\noom_kill 0\n", False),
    ],
)
def test_a_group_ran_out_when_the_kernel_has_killed_in_it(
    root: Path, version: int, file: str, text: str, ran_out: bool
) -> None:
    made = first(root) if version == 1 else second(root, processes="", given="memory pids")
    group = made.make(BOTH)
    assert not group.ran_out()
    Path(group.folders[0], file).write_text(text)
    assert group.ran_out() is ran_out


def test_a_group_without_folders_never_runs_out() -> None:
    assert not Group((), frozenset()).ran_out()


def test_groups_of_the_dead_are_swept_and_those_of_the_living_stay(root: Path) -> None:
    groups = first(root)
    parent = root / "memory" / "jobs" / "1"
    for name in ("tf-tester-999999999-ab", f"tf-tester-{US}-cd", "tf-tester-999999998-ef", "others"):
        (parent / name).mkdir()
    Path(parent, "tf-tester-999999998-ef", "cgroup.procs").write_text("1")  # somebody is in it
    made = {folder.name for folder in groups.make(BOTH).folders}
    left = {entry.name for entry in parent.iterdir() if entry.is_dir()}
    assert left - made == {f"tf-tester-{US}-cd", "tf-tester-999999998-ef", "others"}
