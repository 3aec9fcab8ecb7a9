"""Which Pythons this machine has: where they may be, and what each says of itself when it is started once.

`findpython` knows the places; it would also start every executable it sees, links and shims included, at
0.1 s each, so only its lists are taken. What an executable said is remembered for as long as its file stays
the same: a warm `find` starts no process.
"""

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.env.host import OWN_BITS, this_platform
from tf_tester.env.installer import PythonInstaller
from tf_tester.errors import NoPython, UsageError
from tf_tester.model.host.interpreter import BrokenInterpreter, Interpreter
from tf_tester.model.host.platform import Platform
from tf_tester.ports.memory import Memos

OLDEST = (3, 6)
"""Older Pythons can't run the harness."""

_TIMEOUT_S = 10.0
_AT_ONCE = 8
_BROKEN_REMEMBERED_S = 3600.0
"""A library that is missing today may be there tomorrow, with the executable's file unchanged."""

_PYTHON_NAME = re.compile(r"(?:python|pypy|graalpy)[0-9.]*(?:td?|[dm])?(?:\.exe)?")
_PYTHON_2_NAME = re.compile(r"(?:python|pypy)2.*")

# Runs with `-I -S -c` in anything from 3.4 on. The `sys.abiflags` of PyPy and GraalPy say nothing, but the
# suffix of their extension modules does: `.pypy38-pp73-x86_64-linux-gnu.so`.
_QUESTION = """
import json, sys
from importlib.machinery import EXTENSION_SUFFIXES
v = sys.version_info
level = {"alpha": "a", "beta": "b", "candidate": "rc"}
version = "%d.%d.%d" % v[:3] + (level[v[3]] + str(v[4]) if v[3] in level else "")
name = sys.implementation.name
if name == "cpython":
    flags = getattr(sys, "abiflags", None)
    if flags is None:
        import sysconfig
        flags = "m" if v < (3, 8) else "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    abi = "cp%d%d%s" % (v[0], v[1], flags)
else:
    parts = (EXTENSION_SUFFIXES[0] + ".").split(".")[1].split("-")
    abi = "_".join(parts[: 2 if name == "pypy" else 3])
build = {"version": sys.version, "byteorder": sys.byteorder}
try:
    import sysconfig
    build["platform"] = sysconfig.get_platform()
    for known in "CONFIG_ARGS", "SOABI", "HOST_GNU_TYPE", "Py_DEBUG", "Py_GIL_DISABLED", "Py_ENABLE_SHARED":
        build[known] = str(sysconfig.get_config_var(known))
except Exception:
    pass  # a Python without its build's settings runs all the same
print(json.dumps({"version": version, "implementation": name, "abi": abi,
                  "bits": sys.maxsize.bit_length() + 1, "cache_tag": sys.implementation.cache_tag or "",
                  "prefix": sys.prefix, "build": build}))
"""


class NoMemory:
    """Memos that make every `find` look anew."""

    def recall(self, key: str) -> str | None:
        return None

    def remember(self, key: str, value: str) -> None:
        return None


