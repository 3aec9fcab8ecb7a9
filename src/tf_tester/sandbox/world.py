"""Namespaces and what is seen in them: a root of its own, layers as one folder; standard library only."""

import ctypes
import os
import struct

from tf_tester.sandbox import kernel
from tf_tester.sandbox.kernel import check, libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    MountStep = tuple[str, Callable[..., None], tuple[object, ...]]
    """A place, what shows something there, and its words besides the place and the root."""

_USERS, _IPC, _NETWORK = 0x10000000, 0x08000000, 0x40000000
_OTHERS = 0x00020000 | 0x04000000 | 0x20000000
"""Namespaces of mounts, host name, processes."""
_QUEUES, _SEMAPHORES = 1024, "32000 256000 500 1024"
"""System V message queues, each of 16 kB; semaphores of a set, of all, operations of a call, sets: some 16 MB each."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
# As container engines have it: they tell things of the whole machine.
_HIDDEN_IN_PROC = ("acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list")
_SMALL = "mode=755,size=16m"
_INET, _INET6, _DATAGRAM = 2, 10, 2
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_NETMASK = 0x8913, 0x8914, 0x8916, 0x891C
"""Requests of netdevice(7)."""
_ADDRESS, _ADDRESS_6 = bytes((198, 19, 255, 254)), bytes.fromhex("fd746674657374000000000000000001")
"""Nobody's: of RFC 2544, for measurements, and of RFC 4193, for one's own."""


def enter_namespaces(*, network: bool, shared_memory: str) -> None:
    """Enter new namespaces of every kind. `shared_memory`: bytes of all System V segments, where it is a number."""
    uid, gid = os.getuid(), os.getgid()
    # What System V objects take, only control groups count. It is limited by a namespace's user 0 alone: who is another
    # user has one around his own, in which he is 0, and is himself again within.
    _enter(_USERS | _IPC, 0, 0)
    _limit_shared(shared_memory)
    _enter(_USERS | _OTHERS | (0 if network else _NETWORK), uid, gid)


def _enter(namespaces: int, uid: int, gid: int) -> None:
    """Enter namespaces in which the caller has these ids, and nobody else has any."""
    outside = os.getuid(), os.getgid()
    check(libc.unshare(namespaces), "new namespaces")
    kernel.write("/proc/self/setgroups", "deny")
    kernel.write("/proc/self/uid_map", f"{uid} {outside[0]} 1")
    kernel.write("/proc/self/gid_map", f"{gid} {outside[1]} 1")


def _limit_shared(size: str) -> None:
    page = os.sysconf("SC_PAGESIZE")
    wanted = {"shmall": str(int(size) // page)} if size.isdecimal() else {}
    for name, value in {**wanted, "msgmni": str(_QUEUES), "sem": _SEMAPHORES}.items():
        try:
            kernel.write(f"/proc/sys/kernel/{name}", value)
        except OSError:
            pass  # an older kernel lets only root do it, and a container's engine may have made it read-only


def make_world(ahead: "dict[str, Any]") -> None:
    """Make a new root with what the system brings and nothing else. By the first process of the namespace."""
    check(libc.mount(None, b"/", None, kernel.MS_REC | kernel.MS_PRIVATE, None), "private mounts")
    root = ahead["root"]
    _mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _SMALL)
    _bind_all(ahead["system"], root)
    _make_devices(root, ahead["shared_memory"])
    _make_proc(root, ahead["processes"])
    if not ahead["network"]:
        _raise_loopback()


def furnish_world(order: "dict[str, Any]") -> None:
    """Add to that root what the order names, and enter it."""
    root = order["root"]
    aside = f"{root}/tf-tester/hidden"
    memory = f"{root}/tf-tester/memory"
    hides = order["trees"] or order["private"]
    if hides:
        _make_folder(aside)
        _mount("tmpfs", aside, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _SMALL)
    steps: list[MountStep] = [(target, _show_bind, (source, writable)) for source, target, writable in order["binds"]]
    steps += [(target, _show_moved, (source,)) for source, target in order["moved"]]
    if order["fresh"]:
        _make_folder(memory)
        _mount("tmpfs", memory, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"mode=700,size={order['memory']}")
        steps += [(target, _show_fresh, (folder, memory)) for folder, target in order["fresh"]]
    steps += [(folder, _show_tree, (hidden, order["ways"], aside)) for folder, hidden in order["trees"]]
    steps += [(one["target"], _show_private, (one, hidden, aside)) for one, hidden in order["private"]]
    steps += [(folder, _show_empty, ()) for folder in order["emptied"]]
    changed = [target for _, target in order["moved"]] + [one["target"] for one, _ in order["private"]]
    # Longer paths later: a folder is shown before what is to be shown within it.
    for target, show, words in sorted(steps, key=lambda step: step[0].count("/")):
        _clear_way(target, root, changed)
        show(target, root, *words)
    for overlay in order["overlays"]:
        _clear_way(overlay["target"], root, changed)
        _mount_overlay(overlay, root)
    for target, source in order["links"]:
        if not os.path.lexists(root + target):
            _make_folder(os.path.dirname(root + target))
            os.symlink(source, root + target)
    for folder in order["emptied"]:
        _set_attributes(root + folder, kernel.MOUNT_ATTR_RDONLY)
    for folder, used in ((aside, hides), (memory, order["fresh"])):
        if used:
            check(libc.umount2(folder.encode(), kernel.MNT_DETACH), f"putting away {folder}")
            os.rmdir(folder)
    _become_root(root)


def _clear_way(target: str, root: str, changed: "list[str]") -> None:
    """Take out of the way of a place what an earlier program of the cell may have put there: a link leads out of here.

    `changed`: folders whose contents are a test's own, if only as it sees them.
    """
    for folder in changed:
        inside = target[len(folder) + 1 :].split("/") if target.startswith(f"{folder}/") else []
        path = root + folder
        for name in inside:
            path = f"{path}/{name}"
            is_on_the_way = path != root + target
            if os.path.islink(path) or (is_on_the_way and os.path.lexists(path) and not os.path.isdir(path)):
                os.unlink(path)


def _bind_all(binds: "list[tuple[str, str, bool]]", root: str) -> None:
    for source, target, writable in binds:
        _show_bind(target, root, source, writable)


def _show_bind(target: str, root: str, source: str, writable: bool) -> None:
    try:
        _bind(source, root + target, writable=writable)
    except FileNotFoundError:
        pass  # not every system has it


def _show_moved(target: str, root: str, source: str) -> None:
    """Show a folder of the scratch; a link in its place would be a program's of the cell, and lead anywhere."""
    _bind(source, root + target, writable=True, follow=False)


