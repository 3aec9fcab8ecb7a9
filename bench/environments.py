"""What environments and the sandbox cost, against uv, bare processes, nox and tox.

python bench/environments.py environment|import|matrix|disk|isolation [--store FOLDER] [--runs 7]
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from uv import find_uv_bin

from tf_tester.cli.common.selection import selection_of
from tf_tester.cli.common.settings import read_settings
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.run.trial import jobs_of, run_trial
from tf_tester.model.cell import PlannedCell
from tf_tester.model.lock import Lock
from tf_tester.model.outcome import Outcome, TestRow
from tf_tester.model.request import Trial
from tf_tester.ports.environment import Environment
from tf_tester.wiring import Purpose, services

TOOL = (sys.executable, "-m", "tf_tester")
PYTHON = "3.10"
ONE = "2.8.0"
"""The version of which one environment is made."""
MATRIX = ("2.8.0", "2.9.3", "2.10.1", "2.11.1", "2.12.1", "2.13.1")
ELEVEN = (*MATRIX, "2.14.1", "2.15.1", "2.16.2", "2.17.1", "2.18.1")
"""All have wheels of tensorflow-cpu for Python 3.10."""
TRUE = "/usr/bin/true"
IMPORT = """
import resource, time
began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
import tensorflow
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(time.perf_counter() - began, cpu)
"""
SCRIPT = """
import os, tempfile
import tensorflow as tf
assert float(tf.add(1.0, 2.0)) == 3.0
module = tf.Module()
module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None], tf.float32)])
tf.saved_model.save(module, os.path.join(tempfile.mkdtemp(), "module"))
"""
NOXFILE = """
import nox

@nox.session(venv_backend="uv", python={python!r})
@nox.parametrize("version", {versions!r})
def check(session, version):
    session.install("--no-index", "--no-deps", "--find-links", "wheels", "-r", f"{{version}}.txt")
    session.run("python", "check.py")
"""
TOX_INI = """
[tox]
env_list = {names}
no_package = true
[testenv]
base_python = {python}
set_env =
    UV_NO_INDEX = 1
    UV_FIND_LINKS = {{tox_root}}/wheels
deps =
{deps}
commands = python check.py
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all benches are told."""

    folder: Path
    """Gone afterwards; on one file system, so that uv can link."""
    package: str
    runs: int
    jobs: int
    words: tuple[str, ...]
    environ: Mapping[str, str]
    """For our own commands; names the store."""

    @property
    def peers(self) -> dict[str, str]:
        """For uv and what uses it: a cache of its own, hard links."""
        return {**self.environ, "UV_CACHE_DIR": str(self.folder / "uv-cache"), "UV_LINK_MODE": "hardlink"}

    def run(self, *command: str | Path, env: Mapping[str, str] | None = None) -> str:
        """Run a program to its end; what it printed, which is shown where it fails."""
        done = subprocess.run(command, cwd=self.folder, env=env or self.environ, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def test(self, versions: Sequence[str], *words: str | Path) -> None:
        """One run of `tf-tester test`."""
        # Without what is known of earlier runs: a script that has passed would not be run again.
        common = ("--package", self.package, "--python", PYTHON, "--versions", ",".join(versions), "--no-cache")
        self.run(*TOOL, "test", *common, *words)


# Measuring


@dataclass(frozen=True, slots=True)
class Cost:
    wall: float
    cpu: float
    """Seconds, of all processes that were waited for and of this one."""


def spent(work: Callable[[], object]) -> Cost:
    """What a piece of work costs; this process's own share counts, for some of the work is done in it.

    `work` may give the CPU seconds of processes that a living child of ours has waited for.
    """
    # Asking for the children takes milliseconds: outside of what is measured.
    living = _of_living_children()
    before, began = _cpu(), time.perf_counter()
    more = work()
    took, cpu = time.perf_counter() - began, _cpu() - before
    return Cost(took, cpu + _of_living_children() - living + (more if isinstance(more, float) else 0.0))


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _of_living_children() -> float:
    """The one that forks launchers is one; its nanoseconds are the first number of `schedstat`."""
    seconds = 0.0
    for child in psutil.Process().children():
        with suppress(OSError):
            seconds += int(Path(f"/proc/{child.pid}/schedstat").read_text().split()[0]) / 1e9
    return seconds


@dataclass(frozen=True, slots=True)
class Costs:
    """One way's costs, a round each."""

    rounds: list[Cost] = field(default_factory=list)

    @property
    def wall(self) -> float:
        return median(cost.wall for cost in self.rounds)

    @property
    def cpu(self) -> float:
        return median(cost.cpu for cost in self.rounds)

    def wall_over(self, other: "Costs") -> float:
        """Median of the rounds' own ratios: what drifts from round to round cancels."""
        return median(mine.wall / its.wall for mine, its in zip(self.rounds, other.rounds, strict=True))

    def cpu_over(self, other: "Costs") -> float:
        return median(mine.cpu / its.cpu for mine, its in zip(self.rounds, other.rounds, strict=True))


