"""Cores and memory within a container, with files that play the kernel's."""

from pathlib import Path

import pytest

from tf_tester.execute.machine import memory, memory_limit, usable_cores


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
