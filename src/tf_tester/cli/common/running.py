"""What the commands that run tests share: their settings, the trial, the record."""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from tf_tester.cli.common.help import GroupedCommand, meant_by
from tf_tester.cli.common.options import settings_from
from tf_tester.cli.common.output import say
from tf_tester.cli.common.packages import with_packages
from tf_tester.cli.common.selection import FETCHING, RESOLVING
from tf_tester.core.config.settings import Settings, flags_again
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import UsageError
from tf_tester.given_files import is_whole_system
from tf_tester.model.request import Trial

if TYPE_CHECKING:
    from tf_tester.flow.explain.blame import SearchEstimate, SearchStep
    from tf_tester.flow.prepare.services import Services
    from tf_tester.ports.tell import Tell

RUNNING = (
    "jobs",
    "timeout",
    "memory",
    "runner",
    "with",
    "requirements",
    "project",
    "group",
    "env",
    "pythonpath",
    "isolation",
    "network",
    "gpu",
    "writable",
    "data",
    "visible",
    "scratch",
    "limit",
    "keep",
    "cache",
)
"""Settings that say what runs in a cell, and how."""


AGAIN = (
    "pre",
    "yanked",
    *(name for name in RESOLVING if name not in ("python", "resolve")),
    *(name for name in FETCHING if name != "refresh"),
)
"""Settings that `shell` needs again for an environment; of the others its cell, and what is required, tell."""

_PYTESTS_OWN = r"-p(?:no:.*|[a-z_]+(?:\.[a-z_]+)+)|-r[aAfFeExXsSpPwN]+"
"""What is clearly meant for pytest, though `-p` and `-r` are options of ours, too."""


class Splitting(GroupedCommand):
    """A command whose words behind `--` are not ours: another command, or arguments for the test."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            cut = args.index("--")
            ctx.meta["rest"] = tuple(args[cut + 1 :])
            args = args[:cut]
        for word, following in itertools.zip_longest(args, args[1:], fillvalue=""):
            whole = f"-p{following}" if word == "-p" else word
            if re.fullmatch(_PYTESTS_OWN, whole) and not Path(whole[2:]).exists():
                raise _not_ours(f"{whole} is no {'Python' if whole[1] == 'p' else 'requirements file'}", whole)
        try:
            return super().parse_args(ctx, list(args))
        except click.NoSuchOption as error:
            name = error.option_name
            given = [param for param in self.params if isinstance(param, click.Option)]
            known = [flag for option in given for flag in (*option.opts, *option.secondary_opts)]
            near = [one for one in error.possibilities or () if one.startswith(name[:4])] or meant_by(name, known)
            meant = f" (did you mean {near[0]}?)" if near else ""  # the nearest comes first
            raise _not_ours(f"There is no option {name}{meant}", _command_in(args) or name) from None


def _command_in(args: list[str]) -> str:
    """Return a command that stands where tests do; empty: there is none."""
    pairs = enumerate(zip(("", *args), args, strict=False))
    names = r"python[\d.]*|pytest|py\.test|tox|nox"
    start = next((at for at, (before, one) in pairs if re.fullmatch(names, one) and not before.startswith("-")), None)
    return " ".join(args[start : start + 3]) if start is not None else ""


def _not_ours(said: str, words: str) -> UsageError:
    return UsageError(
        f"{said}.", hint=f"What is for pytest, or for the tests, goes behind --: tf-tester … -- {words} …"
    )


def trial_of(settings: Settings, targets: tuple[Path, ...], rest: tuple[str, ...]) -> Trial:
    """Return what runs in each cell; `rest` is what stood behind `--`. Raises `UsageError`."""
    # No program's name begins with a dash: these are arguments for the project's own tests.
    is_command = not targets and not (rest and rest[0].startswith("-"))
    for path in settings.data:
        if path.exists() and not (path.is_file() or path.is_dir()):  # its content is in the key of a result
            raise UsageError(f"--data {path} is neither a file nor a folder.", hint="Name what tests are to read.")
    passed = tuple(name for name, value in settings.env.items() if value is None)
    context = click.get_current_context(silent=True)
    trial = Trial(
        targets=tuple(Path(os.path.abspath(target)) for target in targets),  # noqa: PTH100 - links keep their names
        command=rest if is_command else (),
        arguments=() if is_command else rest,
        runner=settings.runner,
        cwd=Path.cwd(),
        env=tuple((name, value) for name, value in settings.env.items() if value is not None),
        passed=passed,
        given=flags_again(settings_from(context.params), AGAIN) if context is not None else (),
        remarks=tuple(f"--env {name} passes nothing on: it isn't set" for name in passed if name not in os.environ),
        pythonpath=settings.pythonpath,
        writable=settings.writable,
        data=tuple(Path(os.path.normpath(path)) for path in settings.data),
        visible=settings.visible,
        scratch=settings.scratch,
        timeout=settings.timeout.total_seconds(),
        keep=settings.keep,
        ephemeral=settings.ephemeral,
        jobs=settings.jobs,
        memory=settings.memory,
    )
    return with_packages(trial, settings)


def tests_of(settings: Settings, targets: tuple[Path, ...], rest: tuple[str, ...]) -> Trial:
    """Return what runs in each cell, as `trial_of` does; where nothing is named, it is the project's own tests."""
    from tf_tester.flow.run.jobs import of_project

    trial = of_project(trial_of(settings, targets, rest))
    _refuse_whole_system(trial)
    return trial


