"""Try what a sandbox is made of, each in a process of its own, within the current folder; print JSON.

Started by `probe` as a script: standard library only. Nothing but real attempts tell: under a container's
profile a namespace may be forbidden, and on some systems it is made and the mount in it is refused.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import socket
import struct
from collections.abc import Callable
from pathlib import Path

NEW_MOUNTS, NEW_USER, NEW_PIDS, NEW_NETWORK = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_REC_PRIVATE = 0x4000 | 0x40000
LANDLOCK_CREATE_RULESET = 444
"""The same number on every architecture but Alpha."""
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RETURN, ALLOW = 0x06, 0x7FFF0000
"""A filter's instruction that ends it, and the answer that lets the system call pass."""
GET_FLAGS, SET_FLAGS, IS_UP = 0x8913, 0x8914, 0x1
"""Of a network interface, by ioctl."""

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Refused(Exception):
    """The system said no; the arguments are what was tried and the error's number."""


def main() -> None:
    tries: list[tuple[str, Callable[[], str]]] = [
        ("user namespaces", user_namespace),
        ("overlay mounts", overlay),
        ("network namespaces", network_namespace),
        ("process namespaces", process_namespace),
        ("own /proc", own_proc),
        ("Landlock", landlock),
        ("seccomp filters", seccomp),
        ("control groups", control_group),
    ]
    print(json.dumps([{"name": name, **apart(attempt)} for name, attempt in tries]))


def apart(attempt: Callable[[], str]) -> dict[str, object]:
    """Return what an attempt finds, made in a child so that it changes nothing here."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(outcome(attempt)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    if not said:
        return {"available": False, "error": "", "detail": f"the attempt ended with status {status}"}
    answer: dict[str, object] = json.loads(said)
    return answer


def outcome(attempt: Callable[[], str]) -> dict[str, object]:
    try:
        return {"available": True, "error": "", "detail": attempt()}
    except Refused as refused:
        what, number = refused.args
    except OSError as error:
        what, number = str(error.filename or "it"), error.errno or 0
    name = errno.errorcode.get(number, str(number))
    return {"available": False, "error": name, "detail": f"{what}: {name} ({os.strerror(number)})"}


def user_namespace() -> str:
    unshare(NEW_USER)
    return ""


def overlay() -> str:
    """Mount two lower folders here, a tmpfs above them: read, write and delete, and find the lower ones unchanged."""
    for name in ("lower1", "lower2", "upper", "merged"):
        Path(name).mkdir(exist_ok=True)
    Path("lower1/a").write_text("below")
    Path("lower2/b").write_text("below")
    unshare(NEW_USER | NEW_MOUNTS)
    mount("none", "/", None, MS_REC_PRIVATE, "", "making mounts private")
    mount("tmpfs", "upper", "tmpfs", 0, "size=1m", "mounting a tmpfs")
    for name in ("upper/files", "upper/work"):
        Path(name).mkdir()
    options = "lowerdir=lower1:lower2,upperdir=upper/files,workdir=upper/work"
    try:
        mount("overlay", "merged", "overlay", 0, options, "mounting an overlay")
    except Refused:
        mount("overlay", "merged", "overlay", 0, options + ",userxattr", "mounting an overlay")
    Path("merged/a").write_text("above")
    Path("merged/b").unlink()
    seen = Path("merged/a").read_text(), Path("merged/b").exists(), Path("lower1/a").read_text()
    if seen != ("above", False, "below") or not Path("lower2/b").exists():
        raise Refused("reading back through an overlay", errno.EIO)
    return ""


def network_namespace() -> str:
    unshare(NEW_USER | NEW_NETWORK)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # A new namespace's loopback is down.
        name = struct.pack("16sH14x", b"lo", 0)
        try:
            flags = struct.unpack("16sH14x", fcntl.ioctl(server, GET_FLAGS, name))[1]
            fcntl.ioctl(server, SET_FLAGS, struct.pack("16sH14x", b"lo", flags | IS_UP))
            server.bind(("127.0.0.1", 0))
            server.listen()
            socket.create_connection(server.getsockname(), timeout=5).close()
        except OSError as error:
            raise Refused("raising its loopback", error.errno or errno.ETIMEDOUT) from error
    return ""


def process_namespace() -> str:
    unshare(NEW_USER | NEW_PIDS)
    number = in_child(lambda: 0 if os.getpid() == 1 else errno.ESRCH)
    if number:
        raise Refused("being process 1", number)
    return ""


def own_proc() -> str:
    """Mount a /proc, without which a process namespace doesn't show itself; containers often refuse it."""
    Path("proc").mkdir(exist_ok=True)
    unshare(NEW_USER | NEW_MOUNTS | NEW_PIDS)

    def mounted() -> int:
        try:
            mount("none", "/", None, MS_REC_PRIVATE, "", "")
            mount("proc", "proc", "proc", 0, "", "")
        except Refused as refused:
            return int(refused.args[1])
        return 0 if Path("proc/1").is_dir() and len(list(Path("proc").glob("[0-9]*"))) == 1 else errno.EIO

    number = in_child(mounted)
    if number:
        raise Refused("mounting /proc", number)
    return ""


