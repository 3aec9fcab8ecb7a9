"""What runs in an environment, and what came of it."""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.core.outcome.harness_events import (
    HarnessEvent,
    HarnessLog,
    PackageImported,
    ProductBegun,
    ResaverMarked,
    SessionCollected,
    SessionEnded,
    SessionStarted,
    ValuesRecorded,
    read_log,
)
from tf_tester.core.outcome.judge import judge_command, judge_harness, with_bounded_text, with_output
from tf_tester.core.outcome.sandboxed import (
    AskedPath,
    KeptPath,
    PathRefusal,
    Walls,
    about_what_is_full,
    asked_paths,
    kept_from,
)
from tf_tester.core.outcome.tracebacks import what_ended
from tf_tester.core.overview.known_failures import about_known_failures
from tf_tester.core.replay.hidden import missed
from tf_tester.core.select.own_modules import folder_of_module, missing_modules, own_module, own_sources
from tf_tester.core.select.runner import Runner
from tf_tester.core.text.places import replaced
from tf_tester.core.text.sizes import count_text
from tf_tester.core.wheel.wheel_rules import is_another_version, same_version
from tf_tester.errors import InstallFailed
from tf_tester.flow.prepare.noticing import ImportNotice, noticing
from tf_tester.flow.prepare.prepare import Preparation
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.cell_world import (
    SHOWN_OF_THE_SYSTEM,
    OwnPlaces,
    ScratchFolders,
    clean_environment,
    own_places,
    user_name,
    world_of,
)
from tf_tester.flow.run.jobs import ProductTask, TrialJob, id_root, top_of, working_folder
from tf_tester.flow.run.user_files import UserFiles, file_of
from tf_tester.flow.taken.collecting import WrittenFolder, collect
from tf_tester.flow.taken.reading import is_folder
from tf_tester.flow.taken.values import LIST, RecordedPart, take_values
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import ValueRecorded
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.limits import Exceeded, Limit
from tf_tester.model.host.world import World
from tf_tester.model.outcome import Outcome, TestRow
from tf_tester.model.request import ScratchPlace, Trial
from tf_tester.ports.environment import Environment
from tf_tester.ports.execute import Command, Dialogue

LIMIT = 65_536
"""Characters kept of one stream or traceback; head and tail."""
TELLS = os.name == "posix"
"""Whether a program can have a socket as its standard input; on Windows, without a sandbox, it gets the file."""
_MOST_PATHS, _MOST_FAILED = 2_000, 10_000
"""Paths that are looked for outside of one cell's sandbox because a failure names them, and failures that are read."""
_MOST_TOLD, _LONGEST_REMARK = 10, 500
"""Remarks on what ran, and characters of one: it is the process that tells what they speak of."""
_RESTARTS = 20
"""How often a test run that died is gone on with behind the test that killed it."""


class TrialResult(Struct, frozen=True):
    """Everything one cell's trial said."""

    rows: tuple[TestRow, ...]
    import_s: float | None
    peak_rss_kib: int
    remarks: tuple[str, ...]
    system_peak_kib: int
    """As the system counted it, what our own launcher holds included: no test can invent this figure."""
    unused: bool = False
    """True: its processes tell of no use of the package under test."""
    of_products: tuple[ProductBegun | ResaverMarked | ValuesRecorded, ...] = ()
    """What the harness said of products and values."""
    values: tuple[ValueRecorded, ...] = ()
    """What tests have recorded."""


def run_trial(
    files: UserFiles,
    jobs: Sequence[TrialJob],
    preparation: Preparation,
    environment: Environment,
    services: Services,
    *,
    evidence: Path,
    scratch: Path,
) -> TrialResult:
    """Run every job of a trial in one environment; the evidence folder gets the raw streams and events."""
    tasks = [job.task for job in jobs if job.task is not None]
    with stage_of(files, tasks, preparation, environment, services, scratch) as stage:
        return _run_jobs(stage, _failed_jobs(files.trial, jobs, preparation.failed), evidence)


