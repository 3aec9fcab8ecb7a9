"""When a result is kept for later runs; `tests/integration/test_baseline.py` has what a user sees of it."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tf_tester.flow import replay
from tf_tester.flow.replay import Replay
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Trial


class Run:
    """One run in a folder, whose clock stands still."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.kept: list[str] = []
        self.looks = 0
        self.now = 0.0
        self.distrusted: list[str] = []
        results = SimpleNamespace(
            recall=lambda _: None,
            remember=lambda key, _: self.kept.append(key),
            distrust=self.distrusted.append,
        )
        services: Any = SimpleNamespace(
            history=SimpleNamespace(results=results), run=SimpleNamespace(environ={}, monotonic=self._clock)
        )
        look = replay._look

        def counted(*words: Any) -> Any:
            self.looks += 1
            self.now += 1  # it takes a second
            return look(*words)

        monkeypatch.setattr(replay, "_look", counted)
        monkeypatch.setattr(Replay, "_key", lambda self, planned, _: planned if self._seen is not None else "")
        self.replay = Replay(Trial(cwd=folder), (), services)

    def _clock(self) -> float:
        return self.now

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def begin(self, cell: Any) -> None:
        assert self.replay.find(cell, None) is None  # type: ignore[arg-type]

    def end(self, cell: Any, outcome: Outcome = Outcome.PASS) -> None:
        self.replay.keep(cell, None, CellResult("", outcome))  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    made = Run(tmp_path, monkeypatch)
    made.write("test.py", "x = 1")
    yield made


def test_many_that_end_together_are_kept_after_two_looks(run: Run) -> None:
    for cell in "abcdef":
        run.begin(cell)
    for cell in "abcdef":
        run.end(cell)
    assert (run.kept, run.looks) == (["a"], 2), "the first look is the one at the beginning"
    run.replay.settle()
    assert (run.kept, run.looks) == ([*"abcdef"], 3)
    run.replay.settle()
    assert run.looks == 3


def test_after_a_while_it_looks_again(run: Run) -> None:
    run.begin("a")
    run.end("a")
    run.now += 21
    run.end("b")
    assert run.kept == ["a", "b"]


@pytest.mark.parametrize("name", ["test.py", "new.py", ".venv/lib/module.py", ".git/index"])
def test_nothing_is_kept_that_ended_after_a_change(run: Run, name: str) -> None:
    run.write(".venv/pyvenv.cfg", "")
    run.write(".venv/lib/module.py", "")
    run.write(".git/index", "")
    run.begin("a")
    run.end("a")
    run.write(name, "x = 2, and longer")
    run.end("b")
    run.replay.settle()
    assert run.kept == ["a"]


def test_only_passes_are_kept(run: Run) -> None:
    outcomes = (Outcome.FAIL, Outcome.TIMEOUT, Outcome.INTERRUPTED, Outcome.SKIP)
    for outcome in outcomes:
        run.begin(outcome)
        run.end(outcome, outcome)
    run.replay.settle()
    assert run.kept == [Outcome.SKIP]
    assert run.distrusted == [Outcome.FAIL, Outcome.TIMEOUT]


@pytest.mark.skipif(os.name != "posix", reason="has links and a pipe")
def test_what_is_looked_at(tmp_path: Path) -> None:
    places = ("b.py", "a/z.py", "a/pkg/m.py", "a/__pycache__/m.pyc", ".venv/pyvenv.cfg", ".venv/lib/m.py", ".git/o/1")
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(place)
    (tmp_path / "folder-link").symlink_to("a")
    (tmp_path / "file-link").symlink_to("b.py")
    (tmp_path / "broken-link").symlink_to("nowhere")
    (tmp_path / "endless-link").symlink_to("endless-link")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "own.json").write_text("{}")
    found = replay._look([tmp_path], {tmp_path / "own.json"})
    assert found is not None
    assert [(os.path.relpath(file.path, tmp_path), file.hashed) for file in found] == [
        ("b.py", True),
        ("broken-link", True),
        ("endless-link", True),
        ("file-link", True),
        ("folder-link", True),
        (".git/o/1", False),
        (".venv/pyvenv.cfg", False),
        (".venv/lib/m.py", False),
        ("a/z.py", True),
        ("a/pkg/m.py", True),
    ]
    assert [file.size for file in found if file.path.endswith("file-link")] == [len("b.py")]


def test_too_many_files_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    assert replay._look([tmp_path], ()) is not None
    monkeypatch.setattr(replay, "_MOST_FILES", 2)
    assert replay._look([tmp_path], ()) is None