def enter_view(order: "dict[str, Any]") -> None:
    """Enter the caller's own world with overlays in it: no sandbox. For the process itself."""
    _enter(0x00020000 | _USERS, os.getuid(), os.getgid())
    check(libc.mount(None, b"/", None, kernel.MS_REC | kernel.MS_PRIVATE, None), "private mounts")
    root = order["root"]
    _mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _SMALL)
    for name in os.listdir("/"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        else:
            _bind(f"/{name}", f"{root}/{name}", writable=True)
    for overlay in order["overlays"]:
        _mount_overlay(overlay, root)
    _become_root(root)


def _bind(source: str, target: str, *, writable: bool, follow: bool = True) -> None:
    """Show a file or folder, with everything mounted below it, read-only unless it is writable."""
    flags = kernel.OPEN_TREE_CLONE | os.O_CLOEXEC | kernel.AT_RECURSIVE
    flags |= 0 if follow else kernel.AT_SYMLINK_NOFOLLOW
    tree = check(libc.syscall(kernel.OPEN_TREE, kernel.AT_FDCWD, os.fsencode(source), flags), f"binding {source}")
    if os.path.isdir(source):
        _make_folder(target)
    elif not os.path.lexists(target):
        _make_folder(os.path.dirname(target))
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    on = kernel.MOUNT_ATTR_NOSUID | (0 if writable else kernel.MOUNT_ATTR_RDONLY)
    attributes = struct.pack("=QQQQ", on, 0, 0, 0)
    how = kernel.AT_EMPTY_PATH | kernel.AT_RECURSIVE
    check(libc.syscall(kernel.MOUNT_SETATTR, tree, b"", how, attributes, len(attributes)), f"protecting {source}")
    _show(tree, target)


def _make_folder(path: str) -> None:
    """Make it and those above it, if they aren't there. `os.makedirs` looks before each step; sixty are to be made."""
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make_folder(os.path.dirname(path))
        os.mkdir(path)


def _show(mounted: int, target: str) -> None:
    where = kernel.AT_FDCWD, os.fsencode(target), kernel.MOVE_MOUNT_F_EMPTY_PATH
    check(libc.syscall(kernel.MOVE_MOUNT, mounted, b"", *where), f"showing {target}")
    os.close(mounted)


def _become_root(folder: str) -> None:
    os.chdir(folder)
    check(libc.syscall(kernel.PIVOT_ROOT[kernel.machine()], b".", b"."), "the new root")
    check(libc.umount2(b".", kernel.MNT_DETACH), "leaving the old root")
    os.chdir("/")
    _set_attributes("/", kernel.MOUNT_ATTR_RDONLY)


# -- folders without some of what is in them


def _show_tree(folder: str, root: str, hidden: "list[str]", ways: "tuple[str, ...]", aside: str) -> None:
    """Show a folder at its own place, read-only, without what is hidden in it: paths relative to it.

    As an overlay of whiteouts over the folder: one mount, however much is hidden. Where its file system can't be below
    one, or another is mounted within it, everything that is shown is bound by itself.
    """
    if not _has_mounts(folder, hidden, root):
        above = f"{aside}/{len(os.listdir(aside))}"
        _make_folder(root + folder)
        try:
            _make_whiteouts(folder, above, hidden)
            return _mount_lowers([above, folder], root + folder, ways, f"{above}-names")
        except OSError:
            pass
    paths = {f"{folder}/{name}" for name in hidden}
    return _show_parts(folder, root + folder, paths, {parent for path in paths for parent in _parents(path, folder)})


def _show_private(folder: str, root: str, overlay: "dict[str, Any]", hidden: "list[str]", aside: str) -> None:
    """Show a folder without what is hidden in it; what is written there goes elsewhere.

    Where it can't be below an overlay, new things can be made in the folder itself, and the rest is read-only.
    """
    if not _has_mounts(folder, hidden, root):
        above = f"{aside}/{len(os.listdir(aside))}"
        try:
            _make_whiteouts(folder, above, hidden)
            return _mount_overlay({**overlay, "lowers": [above, folder]}, root)
        except OSError:
            pass
    _make_folder(root + folder)
    _mount("tmpfs", root + folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"mode=755,{_room(overlay['size'])}")
    paths = {f"{folder}/{name}" for name in hidden}
    return _show_parts(folder, root + folder, paths, {parent for path in paths for parent in _parents(path, folder)})


def _show_fresh(folder: str, root: str, like: str, memory: str) -> None:
    """Show a new folder in memory."""
    source = f"{memory}/{len(os.listdir(memory))}"
    _make_like(source, like)
    _bind(source, root + folder, writable=True)


def _show_empty(folder: str, root: str) -> None:
    """Show nothing there but what is to be shown within it."""
    _make_folder(root + folder)
    _mount("tmpfs", root + folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _SMALL)


def _make_whiteouts(folder: str, above: str, hidden: "list[str]") -> None:
    """Make a folder that, laid over the other, takes what is hidden out of it and changes nothing else."""
    made = {""}
    _make_like(above, folder)
    for name in hidden:
        if not os.path.lexists(f"{folder}/{name}"):
            continue  # somebody has deleted it since
        for parent in reversed(_parents(name, "")):
            if parent not in made:
                made.add(parent)
                _make_like(f"{above}/{parent}", f"{folder}/{parent}")
        os.mknod(f"{above}/{name}", kernel.WHITEOUT)


def _make_like(path: str, other: str) -> None:
    """Give a folder mode and times of the topmost of those that are laid over one another."""
    status = os.stat(other)
    os.mkdir(path)
    os.chmod(path, status.st_mode & 0o7777)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _parents(path: str, top: str) -> "list[str]":
    """Return the folders above a path, up to `top` and without it."""
    parents = []
    path = os.path.dirname(path)
    while path != top:
        parents.append(path)
        path = os.path.dirname(path)
    return parents


def _show_parts(source: str, target: str, hidden: "set[str]", opened: "set[str]") -> None:
    """Show each thing in a folder by itself. `opened`: folders in which something is hidden."""
    _make_folder(target)
    with os.scandir(source) as found:
        entries = list(found)
    for entry in entries:
        there = f"{target}/{entry.name}"
        if entry.path in hidden:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), there)
        elif entry.path in opened:
            _show_parts(entry.path, there, hidden, opened)
        else:
            _show_bind(there, "", entry.path, False)
    os.chmod(target, os.stat(source).st_mode & 0o7777)