@contextmanager
def stage_of(
    files: UserFiles,
    tasks: Sequence[ProductTask],
    preparation: Preparation,
    environment: Environment,
    services: Services,
    scratch: Path,
) -> "Iterator[Stage]":
    """Yield the place in which the programs of one cell run, with what they see."""
    trial, environ = files.trial, services.run.environ
    user = user_name(environ)
    folders = ScratchFolders(scratch, in_memory=trial.scratch is ScratchPlace.MEMORY, user=user)
    folders.make()
    with (
        own_places(folders, environ, trial.data, moves=services.execution.sandbox.moves) as places,
        noticing(
            preparation, environment, services.execution.harness, told=folders.told, aside=folders.aside
        ) as notice,
    ):
        environment = notice.environment
        yield Stage(
            trial=trial,
            files=files,
            planned=preparation.planned,
            environment=environment,
            notice=notice,
            import_names=preparation.import_names,
            installed_first=_installed_first(trial, preparation),
            services=services,
            env=clean_environment(trial, environment, places, user, environ) | _for_values(folders),
            world=_with_products(world_of(files, preparation.planned, environment, services, folders, places), tasks),
            scratch=folders,
            places=places,
            failed=frozenset(preparation.failed),
            versions=_versions(preparation, services),
            deadline=None if trial.timeout is None else services.run.monotonic() + trial.timeout,
            printed=_Printed(),
        )


def _run_jobs(stage: "Stage", jobs: Sequence[TrialJob], evidence: Path) -> TrialResult:
    """Run the jobs one after another, and return what they said together, with what a person should know of it."""
    parts: list[TrialResult] = []
    for number, job in enumerate(jobs):
        place = evidence if len(jobs) == 1 else evidence / f"job-{number + 1}"
        place.mkdir(parents=True, exist_ok=True)
        before = size_of(stage.scratch.values / LIST)
        ran = _run_command(stage, job, place) if job.runner is Runner.COMMAND else _run_harness(stage, job, place)
        parts.append(_with_values(stage, job, ran, before))
    return told_to_people(stage, jobs, together(parts), evidence)


def _with_values(stage: "Stage", job: TrialJob, ran: TrialResult, before: int) -> TrialResult:
    """Return what a job came to with what was recorded in it: of a command all that the list has gained since."""
    noted = [one for one in ran.of_products if isinstance(one, ValuesRecorded)]
    parts = [RecordedPart(one.id, one.start, one.end) for one in noted]
    if job.runner is Runner.COMMAND:
        parts = [RecordedPart(row.id, before) for row in ran.rows[:1]]
    services = stage.services
    cell = stage.planned.cell.name
    taken = take_values(stage.scratch.values, cell, parts, services.storage.blobs, services.run.workplace)
    return replace(ran, values=taken.values, remarks=(*ran.remarks, *taken.remarks))


def told_to_people(stage: "Stage", jobs: Sequence[TrialJob], ran: TrialResult, evidence: Path) -> TrialResult:
    """Return what some jobs said with the user's own names of files, and with what a person should know of it."""
    trial, files = stage.trial, stage.files
    worked_in = dict.fromkeys((trial.cwd, *(working_folder(trial, job) for job in jobs)))
    places = {place: folder for folder in worked_in if is_folder(place := stage.scratch.place_of(folder))}
    if places:
        spellings = [
            (text, str(own)) for place, own in places.items() for text in (str(place), os.path.realpath(place))
        ]
        ran = replace(ran, rows=tuple(_as_the_users(row, dict(spellings)) for row in ran.rows))
    refusals = _Refusals(stage)
    ran = replace(ran, rows=with_bounded_text([refusals.told(row) for row in ran.rows]))
    passed = any(row.outcome is Outcome.PASS for row in ran.rows)
    unused = ran.unused and passed and stage.notice.never_imported
    remarks = (
        *ran.remarks,
        *_about_hidden(ran.rows, files),
        *_about_own_modules(ran.rows, files),
        *about_known_failures(ran.rows, stage.versions, stage.services.packages.known_failures),
        *(_never_imported(stage),) * unused,
        *_about_failed(stage, ran),
        *collect(trial.collect, _written_folders(stage, list(places)), evidence),
    )
    return replace(ran, remarks=remarks, unused=unused)