def landlock() -> str:
    ask_version = 1
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(ask_version))
    checked(version, "asking for Landlock")
    return f"ABI {version}"


def seccomp() -> str:
    """Install a filter that lets everything pass."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    instruction = ctypes.create_string_buffer(struct.pack("HBBI", RETURN, 0, 0, ALLOW), 8)
    program = Program(1, ctypes.cast(instruction, ctypes.c_void_p))
    zero = ctypes.c_ulong(0)
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero), "giving up new privileges")
    checked(
        libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero),
        "installing a filter",
    )
    return ""


def control_group() -> str:
    """Make a group below our own, see whether memory can be limited there, and remove it."""
    refused = Refused("finding our own group", errno.ENOENT)
    for version, folder in own_groups():
        group = folder / f"tf-tester-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            refused = Refused(f"making a group (version {version})", error.errno)
            continue
        limits = any((group / name).exists() for name in ("memory.max", "memory.limit_in_bytes"))
        group.rmdir()
        if limits:
            return f"version {version}"
        refused = Refused(f"limiting memory in a group (version {version})", errno.ENOTSUP)
    raise refused


def own_groups() -> list[tuple[int, Path]]:
    """Find where groups of ours could be made: version 2's hierarchy and version 1's for memory."""
    groups = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        below = path.lstrip("/")
        if not controllers:
            root = Path("/sys/fs/cgroup")
            unified = root / "unified"
            groups.append((2, (unified if unified.is_dir() else root) / below))
        elif "memory" in controllers.split(","):
            groups.append((1, Path("/sys/fs/cgroup/memory") / below))
    return groups


def unshare(flags: int) -> None:
    """Enter new namespaces, our user and group being the same in them as outside."""
    user, group = os.geteuid(), os.getegid()
    checked(libc.unshare(flags), "unshare")
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError as error:
        raise Refused("mapping the user", error.errno) from error


def mount(source: str, target: str, kind: str | None, flags: int, options: str, what: str) -> None:
    kind_bytes = kind.encode() if kind else None
    words = source.encode(), target.encode(), kind_bytes, ctypes.c_ulong(flags), options.encode() or None
    checked(libc.mount(*words), what)


def in_child(attempt: Callable[[], int]) -> int:
    """Return an error's number, or 0, from a child: the first one in a new process namespace."""
    child = os.fork()
    if child == 0:
        number = errno.EIO
        try:
            number = attempt()
        finally:
            os._exit(number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def checked(result: int, what: str) -> None:
    if result < 0:
        raise Refused(what, ctypes.get_errno())


if __name__ == "__main__" and platform.system() == "Linux":
    main()
