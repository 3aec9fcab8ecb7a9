"""Fixtures of the tests that start the harness."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.functional.harness.bench import HARNESS, Bench, interpreters


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with ``python`` in every interpreter, and one with ``edge`` in the oldest and the newest.

    `make test` takes of all the oldest, the newest and the one that it runs in.
    """
    every = interpreters()
    edges = [*every][:1] + [*every][1:][-1:]
    some = {*(every[version] for version in edges), sys.executable}
    if "python" in metafunc.fixturenames:
        rows = [pytest.param(one, marks=() if one in some else pytest.mark.whole) for one in every.values()]
        metafunc.parametrize("python", rows, ids=every.keys())
    if "edge" in metafunc.fixturenames:
        metafunc.parametrize("edge", [every[version] for version in edges], ids=edges)


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the harness, so that its bytecode is not written into the source tree."""
    return Path(shutil.copytree(HARNESS, tmp_path_factory.mktemp("harness") / "harness"))


@pytest.fixture
def bench(tmp_path: Path, harness: Path) -> Bench:
    (tmp_path / "user").mkdir()
    return Bench(tmp_path / "user", harness)
