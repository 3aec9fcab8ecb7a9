"""Run one program in a world of its own: `python -I -S launcher.py SPEC.json`. Linux only, standard library only.

The launcher is small so that it can be read. In order:

1. new user, mount, process, IPC, host-name and (unless allowed) network namespaces; the caller's own id is kept
   in the map, because being root inside changes programs;
2. a first process of the new process namespace (init), which dies with the launcher, and everything with it;
3. a new root on tmpfs: what the order names is bound read-only, what it names as writable is bound writable, layers
   become overlay mounts, /proc is new, /dev has the harmless devices;
4. loopback up; descriptors closed; no new privileges, no capabilities, a seccomp filter;
5. the program, whose way to end init reports and the launcher repeats: an exit status, or the same signal.

Whatever can't be set up ends with status 125 and a sentence on standard error: the program has not run then.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import resource
import signal
import socket
import struct
import sys
from typing import Any

NEW_NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000  # mount UTS IPC user PID
NEW_NETWORK = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
FSCONFIG_SET_STRING, FSCONFIG_SET_FD, FSCONFIG_CMD_CREATE = 1, 5, 6
AT_FDCWD, AT_RECURSIVE, AT_EMPTY_PATH = -100, 0x8000, 0x1000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
MOVE_MOUNT_F_EMPTY_PATH = 4
# The same numbers on every architecture but Alpha.
OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
OPEN_TREE_CLONE = 1
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 38, 22, 24
LAST_CAPABILITY = 63
CAPABILITY_VERSION_3 = 0x20080522
DEVICES = ("null", "zero", "full", "random", "urandom")
REFUSED = 125
"""Exit status when the program was not started; as `env`, `timeout` and `docker run` have it."""

# System calls that reach out of the sandbox, or whose bugs do. Numbers by architecture, from the kernel's tables.
FORBIDDEN = {
    "x86_64": {
        "ptrace": 101, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "init_module": 175,
        "delete_module": 176, "pivot_root": 155, "chroot": 161, "acct": 163, "settimeofday": 164, "add_key": 248,
        "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "open_by_handle_at": 304,
        "process_vm_readv": 310, "process_vm_writev": 311, "setns": 308, "kexec_load": 246, "finit_module": 313,
        "bpf": 321, "userfaultfd": 323,
    },
    "aarch64": {
        "ptrace": 117, "mount": 40, "umount2": 39, "swapon": 224, "swapoff": 225, "reboot": 142, "init_module": 105,
        "delete_module": 106, "pivot_root": 41, "chroot": 51, "acct": 89, "settimeofday": 170, "add_key": 217,
        "request_key": 218, "keyctl": 219, "unshare": 97, "perf_event_open": 241, "open_by_handle_at": 265,
        "process_vm_readv": 270, "process_vm_writev": 271, "setns": 268, "kexec_load": 104, "finit_module": 273,
        "bpf": 280, "userfaultfd": 282,
    },
}  # fmt: skip
FORBIDDEN_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": OPEN_TREE,
    "move_mount": MOVE_MOUNT, "fsopen": FSOPEN, "fsconfig": FSCONFIG, "fsmount": FSMOUNT,
    "mount_setattr": MOUNT_SETATTR,
}  # fmt: skip
IOCTL = {"x86_64": 16, "aarch64": 29}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
TIOCSTI, TIOCLINUX = 0x5412, 0x541C

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as stream:
        order = json.load(stream)
    try:
        parent = os.getppid()
        check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "dying with who asked")
        if os.getppid() != parent:
            os._exit(REFUSED)
        uid, gid = os.getuid(), os.getgid()
        check(libc.unshare(NEW_NAMESPACES | (0 if order["network"] else NEW_NETWORK)), "new namespaces")
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{uid} {uid} 1")
        write("/proc/self/gid_map", f"{gid} {gid} 1")
    except OSError as error:
        refuse(error)
    reading, writing = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(reading)
        run_init(order, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    os.waitpid(init, 0)
    if not said:
        leave_by(signal.SIGKILL)  # init itself was killed: the system ran out of memory, or somebody stopped us
    kind, number = struct.unpack("=Bi", said)
    if kind:
        leave_by(number)
    os._exit(number)


def run_init(order: dict[str, Any], writing: int) -> None:
    """The first process of the new namespace: makes the world, starts the program, reaps, reports."""
    try:
        check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "dying with the launcher")
        make_world(order)
        if not order["network"]:
            raise_loopback()
    except OSError as error:
        os.write(writing, struct.pack("=Bi", 0, REFUSED))
        refuse(error)
    program = os.fork()
    if program == 0:
        os.close(writing)
        run_program(order)
    while True:
        pid, status = os.wait()  # orphans of the namespace come here too
        if pid == program:
            break
    if os.WIFSIGNALED(status):
        os.write(writing, struct.pack("=Bi", 1, os.WTERMSIG(status)))
    else:
        os.write(writing, struct.pack("=Bi", 0, os.WEXITSTATUS(status)))
    os._exit(0)  # and the kernel ends whatever is left in the namespace


def run_program(order: dict[str, Any]) -> None:
    """Limits, privileges, filter, exec; never returns."""
    try:
        os.setsid()
        for name, value in order["limits"].items():
            number = getattr(resource, name)
            soft = min(value, resource.getrlimit(number)[1]) if resource.getrlimit(number)[1] >= 0 else value
            resource.setrlimit(number, (soft, soft))
        os.chdir(order["cwd"])
        drop_privileges()
        os.closerange(3, 65_536)
        filter_calls()
        os.execvpe(order["argv"][0], order["argv"], order["env"])
    except OSError as error:
        print(f"the program could not be started: {order['argv'][0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(REFUSED)


# -- the world


def make_world(order: dict[str, Any]) -> None:
    check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    root = order["root"]
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m")
    # Longer paths later: a folder is bound before what is to be bound within it.
    for source, target, writable in sorted(order["binds"], key=lambda bind: bind[1].count("/")):
        if os.path.lexists(source):
            bind(source, root + target, writable)
    for overlay in order["overlays"]:
        mount_overlay(overlay, root)
    make_devices(root)
    os.makedirs(f"{root}/proc", exist_ok=True)
    mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "")
    for target, source in order["links"]:
        if not os.path.lexists(root + target):
            os.makedirs(os.path.dirname(root + target), exist_ok=True)
            os.symlink(source, root + target)
    os.chdir(root)
    check(libc.syscall(call("pivot_root"), b".", b"."), "the new root")
    check(libc.umount2(b".", MNT_DETACH), "leaving the old root")
    os.chdir("/")
    set_attributes("/", MOUNT_ATTR_RDONLY, 0)


def bind(source: str, target: str, writable: bool) -> None:
    """Show a file or folder in the new root, read-only with everything mounted below it unless it is writable."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    tree = check(
        libc.syscall(OPEN_TREE, AT_FDCWD, source.encode(), OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE),
        f"binding {source}",
    )
    attributes = struct.pack("=QQQQ", MOUNT_ATTR_NOSUID | (0 if writable else MOUNT_ATTR_RDONLY), 0, 0, 0)
    check(
        libc.syscall(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, attributes, len(attributes)),
        f"protecting {source}",
    )
    check(libc.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH), f"showing {source}")
    os.close(tree)


