"""Probes pass with versions that are known to work: they are no reason to doubt one."""

from pathlib import Path

import pytest

from tests.real.conftest import Tool, need

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("package", "versions", "python", "besides"),
    [
        ("numpy", "1.26.4,2.2.6", "3.11", ()),
        ("pandas", "1.5.3,2.2.3", "3.11", ()),
        ("scikit-learn", "1.2.2,1.7.2", "3.11", ()),
        ("jax", "0.4.30,0.6.2", "3.11", ()),
        ("onnxruntime", "1.16.3,1.22.1", "3.11", ()),
        ("tensorflow-cpu", "2.4.0,2.16.1", "", ()),
        ("idna", "2.10,3.7", "3.11", ()),
        ("transformers", "4.40.2,4.57.1", "3.11", ()),
    ],
)
def test_what_works_passes(
    tool: Tool, tmp_path: Path, package: str, versions: str, python: str, besides: tuple[str, ...]
) -> None:
    if python:
        need(python)
    words = ("--probe", "--package", package, "--versions", versions, *(("--python", python) if python else ()))
    run = tool.test(tmp_path, *words, *besides)
    assert set(run.outcomes.values()) == {"pass"}, run.out
