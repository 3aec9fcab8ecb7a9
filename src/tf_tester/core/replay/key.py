"""The key of a result: one digest of everything that decides it, equal on every machine of a platform.

Two cells with one key come to the same result, so that one of them need not be run. Nothing in it says where or when
something was: no absolute path, no time, no owner, no mode bit but "executable". `docs/reference/key.md` defines it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from enum import StrEnum

import msgspec
from msgspec import Struct

from tf_tester.model.host.limits import Limits

VERSION = 3
"""Raised when equal values no longer mean an equal result, or when the encoding changes."""

_X86_64_LEVELS = (
    # x86-64 psABI, section 3.1.1, by the names of Linux: `pni` is SSE3, `abm` has LZCNT.
    ("v2", ("cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3")),
    ("v3", ("abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave")),
    ("v4", ("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")),
)
_AARCH64_LEVELS = (
    # Of what each version of the architecture requires, that which Linux tells (Documentation/arch/arm64/elf_hwcaps).
    ("v8.1", ("asimdrdm", "atomics", "crc32")),
    ("v8.2", ("dcpop",)),
    ("v8.3", ("fcma", "jscvt", "lrcpc")),
    ("v8.4", ("asimddp", "dit", "flagm", "ilrcpc", "uscat")),
    ("v8.5", ("flagm2", "frint", "sb")),
    ("v8.6", ("bf16", "i8mm")),
    ("v9.0", ("sve2",)),
)
_LEVELS = {"x86_64": ("x86-64", "v1", _X86_64_LEVELS), "aarch64": ("arm", "v8.0", _AARCH64_LEVELS)}


class FileKind(StrEnum):
    FILE = "file"
    PROGRAM = "program"
    """A file that its owner may execute."""
    LINK = "link"
    FOLDER = "folder"
    """An empty one: of the others their files tell."""


class KeyedFile(Struct, frozen=True, order=True):
    """One file that a test can read, without its time, owner and place on the machine."""

    path: str
    """Relative to the request's folder, with `/`; may begin with `../`. Bytes that are no text as in PEP 383."""
    kind: FileKind
    content: str
    """SHA-256 of a file in hexadecimal digits; what a link says; empty for a folder."""


class MachineClass(Struct, frozen=True):
    """What the machine brings to a result, by class."""

    system: str
    """As in `sys.platform`."""
    architecture: str
    """As in `uname -m`."""
    cpu: str
    """As `cpu_class` gives it."""
    libc: str
    """Such as `glibc 2.36`."""
    distribution: str
    """`ID` and `VERSION_ID` of os-release(5), such as `debian 12`."""


class KeyedPin(Struct, frozen=True):
    """One distribution of the lock."""

    name: str
    version: str
    sha256: str


class KeyedJob(Struct, frozen=True):
    """One start of a test runner."""

    runner: str
    targets: tuple[str, ...]
    """Relative to the request's folder."""
    or_scripts: tuple[str, ...] = ()
    """Those of them that may be scripts."""


class KeyedTrial(Struct, frozen=True):
    """What decides a result and is the same for all cells of a run."""

    tool: str
    """Name and version of this program: another one may judge otherwise."""
    machine: MachineClass
    sandbox: str
    """What a test can tell of it: `ports.Sandbox.category`."""
    harness: str
    """`tree_digest` of what runs inside the tested interpreter."""
    files: str
    """`tree_digest` of the user's files that the test can read."""
    jobs: tuple[KeyedJob, ...]
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    """Of the caller and of the request, those that a test sees; sorted by name."""
    pythonpath: tuple[str, ...]
    """Relative to the request's folder."""
    limits: Limits
    """As asked for; a limit that follows from the machine's size is None."""
    timeout: float | None
    """Seconds."""
    scratch: str


class KeyedCell(Struct, frozen=True):
    """Everything that decides a cell's result."""

    trial: KeyedTrial
    tested: tuple[str, ...]
    """The cell's requirements that are under test, as `CellRequirement.label` has them."""
    besides: tuple[str, ...]
    """Its others."""
    python: str
    """`Interpreter.build`."""
    pins: tuple[KeyedPin, ...]
    """In the order of the lock: of two wheels with one file, the first counts."""


def key_of(cell: KeyedCell) -> str:
    """Return the key: its version, a hyphen, and a SHA-256 in hexadecimal digits."""
    return f"{VERSION}-{hashlib.sha256(canonical(['tf-tester cell', VERSION, cell])).hexdigest()}"


def tree_digest(files: Iterable[KeyedFile]) -> str:
    """Return the digest of files, whatever their order."""
    rows = [[file.path, file.kind, file.content] for file in sorted(files)]
    return hashlib.sha256(canonical(["tf-tester tree", VERSION, rows])).hexdigest()


def canonical(value: object) -> bytes:
    """Return the one encoding of a value: JSON in ASCII, names sorted, no space between tokens."""
    plain = msgspec.to_builtins(value)
    return json.dumps(plain, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def cpu_class(architecture: str, features: Collection[str]) -> str:
    """Return the level that a processor reaches: `x86-64-v3`, `arm-v8.2`, `arm-v8.4+sve`; else the architecture.

    `features`: as /proc/cpuinfo lists them.

    >>> cpu_class("x86_64", {"cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3", "avx"})
    'x86-64-v2'
    """
    if architecture not in _LEVELS:
        return architecture
    family, level, levels = _LEVELS[architecture]
    for name, needed in levels:
        if not set(features).issuperset(needed):
            break
        level = name
    # Libraries choose other kernels where there is SVE, which no version before 9 requires.
    scalable = "+sve" if "sve" in features and level != "v9.0" and architecture == "aarch64" else ""
    return f"{family}-{level}{scalable}"
