"""Real interpreters for tests: the one that runs them, and the oldest and newest of this machine."""

import functools
import os
import sys
from pathlib import Path

from tf_tester.env.installer import PythonInstaller
from tf_tester.env.interpreters import FoundInterpreters, NoMemory
from tf_tester.model.host.interpreter import Interpreter


def find_uv() -> Path:
    import uv

    return Path(os.fsdecode(uv.find_uv_bin()))


@functools.cache
def running() -> Interpreter:
    """The Python below the virtual environment that runs the tests."""
    return _finder().probe(Path(sys.executable))


@functools.cache
def edges() -> tuple[Interpreter, ...]:
    """The oldest CPython of this machine and the newest; one may be both."""
    found = [one for one in _finder().find()[0] if one.implementation == "cpython" and one.label.count(".") == 1]
    found.sort(key=lambda one: one.release)
    return tuple({one.path: one for one in (found[0], found[-1])}.values())


def _finder() -> FoundInterpreters:
    return FoundInterpreters((), NoMemory(), PythonInstaller(find_uv), os.environ)
