"""However a run ends, its record says so, with the process's exit code: `test`, `bisect` and `blame`."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import junitparser
import pytest

from tests.fake_world import Behaviour, FakeWorld
from tf_tester import wiring
from tf_tester.cli import main
from tf_tester.errors import StoreError, UsageError, exit_code_of
from tf_tester.flow.explain import bisect as bisecting
from tf_tester.flow.explain import blame as blaming
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run import frame
from tf_tester.flow.run import test as testing
from tf_tester.flow.run.frame import carry_out
from tf_tester.model.events import CellFinished, Event, RunFinished, RunStarted

TEST = ("test", "--package", "toy", "--versions", "all")
BISECT = ("bisect", "--package", "toy", "--good", "1.0", "--bad", "1.2")
BLAME = ("blame", "--package", "toy", "--versions", "1.0")
COMMANDS = (TEST, BISECT, BLAME)


def breaks_with_11(toy: str, gear: str) -> int:
    """For `bisect`: toy 1.1 and later fail. For `blame`: gear 2.0 does."""
    return int(toy >= "1.1" or gear >= "2.0")


class Process:
    """The command line with a world of fakes, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.behaviour: Behaviour = breaks_with_11
        self.hear: Callable[[Event], None] = lambda _event: None
        """Hears of each event after the record."""
        self.world: FakeWorld | None = None
        self._runs = 0
        monkeypatch.setattr(wiring, "services", self._services)
        monkeypatch.setenv("TF_TESTER_STORE", str(folder / "store"))
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.chdir(folder)

    @contextmanager
    def _services(self, settings: Any, tell: Callable[[Path], Any], **_: Any) -> Iterator[Services]:
        place = self.folder / f"run-{self._runs}"
        record = tell(place / "run")

        def told(event: Event) -> None:
            record(event)
            self.hear(event)

        self.world = FakeWorld(place, self.behaviour, told)
        yield self.world.services()

    def run(self, *words: str) -> int:
        """The exit code of a command."""
        self._runs += 1
        return main._exit_code([*words, "--", "true"])

    def record(self) -> list[dict[str, Any]]:
        """The events of the last run; none where there is no record."""
        file = self.folder / f"run-{self._runs}" / "run" / "record.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def end(self) -> tuple[str, int, bool]:
        """The last event: its name, the exit code and whether the run was interrupted."""
        last = self.record()[-1]
        return last["event"], last.get("exit_code", -1), last.get("interrupted", False)


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(tmp_path, monkeypatch)


# -- ways to end


@pytest.mark.parametrize(
    ("command", "behaviour", "code"),
    [
        (TEST, lambda toy, gear: 0, 0),
        (TEST, breaks_with_11, 1),
        (BISECT, breaks_with_11, 0),
        ((*BISECT, "--all-transitions"), lambda toy, gear: 0, 3),
        (BLAME, breaks_with_11, 0),
        # It fails with both, but not alone: no pin, no cause.
        (BISECT, lambda toy, gear: 0, 2),
        (BLAME, lambda toy, gear: 0, 2),
    ],
    ids=["test", "test fails", "bisect", "bisect finds nothing", "blame", "bisect: both pass", "blame: both pass"],
)
def test_the_record_ends_with_the_exit_code(
    process: Process, command: tuple[str, ...], behaviour: Behaviour, code: int
) -> None:
    process.behaviour = behaviour
    assert process.run(*command) == code
    assert process.end() == ("run-finished", code, False)
    assert [event["event"] for event in process.record()].count("run-finished") == 1


def test_ctrl_c_within_a_cell_of_a_search_ends_that_cell_too(process: Process) -> None:
    def behaviour(toy: str, gear: str) -> int:
        raise KeyboardInterrupt

    process.behaviour = behaviour
    assert process.run(*BISECT) == 130
    begun = {event["cell"] for event in process.record() if event["event"] == "cell-state"}
    ended = {event["result"]["cell"] for event in process.record() if event["event"] == "cell-finished"}
    assert begun and begun == ended
    assert process.end() == ("run-finished", 130, True)


