"""Cores and memory within a container, with files that play the kernel's."""

import sys
from pathlib import Path

import pytest

from tf_tester.execute.machine import machine_class, memory, memory_limit, usable_cores


def kernel_says(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_a_containers_quota_limits_the_cores(tmp_path: Path) -> None:
    assert usable_cores(kernel_says(tmp_path, cpu_DOT_max="100000 100000\n")) == 1
    assert usable_cores(kernel_says(tmp_path, cpu_DOT_max="10000 100000\n")) == 1


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense", "1 0", "9999999999 1"])
def test_no_quota_leaves_what_the_process_may_use(tmp_path: Path, text: str) -> None:
    assert usable_cores(kernel_says(tmp_path, cpu_DOT_max=text)) == usable_cores(tmp_path / "nothing")


def test_the_older_control_groups_are_read_too(tmp_path: Path) -> None:
    kernel_says(tmp_path, cpu__cpu_DOT_cfs_quota_us="50000\n", cpu__cpu_DOT_cfs_period_us="100000\n")
    kernel_says(tmp_path, memory__memory_DOT_limit_in_bytes="9223372036854771712\n")
    assert usable_cores(tmp_path) == 1
    assert memory_limit(tmp_path) is None


def test_a_containers_limit_is_its_memory(tmp_path: Path) -> None:
    kernel_says(tmp_path, memory_DOT_max="1048576\n", memory_DOT_current="1000000\n")
    assert memory(tmp_path) == (1048576, 48576)


def test_without_a_limit_it_is_the_machines_memory(tmp_path: Path) -> None:
    total, available = memory(tmp_path)
    assert 0 < available <= total


# -- its class


def test_the_class_of_a_machine(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU\n"
        "flags\t\t: fpu cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3\n\nprocessor\t: 1\nflags\t\t: nothing\n"
    )
    (tmp_path / "os-release").write_text('NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n')
    found = machine_class(tmp_path / "cpuinfo", [tmp_path / "none", tmp_path / "os-release"])
    assert found.distribution == "debian 12"
    assert found.cpu == ("x86-64-v2" if found.architecture == "x86_64" else found.cpu)


def test_a_machine_that_tells_nothing_has_a_class(tmp_path: Path) -> None:
    found = machine_class(tmp_path / "none", [tmp_path / "none"])
    assert (found.system, found.distribution) == (sys.platform, "")
