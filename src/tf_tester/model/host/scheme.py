"""Where an environment has which kind of files: its install scheme."""

import sys

from msgspec import Struct

from tf_tester.model.host.interpreter import Interpreter


class InstallScheme(Struct, frozen=True):
    """Relative to the environment's folder, `/` between the parts."""

    site: str
    scripts: str


def layout_of(interpreter: Interpreter) -> InstallScheme:
    """Return the scheme as the interpreter's own `venv` would have it."""
    if sys.platform == "win32":
        return InstallScheme("Lib/site-packages", "Scripts")
    major, minor = interpreter.release
    if interpreter.implementation == "pypy":
        return InstallScheme(f"lib/pypy{major}.{minor}/site-packages" if minor >= 8 else "site-packages", "bin")
    return InstallScheme(f"lib/python{major}.{minor}{'t' * is_free_threaded(interpreter)}/site-packages", "bin")


def is_free_threaded(interpreter: Interpreter) -> bool:
    """Return whether it has no global lock (PEP 703): it may have the same tag for its bytecode as one that has."""
    return interpreter.implementation == "cpython" and "t" in interpreter.abi.removeprefix("cp")
