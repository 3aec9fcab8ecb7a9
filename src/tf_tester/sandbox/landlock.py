"""What a process may do with files where no mount says it (`landlock(7)`); standard library only.

Landlock refuses opening, making, moving and deleting. It has no word for changing modes, owners and times, nor for
connecting to UNIX sockets with a path: `calls` and `supervise` see to these.
"""

import ctypes
import os
import struct

from tf_tester.sandbox.kernel import (
    LANDLOCK_ADD_RULE,
    LANDLOCK_CREATE_RULESET,
    LANDLOCK_RESTRICT_SELF,
    check,
    libc,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TRUNCATES, SCOPES = 3, 6
"""ABI from which cutting files, and signals and abstract sockets, are within its reach."""
_EXECUTE, _WRITE, _READ, _LIST, _REFER, _TRUNCATE, _IOCTL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_MAKES_CHARACTERS, _MAKES_SOCKETS, _MAKES_BLOCKS = 1 << 6, 1 << 9, 1 << 11
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2


def version() -> int:
    """Return the kernel's ABI of Landlock. Raises `OSError` where there is none."""
    return check(libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1)), "Landlock")


def restrict(
    readable: "Iterable[str]",
    listed: "Iterable[str]",
    writable: "Iterable[str]",
    own: "Iterable[str]",
    *,
    abi: int,
    sockets: bool,
) -> None:
    """Let nothing but `readable` be read and run from now on, and nothing but `writable` and `own` be changed.

    These are files and folders with all below them, and so are `listed`, of which names can be read and nothing else.
    Those that aren't there are passed over. For this process and all that it starts, for good. Raises `OSError`.

    What is in `own` was made there: no folder can be moved to it, nor, without `sockets`, a socket made or moved.
    """
    handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    rules = _ruleset(handled, _ABSTRACT_SOCKETS | _SIGNALS if abi >= SCOPES else 0)
    for path in readable:
        _allow(rules, path, handled & (_EXECUTE | _READ | _LIST))
    for path in listed:
        _allow(rules, path, handled & _LIST)
    everything = handled & ~(_MAKES_CHARACTERS | _MAKES_BLOCKS | (0 if sockets else _MAKES_SOCKETS))
    for path in writable:
        _allow(rules, path, everything)
    for path in own:
        # A folder can't be moved to where it gives more rights than before. The right to make a block device is such a
        # one; using it takes a privilege that nobody has here.
        _allow(rules, path, everything | _MAKES_BLOCKS)
    _seal(rules)


def keep_sockets_in(folders: "Iterable[str]") -> None:
    """Let this thread make sockets nowhere else, for good. Raises `OSError`."""
    rules = _ruleset(_MAKES_SOCKETS, 0)
    for folder in folders:
        _allow(rules, folder, _MAKES_SOCKETS)
    _seal(rules)


def hide_abstract_sockets() -> None:
    """Keep a process that shares the network from others' abstract sockets (CVE-2020-15257), where it can be."""
    try:
        if version() >= SCOPES:
            _seal(_ruleset(0, _ABSTRACT_SOCKETS))
    except OSError:
        pass


def _ruleset(handled: int, scoped: int) -> int:
    # Older kernels know the first field only.
    attributes = struct.pack("=QQQ", handled, 0, scoped) if scoped else struct.pack("=Q", handled)
    size = ctypes.c_size_t(len(attributes))
    return check(libc.syscall(LANDLOCK_CREATE_RULESET, attributes, size, ctypes.c_uint32(0)), "Landlock's rules")


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not os.path.isdir(path):
            access &= _OF_FILES
        rule = struct.pack("=Qi", access, place)
        check(libc.syscall(LANDLOCK_ADD_RULE, rules, 1, rule, ctypes.c_uint32(0)), f"Landlock's rule for {path}")
    finally:
        os.close(place)


def _seal(rules: int) -> None:
    check(libc.syscall(LANDLOCK_RESTRICT_SELF, rules, ctypes.c_uint32(0)), "Landlock")
    os.close(rules)
