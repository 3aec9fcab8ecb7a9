"""A small world: an index with a framework called toy, and the command line as a user starts it."""

import atexit
import functools
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pytest

from tests.forking import PYTHONPATH, Death, Process, start
from tests.simulator import Simulator
from tests.wheels import make_wheel

_PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
_PYGMENTS = ("__init__", "_mapping", "default", "diff", "python", "special", "terminal")


@dataclass(frozen=True)
class Run:
    """One finished command."""

    code: int
    out: str
    err: str

    def record(self) -> list[dict[str, Any]]:
        """The events of the run, found where the report says."""
        folder = next(line.removeprefix("Evidence: ") for line in self.out.splitlines() if line.startswith("Evidence:"))
        return [json.loads(line) for line in (Path(folder) / "record.jsonl").read_text().splitlines()]

    def results(self) -> dict[str, dict[str, Any]]:
        """Results by version."""
        found = [event["result"] for event in self.record() if event["event"] == "cell-finished"]
        return {result["cell"].split("==")[1].split("@")[0]: result for result in found}

    def outcomes(self) -> dict[str, str]:
        return {version: result["outcome"] for version, result in self.results().items()}


class User:
    """Somebody at a prompt, in a folder of his own, with a store of his own."""

    def __init__(self, home: Path, index: Simulator) -> None:
        self.home = home
        self.folder = home / "project"
        self.folder.mkdir()
        self.store = home / "store"
        self.env = {
            "PATH": os.defpath,
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": PYTHONPATH,
            "TF_TESTER_STORE": str(self.store),
            "TF_TESTER_INDEX_URL": index.simple_url,
            "TF_TESTER_PACKAGE": "toy",
            "TF_TESTER_PYTHON": sys.executable,
        }

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, *words: str, env: Mapping[str, str] | None = None, dies_at: Death | None = None) -> Process:
        """Start a command; see `forking.start`."""
        known = self.store / "interpreters"
        if not known.exists():
            self.store.mkdir(exist_ok=True)
            _known_to_uv().mkdir(exist_ok=True)  # whatever sweeps the folder for temporary files
            if not known.is_symlink():
                known.symlink_to(_known_to_uv())
        return start(words, cwd=self.folder, env={**self.env, **(env or {})}, dies_at=dies_at)

    def run(self, *words: str, env: Mapping[str, str] | None = None, dies_at: Death | None = None) -> Run:
        return finish(self.start(*words, env=env, dies_at=dies_at))


@functools.cache
def _known_to_uv() -> Path:
    """Return what uv knows of interpreters, for all stores: asking one takes longer than a resolution here."""
    folder = Path(tempfile.mkdtemp(prefix="tf-tester-uv-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def finish(process: Process) -> Run:
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    run = Run(process.wait(), out, err)
    assert "Traceback" not in err, err
    return run


@pytest.fixture
def index() -> Iterator[Simulator]:
    """toy 1.0 (2020), 1.1 (2021) and 2.0 (2022); its dependency gear breaks toy 1.x from 3.0 (2023) on."""
    with Simulator() as simulator:
        for version, date in (("1.0", "2020-03-01"), ("1.1", "2021-03-01"), ("2.0", "2022-03-01")):
            check = (
                "" if version == "2.0" else "if gear.MAJOR >= 3: raise TypeError('Gears cannot be created directly.')\n"
            )
            source = f"import gear\n{check}__version__ = {version!r}\ndef spin(): return {version.split('.')[0]}\n"
            filename, content = make_wheel("toy", version, files={"toy.py": source}, requires=["gear>=1"])
            simulator.add_wheel(filename, content, upload_time=f"{date}T00:00:00Z")
        for version, date in (("1.0", "2019-01-01"), ("2.0", "2020-02-01"), ("3.0", "2023-01-01")):
            filename, content = make_wheel("gear", version, files={"gear.py": f"MAJOR = {version[0]}\n"})
            simulator.add_wheel(filename, content, upload_time=f"{date}T00:00:00Z")
        yield simulator


@pytest.fixture
def user(tmp_path: Path, index: Simulator) -> User:
    return User(tmp_path, index)


@pytest.fixture
def with_pytest(index: Simulator) -> None:
    """Put the pytest that runs these tests on the index, so that the tested environments can have it."""
    for wheel in _pytest_wheels():
        index.add_wheel(*wheel)


@functools.cache
def _pytest_wheels() -> list[tuple[str, bytes]]:
    made = []
    for name in _PYTEST:
        distribution = importlib.metadata.distribution(name)
        files = {
            str(path): path.read_binary()
            for path in distribution.files or ()
            if path.suffix != ".pyc" and ".." not in path.parts and ".dist-info" not in str(path) and _is_used(path)
        }
        requires = [text for text in distribution.requires or () if "extra" not in text]
        made.append(make_wheel(name, distribution.version, files=files, requires=requires))
    return made


def _is_used(path: PurePath) -> bool:
    """Return whether pytest needs it: three hundred files of pygments, for other languages and looks, it doesn't."""
    return path.parts[0] != "pygments" or path.parent.name == "pygments" or path.stem in _PYGMENTS
