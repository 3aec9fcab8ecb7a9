"""An environment of one version to look around in."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tf_tester.errors import NoPython, UsageError
from tf_tester.flow.prepare import Preparation, Preparer
from tf_tester.flow.select import select_cells
from tf_tester.flow.services import Services
from tf_tester.model.request import Selection, Trial
from tf_tester.ports import Environment


def shell(
    selection: Selection,
    trial: Trial,
    services: Services,
    *,
    command: Sequence[str],
    announce: Callable[[str], None],
) -> int:
    """Open the user's shell, or run `command`, in the environment of the one selected version; its exit status.

    It is the caller's own terminal with the caller's own variables: a person at work, not a test.
    """
    selected = select_cells(selection, services)
    cells = selected.cells
    if len(cells) != 1:
        raise UsageError(
            f"{len(cells)} environments are meant, a shell has one.", hint="Give one version and one Python."
        )
    planned = cells[0]
    if planned.interpreter is None:
        summary = planned.refusal.summary if planned.refusal else "There is no Python for it."
        raise NoPython(summary, hint=planned.refusal.hint if planned.refusal else "")
    preparation = Preparation(planned, planned.interpreter)
    with ThreadPoolExecutor(6, "layers") as pool:
        preparer = Preparer(selection, trial, selected.page, services, pool, tools=())
        lock, _ = preparer.locked(preparation)
        keep = f"{planned.cell.package}-{planned.cell.version}-py{planned.cell.python}" if trial.keep else None
        with preparer.environment(preparation, lock, lambda _state: None, keep=keep) as environment:
            for remark in preparation.remarks:
                announce(remark)
            if keep is not None:
                announce(f"the environment is kept; enter it with: . {environment.scripts / 'activate'}")
            return _run(command or _shell(services.environ), environment, services.environ)


def _run(command: Sequence[str], environment: Environment, environ: Mapping[str, str]) -> int:
    env = {name: value for name, value in environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    # Not our own environment's programs: its pip would change us instead of what the user looks at.
    ours = str(Path(sys.prefix, environment.scripts.name)) if sys.prefix != sys.base_prefix else ""
    others = [part for part in environ.get("PATH", os.defpath).split(os.pathsep) if part != ours]
    env["PATH"] = os.pathsep.join((str(environment.scripts), *others))
    env["VIRTUAL_ENV"] = str(environment.folder)
    try:
        return subprocess.run(list(command), env=env, check=False).returncode
    except OSError as error:
        raise UsageError(f"{command[0]} can't be run: {error.strerror}.", hint="Check its name.") from error


def _shell(environ: Mapping[str, str]) -> tuple[str, ...]:
    if sys.platform == "win32":
        return (environ.get("COMSPEC", "cmd.exe"),)
    return (environ.get("SHELL", "/bin/sh"),)
