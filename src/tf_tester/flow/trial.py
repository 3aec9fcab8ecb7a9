"""What runs in an environment, and what came of it."""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.judge import judge_command, judge_harness, with_output
from tf_tester.core.runner import Runner, runner_of, runner_of_all
from tf_tester.core.wheel_rules import same_version
from tf_tester.errors import InstallFailed, UsageError
from tf_tester.flow.services import Services
from tf_tester.flow.surroundings import IN_MEMORY, Scratch, clean_environment, world_of
from tf_tester.model.cell import PlannedCell
from tf_tester.model.exit import Exit
from tf_tester.model.outcome import Outcome, TestRow
from tf_tester.model.request import Trial
from tf_tester.model.world import World
from tf_tester.ports.environment import Environment
from tf_tester.ports.execute import Command

LIMIT = 65_536
"""Characters kept of one stream or traceback; head and tail."""
REFUSED = 125
"""Status of a launcher whose program has not run; its last line begins with one of the next two."""
NO_SANDBOX = "the sandbox could not be made"
NO_PROGRAM = "the program could not be started: "
_PROJECT_FILES = ("pyproject.toml", "setup.py")
_RESTARTS = 20
"""How often a test run that died is gone on with behind the test that killed it."""
_TEST_FILE = re.compile(r"(test_.*|.*_test)\.py")


class Job(Struct, frozen=True):
    """One process (or a few, if it dies) of a trial."""

    runner: Runner
    targets: tuple[Path, ...]
    """Empty for a command."""


class Ran(Struct, frozen=True):
    """Everything one cell's trial said."""

    rows: tuple[TestRow, ...]
    import_s: float | None
    peak_rss_kib: int
    remarks: tuple[str, ...]


def jobs_of(trial: Trial) -> tuple[Job, ...]:
    """What has to be run: scripts one by one, tests of one kind together. Raises `UsageError`."""
    if not trial.command and not trial.targets:
        raise UsageError(
            "There is nothing to run.", hint="Give a test file, a folder of tests, or a command after `--`."
        )
    wanted = Runner(trial.runner)
    jobs: list[Job] = [Job(Runner.COMMAND, ())] if trial.command else []
    for target in trial.targets:
        if not target.exists() and "::" in target.name:
            raise UsageError(
                f"{target.name} names a test within a file.", hint="Give the file, and choose in it with `-- -k NAME`."
            )
        if not target.exists():
            raise UsageError(f"There is no file {target}.", hint=_similar(target))
        runner = _runner_of_target(target) if wanted is Runner.AUTO else wanted
        if runner is Runner.SCRIPT and target.is_dir():
            raise UsageError(f"{target} is a folder, not a script.", hint="Give its files, or --runner pytest.")
        last = jobs[-1] if jobs else None
        if runner is not Runner.SCRIPT and last is not None and last.runner is runner:
            jobs[-1] = replace(last, targets=(*last.targets, target))
        else:
            jobs.append(Job(runner, (target,)))
    if trial.arguments and any(job.runner is Runner.UNITTEST for job in jobs):
        raise UsageError(
            f"unittest takes no arguments here: {' '.join(trial.arguments)}", hint="Use --runner pytest for them."
        )
    for folder in trial.pythonpath:
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder} for --pythonpath.", hint=_similar(folder))
    if trial.project is not None and not any((trial.project / name).is_file() for name in _PROJECT_FILES):
        raise UsageError(
            f"{trial.project} has no project that can be built.",
            hint="--project takes a folder with a pyproject.toml or a setup.py.",
        )
    return tuple(jobs)