@pytest.mark.parametrize("command", [BISECT, BLAME], ids=lambda command: command[0])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreError("full")], ids=lambda error: type(error).__name__)
def test_a_search_that_is_ended_names_its_evidence(
    process: Process, command: tuple[str, ...], error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def hear(event: Event) -> None:
        if isinstance(event, CellFinished):
            process.hear = lambda _event: None
            raise error

    process.hear = hear
    process.run(*command)
    assert f"Evidence: {process.folder / 'run-1' / 'run'}\n" in capsys.readouterr().err
    process.run(*command[:-1], "9.9")
    assert "Evidence" not in capsys.readouterr().err, "there is none"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no"), 2),
        (StoreError("full"), 4),
        (RuntimeError("a mistake of ours"), 4),
        (EOFError("likewise"), 4),
        (OSError(errno.ENOSPC, "no space"), 4),
        (BrokenPipeError(errno.EPIPE, "nobody reads"), 141),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_between_two_events_ends_the_record_too(
    process: Process, command: tuple[str, ...], error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # the streams are those of all tests

    def hear(event: Event) -> None:
        if isinstance(event, CellFinished):
            process.hear = lambda _event: None
            raise error

    process.hear = hear
    assert process.run(*command) == code
    assert process.end() == ("run-finished", code, code == 130)
    assert process.world is not None
    assert process.world.stopped, "whatever still runs is of no use"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreError("full")], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("last", [RunStarted, CellFinished], ids=lambda last: last.__name__)
def test_what_ends_a_run_keeps_no_report_from_being_written(
    process: Process, last: type[RunStarted] | type[CellFinished], error: BaseException
) -> None:
    """Also between the beginning and the first cell."""

    def hear(event: Event) -> None:
        if isinstance(event, last):
            process.hear = lambda _event: None
            raise error

    process.hear = hear
    wanted = ("--report", "junit=j.xml", "--report", "p.html", "--json", "r.jsonl")
    assert process.run(*TEST, *wanted) == exit_code_of(error)
    suites = junitparser.JUnitXml.fromfile(str(process.folder / "j.xml"))
    assert len(list(suites)) == 3, "the cells that never began, too"
    assert (process.folder / "p.html").read_text().startswith("<!doctype html>")
    copied = (process.folder / "r.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in copied] == process.record()


def test_what_cannot_be_written_then_hides_no_error(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    def hear(event: Event) -> None:
        process.hear = lambda _event: None
        record = process.folder / "run-1" / "run" / "record.jsonl"
        record.write_text(record.read_text().replace("toy", "boy"))
        raise KeyboardInterrupt

    process.hear = hear
    assert process.run(*TEST, "--report", "p.html") == 130
    assert "isn't as it was written" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_ctrl_c_while_the_end_is_told_makes_the_run_an_interrupted_one(
    process: Process, command: tuple[str, ...]
) -> None:
    def hear(event: Event) -> None:
        if isinstance(event, RunFinished) and not event.interrupted:
            raise KeyboardInterrupt

    process.hear = hear
    assert process.run(*command) == 130
    assert process.end() == ("run-finished", 130, True)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_what_is_wrong_before_the_first_event_leaves_no_record(process: Process, command: tuple[str, ...]) -> None:
    assert process.run(*command[:-1], "9.9") == 2
    assert process.record() == []


@pytest.mark.whole
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_ctrl_c_at_any_moment_leaves_a_record_with_an_end(process: Process, command: tuple[str, ...]) -> None:
    """At each line of the frame that the main thread comes to, one after the other, and each third of a use case."""
    page = process.folder / "page.html"
    command = (*command, "--report", page.name) if command is TEST else command
    lines = _Lines()
    assert process.run(*command) == lines.during(process, command)
    assert len(lines.seen) > 30, "that were all lines"
    others = [line for line in lines.seen if line[0] != frame.__file__]
    for line in [line for line in lines.seen if line[0] == frame.__file__ or line in others[::3]]:
        page.unlink(missing_ok=True)
        assert _Lines(interrupt_at=line).during(process, command) == 130, line
        if record := process.record():
            assert record[0]["event"] == "run-started", line
            assert process.end() == ("run-finished", 130, True), line
            assert page.exists() is (command[0] == "test"), line


class _Lines:
    """Lines that the main thread comes to in some files while a run goes on, one of which it never gets over.

    What is printed when the run is over isn't a part of it.
    """

    _FILES = frozenset(module.__file__ for module in (frame, testing, bisecting, blaming))

    def __init__(self, interrupt_at: tuple[str, int] | None = None) -> None:
        self.seen: dict[tuple[str, int], None] = {}
        """In the order in which they were come to first."""
        self._interrupt_at = interrupt_at
        self._over = False

    def during(self, process: Process, command: tuple[str, ...]) -> int:
        sys.settrace(self._trace)
        try:
            return process.run(*command)
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        # The search of `blame` has many lines, and knows nothing of the record.
        return self._line if code.co_filename in self._FILES and "Blaming" not in code.co_qualname else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "return" and frame.f_code is carry_out.__code__:
            self._over = True
        if event == "line" and not self._over:
            line = (frame.f_code.co_filename, frame.f_lineno)
            if line not in self.seen and line == self._interrupt_at:
                self.seen[line] = None
                raise KeyboardInterrupt
            self.seen[line] = None
        return self._line


# -- one rule for both


@pytest.mark.parametrize(
    "error",
    [UsageError("no"), StoreError("full"), RuntimeError("mistake"), EOFError(), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_main_and_the_record_have_one_rule(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> int:
        raise error

    monkeypatch.setattr(main._Lazy, "get_command", failing)
    assert main._exit_code(["test"]) == exit_code_of(error)


@pytest.mark.parametrize("words", [("--help",), ("config",)])
def test_who_is_read_by_nobody_ends_as_by_the_signal(words: tuple[str, ...], tmp_path: Path) -> None:
    """Not with 1, which is a test that fails."""
    read, write = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "tf_tester", *words],
            env={**os.environ, "TF_TESTER_STORE": str(tmp_path)},
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")