def mount_overlay(overlay: dict[str, Any], root: str) -> None:
    """Layers as one folder: by descriptor (any path, Linux 6.13), else by name (6.8), else as one option string."""
    target = root + overlay["target"]
    os.makedirs(target, exist_ok=True)
    upper = f"{root}{overlay['upper']}/up"
    work = f"{root}{overlay['upper']}/work"
    os.makedirs(upper)
    os.makedirs(work)
    lowers = overlay["lowers"]
    for add in (add_by_descriptor, add_by_name):
        context = check(libc.syscall(FSOPEN, b"overlay", 1), "overlay mounts")
        try:
            for lower in lowers:
                add(context, lower)
            for key, value in (("upperdir", upper), ("workdir", work), ("userxattr", None)):
                text = None if value is None else value.encode()
                command = 0 if value is None else FSCONFIG_SET_STRING
                check(libc.syscall(FSCONFIG, context, command, key.encode(), text, 0), f"the overlay's {key}")
            check(libc.syscall(FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0), "the overlay")
            mounted = check(libc.syscall(FSMOUNT, context, 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), "the overlay")
            check(
                libc.syscall(MOVE_MOUNT, mounted, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH),
                "showing the overlay",
            )
            os.close(mounted)
            return
        except Unsupported:
            continue
        finally:
            os.close(context)
    # mount(2) takes 4,096 bytes of options: go to the store, where the names are short.
    os.chdir(overlay["store"])
    names = ":".join(os.path.relpath(lower, overlay["store"]).replace(":", "\\:") for lower in lowers)
    mount(
        "overlay",
        target,
        "overlay",
        MS_NOSUID | MS_NODEV,
        f"lowerdir={names},upperdir={upper},workdir={work},userxattr",
    )