def _written_folders(stage: "Stage", links: Sequence[Path]) -> list[WrittenFolder]:
    """Return where lies what the cell has written into the user's folders; `links`: folders that stand for these.

    Where a test has put a link in the place of one, nothing of that is its own.
    """
    trial, world = stage.trial, stage.world
    found = []
    for private in world.private:
        place = world.written(private)
        if place is not None:
            # A folder above where the user stands, or beside it, is named; what lies below that is not.
            inside = Path(place, trial.cwd.relative_to(private)) if trial.cwd.is_relative_to(private) else None
            if inside is not None and all(map(is_folder, (inside, *inside.parents[: -len(Path(place).parts)]))):
                found.append(WrittenFolder(inside, ""))
            found += [WrittenFolder(Path(place), private.name)] if inside != Path(place) else []
    return [*found, *(WrittenFolder(place, "") for place in links if is_folder(stage.scratch.cwd) and is_folder(place))]


def _failed_jobs(trial: Trial, jobs: Sequence[TrialJob], failed: Collection[str]) -> Sequence[TrialJob]:
    """Return the jobs that may have tests among those that have failed; all where that is none."""
    chosen = [
        job
        for job in jobs
        if job.runner is not Runner.SCRIPT or os.path.relpath(job.targets[0], id_root(trial, job)) in failed
    ]
    return chosen if failed and chosen else jobs


def _about_failed(stage: "Stage", ran: TrialResult) -> tuple[str, ...]:
    """Return the remark on a run of what has failed in which more than that ran."""
    if not stage.trial.last_failed:
        return ()
    if not stage.failed:
        return ("--lf: it is not known that any of these tests failed in this cell when it last ran, so all ran",)
    known = any(row.id in stage.failed or row.id.partition("::")[0] in stage.failed for row in ran.rows)
    return () if known else ("--lf: the failures that are known are of other tests, all tests ran",)


class Stage(Struct, frozen=True):
    """Where the programs of one cell run."""

    trial: Trial
    files: UserFiles
    planned: PlannedCell
    environment: Environment
    notice: ImportNotice
    import_names: tuple[str, ...]
    installed_first: tuple[str, ...]
    services: Services
    env: Mapping[str, str]
    world: World
    scratch: "ScratchFolders"
    places: "OwnPlaces"
    failed: frozenset[str]
    versions: Mapping[str, str]
    """Of what is installed, and of `python`."""
    deadline: float | None
    printed: "_Printed"

    def start(self, argv: Sequence[str], place: Path, *, folder: Path, told: Path | Dialogue | None = None) -> Exit:
        """Run a program in the sandbox, in one of the user's folders, its streams into `place`.

        `told`: the file for what it tells on its standard input. Raises `InstallFailed` where there can't be a sandbox.
        """
        left = None if self.deadline is None else max(0.0, self.deadline - self.services.run.monotonic())
        limits = self.services.execution.limits
        command = self.services.execution.sandbox.wrap(Command(tuple(argv), self.env, self.working(folder)), self.world)
        with self.printed.counted(
            place / "stdout", place / "stderr", *([told.file if isinstance(told, Dialogue) else told] if told else [])
        ):
            end = self.services.execution.executor.run(
                command,
                stdout=place / "stdout",
                stderr=place / "stderr",
                timeout=left,
                limits=replace(limits, output=self.printed.left(limits.output)),
                scratch=self.scratch.on_disk,
                told=told,
            )
        if _has_printed_too_much(end):
            end = replace(end, exceeded=Exceeded(Limit.OUTPUT, limits.output))
        if end.sandbox_error:
            raise InstallFailed(
                f"the sandbox could not be made: {end.sandbox_error}.",
                hint="`tf-tester doctor` shows what this system allows.",
            )
        return end

    def working(self, folder: Path) -> Path:
        """Return where a program works that is to work in a folder of the user's: there, if it changes nothing there.

        Else it is a folder with links to what is in that one.
        """
        if any(folder.is_relative_to(one) for one in self.world.private):
            return folder
        return self.scratch.linked(folder, self.files.hidden)


def _versions(preparation: Preparation, services: Services) -> dict[str, str]:
    """Return the version of each distribution, by canonical name, of the framework also by its usual one; of Python."""
    pins = preparation.lock.pins if preparation.lock is not None else ()
    usual = services.packages.framework.packages[0]
    return {
        **{canonicalize_name(pin.name): pin.version for pin in pins},
        usual: preparation.planned.cell.version,
        "python": preparation.interpreter.version,
    }