def alternate(ways: Mapping[str, Callable[[], Cost]], runs: int) -> dict[str, Costs]:
    """All ways in turn, a round for each run, after one that doesn't count."""
    costs = {name: Costs() for name in ways}
    for number in range(runs + 1):
        for name, way in ways.items():
            cost = way()
            if number > 0:
                costs[name].rounds.append(cost)
        print(f"round {number} of {runs}", file=sys.stderr)
    return costs


# Telling


@dataclass(frozen=True, slots=True)
class Row:
    figure: str
    measured: str
    target: str = ""
    met: bool | None = None


def at_most(figure: str, value: float, limit: float, unit: str) -> Row:
    return Row(figure, f"{value:.2f} {unit}", f"<= {limit:g} {unit}", value <= limit)


def at_least(figure: str, value: float, limit: float, unit: str) -> Row:
    return Row(figure, f"{value:.2f} {unit}", f">= {limit:g} {unit}", value >= limit)


def _ratio(figure: str, value: float) -> Row:
    return Row(figure, f"{value:.2f} x")


def cost_rows(costs: Mapping[str, Costs], *, unit: str = "s") -> list[Row]:
    """Wall and CPU of each way."""
    scale = 1000 if unit == "ms" else 1
    return [
        Row(name, f"{cost.wall * scale:.2f} {unit} wall, {cost.cpu * scale:.2f} {unit} CPU")
        for name, cost in costs.items()
    ]


def tell(title: str, rows: Sequence[Row]) -> None:
    lines = [(r.figure, r.measured, r.target, {None: "", True: "met", False: "NOT MET"}[r.met]) for r in rows]
    lines.insert(0, ("figure", "measured", "target", ""))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    print(title)
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


# Ours


@dataclass(frozen=True, slots=True)
class Site:
    """An open store and the cells that were asked for, sandboxed as `test` does it."""

    world: Services
    preparer: Preparer
    cells: tuple[PlannedCell, ...]
    folder: Path

    def lock(self, planned: PlannedCell) -> Lock:
        return self.preparer.locked(_preparation(planned))[0]

    def environment(self, planned: PlannedCell, lock: Lock) -> AbstractContextManager[Environment]:
        return self.preparer.environment(_preparation(planned), lock, lambda _state: None, keep=None)

    def run(self, planned: PlannedCell, made: Environment, *command: str, name: str = "cell") -> TestRow:
        """Run a program as a cell's trial; what it said is in `said`."""
        evidence = self.said(name).parent
        shutil.rmtree(evidence.parent, ignore_errors=True)
        evidence.mkdir(parents=True)
        (self.folder / "empty").mkdir(exist_ok=True)
        scratch = evidence.parent / "scratch"
        trial = Trial(command=command, cwd=self.folder / "empty")
        ran = run_trial(
            trial, jobs_of(trial), _preparation(planned), made, self.world, evidence=evidence, scratch=scratch
        )
        return ran.rows[0]

    def said(self, name: str = "cell") -> Path:
        return self.folder / "cells" / name / "evidence" / "stdout"


