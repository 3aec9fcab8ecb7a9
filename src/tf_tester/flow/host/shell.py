"""An environment of one version to look around in."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tf_tester.core.text.sizes import count_text
from tf_tester.core.wheel.wheel_rules import same_version
from tf_tester.errors import NoPython, UsageError
from tf_tester.flow.prepare.locked import select_locked
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.pythons import with_pythons_for_all
from tf_tester.flow.prepare.select import python_labels, select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.model.host.world import World
from tf_tester.model.request import Selection, Trial
from tf_tester.ports.environment import Environment
from tf_tester.ports.execute import Command


def shell(
    selection: Selection,
    trial: Trial,
    services: Services,
    *,
    command: Sequence[str],
    locks: Sequence[Path],
    announce: Callable[[str], None],
) -> int:
    """Open the user's shell, or run `command`, in the one selected version's environment, and return its exit status.

    `locks`: files, or folders with files, of which the one of that version says what the environment has.
    The status is 128 and the signal's number where a signal ended the command, as shells have it. It is the caller's
    own terminal with the caller's own variables: a person at work, not a test. To be called in the main thread.
    """
    if locks:
        selected = select_locked(locks, services, selection.package)
        of_version = [one for one in selected.cells if same_version(one.cell.version, selection.versions)]
        pythons = python_labels(selection, services)
        cells = tuple(one for one in of_version if not pythons or one.cell.python in pythons)
    else:
        selected = with_pythons_for_all(select_cells(selection, services), selection, trial, services)
        cells = selected.cells
    if len(cells) != 1:
        raise UsageError(
            f"The selection means {count_text(len(cells), 'environment', none='no')}; a shell opens one.",
            hint="Give one version and one Python.",
        )
    planned = cells[0]
    if planned.interpreter is None:
        summary = planned.refusal.summary if planned.refusal else "There is no Python for it."
        raise NoPython(summary, hint=planned.refusal.hint if planned.refusal else "")
    preparation = Preparation(planned, planned.interpreter)
    with ThreadPoolExecutor(6, "layers") as pool:
        preparer = Preparer(selection, trial, selected.page, services, pool)
        lock, _ = preparer.locked(preparation)
        keep = f"{planned.cell.package}-{planned.cell.version}-py{planned.cell.python}" if trial.keep else None
        entered = preparer.environment(preparation, lock, lambda _state: None, keep=keep, for_a_person=True)
        with entered as environment:
            for remark in (*selected.remarks, *preparation.remarks):
                announce(remark)
            if keep is not None:
                announce(f"the environment is kept; enter it with: . {environment.scripts / 'activate'}")
            return _run(command, environment, services)


def _run(command: Sequence[str], environment: Environment, services: Services) -> int:
    environ = services.run.environ
    env = {name: value for name, value in environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    # Not our own environment's programs: its pip would change us instead of what the user looks at.
    ours = str(Path(sys.prefix, environment.scripts.name)) if sys.prefix != sys.base_prefix else ""
    others = [part for part in environ.get("PATH", os.defpath).split(os.pathsep) if part != ours]
    env["PATH"] = os.pathsep.join((str(environment.scripts), *others))
    env["VIRTUAL_ENV"] = str(environment.folder)
    command = command or _shell(env, services.run.workplace)
    caught = services.run.workplace / "caught"
    caught.mkdir()
    wrapped = services.execution.sandbox.wrap(
        Command(tuple(command), env, Path.cwd()), World((), (), environment.overlays, catch=caught)
    )
    try:
        with _deaf_to_ctrl_c():
            code = subprocess.run(list(wrapped.argv), env=dict(wrapped.env), check=False).returncode
    except OSError as error:
        raise UsageError(f"{command[0]} can't be run: {error.strerror}.", hint="Check its name.") from error
    return code if code >= 0 else 128 - code


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Leave Ctrl-C to what is run meanwhile: a terminal sends it to both, and what it means is the command's matter.

    A handler, for the command would inherit that it is ignored.
    """
    before = signal.getsignal(signal.SIGINT)
    if before in (signal.SIG_IGN, None):  # None: somebody outside Python has set it
        yield
        return
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _shell(env: dict[str, str], workplace: Path) -> tuple[str, ...]:
    """Return the command of the user's shell.

    What it reads at its start may put other Pythons first (pyenv does): ours come after that.
    """
    if sys.platform == "win32":
        return (env.get("COMSPEC", "cmd.exe"),)
    shell = env.get("SHELL", "/bin/sh")
    path = shlex.quote(env["PATH"])
    match Path(shell).name:
        case "bash":
            start = workplace / "bashrc"
            start.write_text(f"[ -f ~/.bashrc ] && . ~/.bashrc\nPATH={path}\n", encoding="utf-8")
            return (shell, "--rcfile", str(start), "-i")
        case "zsh":
            start = workplace / ".zshrc"
            home = shlex.quote(env.get("ZDOTDIR") or env.get("HOME", "/"))
            start.write_text(f"ZDOTDIR={home}\n[ -f {home}/.zshrc ] && . {home}/.zshrc\nPATH={path}\n", "utf-8")
            env["ZDOTDIR"] = str(workplace)
            return (shell, "-i")
        case "fish":
            return (shell, "-C", f"set -gx PATH {' '.join(map(shlex.quote, env['PATH'].split(os.pathsep)))}")
        case _:
            return (shell,)
