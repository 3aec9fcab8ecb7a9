"""Which dependencies belong to a release, on real pages; only resolved."""

import tomllib
from pathlib import Path

import pytest

from tests.real.conftest import Tool, need

pytestmark = pytest.mark.real


def locked(tool: Tool, folder: Path, *words: str) -> dict[str, dict[str, str]]:
    """Return what each lock has, by the name of its file."""
    done = tool.run(folder, "lock", *words)
    assert done.returncode == 0, done.stderr
    return {
        file.name: {one["name"]: one["version"] for one in tomllib.loads(file.read_text("utf-8"))["packages"]}
        for file in sorted((folder / "locks").iterdir())
    }


def test_a_major_release_that_breaks_a_version_a_week_later_is_not_of_its_era(tool: Tool, tmp_path: Path) -> None:
    need("3.10")
    words = ("--package", "tensorflow-cpu", "--versions", "2.8.1", "--python", "3.10")
    [usual] = locked(tool, tmp_path, *words).values()
    assert (usual["protobuf"], usual["numpy"]) == ("3.20.1", "1.22.4")
    [longer] = locked(tool, tmp_path, *words, "--grace", "15d").values()
    assert longer["protobuf"] == "4.21.1"


def test_the_python_is_one_on_which_all_goes_together(tool: Tool, tmp_path: Path) -> None:
    need("3.7", "3.8")
    found = locked(tool, tmp_path, "--package", "tensorflow-cpu", "--versions", "2.3.0", "--with", "numpy<1.17")
    assert {name: pins["numpy"] for name, pins in found.items()} == {"pylock.tensorflow-cpu-2-3-0-py3-7.toml": "1.16.6"}