@contextmanager
def site(bench: Bench, versions: Sequence[str]) -> Iterator[Site]:
    """Everything is in the store already: see `fill`."""
    flags = {"package": bench.package, "python": (PYTHON,), "isolation": "namespace"}
    settings = read_settings(flags, cwd=bench.folder, environ=bench.environ).settings
    selection = selection_of(settings, versions=",".join(versions))
    with (
        services(settings, _deaf, environ=bench.environ, purpose=Purpose.TEST) as world,
        ThreadPoolExecutor(8) as pool,
    ):
        selected = select_cells(selection, world)
        preparer = Preparer(selection, Trial(), selected.page, world, pool)
        yield Site(world, preparer, selected.cells, bench.folder)


def _deaf(_run_folder: Path) -> Callable[[object], None]:
    return lambda _event: None


def _preparation(planned: PlannedCell) -> Preparation:
    assert planned.interpreter is not None, planned
    return Preparation(planned, planned.interpreter)


def fill(bench: Bench, versions: Sequence[str]) -> None:
    """Have all wheels, layers and locks in the store."""
    bench.test(versions, "--", "true")


# Theirs


def offer_wheels(bench: Bench, site: Site) -> Path:
    """A folder of the locks' wheels and a requirements file a version, for uv and its users; the Python."""
    wheels = bench.folder / "wheels"
    wheels.mkdir(exist_ok=True)
    for planned in site.cells:
        lock = site.lock(planned)
        for pin in lock.pins:
            blob, link = site.world.storage.blobs.find(pin.sha256), wheels / pin.filename
            assert blob is not None, pin
            if not link.is_symlink():
                link.symlink_to(blob)
        pins = "".join(f"{pin.name}=={pin.version}\n" for pin in lock.pins)
        (bench.folder / f"{planned.cell.version}.txt").write_text(pins)
    return _preparation(site.cells[0]).interpreter.path


def uv_environment(bench: Bench, version: str, python: Path, folder: Path, *options: str) -> None:
    """`uv venv` and `uv pip install` of a lock from uv's cache."""
    uv = partial(bench.run, find_uv_bin(), "--quiet", "--offline", env=bench.peers)
    uv("venv", "--no-project", "--python", python, folder)
    source = ("--no-index", "--no-deps", "--find-links", bench.folder / "wheels", "-r", f"{version}.txt")
    uv("pip", "install", "--python", folder / "bin" / "python", *options, *source)


def ready_environment(bench: Bench, version: str, python: Path) -> Path:
    """The Python of a virtual environment with compiled bytecode."""
    folder = bench.folder / "ready" / version
    uv_environment(bench, version, python, folder, "--compile-bytecode")
    return folder / "bin" / "python"


# The benches


