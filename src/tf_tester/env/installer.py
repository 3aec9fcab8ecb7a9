"""Pythons that this machine lacks: uv fetches them, from mirrors where there are any."""

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from tf_tester.errors import NoPython

_REQUEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@+_-]*")


class PythonInstaller(Struct, frozen=True):
    """uv as an installer of Pythons."""

    uv: Callable[[], Path]
    """Returns its executable; called only when a Python is to be installed. Raises `OurFailure`."""
    build_mirrors: Callable[[], Sequence[str]] = tuple
    """Returns copies of the releases of python-build-standalone, which are tried in this order before the origin."""

    def install(self, python: str, environ: Mapping[str, str]) -> str:
        """Install a Python such as `3.8`, without touching the user's PATH, and return what uv calls its executable.

        `environ`: the caller's variables; those that set up uv count. Raises `NoPython`.
        """
        if not _REQUEST.fullmatch(python):
            raise NoPython(f"{python!r} is no Python version", hint="Write it as 3.8, 3.8.18 or pypy3.10.")
        uv = str(self.uv())
        words = [uv, "python", "install", "--no-bin", python]
        for mirror in self.build_mirrors():
            # With a mirror uv asks nobody else, and mirrors keep but the newer releases.
            with suppress(NoPython):
                _run(python, words, {"UV_PYTHON_INSTALL_MIRROR": mirror, **environ})
                break
        else:
            _run(python, words, environ)
        # `--system`: without it an active virtual environment would answer for the Python just installed.
        return _run(
            python, [uv, "python", "find", "--managed-python", "--system", "--no-project", python], environ
        ).strip()


def _run(python: str, argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run uv, and return its output. Raises `NoPython`."""
    try:
        done = subprocess.run(
            argv, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise NoPython(f"uv does not start: {error.strerror}", hint="Reinstall uv.") from error
    if done.returncode != 0:
        raise NoPython(
            f"uv could not install Python {python}",
            hint=f"Install Python {python} by other means (pyenv, conda, apt) and give it with "
            "--python PATH, or set UV_PYTHON_INSTALL_MIRROR where downloads are blocked.",
            detail=done.stderr.strip() or done.stdout.strip(),
        )
    return done.stdout
