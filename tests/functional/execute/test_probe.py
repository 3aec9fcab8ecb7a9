"""What is tried for real; what this machine allows is not the tests' matter, that it is told is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tf_tester.errors import OurFailure
from tf_tester.execute.probe import abilities, file_system_of, store_facts, uv_version

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="probes the Linux kernel")

NAMES = [
    "user namespaces",
    "overlay mounts",
    "network namespaces",
    "process namespaces",
    "own /proc",
    "Landlock",
    "seccomp filters",
    "control groups",
]


def test_what_a_killed_probe_has_left_is_swept_by_the_next(tmp_path: Path) -> None:
    """Where there is no store yet it lies in the folder above."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".tf-tester-probe-{ended.pid}-abcd/upper").mkdir(parents=True)
    (tmp_path / f".tf-tester-probe-{ended.pid}-0123").touch()
    for stays in (f".tf-tester-probe-{os.getpid()}-abcd", ".tf-tester-probe-1x-mine", "thesis"):
        (tmp_path / stays).mkdir()
    abilities(tmp_path / "no/store")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f".tf-tester-probe-{os.getpid()}-abcd", ".tf-tester-probe-1x-mine", "thesis"]
    )


def test_every_ability_is_available_or_says_what_failed(tmp_path: Path) -> None:
    found = abilities(tmp_path)
    assert [one.name for one in found] == NAMES
    for one in found:
        assert one.available or one.detail, one
        assert one.available == (one.error == ""), one
    assert list(tmp_path.iterdir()) == []


def test_abilities_are_told_also_where_the_store_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert [one.name for one in abilities(tmp_path / "file/store")] == NAMES


def test_probing_changes_nothing_for_ourselves(tmp_path: Path) -> None:
    def namespaces() -> list[str]:
        return sorted(str(link.readlink()) for link in Path("/proc/self/ns").iterdir())

    before = namespaces(), Path("/proc/self/mountinfo").read_text()
    abilities(tmp_path)
    assert (namespaces(), Path("/proc/self/mountinfo").read_text()) == before


def test_a_folder_that_can_be_written_is_fit_for_the_store(tmp_path: Path) -> None:
    facts = store_facts(tmp_path)
    assert (facts.folder, facts.exists, facts.problem) == (tmp_path, True, "")
    assert facts.free > 0
    assert facts.file_system
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_judged_by_the_one_above_and_not_made(tmp_path: Path) -> None:
    facts = store_facts(tmp_path / "a/b")
    assert (facts.exists, facts.problem) == (False, "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert store_facts(tmp_path / "file/store").problem == f"{tmp_path}/file: Not a directory"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_says_why(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert store_facts(tmp_path / "store").problem == f"{tmp_path}: Permission denied"


def test_without_hard_links_the_store_can_still_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    facts = store_facts(tmp_path)
    assert (facts.problem, facts.hard_links) == ("", False)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_and_latest_mount_tells_the_file_system() -> None:
    mounts = "\n".join(
        f"1 2 0:1 / {point} rw - {kind} none rw"
        for point, kind in [("/", "ext4"), ("/d", "xfs"), ("/data", "nfs4"), ("/data", "btrfs"), ("/dat", "tmpfs")]
    )
    assert file_system_of(Path("/data/store"), mounts) == "btrfs"
    assert file_system_of(Path("/database"), mounts) == "ext4"
    assert file_system_of(Path("/x"), "garbage\n\n - \n") == ""


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_uv_says_its_version(tmp_path: Path) -> None:
    assert uv_version(script(tmp_path / "uv", "echo 'uv 0.9.2 (abc 2026-01-01)'")) == "0.9.2"


@pytest.mark.parametrize("body", ["echo hello", "exit 3"])
def test_what_is_no_uv_is_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(OurFailure):
        uv_version(script(tmp_path / "uv", body))


def test_a_missing_uv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OurFailure, match="does not start: No such file or directory"):
        uv_version(tmp_path / "uv")