def environment(bench: Bench) -> None:
    """Make and remove one environment, a program run in between.

    Ours, from layers in the store to nothing: find the lock's blobs, read the layers' lists of files, look for clashes,
    write the scripts, make the cell's home, the namespaces and the mounts, run `true`, judge it, unmount, delete. Not:
    opening the store and asking whether there can be a sandbox, once a command. uv's: venv, install, delete; nothing
    runs in it.
    """
    fill(bench, [ONE])
    with site(bench, [ONE]) as first:
        python = offer_wheels(bench, first)
    repeated = Costs()

    def ours() -> Cost:
        with site(bench, [ONE]) as mine:
            planned = mine.cells[0]
            lock = mine.lock(planned)

            def whole() -> float:
                with mine.environment(planned, lock) as made:
                    row = mine.run(planned, made, TRUE)
                _passed(row)
                return row.cpu_s or 0.0

            cost = spent(whole)
            repeated.rounds.append(spent(whole))
            return cost

    def theirs() -> Cost:
        folder = bench.folder / "fresh"

        def whole() -> None:
            uv_environment(bench, ONE, python, folder)
            bench.run("rm", "-rf", folder)

        return spent(whole)

    ways = {"ours": ours, "uv's": theirs, "`true` in a bare process": lambda: spent(lambda: bench.run(TRUE))}
    costs = alternate(ways, bench.runs)
    del repeated.rounds[0]
    rows = cost_rows({**costs, "ours, again in the same command": repeated}, unit="ms")
    for name, mine in (("ours", costs["ours"]), ("again", repeated)):
        rows.append(at_most(f"{name}: wall", mine.wall * 1000, 30, "ms"))
        rows.append(at_least(f"{name}: uv's CPU over it", costs["uv's"].cpu_over(mine), 50, "x"))
    tell(f"One environment of {bench.package} {ONE}, made, used for `true`, and removed", rows)


def importing(bench: Bench) -> None:
    """`import tensorflow` on mounted layers in the sandbox, and in a virtual environment with bytecode."""
    fill(bench, [ONE])
    whole = {"ours": Costs(), "uv's": Costs()}
    with site(bench, [ONE]) as mine:
        planned = mine.cells[0]
        python = ready_environment(bench, ONE, offer_wheels(bench, mine))
        with mine.environment(planned, mine.lock(planned)) as made:

            def ours() -> Cost:
                inside = lambda: _passed(mine.run(planned, made, str(made.python), "-c", IMPORT))  # noqa: E731
                whole["ours"].rounds.append(spent(inside))
                return _told(mine.said().read_text())

            def theirs() -> Cost:
                said: list[str] = []
                whole["uv's"].rounds.append(spent(lambda: said.append(bench.run(python, "-c", IMPORT))))
                return _told(said[0])

            costs = alternate({"ours": ours, "uv's": theirs}, bench.runs)
    rows = []
    for what, some in (("import", costs), ("whole process", {name: Costs(c.rounds[1:]) for name, c in whole.items()})):
        mine_now, its = some.values()
        rows += cost_rows({f"{what}, {name}": cost for name, cost in some.items()})
        judge = partial(at_most, limit=1.05, unit="x") if some is costs else _ratio
        rows.append(judge(f"{what}, wall", mine_now.wall_over(its)))
        rows.append(judge(f"{what}, CPU", mine_now.cpu_over(its)))
    tell(f"import tensorflow, {bench.package} {ONE}", rows)


def _told(said: str) -> Cost:
    """What the program measured."""
    wall, cpu = said.split()[-2:]
    return Cost(float(wall), float(cpu))


def _passed(row: TestRow) -> None:
    assert row.outcome is Outcome.PASS, row


