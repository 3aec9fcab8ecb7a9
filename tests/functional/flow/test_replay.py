"""When a result is kept for later runs; `tests/integration/run/test_replaying.py` has what a user sees of it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tf_tester.flow.run import user_files
from tf_tester.flow.run.replay import Replay
from tf_tester.flow.run.user_files import SeenFiles, UserFiles
from tf_tester.model.outcome import CellResult, Outcome
from tf_tester.model.request import Trial


class Run:
    """One run in a folder, whose clock stands still but for looks at the folder."""

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
        look = UserFiles.look

        def counted(files: UserFiles) -> SeenFiles:
            self.looks += 1
            self.now += 1  # it takes a second
            return look(files)

        digests: Any = None
        files = UserFiles(Trial(cwd=folder), {}, digests, (), is_sandboxed=True)
        monkeypatch.setattr(UserFiles, "look", counted)
        monkeypatch.setattr(Replay, "_key", lambda self, planned, _: planned if files.first.is_complete else "")
        self.replay = Replay(files, (), services)

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


@pytest.mark.parametrize("name", ["test.py", "new.py", "new/__pycache__/x.pyc"])
def test_nothing_is_kept_that_ended_after_a_change(run: Run, name: str) -> None:
    """What is to be hidden and wasn't there at the beginning may have been seen."""
    run.begin("a")
    run.end("a")
    run.write(name, "x = 2, and longer")
    run.end("b")
    run.replay.settle()
    assert run.kept == ["a"]


def test_a_change_of_what_is_hidden_is_none(run: Run) -> None:
    run.write(".git/index", "")
    run.write("__pycache__/x.pyc", "")
    run.begin("a")
    run.write(".git/index", "another")
    run.write("__pycache__/y.pyc", "")
    run.end("a")
    assert run.kept == ["a"]


def test_it_is_told_why_nothing_is_reused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.replay.remarks() == ()
    monkeypatch.setattr(user_files, "MOST_FILES", 0)
    [remark] = run.replay.remarks()
    assert remark == (
        "no pass of an earlier run is reused, and none kept: the folders of the tests have more than 0 files"
    )
    run.replay._results = None  # as with --no-cache
    assert run.replay.remarks() == ()


def test_only_passes_are_kept(run: Run) -> None:
    outcomes = (Outcome.FAIL, Outcome.TIMEOUT, Outcome.INTERRUPTED, Outcome.SKIP, Outcome.EMPTY)
    for outcome in outcomes:
        run.begin(outcome)
        run.end(outcome, outcome)
    run.replay.settle()
    assert run.kept == [Outcome.SKIP]
    assert run.distrusted == [Outcome.FAIL, Outcome.TIMEOUT]
