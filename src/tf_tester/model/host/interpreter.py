"""A Python that is installed on this machine."""

from pathlib import Path

from msgspec import Struct

from tf_tester.model.host.platform import Platform


class Interpreter(Struct, frozen=True):
    """What was learnt by starting it once."""

    path: Path
    """The executable, links resolved as far as they keep meaning the same environment."""
    version: str
    """Full, such as `3.8.18`."""
    implementation: str
    """`cpython` or `pypy`, as `sys.implementation.name` says."""
    abi: str
    """The ABI tag of its extension modules, such as `cp37m`, `cp38`, `cp313t`."""
    bits: int
    """Of a pointer: 32 or 64."""
    cache_tag: str
    """Of its bytecode, such as `cpython-38`."""
    provider: str = ""
    """Where it was found: `pyenv`, `path`, `asdf`, `uv`, `conda`, `given`, …"""
    platform: Platform = Platform()
    """What it runs on, or would run on; the default takes wheels for any platform alone."""
    build: str = ""
    """Digest of what it says of its build, wherever it lies; empty: not known."""

    @property
    def is_here(self) -> bool:
        """False: it is one that could be, on this machine or another one."""
        return self.path.is_absolute()

    @property
    def release(self) -> tuple[int, int]:
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where it lies, as far as that isn't among the system's own folders."""
        prefix = self.path.resolve().parent.parent
        return () if prefix in (Path("/"), Path("/usr")) else (prefix,)

    @property
    def label(self) -> str:
        """`3.8`: how a cell names its Python; free-threaded and debug builds show their flag."""
        flag = self.abi.removeprefix("cp").lstrip("0123456789").replace("m", "")
        return f"{self.release[0]}.{self.release[1]}{flag}" if self.implementation == "cpython" else self.abi


class BrokenInterpreter(Struct, frozen=True):
    """An executable that calls itself Python and does not run."""

    path: Path
    reason: str