class Unsupported(Exception):
    """This kernel doesn't take layers in that way."""


def add_by_descriptor(context: int, lower: str) -> None:
    layer = os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syscall(FSCONFIG, context, FSCONFIG_SET_FD, b"lowerdir+", None, layer) < 0:
            raise Unsupported
    finally:
        os.close(layer)


def add_by_name(context: int, lower: str) -> None:
    if libc.syscall(FSCONFIG, context, FSCONFIG_SET_STRING, b"lowerdir+", lower.encode(), 0) < 0:
        raise Unsupported


def make_devices(root: str) -> None:
    os.makedirs(f"{root}/dev/shm", exist_ok=True)
    for name in DEVICES:
        bind(f"/dev/{name}", f"{root}/dev/{name}", writable=True)
    mount("tmpfs", f"{root}/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{root}/dev/{name}")


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16xh14x", fcntl.ioctl(control, 0x8913, request))[0]
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


# -- privileges


def drop_privileges() -> None:
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, bytes(24)), "dropping capabilities")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def filter_calls() -> None:
    """Answer EPERM to what reaches out; another architecture's calls are killed."""
    machine = platform.machine()
    if machine not in FORBIDDEN:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    load, equal, at_least, has_bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, deny, kill = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
    number, low_first, low_second = 0, 16, 24  # offsets: the call, low halves of its first two arguments
    program = [(load, 0, 0, 4), (equal, 1, 0, AUDIT_ARCH[machine]), (give, 0, 0, kill), (load, 0, 0, number)]
    if machine == "x86_64":  # the x32 calls are the same ones under other numbers
        program += [(at_least, 0, 1, 0x40000000), (give, 0, 0, kill)]
    for forbidden in sorted({*FORBIDDEN[machine].values(), *FORBIDDEN_EVERYWHERE.values()}):
        program += [(equal, 0, 1, forbidden), (give, 0, 0, deny)]
    program += [
        # New user namespaces give capabilities again. clone3 hides its flags: libraries fall back to clone then.
        (equal, 0, 1, CLONE3),
        (give, 0, 0, 0x00050000 | errno.ENOSYS),
        (equal, 0, 4, CLONE[machine]),
        (load, 0, 0, low_first),
        (has_bits, 0, 1, 0x10000000),
        (give, 0, 0, deny),
        (give, 0, 0, allow),
        (equal, 0, 4, IOCTL[machine]),
        (load, 0, 0, low_second),
        (equal, 1, 0, TIOCSTI),
        (equal, 0, 1, TIOCLINUX),
        (give, 0, 0, deny),
        (give, 0, 0, allow),
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(buffer))
    check(libc.prctl(PR_SET_SECCOMP, 2, header, 0, 0), "the filter of system calls")


# -- small things


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    check(
        libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()),
        f"mounting {kind} on {target}",
    )


def set_attributes(target: str, on: int, flags: int) -> None:
    attributes = struct.pack("=QQQQ", on, 0, 0, 0)
    check(
        libc.syscall(MOUNT_SETATTR, AT_FDCWD, target.encode(), flags, attributes, len(attributes)),
        f"protecting {target}",
    )


def call(name: str) -> int:
    return FORBIDDEN[platform.machine()][name]


def check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)


def refuse(error: OSError) -> None:
    print(f"the sandbox could not be made: {error.filename}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(REFUSED)


def leave_by(number: int) -> None:
    """End as the program did: by the same signal, without a core file of ours."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(number, signal.SIG_DFL) if number not in (signal.SIGKILL, signal.SIGSTOP) else None
    os.kill(os.getpid(), number)
    signal.pause()


if __name__ == "__main__":
    main()