class _Printed:
    """What the programs of one cell have printed and told: one limit holds for all of them together."""

    def __init__(self) -> None:
        self._size = 0

    def left(self, allowed: int | None) -> int | None:
        return None if allowed is None else max(0, allowed - self._size)

    @contextmanager
    def counted(self, *files: Path) -> Iterator[None]:
        """Count what is added to these files meanwhile."""
        before = sum(map(size_of, files))
        yield
        self._size += sum(map(size_of, files)) - before


def _has_printed_too_much(end: Exit) -> bool:
    return end.exceeded is not None and end.exceeded.limit is Limit.OUTPUT


def _installed_first(trial: Trial, preparation: Preparation) -> tuple[str, ...]:
    """Return what is imported as it is installed, although files of that name lie beside the tests.

    That is the package under test, and what was built of the user's project. Not where a test lies among these files:
    it is a part of what it imports.
    """
    files = [Path(os.path.realpath(file_of(target))) for target in trial.targets]
    names = dict.fromkeys((*preparation.import_names, *preparation.project_names))
    return tuple(name for name in names if not any(_lies_in(file, name) for file in files))


def _lies_in(file: Path, package: str) -> bool:
    """Tell whether a file lies in the source of a package, which is a folder of its name."""
    return any(folder.name == package and (folder / "__init__.py").is_file() for folder in (file, *file.parents))


def _about_hidden(rows: Sequence[TestRow], files: UserFiles) -> tuple[str, ...]:
    """Return a remark where a failure speaks of what the test couldn't see."""
    texts = [text for row in rows if row.outcome.is_failure_of_the_test for text in _texts(row)]
    names = missed((path.name for path in files.hidden), texts) if texts else []
    shown = " ".join(f"--visible {name}" for name in names)
    them = "it" if len(names) == 1 else "them"
    return (f"tests don't see {', '.join(names)}, which this failure mentions; {shown} shows {them}",) * bool(names)


def _as_the_users(row: TestRow, spellings: Mapping[str, str]) -> TestRow:
    """Return a row in which a scratch folder that stands for one of the user's is called by the name of that."""

    def named(text: str) -> str:
        for scratch, own in spellings.items():
            text = replaced(text, scratch, own)
        return text

    raised = row.exception
    if raised is not None:
        raised = replace(raised, message=named(raised.message), file=named(raised.file))
    return replace(
        row,
        exception=raised,
        traceback=named(row.traceback),
        stdout=named(row.stdout),
        stderr=named(row.stderr),
        reason=named(row.reason),
        warnings=tuple(replace(one, message=named(one.message), file=named(one.file)) for one in row.warnings),
    )


class _Refusals:
    """How the sandbox of a cell kept its tests from passing. A path is looked for once, and not without end."""

    def __init__(self, stage: "Stage") -> None:
        execution = stage.services.execution
        in_memory = stage.trial.scratch is ScratchPlace.MEMORY
        self._stage = stage
        self._walls = Walls(execution.sandbox.name, execution.network, execution.limits, in_memory=in_memory)
        self._known: dict[AskedPath, KeptPath | None] = {}
        self._read = 0

    def told(self, row: TestRow) -> TestRow:
        """Return a row with how the sandbox kept it from passing, where it did."""
        if not row.outcome.is_failure_of_the_test or row.could_not_begin or self._read >= _MOST_FAILED:
            return row
        self._read += 1
        told = what_ended(row)
        kept = [found for asked in asked_paths(told) if (found := self._kept(asked)) is not None]
        unshown = next((one.path for one in kept if not one.is_shown), "")
        sandboxed = kept_from(told, self._walls, kept)
        full = "" if sandboxed else about_what_is_full(told, self._walls)
        remarks = (*row.remarks, full) if full else row.remarks
        return replace(row, sandboxed=sandboxed, unshown=unshown, remarks=remarks)

    def _kept(self, asked: AskedPath) -> KeptPath | None:
        if asked not in self._known and len(self._known) < _MOST_PATHS:
            self._known[asked] = _kept(asked, self._stage)
        return self._known.get(asked)


