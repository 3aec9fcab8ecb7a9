"""A project's build back end (PEP 517): what it requires is brought before it runs, so that it needs no network.

What is installed are wheels, for which nobody's code runs, into an environment that no build has seen yet: a back end
that asks for more gets a new one. In the sandbox it can only be read.
"""

import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.wheel.build_system import BuildSystem, build_system, hook_answer
from tf_tester.errors import BuildFailed, Malformed
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.world import Moved, World
from tf_tester.ports.execute import Command
from tf_tester.resolve.confinement import Confinement
from tf_tester.resolve.uv import Uv

SOURCE_DATE = 1_577_836_800
"""What builds take for the time (https://reproducible-builds.org/specs/source-date-epoch): 1 January 2020, UTC."""
_LONGEST = 1 << 20
"""Bytes of a pyproject.toml, and of what a back end requires."""


class BuildTask(Struct, frozen=True):
    """What is to be built, and with what."""

    source: Path
    """A folder that is the build's own."""
    seen_at: Path
    """Where the build finds it, if its sandbox can show it there."""
    out: Path
    """An empty folder for the wheel, and for what the back end says."""
    interpreter: Interpreter
    index: str
    """Has the build requirements."""
    waited: Callable[[], float]
    """Seconds for which that index has kept its callers waiting."""


class BackEnd(Struct, frozen=True):
    """Builds wheels, held as tests are."""

    uv: Uv
    confinement: Confinement
    fresh: Callable[[str], AbstractContextManager[Path]]
    """A new folder by a word for its name, which goes when it is no longer used."""

    def build(self, task: BuildTask, constraint: str) -> tuple[bool, str]:
        """Return whether a wheel was built, and what was said on the way. `constraint`: binds build requirements.

        Raises `BuildFailed` for a project whose settings can't be understood, `BuildEnded` as `Confinement.run`.
        """
        system = _system_of(task.source)
        answer = task.out / "requires.json"
        with self.fresh("home") as home:
            with self.fresh("environment") as environment:
                if told := self._install(task, environment, system.requires, constraint):
                    return False, told
                built, told = self._call("get_requires_for_build_wheel", system, task, environment, home, answer)
                if not built:
                    return False, told
                more = _answer(answer)
                if not more:
                    return self._call("build_wheel", system, task, environment, home, task.out)
            with self.fresh("environment") as environment:
                if told := self._install(task, environment, (*system.requires, *more), constraint):
                    return False, told
                return self._call("build_wheel", system, task, environment, home, task.out)

    def _install(self, task: BuildTask, environment: Path, requires: Sequence[str], constraint: str) -> str:
        """Make a virtual environment with these requirements in a folder; return why not, or nothing."""
        words = ["venv", "--no-project", "--allow-existing", "--python", str(task.interpreter.path), str(environment)]
        built, told = self._run_uv(words, environment, task)
        if built and requires:
            # What is copied is nobody else's, even where no sandbox keeps a build from changing it.
            words = ["pip", "install", "--no-build", "--link-mode", "copy", "--python", str(_python(environment))]
            if constraint:
                limits = environment / "constraints.txt"
                limits.write_text(constraint, encoding="ascii")
                words += ["--constraints", str(limits)]
            built, told = self._run_uv([*words, "--", *requires], environment, task)
        return "" if built else told or "uv says nothing"

    def _run_uv(self, words: Sequence[str], environment: Path, task: BuildTask) -> tuple[bool, str]:
        """Return whether uv has done it, and what it said: what it unpacks is a stranger's."""
        command = replace(self.uv.command(words, cwd=environment, index=task.index), waited=task.waited)
        with self.fresh("streams") as streams:
            self.uv.check_not_stopped()
            try:
                end, told = self.confinement.run_ours(command, streams, scratch=(environment,))
            finally:
                self.uv.check_not_stopped()
        return end.code == 0, told

    def _call(
        self, hook: str, system: BuildSystem, task: BuildTask, environment: Path, home: Path, result: Path
    ) -> tuple[bool, str]:
        """Return whether a hook of the back end has returned, and the last that it said."""
        sandbox = self.confinement.sandbox()
        place = task.seen_at if sandbox.moves else task.source
        own = (task.out, home, *(() if sandbox.moves else (task.source,)))
        moved = (Moved(task.source, place),) if sandbox.moves else ()
        script = Path(str(files("tf_tester").joinpath("harness", "build_wheel.py")))
        readable = (script, environment, *task.interpreter.folders)
        order = {
            "hook": hook,
            "backend": system.backend,
            "backend_path": system.backend_path,
            "result": str(result),
        }
        python = _python(environment)
        command = Command(
            (str(python), str(script), json.dumps(order)),
            {
                "HOME": str(home),
                "TMPDIR": str(home),
                "LANG": "C.UTF-8",
                # The same source gives the same wheel, whenever it is built.
                "SOURCE_DATE_EPOCH": str(SOURCE_DATE),
                "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
                "VIRTUAL_ENV": str(environment),
                # The environment can't be written, and a second hook imports what the first one has compiled.
                "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
            },
            place,
            umask=0o022,  # modes of files go into wheels
        )
        with self.fresh("streams") as streams:
            self.uv.check_not_stopped()
            try:
                end, told = self.confinement.run(
                    command, World(readable, own, moved=moved, own=own), streams, scratch=(task.out, home, task.source)
                )
            finally:
                self.uv.check_not_stopped()
        return end.code == 0, told


def _python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _system_of(source: Path) -> BuildSystem:
    try:
        return build_system(_text(source / "pyproject.toml"))
    except (ValueError, Malformed) as error:  # TOML's own is a ValueError
        told = f"The pyproject.toml of {source.name} can't be used: {error}."
        raise BuildFailed(told, hint=_hint(error) or "Mend it, or ask whoever made it.") from error


def _answer(file: Path) -> tuple[str, ...]:
    try:
        return hook_answer(json.loads(_text(file) or "[]"))
    except (ValueError, Malformed, RecursionError) as error:
        told = f"What the build back end requires can't be used: {error}."
        raise BuildFailed(told, hint=_hint(error) or "Ask its maker.") from error


def _hint(error: Exception) -> str:
    return error.hint if isinstance(error, Malformed) else ""


def _text(file: Path) -> str:
    """Return what a stranger's file holds, nothing where there is none. Raises `ValueError` for anything but a file."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(file, flags)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ValueError(f"{file.name}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{file.name} is no plain file")
        content = stream.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError(f"{file.name} is longer than {_LONGEST >> 20} MB")
    return content.decode("utf-8")