def _has_mounts(folder: str, hidden: "list[str]", root: str) -> bool:
    """Tell whether something is mounted within a folder, but for what is hidden and for our own root."""
    left_out = tuple(f"{path}/" for path in (root, *(f"{folder}/{name}" for name in hidden)))
    with open("/proc/self/mountinfo", "rb") as stream:
        places = [_unescaped(line.split(b" ", 5)[4]) for line in stream]
    return any(place.startswith(f"{folder}/") and not f"{place}/".startswith(left_out) for place in places)


def _unescaped(place: bytes) -> str:
    """Return a path that proc_pid_mountinfo(5) has escaped."""
    for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        place = place.replace(code, character)
    return os.fsdecode(place)


# -- layers


class _Unsupported(Exception):
    """This kernel doesn't take layers in that way."""


def _mount_overlay(overlay: "dict[str, Any]", root: str) -> None:
    """Mount layers as one folder, what is written going to a folder on disk or to a tmpfs of so many bytes."""
    target = root + overlay["target"]
    _make_folder(target)
    try:
        if overlay["upper"] is not None:
            return _mount_on(overlay, target, overlay["upper"], overlay["work"])
    except OSError:
        pass  # some file systems (NFS, another overlay) can't be written through one
    above = f"{root}/tf-tester/upper-{overlay['number']}"
    _make_folder(above)
    _mount("tmpfs", above, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"mode=755,{_room(overlay['size'])}")
    return _mount_on(overlay, target, f"{above}/up", f"{above}/work")


