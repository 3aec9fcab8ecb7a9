"""The environment that markers are evaluated in (PEP 508), of any Python on any platform."""

from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform

_NAMES = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}
"""`platform.python_implementation()` by `sys.implementation.name`."""


def markers_of(interpreter: Interpreter) -> dict[str, str]:
    """Return all eleven markers, so that none is filled in from the Python that evaluates them.

    >>> from pathlib import Path
    >>> markers_of(Interpreter(Path("/python"), "3.8.18", "cpython", "cp38", 64, "cpython-38"))["python_version"]
    '3.8'
    """
    return marker_environment(interpreter.version, interpreter.implementation, interpreter.platform)


def marker_environment(version: str, implementation: str, platform: Platform) -> dict[str, str]:
    """Return the markers of a Python; `version`: in full, such as `3.8.18`.

    A PyPy's own version isn't known: `implementation_version` is that of the Python that it implements.
    """
    return {
        "python_version": ".".join(version.split(".")[:2]),
        "python_full_version": version,
        "implementation_name": implementation,
        "implementation_version": version,
        "platform_python_implementation": _NAMES.get(implementation, implementation),
        **dict(platform.markers),
    }