def _kept(asked: AskedPath, stage: "Stage") -> KeptPath | None:
    """Return a path that a test asked for if it is there outside, for the user, and the sandbox keeps it from the test.

    Not what is hidden, of which is told elsewhere, and nothing of the scratch, which a test has for itself.
    """
    path, places, world = Path(os.path.normpath(stage.trial.cwd / asked.path)), stage.places, stage.world
    if places.home != places.outside and path.is_relative_to(places.home):
        path = places.outside / path.relative_to(places.home)
    own = (stage.scratch.folder, stage.environment.folder, *(() if places.moved else (places.temporary,)))
    if any(path.is_relative_to(one) for one in (*own, *world.hidden)):
        return None
    shown = (*world.readable, *world.private, *world.writable, *map(Path, SHOWN_OF_THE_SYSTEM))
    is_denied = asked.refusal is PathRefusal.DENIED
    # In namespaces what isn't shown isn't there, and can't be denied.
    is_shown = any(map(path.is_relative_to, shown)) or (is_denied and bool(places.moved))
    if not is_shown and os.access(path, os.R_OK):
        return KeptPath(str(path), is_shown=False)
    changed = path if os.path.lexists(path) else path.parent
    is_kept = is_denied and len(changed.parts) > 1 and os.access(changed, os.W_OK)
    return KeptPath(str(changed), is_shown=True) if is_kept else None


def _about_own_modules(rows: Sequence[TestRow], files: UserFiles) -> Iterator[str]:
    """Yield a remark on each module that a test didn't find although the user has it."""
    raised = [row.exception for row in rows if row.outcome.is_failure_of_the_test and row.exception is not None]
    missing = dict.fromkeys(name for one in raised for name in missing_modules(one.type, one.message))
    if not missing:
        return
    paths = [file.path for file in files.first.files]
    for name in missing:
        folder = folder_of_module(name, paths)
        if folder is not None:
            shown = os.path.relpath(folder, files.trial.cwd)
            project = files.trial.project
            is_built = project is not None and Path(folder).is_relative_to(project)
            is_part = any(f"No module named '{name}." in one.message for one in raised)
            yield own_sources(name, shown) if is_built and is_part else own_module(name, shown)


def _never_imported(stage: Stage) -> str:
    # Without the version: cells with the same remarks are told together.
    return f"{stage.import_names[0]} was never imported: a pass says nothing of {stage.planned.cell.package}"


def _texts(row: TestRow) -> tuple[str, ...]:
    return row.traceback, row.exception.message if row.exception else "", row.stdout, row.stderr


def together(parts: Sequence[TrialResult]) -> TrialResult:
    """Return what all jobs of one cell said, as if it had been one."""
    imports = [part.import_s for part in parts if part.import_s is not None]
    return TrialResult(
        tuple(row for part in parts for row in part.rows),
        max(imports, default=None),
        max((part.peak_rss_kib for part in parts), default=0),
        tuple(dict.fromkeys(remark for part in parts for remark in part.remarks)),
        max((part.system_peak_kib for part in parts), default=0),
        all(part.unused for part in parts),
        tuple(product for part in parts for product in part.of_products),
        tuple(value for part in parts for value in part.values),
    )


def _run_command(stage: Stage, job: TrialJob, place: Path) -> TrialResult:
    command = job.command or stage.trial.command
    end = stage.start(command, place, folder=stage.trial.cwd)
    out, err = bounded(place / "stdout"), bounded(place / "stderr")
    rows = judge_command(end, target=job.name or " ".join(command), stdout=out, stderr=err)
    return TrialResult(rows, None, end.peak_rss_kib, (), end.peak_rss_kib, unused=not end.leftovers)


def _run_harness(stage: Stage, job: TrialJob, place: Path) -> TrialResult:
    """Run one job under the harness, and behind a test that killed its process once more."""
    target = os.path.relpath(job.targets[0], id_root(stage.trial, job))
    done: dict[str, TestRow] = {}
    parts: list[TrialResult] = []
    for attempt in range(_RESTARTS):
        printed = size_of(place / "stdout"), size_of(place / "stderr")
        end, log = start_harness(stage, job, place, left_out=done.keys())
        out, err = bounded(place / "stdout", printed[0]), bounded(place / "stderr", printed[1])
        said = judged(stage, job, log, end, stdout=out, stderr=err)
        parts.append(replace(said, rows=()))
        if job.runner is Runner.SCRIPT:
            return replace(said, rows=tuple(with_output(row, out, err) for row in said.rows))
        before = len(done)
        for row in said.rows:
            if attempt == 0 or not _only_says_nothing_left(row, target):
                done.setdefault(row.id, row)  # a later process could write what it likes of a test that has a result
        if not _may_go_on(said.rows, log.events, job, done) or len(done) == before or _has_printed_too_much(end):
            break
    ran = together(parts)
    remarks = (*ran.remarks, *_left_behind_a_crash(end, log.events, said.rows, done.keys()))
    return replace(ran, rows=tuple(done.values()), remarks=remarks)


