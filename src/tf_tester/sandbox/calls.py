"""Which system calls a sandboxed program may not make: a seccomp filter, written out as instructions.

Numbers are from the kernel's tables (`syscall_64.tbl`, `unistd.h`). `libseccomp` would need a library of the system's;
the list is short and is all there is to it.
"""

import ctypes
import os
import struct

from tf_tester.sandbox.kernel import SECCOMP, check, libc, machine

EPERM, EACCES, EINVAL, ENOTTY, ENOSYS, ENOTSUP, EAFNOSUPPORT = 1, 13, 22, 25, 38, 95, 97

# What reaches out of a sandbox, or whose bugs do.
_REFUSED = {
    "x86_64": {
        "ptrace": 101, "syslog": 103, "pivot_root": 155, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165,
        "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "init_module": 175, "delete_module": 176,
        "quotactl": 179, "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248,
        "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300,
        "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
        "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    },
    "aarch64": {
        "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "acct": 89,
        "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116,
        "ptrace": 117, "reboot": 142, "settimeofday": 170, "add_key": 217, "request_key": 218, "keyctl": 219,
        "swapon": 224, "swapoff": 225, "perf_event_open": 241, "fanotify_init": 262, "open_by_handle_at": 265,
        "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280,
        "userfaultfd": 282, "kexec_file_load": 294,
    },
}  # fmt: skip
_REFUSED_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "quotactl_fd": 443, "open_tree_attr": 467,
}  # fmt: skip

# Of processes of one's own cell, where no others are seen. From what has more rights, as the first process of the
# namespace, the kernel keeps a program (`cap_ptrace_access_check`), and a filter holds, whatever a tracer makes of a
# call (Linux 4.8).
_TRACES = ("ptrace", "process_vm_readv", "process_vm_writev")