def matrix(bench: Bench) -> None:
    """Six versions, warm: ours, bare processes, nox and tox with fresh and with their old environments."""
    (bench.folder / "check.py").write_text(SCRIPT)
    fill(bench, MATRIX)
    with site(bench, MATRIX) as mine:
        python = offer_wheels(bench, mine)
    pythons = [ready_environment(bench, version, python) for version in MATRIX]
    nox, tox = runners(bench, python)
    jobs = str(bench.jobs)

    def bare() -> None:
        with ThreadPoolExecutor(bench.jobs) as pool:
            list(pool.map(lambda program: bench.run(program, "check.py"), pythons))

    def runner(*command: str | Path) -> Callable[[], Cost]:
        return lambda: spent(lambda: bench.run(*command, env=bench.peers))

    ways = {
        "tf-tester": lambda: spent(lambda: bench.test(MATRIX, "check.py", "--jobs", jobs)),
        "bare processes": lambda: spent(bare),
        "nox, fresh": runner(nox, "-N", "-j", jobs, "--allow-parallel"),
        "nox, reused (-R)": runner(nox, "-R", "-j", jobs, "--allow-parallel"),
        "tox-uv, fresh": runner(tox, "run-parallel", "--recreate", "-p", jobs),
        "tox-uv, reused": runner(tox, "run-parallel", "-p", jobs),
    }
    costs = alternate(ways, bench.runs)
    ours = costs["tf-tester"]
    rows = cost_rows(costs)
    rows.append(at_most("tf-tester over bare processes, wall", ours.wall_over(costs["bare processes"]), 1.1, "x"))
    for name in ("nox, fresh", "tox-uv, fresh"):
        rows.append(at_least(f"{name}, over tf-tester, wall", costs[name].wall_over(ours), 3, "x"))
    for name in ("nox, reused (-R)", "tox-uv, reused"):
        rows.append(at_most(f"tf-tester over {name}, wall", ours.wall_over(costs[name]), 1, "x"))
    rows += [Row(f"{name}, over tf-tester, CPU", f"{cost.cpu_over(ours):.2f} x") for name, cost in costs.items()][1:]
    tell(f"{len(MATRIX)} versions of {bench.package}, {bench.jobs} at once", rows)


def runners(bench: Bench, python: Path) -> tuple[Path, Path]:
    """nox and tox with their newest releases, and files that make them do the same work."""
    folder = bench.folder / "runners"
    bench.run(sys.executable, "-m", "venv", folder)
    bench.run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "nox[uv]", "tox", "tox-uv")
    (bench.folder / "noxfile.py").write_text(NOXFILE.format(python=str(python), versions=list(MATRIX)))
    names = ", ".join(f"v{number}" for number in range(len(MATRIX)))
    deps = "\n".join(f"    v{number}: -r {version}.txt" for number, version in enumerate(MATRIX))
    (bench.folder / "tox.ini").write_text(TOX_INI.format(python=python, names=names, deps=deps))
    return folder / "bin" / "nox", folder / "bin" / "tox"


@dataclass(frozen=True, slots=True)
class Usage:
    size: int
    """Bytes of blocks on the disk."""
    files: int
    """Folders and links too."""