def judged(stage: Stage, job: TrialJob, log: HarnessLog, end: Exit, *, stdout: str, stderr: str) -> TrialResult:
    """Return what one process of a job under the harness came to; `stdout` and `stderr` as in `judge_harness`."""
    root = id_root(stage.trial, job)
    rows = judge_harness(
        log.events,
        end,
        target=os.path.relpath(job.targets[0], root),
        stdout=stdout,
        stderr=stderr,
        targets=[os.path.relpath(one, root) for one in (*job.targets, *job.or_scripts)],
        runner=str(job.runner),
    )
    # The process's own figure where it told one: the system's starts at what its parent held (ru_maxrss).
    figures = [row.peak_rss_kib for row in rows if row.peak_rss_kib]
    peak = min(max(figures, default=end.peak_rss_kib), end.peak_rss_kib)
    remarks = (*_identity_remarks(log.events, stage.planned), *_remarks_on(log), *_not_reached(log.events, rows))
    unused = not end.leftovers and any(isinstance(one, SessionEnded) and one.untouched for one in log.events)
    begun = tuple(one for one in log.events if isinstance(one, ProductBegun | ResaverMarked | ValuesRecorded))
    return TrialResult(rows, _longest_import(log.events), peak, remarks, end.peak_rss_kib, unused, begun)


def start_harness(
    stage: Stage,
    job: TrialJob,
    place: Path,
    *,
    left_out: Collection[str] = (),
    besides: Mapping[str, object] | None = None,
    answer: Callable[[bytes], bytes] | None = None,
) -> tuple[Exit, HarnessLog]:
    """Run the tests of a job in one process, but those that are left out; its events are added to the evidence.

    `besides`: more of the order. `answer`: how the process is answered that tells something, as in `Dialogue`.
    """
    order, heard = stage.scratch.order, place / "events.jsonl"
    folder = working_folder(stage.trial, job)
    working = stage.working(folder)
    heard.touch()
    before = size_of(heard)
    spec = {
        "mode": str(job.runner),
        "targets": [str(path) for path in job.targets],
        "args": list(stage.trial.arguments),
        "events": None if TELLS else str(heard),
        "watch": list(stage.import_names),
        "installed_first": list(stage.installed_first),
        "distribution": stage.planned.cell.package,
        "limit": LIMIT,
        "deselect": sorted(left_out),
        "only": sorted(stage.failed),
        "linked": [str(working), str(folder)] if working != folder else None,
        "top": str(top_of(stage.trial, job)) if working != folder else None,
        "as_set": stage.trial.as_set,
        "or_scripts": [str(path) for path in job.or_scripts],
        "rootdir": str(id_root(stage.trial, job)),
        **_task_order(job.task),
        **(besides or {}),
    }
    order.write_text(json.dumps(spec), encoding="utf-8")
    argv = [str(stage.environment.python), str(stage.services.execution.harness), str(order)]
    told = heard if answer is None else Dialogue(heard, answer)
    end = stage.start(argv, place, folder=folder, told=told if TELLS else None)
    with heard.open("rb") as stream:
        stream.seek(before)
        return end, read_log(stream)


def _task_order(task: ProductTask | None) -> dict[str, str | None]:
    """Return what the harness is told of products."""
    if task is None:
        return {}
    told = {"role": task.role, "place": str(task.place), "producer": task.producer, "label": task.label}
    anew = {"target": str(task.target), "saved_as": task.saved_as} if task.target is not None else {}
    return {**told, **anew, "product": task.product or None}


def _for_values(folders: ScratchFolders) -> dict[str, str]:
    """Return the variable by which the helper module is told where recorded values go: in memory they would be lost."""
    return {} if folders.in_memory else {"TF_TESTER_VALUES": str(folders.values)}