def probe_of(settings: Settings, targets: tuple[Path, ...], rest: tuple[str, ...]) -> Trial:
    """Return the trial of tests that any version of the package should pass, with pytest's arguments `rest`.

    Raises `UsageError` where other tests are named.
    """
    from tf_tester.wiring.frameworks import probe_of as probe_file

    trial = trial_of(settings, targets, rest)
    if targets or trial.command:
        raise UsageError("--probe brings tests of its own.", hint="Leave out --probe, or the other tests.")
    probe = probe_file(settings.package)
    return replace(
        trial,
        targets=(probe,),
        cwd=probe.parent,
        env=(*trial.env, ("PROBED_DISTRIBUTION", settings.package)),
        remarks=(*trial.remarks, f"--probe runs {probe.name} of tf-tester"),
    )


def _refuse_whole_system(trial: Trial) -> None:
    """Raise `UsageError` where a test would have all that there is: what it is shown besides would be made there."""
    named = [*(("", path) for path in trial.targets), *(("--data ", path) for path in trial.data)]
    for option, path in (*named, *(("--writable ", path) for path in trial.writable)):
        if is_whole_system(path):
            raise UsageError(f"{option}{path} is the whole system.", hint="Name a folder in it.")


@contextmanager
def recorded(settings: Settings, show: "Tell") -> "Iterator[Services]":
    """Yield the services of one run, whose events are recorded and shown. Raises as `wiring.services` does."""
    from tf_tester.report.recording import Recording
    from tf_tester.wiring import Purpose, services

    with (
        Recording(show) as recording,
        services(settings, recording.of, environ=os.environ, purpose=Purpose.TEST) as world,
    ):
        yield world


@contextmanager
def evidence_named(folder: Path) -> "Iterator[None]":
    """Name the folder of a run on standard error, where there is one, if Ctrl-C or an error ends the block."""
    try:
        yield
    except BaseException:
        if folder.is_dir():
            say([f"Evidence: {folder}"], sys.stderr)
        raise


def tell_progress(step: "SearchEstimate | SearchStep") -> None:
    """Write a line on standard error for each cell that a search runs."""
    from tf_tester.flow.explain.blame import SearchEstimate

    if isinstance(step, SearchEstimate):
        differ = "1 distribution differs" if len(step.changes) == 1 else f"{len(step.changes)} distributions differ"
        groups = f" in {count_text(step.groups, 'group')}" if step.groups != len(step.changes) else ""
        text = (
            f"{differ}{groups}: finding one cause takes at most {count_text(step.one, 'cell')}, and some more to find "
            f"the version where it begins; at most {step.budget} will be run"
        )
    else:
        reason = f"  {step.probe.first_line}" if step.probe.first_line else ""
        text = f"{step.probe.outcome}  {step.what}{reason}"
    say([text], sys.stderr)