def _mount_on(overlay: "dict[str, Any]", target: str, upper: str, work: str) -> None:
    _make_folder(upper)
    _make_folder(work)
    # Volatile: nothing of it is wanted afterwards, and without that the whole file system is synced at its end.
    options = {"upperdir": upper, "workdir": work, "userxattr": None, "volatile": None}
    return _mount_lowers(overlay["lowers"], target, overlay["ways"], f"{upper}-names", options)


def _mount_lowers(
    lowers: list[str], target: str, ways: "tuple[str, ...]", names: str, options: "dict[str, str | None] | None" = None
) -> None:
    """Mount by name (255 bytes, Linux 6.8), else by descriptor (6.13; three calls a layer), else as one option string.

    `names`: a folder that can be made for short names. Without `options` nothing can be written.
    """
    options = options or {"userxattr": None}
    for way in ways:
        try:
            if way == "options":
                return _mount_by_options(lowers, target, names, options)
            return _mount_by_parts(lowers, target, options, by_name=way == "name")
        except _Unsupported:
            continue
    raise OSError(95, "this kernel takes layers in no way that is known", "the overlay")


def _mount_by_parts(lowers: list[str], target: str, options: "dict[str, str | None]", *, by_name: bool) -> None:
    context = libc.syscall(kernel.FSOPEN, b"overlay", 1)
    if context < 0:
        raise _Unsupported
    try:
        for lower in lowers:
            _add_name(context, lower) if by_name else _add_descriptor(context, lower)
        for key, value in options.items():
            command = kernel.FSCONFIG_SET_FLAG if value is None else kernel.FSCONFIG_SET_STRING
            text = None if value is None else value.encode()
            check(libc.syscall(kernel.FSCONFIG, context, command, key.encode(), text, 0), f"the overlay's {key}")
        check(libc.syscall(kernel.FSCONFIG, context, kernel.FSCONFIG_CMD_CREATE, None, None, 0), "the overlay")
        attributes = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
        _show(check(libc.syscall(kernel.FSMOUNT, context, 1, attributes), "the overlay"), target)
    finally:
        os.close(context)


def _add_descriptor(context: int, lower: str) -> None:
    layer = os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syscall(kernel.FSCONFIG, context, kernel.FSCONFIG_SET_FD, b"lowerdir+", None, layer) < 0:
            raise _Unsupported
    finally:
        os.close(layer)


def _add_name(context: int, lower: str) -> None:
    text = os.fsencode(lower)
    if libc.syscall(kernel.FSCONFIG, context, kernel.FSCONFIG_SET_STRING, b"lowerdir+", text, 0) < 0:
        raise _Unsupported


def _mount_by_options(lowers: list[str], target: str, names: str, options: "dict[str, str | None]") -> None:
    """Mount by mount(2). It takes 4,096 bytes of options: links with short names stand for the layers there."""
    _make_folder(names)
    for number, lower in enumerate(lowers):
        os.symlink(lower, f"{names}/{number:x}")
    os.chdir(names)
    try:
        words = ["lowerdir=" + ":".join(f"{number:x}" for number in range(len(lowers)))]
        words += [key if value is None else f"{key}={_escaped(value)}" for key, value in options.items()]
        _mount("overlay", target, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, ",".join(words))
    finally:
        os.chdir("/")
        for number in range(len(lowers)):
            os.unlink(f"{names}/{number:x}")
        os.rmdir(names)


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


