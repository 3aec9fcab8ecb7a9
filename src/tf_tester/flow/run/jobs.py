"""What a trial runs: which file by which runner, in which folder, and under which names."""

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.select.notebook import needs_ipython
from tf_tester.core.select.runner import (
    NOTEBOOK,
    PYTHON_FILES,
    Runner,
    has_doctests,
    imports_pytest,
    is_named_for_pytest,
    means_pytest,
    near_tests,
    picks_tests,
    runner_of,
    runs_nothing,
)
from tf_tester.core.wheel.direct import PROJECT_FILES
from tf_tester.errors import UsageError
from tf_tester.flow.run.user_files import file_of, pytest_settings, root_of
from tf_tester.model.request import ScratchPlace, Trial

_TEST_SUFFIXES = (".py", ".rst", ".txt", ".md", NOTEBOOK)
"""Of files in which tests of any runner are."""
_LAST_FAILED = ("--lf", "--last-failed")
"""pytest's own words; it has no memory here, and each cell has its own."""


class ProductTask(Struct, frozen=True):
    """What a process has to do with products: it makes some, or uses one."""

    role: str
    """`producer`, `consumer` or `resaver`, as the helper module marks them."""
    place: Path
    """The folder in which products are made, each in a folder of its own; or the one that holds the product."""
    product: str = ""
    """Its name, of a consumer's."""
    producer: str = ""
    """Who made it, as a consumer's function is told: `toy==1.0`."""
    label: str = ""
    """For the end of tests' ids, where one function is called for several products."""
    shown: tuple[Path, ...] = ()
    """Folders that the process may change for itself alone, where `Sandbox.copies`."""
    readable: tuple[Path, ...] = ()
    """Folders that the process may read, and not change."""
    target: Path | None = None
    """The folder for what is saved anew; None: nothing is."""
    saved_as: str = ""
    """What that is called."""


class TrialJob(Struct, frozen=True):
    """One process (or a few, if it dies) of a trial."""

    runner: Runner
    targets: tuple[Path, ...]
    """Files and folders; behind a file's name there may be a test's (`::`), as in pytest. Empty for a command."""
    or_scripts: tuple[Path, ...] = ()
    """Those of the targets that run as scripts where pytest finds no tests in them."""
    command: tuple[str, ...] = ()
    """Another command than the trial's."""
    name: str = ""
    """What its row is called, of a command."""
    task: ProductTask | None = None


def of_project(trial: Trial) -> Trial:
    """Return the trial of the project in the working folder, by its own settings, where nothing else is named."""
    if trial.targets or trial.command:
        return trial
    found = pytest_settings(trial.cwd)
    is_project = found is not None and found[0] == trial.cwd
    is_project |= any((trial.cwd / name).exists() for name in (*PROJECT_FILES, "setup.cfg", "tests", "test"))
    is_project |= any(is_named_for_pytest(path.name, PYTHON_FILES) for path in trial.cwd.glob("*.py"))
    return replace(trial, targets=(trial.cwd,), as_set=True) if is_project else trial


def with_last_failed(trial: Trial, *, asked: bool) -> Trial:
    """Return a trial of what failed last where that is asked for, be it among the arguments. Raises `UsageError`."""
    if asked and trial.command:
        raise UsageError("A command has no tests of which some failed.", hint="--lf is for files and folders of tests.")
    others = tuple(one for one in trial.arguments if one not in _LAST_FAILED)
    return replace(trial, arguments=others, last_failed=asked or others != trial.arguments)


def picks_some(trial: Trial) -> bool:
    """Return whether only some of the tests of the files and folders are to run."""
    return trial.last_failed or picks_tests(trial.arguments) or any(file_of(one) != one for one in trial.targets)


def jobs_of(trial: Trial) -> tuple[TrialJob, ...]:
    """Return what has to be run: scripts one by one, tests of one kind together. Raises `UsageError`."""
    if not trial.command and not trial.targets:
        raise UsageError(
            "There is nothing to run, and no project with tests in this folder.",
            hint="Give a test file, a folder of tests, or a command after `--`.",
        )
    wanted = Runner(trial.runner)
    jobs: list[TrialJob] = [TrialJob(Runner.COMMAND, ())] if trial.command else []
    for target in trial.targets:
        job = _job_of(target, wanted, trial.arguments)
        last = jobs[-1] if jobs else None
        if job.runner is not Runner.SCRIPT and last is not None and last.runner is job.runner:
            together = (*last.targets, target), (*last.or_scripts, *job.or_scripts)
            jobs[-1] = TrialJob(job.runner, *together)
        else:
            jobs.append(job)
    if any(job.runner is Runner.PYTEST for job in jobs) and (idle := runs_nothing(trial.arguments)):
        raise UsageError(f"With {idle}, pytest runs no tests.", hint="Leave it away, or ask pytest itself.")
    if trial.collect and trial.scratch is ScratchPlace.MEMORY:
        raise UsageError("What is written to memory alone can't be collected.", hint="Leave --scratch memory out.")
    if trial.arguments and any(job.runner is Runner.UNITTEST for job in jobs):
        raise UsageError(
            f"unittest takes no arguments here: {' '.join(trial.arguments)}", hint="Use --runner pytest for them."
        )
    for folder in trial.pythonpath:
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder} for --pythonpath.", hint=_similar(folder))
    for option, paths in (("--data", trial.data), ("--writable", trial.writable)):
        for path in paths:
            if not path.exists():
                raise UsageError(f"There is no {path} for {option}.", hint=_similar(path))
    return tuple(jobs)