def _with_products(world: World, tasks: Sequence[ProductTask]) -> World:
    """Return the world with the folders of products; those in which some are made are made here."""
    for task in tasks:
        for folder in filter(None, (task.place, task.target)):
            folder.mkdir(parents=True, exist_ok=True)
    private = (*world.private, *(folder for task in tasks for folder in task.shown))
    return replace(
        world, private=private, readable=(*world.readable, *(one for task in tasks for one in task.readable))
    )


def _longest_import(events: Sequence[HarnessEvent]) -> float | None:
    return max((event.wall_s for event in events if isinstance(event, PackageImported)), default=None)


def _not_reached(events: Sequence[HarnessEvent], rows: Sequence[TestRow]) -> tuple[str, ...]:
    """Return the remark on tests without a row, behind one with which the user wanted pytest to stop (`-x`)."""
    if not any(isinstance(event, SessionEnded) for event in events):
        return ()
    left = len(_collected(events) - {row.id for row in rows})
    return (f"{count_text(left, 'test')} did not run: pytest had stopped after a failure",) * bool(left)


def _may_go_on(
    rows: Sequence[TestRow], events: Sequence[HarnessEvent], job: TrialJob, done: Mapping[str, TestRow]
) -> bool:
    """Tell whether to go on behind a crash, which must not cost the other tests: if it is known which are left."""
    goes_on = _has_crashed(rows) and job.runner in (Runner.PYTEST, Runner.PRODUCT)
    return goes_on and bool(_collected(events) - done.keys())


def _has_crashed(rows: Sequence[TestRow]) -> bool:
    return any(row.outcome is Outcome.CRASH for row in rows)


def _collected(events: Sequence[HarnessEvent]) -> set[str]:
    return {name for event in events if isinstance(event, SessionCollected) for name in event.ids}


def _left_behind_a_crash(
    end: Exit, events: Sequence[HarnessEvent], rows: Sequence[TestRow], done: Collection[str]
) -> tuple[str, ...]:
    """Return the remark on tests without a row behind the last process of a job, if that has crashed before its end."""
    left = _collected(events).difference(done)
    if not left or not _has_crashed(rows) or any(isinstance(event, SessionEnded) for event in events):
        return ()
    used_up = "all that the cell may print is used up (--limit output=…)"
    why = used_up if _has_printed_too_much(end) else "the process that was to run them had crashed"
    return (f"{count_text(len(left), 'test')} did not run: {why}",)


def _only_says_nothing_left(row: TestRow, target: str) -> bool:
    return row.id == target and row.outcome in (Outcome.EMPTY, Outcome.ERROR)


def _identity_remarks(events: Sequence[HarnessEvent], planned: PlannedCell) -> tuple[str, ...]:
    """Compare what ran with what was asked for; continuous integrations ran wrong versions for months."""
    remarks = []
    cell = planned.cell
    for shown in events:
        if not isinstance(shown, PackageImported):
            continue
        if shown.foreign:
            remarks.append(f"{shown.name} was imported from {shown.foreign}, not from what was installed")
        elif shown.version and is_another_version(shown.version, cell.version):
            remarks.append(f"{cell.package} {cell.version} was asked for, import {shown.name} shows {shown.version}")
    for start in events:
        if not isinstance(start, SessionStarted):
            continue
        version = None if start.distribution is None else start.distribution.version
        if version is None or not same_version(version, cell.version):
            remarks.append(f"{cell.package} {cell.version} was asked for, {version or 'none'} was installed")
        if planned.interpreter is not None and start.python != planned.interpreter.version:
            remarks.append(f"Python {planned.interpreter.version} was asked for, {start.python} ran")
    told = list(dict.fromkeys(remarks))
    more = (f"and {len(told) - _MOST_TOLD} more of the kind",) if len(told) > _MOST_TOLD else ()
    return (*(remark[:_LONGEST_REMARK] for remark in told[:_MOST_TOLD]), *more)


def _remarks_on(log: HarnessLog) -> tuple[str, ...]:
    if not log.dropped:
        return ()
    found = "1 line was" if log.dropped == 1 else f"{log.dropped:,} lines were"
    return (f"{found} left out of what the harness told: no event of the harness (a test can write there)",)


def size_of(path: Path) -> int:
    """Return the bytes of a file; of one that isn't there, none."""
    return path.stat().st_size if path.exists() else 0


def bounded(path: Path, start: int = 0) -> str:
    """Return head and tail of what was printed from `start` on."""
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