def tools_of(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Requirements of the runners."""
    return ("pytest",) if any(job.runner is Runner.PYTEST for job in jobs) else ()


def run_trial(
    trial: Trial,
    jobs: Sequence[Job],
    planned: PlannedCell,
    environment: Environment,
    import_names: Sequence[str],
    services: Services,
    *,
    evidence: Path,
    scratch: Path,
) -> Ran:
    """Run every job of a trial in one environment; the evidence folder gets the raw streams and events."""
    folders = Scratch(scratch, in_memory=trial.scratch == IN_MEMORY)
    folders.make(trial.cwd)
    stage = _Stage(
        services=services,
        env=clean_environment(trial, environment, folders.home, folders.temporary, services.run.environ),
        cwd=folders.cwd,
        world=world_of(trial, planned, environment, services, folders),
        scratch=folders,
        deadline=None if trial.timeout is None else services.run.monotonic() + trial.timeout,
    )
    rows: list[TestRow] = []
    events: list[dict[str, Any]] = []
    peak = 0
    for number, job in enumerate(jobs):
        place = evidence if len(jobs) == 1 else evidence / f"job-{number + 1}"
        place.mkdir(parents=True, exist_ok=True)
        if job.runner is Runner.COMMAND:
            end = stage.start(list(trial.command), place)
            name = " ".join(trial.command)
            rows += judge_command(
                end, target=name, stdout=_bounded(place / "stdout"), stderr=_bounded(place / "stderr")
            )
            peak = max(peak, end.peak_rss_kib)
        else:
            job_rows, job_events, job_peak = _run_harness(trial, job, planned, environment, import_names, stage, place)
            rows += job_rows
            events += job_events
            peak = max(peak, job_peak)
    seconds = [event.get("wall_s") for event in events if event.get("event") == "import"]
    imports = [float(wall_s) for wall_s in seconds if isinstance(wall_s, int | float)]
    return Ran(tuple(rows), max(imports, default=None), peak, _identity_remarks(events, planned))


class _Stage(Struct, frozen=True):
    """Where the programs of one cell run."""

    services: Services
    env: Mapping[str, str]
    cwd: Path
    world: World
    scratch: "Scratch"
    deadline: float | None

    def start(self, argv: Sequence[str], place: Path) -> Exit:
        """Run a program in the sandbox, its streams into `place`. Raises `InstallFailed` where there can't be one."""
        left = None if self.deadline is None else max(0.0, self.deadline - self.services.run.monotonic())
        command = self.services.execution.sandbox.wrap(Command(tuple(argv), self.env, self.cwd), self.world)
        stdout, stderr = place / "stdout", place / "stderr"
        end = self.services.execution.executor.run(
            command,
            stdout=stdout,
            stderr=stderr,
            timeout=left,
            limits=self.services.execution.limits,
            scratch=self.scratch.on_disk,
            written=(self.scratch.events,),
        )
        if command.supervised and end.code == REFUSED:
            last = (_bounded(stderr).strip().splitlines() or [""])[-1]
            if last.startswith(NO_SANDBOX):
                raise InstallFailed(f"{last}.", hint="`tf-tester doctor` shows what this system allows.")
            if last.startswith(NO_PROGRAM):
                return replace(end, code=None, spawn_error=last.removeprefix(NO_PROGRAM))
        return end


def _run_harness(
    trial: Trial,
    job: Job,
    planned: PlannedCell,
    environment: Environment,
    import_names: Sequence[str],
    stage: "_Stage",
    place: Path,
) -> tuple[list[TestRow], list[dict[str, Any]], int]:
    events_file = stage.scratch.events
    events_file.write_bytes(b"")
    root = trial.cwd if all(target.is_relative_to(trial.cwd) for target in job.targets) else job.targets[0].parent
    target = os.path.relpath(job.targets[0], root)
    done: dict[str, TestRow] = {}
    all_events: list[dict[str, Any]] = []
    peak = 0
    for attempt in range(_RESTARTS):
        spec = {
            "mode": str(job.runner),
            "targets": [str(path) for path in job.targets],
            "args": list(trial.arguments),
            "events": str(events_file),
            "watch": list(import_names),
            "distribution": planned.cell.package,
            "limit": LIMIT,
            "deselect": sorted(done),
            "rootdir": str(root),
        }
        stage.scratch.order.write_text(json.dumps(spec), encoding="utf-8")
        stdout, stderr = place / "stdout", place / "stderr"
        printed = _size(stdout), _size(stderr)
        argv = [str(environment.python), str(stage.services.execution.harness), str(stage.scratch.order)]
        seen = len(all_events)
        end = stage.start(argv, place)
        said = read_safely(events_file)
        (place / "events.jsonl").write_bytes(said)
        all_events = _events(said)
        out, err = _bounded(stdout, printed[0]), _bounded(stderr, printed[1])
        rows = judge_harness(all_events[seen:], end, target=target, stdout=out, stderr=err)
        # The process's own figure where it told one: the system's starts at what its parent held (ru_maxrss).
        figures = [row.peak_rss_kib for row in rows if row.peak_rss_kib]
        peak = max(peak, *(figures or [end.peak_rss_kib]))
        if job.runner is Runner.SCRIPT:
            return [with_output(row, out, err) for row in rows], all_events, peak
        before = len(done)
        done |= {row.id: row for row in rows if attempt == 0 or not _only_says_nothing_left(row, target)}
        if not _may_go_on(rows, all_events[seen:], job, done) or len(done) == before:
            break
    return list(done.values()), all_events, peak


def _may_go_on(
    rows: Sequence[TestRow], events: Sequence[Mapping[str, Any]], job: Job, done: Mapping[str, TestRow]
) -> bool:
    """A crash of one test must not cost the others: go on behind it, if it is known which are left."""
    crashed = any(row.outcome is Outcome.CRASH for row in rows)
    collected = {str(name) for event in events if event.get("event") == "collected" for name in event.get("ids") or ()}
    return crashed and job.runner is Runner.PYTEST and bool(collected - done.keys())


def _only_says_nothing_left(row: TestRow, target: str) -> bool:
    return row.id == target and row.outcome is Outcome.ERROR


def _identity_remarks(events: Sequence[Mapping[str, Any]], planned: PlannedCell) -> tuple[str, ...]:
    """Whether that which ran is that which was asked for; continuous integrations ran wrong versions for months."""
    remarks = []
    for event in events:
        if event.get("event") != "start":
            continue
        found = event.get("distribution")
        version = str(found.get("version")) if isinstance(found, dict) else None
        if version is None or not same_version(version, planned.cell.version):
            remarks.append(
                f"{planned.cell.package} {planned.cell.version} was asked for, {version or 'none'} was installed"
            )
        if planned.interpreter is not None and event.get("python") != planned.interpreter.version:
            remarks.append(f"Python {planned.interpreter.version} was asked for, {event.get('python')} ran")
    return tuple(dict.fromkeys(remarks))


def _runner_of_target(target: Path) -> Runner:
    if target.is_file():
        return runner_of(_text(target))
    files = sorted(path for path in target.rglob("*.py") if _TEST_FILE.fullmatch(path.name))
    if not files:
        raise UsageError(
            f"{target} has no test files.",
            hint="Test files are named test_*.py or *_test.py; or give a script itself.",
        )
    kind = runner_of_all(_text(path) for path in files)
    # A folder is collected: a script among tests can't be, so pytest says what it found.
    return Runner.UNITTEST if kind is Runner.UNITTEST else Runner.PYTEST


def _text(path: Path) -> str:
    import tokenize

    try:
        with tokenize.open(path) as stream:
            return stream.read()
    except (SyntaxError, UnicodeDecodeError):
        return path.read_text("latin-1")
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error


def _similar(target: Path) -> str:
    import difflib

    try:
        names = [entry.name for entry in target.parent.iterdir()]
    except OSError:
        return f"There is no folder {target.parent} either."
    near = difflib.get_close_matches(target.name, names, n=3)
    return f"Did you mean {', '.join(near)}?" if near else "Check the name and the folder you are in."


def read_safely(path: Path, most: int = 64 * 1024 * 1024) -> bytes:
    """A file that a test may have made: a regular one, not followed anywhere, at most so many bytes; else nothing."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return b""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(most)


def _events(said: bytes) -> list[dict[str, Any]]:
    """The harness's events; a last line that a dying process cut off, or a stranger's line, is left out."""
    found: list[dict[str, Any]] = []
    for line in said.split(b"\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            found.append(event)
    return found


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _bounded(path: Path, start: int = 0) -> str:
    """Head and tail of what was printed from `start` on."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END) - start
            stream.seek(start)
            if size <= LIMIT:
                return stream.read().decode("utf-8", "replace")
            head = stream.read(LIMIT // 2)
            stream.seek(-LIMIT // 2, os.SEEK_END)
            tail = stream.read()
    except FileNotFoundError:
        return ""
    cut = size - len(head) - len(tail)
    return f"{head.decode('utf-8', 'replace')}\n[… {cut} bytes left out …]\n{tail.decode('utf-8', 'replace')}"