class FoundInterpreters:
    """`ports.Interpreters` over what this machine has.

    `given` come before all that is found; `environ` says where to look (`PATH`, `PYENV_ROOT`, …) and is what
    children see.
    """

    def __init__(
        self,
        given: Sequence[Path],
        memory: Memos[str],
        installer: PythonInstaller,
        environ: Mapping[str, str],
        *,
        running: Path | None = Path(sys.executable),
        timeout_s: float = _TIMEOUT_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare a search.

        `running`: the Python that runs us, which comes after all others. `timeout_s`: how long each may take to answer.
        `now`: seconds since 1970, by which the memory of broken ones ends.
        """
        self._given = tuple(given)
        self._memory = memory
        self._installer = installer
        self._environ = dict(environ)
        self._running = running
        self._timeout_s = timeout_s
        self._now = now
        self._platforms: dict[int, Platform] = {}
        """By the width of the interpreters."""

    def find(self) -> tuple[Sequence[Interpreter], Sequence[BrokenInterpreter]]:
        """Return all Pythons of this machine, newest first; of several with one version and ABI, the first found."""
        places = unique(self._places())
        answers = self._ask([path for _, path in places])
        found: dict[tuple[str, str, int], Interpreter] = {}
        broken = []
        for provider, path in places:
            match answers[path]:
                case Interpreter() as interpreter:
                    key = (interpreter.version, interpreter.abi, interpreter.bits)
                    found.setdefault(key, replace(interpreter, provider=provider))
                case BrokenInterpreter() as one:
                    broken.append(one)
                case None:
                    pass
        return sorted(found.values(), key=_newest_first), broken

    def probe(self, path: Path) -> Interpreter:
        """Learn about one executable; one of a virtual environment stands for the Python below it.

        Raises `UsageError` where it is none, does not run or is too old.
        """
        path = path.absolute()
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise UsageError(f"{path} {what}", hint="Give a Python's executable, such as /usr/bin/python3.")
        answer = self._ask([identity(outside_environment(path))])
        match next(iter(answer.values())):
            case Interpreter() as interpreter:
                return replace(interpreter, provider="given")
            case BrokenInterpreter(reason=reason):
                raise UsageError(f"{path} does not run as a Python: {reason}")
            case None:
                oldest = ".".join(map(str, OLDEST))
                raise UsageError(f"{path} is older than Python {oldest}", hint=f"Give Python {oldest} or newer.")

    def install(self, python: str) -> Interpreter:
        """Let uv fetch a Python such as `3.8`, without touching the user's PATH. Raises `NoPython`."""
        executable = self._installer.install(python, self._environ)
        try:
            return replace(self.probe(Path(executable)), provider="uv")
        except UsageError as error:
            raise NoPython(f"uv installed Python {python}, but {error}", detail=executable) from error

    def platform(self) -> Platform:
        """Return what Pythons of our own width run on here."""
        return self._platform(OWN_BITS)

    def _platform(self, bits: int) -> Platform:
        found = self._platforms.get(bits)
        if found is None:
            found = self._platforms[bits] = this_platform(bits)
        return found

    def _places(self) -> Iterator[tuple[str, Path]]:
        for path in self._given:
            yield "given", outside_environment(path.absolute())
        yield from places(self._environ)
        if self._running is not None and self._running.is_file():
            yield "running", outside_environment(self._running.absolute())

    def _ask(self, executables: Sequence[Path]) -> dict[Path, Interpreter | BrokenInterpreter | None]:
        """Return what each says of itself, from memory where its file is the same as then; None: too old for us."""
        answers = {}
        keys = {path: _key(path) for path in executables}
        unknown = []
        for path, key in keys.items():
            answer = _read(self._memory.recall(key), self._now()) if key else None
            if answer is None:
                unknown.append(path)
            else:
                answers[path] = answer
        if unknown:
            for path, answer in zip(unknown, self._start(unknown), strict=True):
                answers[path] = answer
                key = keys[path]
                # What a script leads to may change without the script: only its failures are remembered.
                if key and (answer.reason or not _is_script(path)):
                    self._memory.remember(key, answer.as_json(self._now()))
        return {path: answers[path].of(path, self._platform) for path in executables}

    def _start(self, executables: Sequence[Path]) -> list["_Answer"]:
        pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
        try:
            return list(pool.map(lambda path: _start_once(path, self._environ, self._timeout_s), executables))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def places(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield every executable that may be a Python, with what put it there; version managers come before PATH."""
    from findpython.providers.asdf import AsdfProvider
    from findpython.providers.base import BaseProvider
    from findpython.providers.macos import MacOSProvider
    from findpython.providers.pyenv import PyenvProvider
    from findpython.providers.rye import RyeProvider
    from findpython.providers.winreg import WinregProvider

    home = Path(environ.get("HOME") or Path.home())
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")

    def root(variable: str, default: Path) -> Path:
        return Path(environ.get(variable) or default)

    def known(provider: BaseProvider | None) -> Iterator[Path]:
        if provider is not None:
            yield from (version.executable for version in provider.find_pythons())

    found: list[tuple[str, Iterator[Path]]] = [
        ("pyenv", known(PyenvProvider(root("PYENV_ROOT", home / ".pyenv")))),
        ("asdf", known(AsdfProvider(root("ASDF_DATA_DIR", home / ".asdf")))),
        ("mise", known(AsdfProvider(root("MISE_DATA_DIR", data / "mise")))),  # the same layout
        ("uv", known(RyeProvider(root("UV_PYTHON_INSTALL_DIR", data / "uv/python")))),  # likewise
        ("rye", known(RyeProvider(root("RYE_PY_ROOT", home / ".rye/py")))),
        # Not by `findpython`, which takes longer for the 1,400 files of a usual PATH than all the rest does.
        *(("conda", _executables(folder)) for folder in _conda_folders(environ, home)),
        *(("path", _executables(folder)) for folder in _path_folders(environ)),
        ("macos", known(MacOSProvider.create())),
        ("winreg", known(WinregProvider.create())),
    ]
    for name, paths in found:
        with suppress(OSError):  # a folder that can't be read has nothing for us
            for path in sorted(paths):
                if _PYTHON_NAME.fullmatch(path.name) and environment_of(path) is None:
                    yield name, path


def _executables(folder: Path) -> Iterator[Path]:
    """Yield those that are called Python. Raises `OSError`."""
    for name in os.listdir(folder):  # noqa: PTH208 - a path for each of 1,400 files takes as long as a Python's start
        path = folder.absolute() / name if _PYTHON_NAME.fullmatch(name) else None
        if path is not None and path.is_file() and os.access(path, os.X_OK):
            yield path


def unique(found: Iterable[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Return each executable once, under its real path, with its first provider, without those named Python 2."""
    real: dict[Path, str] = {}
    for provider, path in found:
        path = identity(path)
        if not _PYTHON_2_NAME.fullmatch(path.name):
            real.setdefault(path, provider)
    return [(provider, path) for path, provider in real.items()]


def identity(path: Path) -> Path:
    """Return the executable behind links; a link to something that isn't called Python stays as it is.

    A version manager may link `python` to itself and decide by the name it is called with.
    """
    real = Path(os.path.realpath(path))
    return real if _PYTHON_NAME.fullmatch(real.name) else path


def environment_of(path: Path) -> Path | None:
    """Return the `pyvenv.cfg` of the virtual environment that an executable, or a link to one, lies in."""
    for folder in (path.parent, path.parent.parent):
        marker = folder / "pyvenv.cfg"
        if marker.is_file():
            return marker
    return None


def outside_environment(path: Path) -> Path:
    """Return the Python that a virtual environment's Python stands for; any other path as it is."""
    seen = set()
    while (marker := environment_of(path)) is not None and path not in seen:
        seen.add(path)
        if path.is_symlink():
            target = path.parent / path.readlink()
            path = Path(os.path.realpath(target.parent)) / target.name
        else:
            home = _home_of(marker)
            if home is None:
                return path
            path = next((home / name for name in (path.name, "python3") if (home / name).is_file()), path)
    return path


def _home_of(marker: Path) -> Path | None:
    with suppress(OSError, UnicodeDecodeError):
        for line in marker.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home":
                return Path(value.strip())
    return None


def _conda_folders(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Yield `bin` of the environments that conda, mamba and micromamba know of."""
    roots = [Path(environ[name]) for name in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX") if environ.get(name)]
    if environ.get("CONDA_EXE"):
        roots.append(Path(environ["CONDA_EXE"]).parent.parent)
    with suppress(OSError, UnicodeDecodeError):
        listed = (home / ".conda/environments.txt").read_text(encoding="utf-8").splitlines()
        roots += [Path(line.strip()) for line in listed if line.strip()]
    folders: dict[Path, None] = {}
    for root in roots:
        with suppress(OSError):
            for prefix in (root, *sorted((root / "envs").glob("*"))):
                folders[prefix / "bin" if os.name == "posix" else prefix] = None
    yield from folders


def _path_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield folders of PATH, each once; no shims, which only lead to what is found anyway, and nothing relative."""
    folders: dict[str, None] = {}
    for entry in environ.get("PATH", "").split(os.pathsep):
        if Path(entry).is_absolute() and Path(entry).name != "shims":
            folders[os.path.realpath(entry)] = None
    yield from map(Path, folders)


class _Answer(Struct, frozen=True):
    """What an executable said of itself, or why it said nothing."""

    fields: Mapping[str, Any]
    reason: str = ""

    @classmethod
    def broken(cls, reason: str) -> "_Answer":
        return cls({}, reason)

    def as_json(self, now: float) -> str:
        return json.dumps(
            {"broken": self.reason, "until": now + _BROKEN_REMEMBERED_S} if self.reason else dict(self.fields)
        )

    def of(self, path: Path, platform: Callable[[int], Platform]) -> Interpreter | BrokenInterpreter | None:
        """Return what an executable is. `platform`: what Pythons of so many bits run on."""
        if self.reason:
            return BrokenInterpreter(path, self.reason)
        version = self.fields["version"]
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            return None
        return Interpreter(
            path=path,
            version=version,
            implementation=self.fields["implementation"],
            abi=self.fields["abi"],
            bits=self.fields["bits"],
            cache_tag=self.fields["cache_tag"],
            platform=platform(self.fields["bits"]),
            build=build_digest(self.fields),
        )


def build_digest(fields: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what an executable said of its build; a copy of it elsewhere has the same.

    Of what it was configured with, words that name places are left out: where it was to lie, where libraries were.
    """
    said = {name: str(value) for name, value in fields["build"].items()}
    try:
        words = shlex.split(said.get("CONFIG_ARGS", ""))
    except ValueError:
        words = []
    said["CONFIG_ARGS"] = " ".join(word for word in words if "/" not in word)
    told = {name: fields[name] for name in ("implementation", "abi", "bits", "cache_tag")} | {"build": said}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


_PYTHON_2 = _Answer({"version": "2.7"})
_FIELDS = {
    "version": str,
    "implementation": str,
    "abi": str,
    "bits": int,
    "cache_tag": str,
    "prefix": str,
    "build": dict,
}
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")


def _start_once(path: Path, environ: Mapping[str, str], timeout_s: float) -> _Answer:
    # Files, not pipes: a wrapper's child that outlives it would hold a pipe open, and us with it.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        try:
            process = subprocess.Popen(
                [path, "-I", "-S", "-c", _QUESTION],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                start_new_session=True,
            )
        except OSError as error:
            return _Answer.broken(f"it can't be started: {error.strerror}")
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return _Answer.broken(f"it did not answer within {timeout_s:g} s")
        finally:
            _end(process)
        said.seek(0)
        complained.seek(0)
        return _judge(code, said.read(65536), complained.read(65536).decode(errors="replace").strip())


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group, which is its own: nothing of it is left."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _judge(code: int, said: bytes, complained: str) -> _Answer:
    if code != 0:
        if "Unknown option: -I" in complained:
            return _PYTHON_2
        last = complained.splitlines()[-1][:200] if complained else "it said nothing"
        if code < 0:
            return _Answer.broken(f"it died of {_signal_name(-code)}: {last}")
        return _Answer.broken(f"it ended with status {code}: {last}")
    lines = said.splitlines()
    answer = _checked(lines[-1] if lines else b"")
    return answer or _Answer.broken(f"it does not answer as a Python: {said[:60].decode(errors='replace')!r}")


def _checked(line: bytes | str) -> _Answer | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not all(isinstance(fields.get(k), t) for k, t in _FIELDS.items()):
        return None
    return _Answer(fields) if _VERSION.fullmatch(fields["version"]) else None


def _read(remembered: str | None, now: float) -> _Answer | None:
    """Return what memory holds, or None where it holds nothing of use any more."""
    if remembered is None:
        return None
    with suppress(ValueError, TypeError, KeyError):
        fields = json.loads(remembered)
        if fields == _PYTHON_2.fields:
            return _PYTHON_2
        if "broken" in fields:
            # Not before either: a clock that was set back must not make it last for ever.
            left = fields["until"] - now
            return _Answer.broken(str(fields["broken"])) if 0 < left <= _BROKEN_REMEMBERED_S else None
    return _checked(remembered)


def _key(path: Path) -> str:
    """Return a text that changes whenever the executable's file does; empty where it can't be looked at."""
    try:
        stat = path.stat()
    except OSError:
        return ""
    return f"python-2:{path}:{stat.st_mtime_ns}:{stat.st_size}"


def _is_script(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(2) == b"#!"
    except OSError:
        return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _newest_first(interpreter: Interpreter) -> tuple[Any, ...]:
    from packaging.version import Version

    version = Version(interpreter.version)
    return (
        tuple(-part for part in version.release),
        -(version.pre[1] if version.pre else 1_000),
        interpreter.implementation != "cpython",
        len(interpreter.abi),
        interpreter.abi,
        -interpreter.bits,
    )