def tools_of(jobs: Sequence[TrialJob]) -> tuple[str, ...]:
    """Return the requirements of the runners."""
    scripts = [target for job in jobs if job.runner is Runner.SCRIPT for target in job.targets]
    has_magic = any(needs_ipython(_text(target)) for target in scripts if target.name.endswith(NOTEBOOK))
    marked = [_text(target) for job in jobs if job.runner is Runner.PRODUCT for target in job.targets]
    needs_pytest = any(job.runner is Runner.PYTEST for job in jobs) or any(map(imports_pytest, marked))
    return ("pytest",) * needs_pytest + ("ipython",) * has_magic


def _job_of(target: Path, wanted: Runner, arguments: Sequence[str]) -> TrialJob:
    """Return what runs one target. Raises `UsageError`."""
    file = file_of(target)
    if not file.exists():
        raise UsageError(f"There is no file {file}.", hint=_similar(file))
    if not (file.is_file() or file.is_dir()):
        raise UsageError(f"{file} is neither a file nor a folder.", hint="Give a script, or tests.")
    names_a_test = file != target
    if names_a_test and (file.is_dir() or wanted in (Runner.SCRIPT, Runner.UNITTEST)):
        raise UsageError(f"{target.name} names a test for pytest.", hint="Give a file's test, and no --runner.")
    if wanted is Runner.SCRIPT and file.is_dir():
        raise UsageError(f"{target} is a folder, not a script.", hint="Give its files, or --runner pytest.")
    # Not `rglob`: a folder that vanishes meanwhile ends it.
    names = (name for _, folders, names in os.walk(file) for name in (*folders, *names))
    if file.is_dir() and not any(name.endswith(_TEST_SUFFIXES) for name in names):
        raise UsageError(f"{target} has no test files.", hint="pytest takes test_*.py and *_test.py; or give a script.")
    if names_a_test and file.suffix == ".py" and not has_doctests(arguments):
        _refuse_unknown_test(file, str(target)[len(str(file)) + len("::") :])
    if wanted is not Runner.AUTO:
        return TrialJob(wanted, (target,))
    if names_a_test or file.is_dir():
        return TrialJob(Runner.PYTEST, (target,))
    patterns = _python_files(file)
    runner = Runner.PYTEST if means_pytest(arguments) else runner_of(file.name, _text(file), patterns)
    may_be_script = runner is Runner.PYTEST and is_named_for_pytest(file.name, patterns)
    return TrialJob(runner, (target,), (target,) if may_be_script else ())


def _refuse_unknown_test(file: Path, name: str) -> None:
    """Raise `UsageError` where a file certainly has no test of that name: pytest says so when all is downloaded."""
    near = near_tests(_text(file), name)
    settings = pytest_settings(file)
    if near is None or (settings is not None and has_doctests(settings[1].addopts)):
        return
    meant = f"Did you mean {' or '.join(f'{file.name}::{one}' for one in near)}?"
    raise UsageError(f"{file.name} has no test {name}.", hint=meant if near else "Check the name.")


def _python_files(file: Path) -> tuple[str, ...]:
    """Return the names of test files (`python_files`) in the project that a file is in."""
    found = pytest_settings(file)
    return (found[1].python_files if found is not None else ()) or PYTHON_FILES


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


def working_folder(trial: Trial, job: TrialJob) -> Path:
    """Return the folder in which a job's tests work, which relative paths are relative to.

    As for pytest it is the folder of the request, but where that lies outside of the tests' project, or above it: then
    it is the project's root folder.
    """
    roots = {root_of(file_of(target)) for target in job.targets} if job.runner is not Runner.SCRIPT else set()
    root = roots.pop() if len(roots) == 1 else None
    if root is None or (trial.cwd.is_relative_to(root) and _all_below(job.targets, trial.cwd)):
        return trial.cwd
    return root


def id_root(trial: Trial, job: TrialJob) -> Path:
    """Return the folder to which the ids of a job's tests are relative."""
    return trial.cwd if _stands_near(trial.cwd, job.targets) else file_of(job.targets[0]).parent


def top_of(trial: Trial, job: TrialJob) -> Path:
    """Return what pytest is to take for its root folder: it stands elsewhere than the user, and can't tell."""
    known = next(filter(None, (root_of(file_of(target)) for target in job.targets)), None)
    if known is not None or _all_below(job.targets, trial.cwd):
        return known or trial.cwd
    file = file_of(job.targets[0])
    return file if file.is_dir() else file.parent


def _stands_near(cwd: Path, targets: Sequence[Path]) -> bool:
    """Tell whether tests are named from where the user stands: `../tests/test_it.py`, but nothing from the root."""
    try:
        return len(Path(os.path.commonpath([cwd, *targets])).parts) > 2
    except ValueError:  # two drives of Windows
        return False


def _all_below(targets: Sequence[Path], folder: Path) -> bool:
    return all(target.is_relative_to(folder) for target in targets)
