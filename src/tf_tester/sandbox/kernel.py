"""The kernel's calls that Python has no words for, by number; standard library only, Linux only.

What the launcher imports is chosen for its price: `signal`, `json`, `platform` and `socket` cost 7 to 10 ms of CPU
each, as much as starting Python itself.
"""

import ctypes
import os

SIGINT, SIGTERM, SIGKILL, SIGPIPE, SIGXFSZ, SIGSTOP = 2, 15, 9, 13, 25, 19
"""The same numbers on every architecture that there is a filter for."""
SIG_DFL, SIG_IGN = 0, 1

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_SET_FD, FSCONFIG_CMD_CREATE = 0, 1, 5, 6
AT_FDCWD, AT_RECURSIVE, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW = -100, 0x8000, 0x1000, 0x100
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOVE_MOUNT_F_EMPTY_PATH = 4
OPEN_TREE_CLONE = 1
WHITEOUT = 0o20000
"""Mode of a character device; with the number 0 it is what overlayfs takes for "not there"."""
# The same numbers on every architecture but Alpha.
OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, CLOSE_RANGE, MOUNT_SETATTR = 428, 429, 430, 431, 432, 436, 442
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SECCOMP = {"x86_64": 317, "aarch64": 277}

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def machine() -> str:
    """Return `x86_64`, `aarch64`, …"""
    return os.uname().machine


def check(result: int, what: str) -> int:
    """Return the result of a call. Raises `OSError` with `what` in place of a file's name where it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def prctl(option: int, value: int, what: str) -> None:
    check(libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), what)


def on_signal(number: int, action: object) -> None:
    """Set a handler as `signal.signal` does; that module itself imports `enum`."""
    import _signal  # type: ignore[import-not-found]

    _signal.signal(number, action)


def write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def close_from(first: int) -> None:
    """Close this descriptor and all beyond: none of anybody else comes along (CVE-2024-21626)."""
    if libc.syscall(CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), 0) < 0:
        for name in os.listdir("/proc/self/fd"):
            if int(name) >= first:
                try:
                    os.close(int(name))
                except OSError:
                    pass  # that of the listing itself