# Where no mount makes files read-only, Landlock has no say about these: they are answered as if they had been done.
# A refusal would end every `shutil.copy`, and doing them would let a test change the files it may only read.
_PRETENDED = {
    "x86_64": {
        "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "utime": 132, "utimes": 235,
        "fchownat": 260, "futimesat": 261, "fchmodat": 268, "utimensat": 280,
    },
    "aarch64": {"fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88},
}  # fmt: skip
_PRETENDED_EVERYWHERE = {"fchmodat2": 452}
# Nor about reading attributes by a path: a descriptor it gives only of what may be read.
_UNSUPPORTED = {
    "x86_64": {
        "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "getxattr": 191, "lgetxattr": 192, "listxattr": 194,
        "llistxattr": 195, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    },
    "aarch64": {
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "getxattr": 8, "lgetxattr": 9, "listxattr": 11, "llistxattr": 12,
        "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    },
}  # fmt: skip
_UNSUPPORTED_EVERYWHERE = {
    "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466, "file_getattr": 468,
    "file_setattr": 469,
}  # fmt: skip
# Shared memory, semaphores and queues that other programs of the same user have.
_SHARED = {
    "x86_64": {
        "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66, "msgget": 68, "msgsnd": 69,
        "msgrcv": 70, "msgctl": 71, "semtimedop": 220, "mq_open": 240, "mq_unlink": 241,
    },
    "aarch64": {
        "mq_open": 180, "mq_unlink": 181, "msgget": 186, "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "semget": 190,
        "semctl": 191, "semtimedop": 192, "semop": 193, "shmget": 194, "shmctl": 195, "shmat": 196,
    },
}  # fmt: skip
_WATCH = {"x86_64": 254, "aarch64": 27}
"""inotify_add_watch: of a folder that may not even be listed it tells the names of what is used in it."""
_TRUNCATE = {"x86_64": 76, "aarch64": 45}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_CLONE = {"x86_64": 56, "aarch64": 220}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_SOCKETPAIR = {"x86_64": 53, "aarch64": 199}
_ADDRESSED = {
    "x86_64": {"connect": 42, "bind": 49, "listen": 50},
    "aarch64": {"bind": 200, "listen": 201, "connect": 203},
}
_SENDS = {
    "x86_64": {"sendto": (44, 3), "sendmsg": (46, 2), "sendmmsg": (307, 3)},
    "aarch64": {"sendto": (206, 3), "sendmsg": (211, 2), "sendmmsg": (269, 3)},
}
"""Which argument are the flags."""
_CONNECTS = 0x20000000
"""MSG_FASTOPEN: what is sent connects the socket."""
_SETSOCKOPT = {"x86_64": 54, "aarch64": 208}
_LEADS_ELSEWHERE = ((0, 4), (0, 50), (1, 25), (1, 62), (6, 30), (41, 6), (41, 57), (41, 76))
"""Level and number of options by which a packet takes another way than its address says, or a connection is made later:
IP_OPTIONS, IP_UNICAST_IF, SO_BINDTODEVICE, SO_BINDTOIFINDEX, TCP_FASTOPEN_CONNECT, IPV6_2292PKTOPTIONS, IPV6_RTHDR,
IPV6_UNICAST_IF."""
_FCNTL = {"x86_64": 72, "aarch64": 25}
_SET_LEASE = 1024
"""F_SETLEASE: whoever opens the file then waits for its holder, up to 45 seconds, be it another program outside."""
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_PRCTL = {"x86_64": 157, "aarch64": 167}
_SET_DUMPABLE = 4
_KILLS = {"x86_64": (62, 129, 200, 234, 297), "aarch64": (129, 130, 131, 138, 240)}
"""kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo: the process is their first argument."""
# Which argument is the mode of a file: none is made that gives its owner's rights to whoever starts it.
_MODE = {
    "x86_64": {"creat": (85, 1), "chmod": (90, 1), "fchmod": (91, 1), "mknod": (133, 1), "mknodat": (259, 2),
               "fchmodat": (268, 2), "fchmodat2": (452, 2)},
    "aarch64": {"mknodat": (33, 2), "fchmod": (52, 1), "fchmodat": (53, 2), "fchmodat2": (452, 2)},
}  # fmt: skip
_OPEN = {"x86_64": {"open": (2, 1), "openat": (257, 2)}, "aarch64": {"openat": (56, 2)}}
"""Which argument are the flags; the mode is the next one."""
_MAKES_A_FILE = 0o100 | 0o20000000
_CUTS, _ACCESS = 0o1000, 0o3
"""O_TRUNC; the bits that say what a file is opened for, of which 0 (reading) and 3 (neither) are not for writing."""
_SETUID = 0o4000
_OPENAT2 = 437
_CLONE3 = 435
_PIDFD_SEND_SIGNAL, _PIDFD_OPEN = 424, 434
_NEW_USER = 0x10000000
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_IOCTLS = (0x5412, 0x541C, 0x40086602, 0x40046602, 0x401C5820)
"""TIOCSTI and TIOCLINUX type into a terminal (CVE-2017-5226); the others set a file's attributes."""
_FILE_SYSTEM_IOCTLS = (ord("f"), ord("v"), ord("X"), 0x94, 0xF5)
"""Kinds of requests to file systems (any, ext2's, XFS's, btrfs's and what became of them, F2FS's)."""
_INTERFACE_IOCTLS = 0x8910, 0x8A00
"""From the first, up to the last and without it: about network interfaces, by a socket of any family."""
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
FAMILIES = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)
"""Of sockets: those that programs have a use for."""
_TO_ITSELF = (AF_UNIX, AF_INET, AF_INET6)
"""Those by which a program may talk to itself, where somebody sees to it that it does."""
_KINDS = (1, 5)
"""Streams and sequenced packets: such a socket reaches whoever it was connected to. A datagram reaches anybody."""
_KIND_OF_SOCKET = 0xF
"""The rest of the type of a socket are flags."""
_INSTRUCTION = struct.Struct("=HBBI")
_WRITTEN: "dict[tuple[object, ...], bytes]" = {}

BpfInstruction = tuple[int, int, int, int]
_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _MASK, _GIVE = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _ERROR, _KILL, _NOTIFY = 0x7FFF0000, 0x00050000, 0x80000000, 0x7FC00000
_NUMBER, _ARCH, _FIRST, _SECOND, _THIRD, _ONE = 0, 4, 16, 24, 32, 8
"""Offsets: the call, the architecture, the low halves of the first arguments; from one to the next."""
_SET_FILTER, _IS_KNOWN, _SIZES = 1, 2, 3
_NEW_LISTENER, _UNTIL_KILLED = 1 << 3, 1 << 5
"""The second from Linux 5.19 on: no signal but a deadly one disturbs who waits for an answer."""


def filter_calls(
    families: tuple[int, ...],
    *,
    files_are_mounts: bool,
    truncates: bool,
    protected: tuple[int, ...] = (),
    supervised: bool = False,
) -> int:
    """Install the filter for this process and all that it starts. Raises `OSError`.

    `families` of sockets may be opened; without UNIX ones there are pairs all the same, of streams. `files_are_mounts`:
    read-only mounts protect what may only be read, and the process sees no others; without, the rest of the user's
    processes and files are within reach and more is refused. `truncates`: something else sees to it that files are not
    cut. No signal goes to the processes `protected`.

    `supervised`: some calls wait until somebody else has made them. Then a descriptor is returned, by which these are
    told (`supervise`), and 0 otherwise.
    """
    code = _code(families, files_are_mounts, truncates, protected, supervised)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("=HxxxxxxQ", len(code) // _INSTRUCTION.size, ctypes.addressof(buffer))
    call = SECCOMP[machine()]
    flags = _NEW_LISTENER | _UNTIL_KILLED if supervised else 0
    result = libc.syscall(call, _SET_FILTER, flags, header)
    if supervised and result < 0 and ctypes.get_errno() == EINVAL:
        result = libc.syscall(call, _SET_FILTER, _NEW_LISTENER, header)
    return check(result, "the filter of system calls")


def can_supervise() -> bool:
    """Tell whether this kernel has what supervising takes; a container's filter may refuse it all the same."""
    release = os.uname().release.split("-")[0].split(".")
    if machine() not in SECCOMP or tuple(int(part) for part in release[:2]) < (5, 14):
        return False
    asked = SECCOMP[machine()], _IS_KNOWN, 0, struct.pack("=I", _NOTIFY)
    known: bool = libc.syscall(*asked) == 0
    return known


def supervised_calls(name: str) -> dict[str, int]:
    """Return the numbers of calls that may be supervised on a machine of this name."""
    changes = {call: number for call, number in _PRETENDED[name].items() if "chown" not in call}
    return {
        "socket": _SOCKET[name],
        **_ADDRESSED[name],
        **changes,
        **_PRETENDED_EVERYWHERE,
        **_UNSUPPORTED[name],
    }


def prepare() -> None:
    """Work out now what sandboxes usually have: those who are forked from this process have it then."""
    for families, files_are_mounts, supervised in ((FAMILIES, True, False), ((), False, True), (FAMILIES, False, True)):
        try:
            _code(families, files_are_mounts, True, (), supervised)
        except OSError:
            return  # it is said when a sandbox is made


def _code(
    families: tuple[int, ...], files_are_mounts: bool, truncates: bool, protected: tuple[int, ...], supervised: bool
) -> bytes:
    """Return the filter as the kernel takes it; written once, for that takes as long as all mounts of a sandbox."""
    known = families, files_are_mounts, truncates, protected, supervised
    if known not in _WRITTEN:
        name = machine()
        if name not in _REFUSED:
            raise OSError(ENOSYS, "it is not known here", f"the list of system calls for {name}")
        program = _instructions(name, families, files_are_mounts, truncates, protected, supervised=supervised)
        _WRITTEN[known] = b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
    return _WRITTEN[known]


def _instructions(
    name: str,
    families: tuple[int, ...],
    files_are_mounts: bool,
    truncates: bool,
    protected: tuple[int, ...],
    *,
    supervised: bool = False,
) -> list[BpfInstruction]:
    # Another architecture's calls, and the x32 ones, are the same calls under other numbers.
    program = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT_ARCH[name]), (_GIVE, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if name == "x86_64":
        program += [(_AT_LEAST, 0, 1, 0x40000000), (_GIVE, 0, 0, _KILL)]
    answers = dict.fromkeys((*_REFUSED[name].values(), *_REFUSED_EVERYWHERE.values()), _ERROR | EPERM)
    # These hide their flags and modes in a structure: libraries fall back to their elders then.
    answers |= dict.fromkeys((_CLONE3, _OPENAT2), _ERROR | ENOSYS)
    if files_are_mounts:
        for harmless in _TRACES:
            del answers[_REFUSED[name][harmless]]
    else:
        answers |= dict.fromkeys(_SHARED[name].values(), _ERROR | EPERM)
        answers[_WATCH[name]] = _ERROR | EACCES
        answers |= dict.fromkeys((*_PRETENDED[name].values(), *_PRETENDED_EVERYWHERE.values()), _ERROR)
        answers |= dict.fromkeys((*_UNSUPPORTED[name].values(), *_UNSUPPORTED_EVERYWHERE.values()), _ERROR | ENOTSUP)
        if not truncates:
            answers[_TRUNCATE[name]] = _ERROR | EPERM
    talks_to_itself = supervised and AF_UNIX not in families
    if supervised:
        makes_sockets = {_SOCKET[name], *_ADDRESSED[name].values()}
        answers |= dict.fromkeys(set(supervised_calls(name).values()) - makes_sockets, _NOTIFY)
        if talks_to_itself:
            answers |= dict.fromkeys(_ADDRESSED[name].values(), _NOTIFY)
    if protected:
        # A folder of /proc is such a descriptor too.
        answers |= dict.fromkeys((_PIDFD_SEND_SIGNAL, _PIDFD_OPEN), _ERROR | ENOSYS)
    for call, answer in sorted(answers.items()):
        program += [(_EQUAL, 0, 1, call), (_GIVE, 0, 0, answer)]
    # New user namespaces give capabilities again.
    program += _argument(_CLONE[name], _FIRST, _HAS_BITS, (_NEW_USER,), found=_ERROR | EPERM, otherwise=_ALLOW)
    program += _argument(_FCNTL[name], _SECOND, _EQUAL, (_SET_LEASE,), found=_ERROR | EACCES, otherwise=_ALLOW)
    program += _ioctl(name, families, files_are_mounts)
    opened, answer = (_TO_ITSELF, _NOTIFY) if talks_to_itself else (families, _ALLOW)
    program += _argument(_SOCKET[name], _FIRST, _EQUAL, opened, found=answer, otherwise=_ERROR | EAFNOSUPPORT)
    if AF_UNIX not in families:
        program += _connected_only(name)
    for call, place in _MODE[name].values():
        program += _argument(call, _FIRST + place * _ONE, _HAS_BITS, (_SETUID,), found=_ERROR | EPERM, otherwise=_ALLOW)
    for call, place in _OPEN[name].values():
        program += _opened(call, _FIRST + place * _ONE, truncates=files_are_mounts or truncates)
    if not files_are_mounts:
        program += _argument(_PRLIMIT[name], _FIRST, _EQUAL, (0,), found=_ALLOW, otherwise=_ERROR | EPERM)
        # Answered as if done: who looks after limits must be able to look at it.
        program += _argument(_PRCTL[name], _FIRST, _EQUAL, (_SET_DUMPABLE,), found=_ERROR, otherwise=_ALLOW)
    if protected:
        everybody = 0xFFFFFFFF
        targets = (*protected, *(everybody + 1 - pid for pid in protected), everybody)
        for call in _KILLS[name]:
            program += _argument(call, _FIRST, _EQUAL, targets, found=_ERROR | EPERM, otherwise=_ALLOW)
    return [*program, (_GIVE, 0, 0, _ALLOW)]


def _ioctl(name: str, families: tuple[int, ...], files_are_mounts: bool) -> list[BpfInstruction]:
    """Return the answers to requests to devices and file systems, which are told apart by their number."""
    body: list[BpfInstruction] = [(_LOAD, 0, 0, _SECOND)]
    for request in _IOCTLS:
        body += [(_EQUAL, 0, 1, request), (_GIVE, 0, 0, _ERROR | EPERM)]
    if not files_are_mounts:
        if AF_NETLINK not in families:
            first, end = _INTERFACE_IOCTLS
            body += [(_AT_LEAST, 0, 2, first), (_AT_LEAST, 1, 0, end), (_GIVE, 0, 0, _ERROR | EPERM)]
        body.append((_MASK, 0, 0, 0xFF00))
        for kind in _FILE_SYSTEM_IOCTLS:
            body += [(_EQUAL, 0, 1, kind << 8), (_GIVE, 0, 0, _ERROR | ENOTTY)]
    body.append((_GIVE, 0, 0, _ALLOW))
    return [(_EQUAL, 0, len(body), _IOCTL[name]), *body]


def _opened(call: int, flags: int, *, truncates: bool) -> list[BpfInstruction]:
    """Return the answers to opening a file, whose mode follows its flags.

    Of one that is cut and not opened for writing, Landlock sees no writing before it has a word for cutting.
    """
    body: list[BpfInstruction] = []
    if not truncates:
        body += [(_LOAD, 0, 0, flags), (_HAS_BITS, 0, 4, _CUTS), (_MASK, 0, 0, _ACCESS)]
        body += [(_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, _ACCESS), (_GIVE, 0, 0, _ERROR | EACCES)]
    body += [(_LOAD, 0, 0, flags), (_HAS_BITS, 0, 3, _MAKES_A_FILE)]
    body += [(_LOAD, 0, 0, flags + _ONE), (_HAS_BITS, 0, 1, _SETUID), (_GIVE, 0, 0, _ERROR | EPERM)]
    body.append((_GIVE, 0, 0, _ALLOW))
    return [(_EQUAL, 0, len(body), call), *body]


def _connected_only(name: str) -> list[BpfInstruction]:
    """Return answers by which a socket reaches nobody but whom it was connected to by `connect`."""
    # One end of a pair of datagrams can be sent from to any other socket.
    body = [(_LOAD, 0, 0, _SECOND), (_MASK, 0, 0, _KIND_OF_SOCKET)]
    body += _by_value(_EQUAL, _KINDS, found=_ALLOW, otherwise=_ERROR | EAFNOSUPPORT)
    program = [(_EQUAL, 0, len(body), _SOCKETPAIR[name]), *body]
    for call, place in _SENDS[name].values():
        where = _FIRST + place * _ONE
        program += _argument(call, where, _HAS_BITS, (_CONNECTS,), found=_ERROR | ENOTSUP, otherwise=_ALLOW)
    body = []
    for level, number in _LEADS_ELSEWHERE:
        body += [(_LOAD, 0, 0, _SECOND), (_EQUAL, 0, 3, level), (_LOAD, 0, 0, _THIRD), (_EQUAL, 0, 1, number)]
        body += [(_GIVE, 0, 0, _ERROR | EPERM)]
    body.append((_GIVE, 0, 0, _ALLOW))
    return [*program, (_EQUAL, 0, len(body), _SETSOCKOPT[name]), *body]


def _argument(
    call: int, offset: int, comparison: int, values: tuple[int, ...], *, found: int, otherwise: int
) -> list[BpfInstruction]:
    """Return an answer to one call by its argument; other calls pass through."""
    body = [(_LOAD, 0, 0, offset), *_by_value(comparison, values, found=found, otherwise=otherwise)]
    return [(_EQUAL, 0, len(body), call), *body]


def _by_value(comparison: int, values: tuple[int, ...], *, found: int, otherwise: int) -> list[BpfInstruction]:
    """Return an answer by what is loaded."""
    program: list[BpfInstruction] = []
    for value in values:
        program += [(comparison, 0, 1, value), (_GIVE, 0, 0, found)]
    return [*program, (_GIVE, 0, 0, otherwise)]