# -- what the system brings


def _make_devices(root: str, shared_memory: str) -> None:
    _make_folder(f"{root}/dev/shm")
    for name in _DEVICES:
        # Read-only it still takes what is written; its mode, owner and times stay as they are.
        _bind(f"/dev/{name}", f"{root}/dev/{name}", writable=False)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    _mount("tmpfs", f"{root}/dev/shm", "tmpfs", flags, f"mode=1777,{_room(shared_memory)}")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{root}/dev/{name}")
    # Terminals of its own; `tty` is that of whoever opens it, and a program is started without one.
    _show_bind("/dev/tty", root, "/dev/tty", False)
    os.mkdir(f"{root}/dev/pts", 0o755)
    os.symlink("pts/ptmx", f"{root}/dev/ptmx")
    try:
        options = "newinstance,ptmxmode=0666,mode=620,max=1024"
        _mount("devpts", f"{root}/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)
    except OSError:
        pass  # a kernel without: programs that want none must not fail for it


def _make_proc(root: str, processes: int) -> None:
    """Mount the namespace's own processes; of the machine's matters some to read, others not at all.

    Read-only, for whoever is root outside may write there without any capability (`kernel.core_pattern` runs a program
    as root), and anybody may have the system rather kill others when memory runs out (`oom_score_adj`).
    """
    proc = f"{root}/proc"
    _make_folder(proc)
    _mount("proc", proc, "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, "")
    if processes:
        try:
            # From Linux 6.14 on the namespace's own: whoever is root outside has no RLIMIT_NPROC.
            if _is_of_the_namespace():
                kernel.write(f"{proc}/sys/kernel/pid_max", str(processes + 300))
        except OSError:
            pass
    for name in _HIDDEN_IN_PROC:
        if os.path.isdir(f"{proc}/{name}"):
            _mount("tmpfs", f"{proc}/{name}", "tmpfs", kernel.MS_RDONLY, "size=0")
        elif os.path.lexists(f"{proc}/{name}"):
            _bind("/dev/null", f"{proc}/{name}", writable=False)
    _set_attributes(proc, kernel.MOUNT_ATTR_RDONLY)


def _is_of_the_namespace() -> bool:
    release = os.uname().release.split("-")[0].split(".")
    return tuple(int(part) for part in release[:2]) >= (6, 14)


def _raise_loopback() -> None:
    """Raise the loopback, and give it an address of each family besides: who asks which families a machine has
    (AI_ADDRCONFIG) takes a mere loopback for none.
    """
    control = check(libc.socket(_INET, _DATAGRAM, 0), "loopback")
    try:
        request = ctypes.create_string_buffer(struct.pack("16sh14x", b"lo", 0))
        check(libc.ioctl(control, _GET_FLAGS, request), "loopback")
        flags = struct.unpack("16xh14x", request.raw[:32])[0]
        request = ctypes.create_string_buffer(struct.pack("16sh14x", b"lo", flags | 1))
        check(libc.ioctl(control, _SET_FLAGS, request), "loopback")
        # Of a second label: the first keeps 127.0.0.1. Where that can't be had, nothing else fails for it.
        for number, value in ((_SET_ADDRESS, _ADDRESS), (_SET_NETMASK, b"\xff" * 4)):
            libc.ioctl(control, number, struct.pack("16sHH4s8x", b"lo:1", _INET, 0, value))
    finally:
        os.close(control)
    control = libc.socket(_INET6, _DATAGRAM, 0)
    if control < 0:
        return  # a machine without IPv6
    try:
        libc.ioctl(control, _SET_ADDRESS, struct.pack("=16sIi", _ADDRESS_6, 128, 1))
    finally:
        os.close(control)


def _room(size: "int | str") -> str:
    """Return the options for a file system in memory of so many bytes (`50%`: of all memory); files take some."""
    files = f",nr_inodes={max(1, int(size) // 4096)}" if str(size).isdecimal() else ""
    return f"size={size}{files}"


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    words = source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    check(libc.mount(*words), f"mounting {kind} on {target}")


def _set_attributes(target: str, on: int) -> None:
    attributes = struct.pack("=QQQQ", on, 0, 0, 0)
    words = kernel.AT_FDCWD, target.encode(), 0, attributes, len(attributes)
    check(libc.syscall(kernel.MOUNT_SETATTR, *words), f"protecting {target}")