def usage(*tops: Path, without: str = "", counts: Callable[[os.stat_result], bool] | None = None) -> Usage:
    """What is below some folders, each file once however often it is linked; `without` folders of a name."""
    seen: dict[tuple[int, int], int] = {}
    todo = [str(top) for top in tops]
    while todo:
        # What another process removes meanwhile isn't there.
        with suppress(FileNotFoundError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    todo += [entry.path] if entry.name != without else []
                if counts is None or counts(status):
                    seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return Usage(sum(seen.values()), len(seen))


def disk(bench: Bench) -> None:
    """Eleven environments at once, a program in each; and what ten versions take beyond their unpacked layers.

    An environment is all that is written while it lives: in this process's part of the store, and the cell's evidence.
    """
    fill(bench, ELEVEN)
    store = Path(bench.environ["TF_TESTER_STORE"])
    with site(bench, ELEVEN) as mine, ExitStack() as held, ThreadPoolExecutor(len(ELEVEN)) as programs:
        python = offer_wheels(bench, mine)
        sizes = []
        try:
            for planned in mine.cells:
                made = held.enter_context(mine.environment(planned, mine.lock(planned)))
                hold(mine, planned, made, programs)
                sizes.append(usage(mine.world.run.workplace, bench.folder / "cells"))
            house, layers = usage(store, without="blobs"), usage(store / "layers", counts=_is_file)
        finally:
            mine.world.run.stop()
    uv_environment(bench, ELEVEN[-1], python, bench.folder / "eleventh")
    uvs = usage(bench.folder / "eleventh", counts=lambda status: not _is_file(status) or status.st_nlink == 1)
    rows = [
        at_most("eleventh environment, ours", (sizes[-1].size - sizes[-2].size) / 1e6, 1, "MB"),
        Row("its files and folders", f"{sizes[-1].files - sizes[-2].files}"),
        Row("eleventh environment, uv's, linked and not yet used", f"{uvs.size / 1e6:.2f} MB, {uvs.files} files"),
        Row("unpacked layers, their files alone", f"{layers.size / 1e6:.0f} MB, {layers.files} files"),
        Row("store without wheels, eleven environments included", f"{house.size / 1e6:.0f} MB, {house.files} files"),
        at_most("store over layers", house.size / layers.size, 1.05, "x"),
    ]
    tell(f"Disk of {bench.package}", rows)


def hold(site: Site, planned: PlannedCell, made: Environment, programs: ThreadPoolExecutor) -> None:
    """Let a program live in an environment until the world is stopped; return when it does."""
    name = planned.cell.version
    program = "import time; print('up', flush=True); time.sleep(3600)"
    programs.submit(site.run, planned, made, str(made.python), "-c", program, name=name)
    deadline = time.monotonic() + 60
    while not (site.said(name).exists() and site.said(name).read_text()):
        assert time.monotonic() < deadline, f"{name} does not start"
        time.sleep(0.02)


def _is_file(status: os.stat_result) -> bool:
    return (status.st_mode & 0o170000) == 0o100000


def isolation(bench: Bench) -> None:
    """A command with one cell that runs `true`, with each kind of isolation."""
    fill(bench, [ONE])
    record = bench.folder / "record.jsonl"
    phases: dict[str, list[dict[str, float]]] = {word: [] for word in bench.words}

    def one(word: str) -> Cost:
        options = ("--isolation", word, "--json", record)
        cost = spent(lambda: bench.test([ONE], *options, "--", "true"))
        events = [json.loads(line) for line in record.read_text().splitlines()]
        phases[word].append(next(e["result"]["phases"] for e in events if e["event"] == "cell-finished"))
        return cost

    costs = alternate({word: partial(one, word) for word in bench.words}, bench.runs)
    rows = cost_rows({f"whole command, {word}": cost for word, cost in costs.items()}, unit="ms")
    for word, told in phases.items():
        parts = {name: median(phase[name] for phase in told[1:]) * 1000 for name in told[-1]}
        rows.append(Row(f"in the cell, {word}", ", ".join(f"{name} {ms:.1f}" for name, ms in parts.items()) + " ms"))
    tell(f"One cell of {bench.package} {ONE}, running `true`", rows)


def main() -> None:
    benches = {
        "environment": (environment, "tensorflow"),
        "import": (importing, "tensorflow"),
        "matrix": (matrix, "tensorflow-cpu"),
        "disk": (disk, "tensorflow-cpu"),
        "isolation": (isolation, "tensorflow"),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", choices=benches)
    parser.add_argument("--store", type=Path, help="a store that may be used and is kept")
    parser.add_argument("--runs", type=int, default=7, help="rounds that count (7)")
    parser.add_argument("--jobs", type=int, default=2, help="cells at once in `matrix` (2)")
    parser.add_argument("--package", help="tensorflow or tensorflow-cpu")
    parser.add_argument(
        "--isolation", default="namespace,landlock,none", help="what `isolation` compares (namespace,landlock,none)"
    )
    options = parser.parse_args()
    bench, package = benches[options.bench]
    with tempfile.TemporaryDirectory(prefix="environments-") as name:
        folder = Path(name).resolve()
        store = (options.store or folder / "store").absolute()
        words = tuple(options.isolation.split(","))
        # Where bytecode is forbidden (many images), their environments would compile anew for ever.
        environ = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        environ |= {"TF_TESTER_STORE": str(store), "TMPDIR": str(folder)}
        bench(Bench(folder, options.package or package, options.runs, options.jobs, words, environ))


if __name__ == "__main__":
    main()
