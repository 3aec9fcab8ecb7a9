"""Run one program where it can reach nothing but what an order names. Linux only, standard library only.

Started as `python -I -S -c START FOLDER ORDER [GROUP...]`, see `sandbox.order`, or forked, see `sandbox.forking`. Three
processes: the *launcher*, which the caller knows; *init*, its child; the *program*, init's child. In order:

1. the launcher enters new namespaces in mode `namespace`, and puts init into the control groups it was given;
2. init is the first process of these. It makes what every world has (`sandbox.world`). So far nothing need be known of
   the program: a launcher that was forked may have got this far long before it is wanted;
3. init takes the order, furnishes the world with what this program is to see, starts it, reaps, and tells the
   launcher how it ended. In mode `landlock` there are no namespaces: init adopts whatever the program
   leaves behind, and kills it;
4. the program gives up all privileges, takes its limits on, and then what it may do is fixed by Landlock
   (`sandbox.landlock`; in mode `landlock`) and a filter of system calls (`sandbox.calls`).

In mode `view` there is none of this, and one process: the caller's own world with overlays in it, for a shell.

The caller holds the other end of the launcher's standard input: once the order is taken, a byte there asks the program
to end (SIGTERM); its closing ends everything at once, and it closes by itself when the caller dies. The launcher ends
as the program did: with its exit status, or by the same signal. What can't be set up ends with status 125 and a
sentence on standard error: then the program has not run.
"""

import marshal
import os
import resource
import select
import struct
import sys

from tf_tester.sandbox import kernel, landlock
from tf_tester.sandbox.calls import AF_UNIX, FAMILIES, filter_calls
from tf_tester.sandbox.kernel import check, libc
from tf_tester.sandbox.world import enter_namespaces, enter_view, furnish_world, make_world

TYPE_CHECKING = False  # `typing` itself costs 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Order = dict[str, Any]

REFUSED = 125
"""Exit status when the program was not started; as `env`, `timeout` and `docker run` have it."""
_TAKEN = b"t"
"""Said by init when it has taken the order."""
_JOINED = b"."
"""Said to init when it is in its groups; anything else is the reason why not."""
_STATUS = struct.Struct("=Bi")
"""Whether it was a signal, and its number or the exit status."""
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63


def main() -> None:
    order = read_order(sys.argv[1])
    carry_out(order, sys.argv[2:], lambda: order)


def read_order(file: str) -> "Order":
    """What is in a file that is there for this alone; it is gone then."""
    with open(file, "rb") as stream:
        order: Order = marshal.load(stream)
    os.unlink(file)
    return order


def carry_out(ahead: "Order", groups: "list[str]", take: "Callable[[], Order]") -> None:
    """Run what is ordered, in these control groups; never returns.

    `ahead` is the part of the order that is known before; `take` waits for the whole, and for the streams.
    """
    if ahead["mode"] == "view":
        _show_view(take())
    try:
        # The kernel asks whether we may when they are opened: we still are who we were.
        joining = [os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for group in groups]
        if ahead["mode"] == "namespace":
            enter_namespaces(network=ahead["network"])
    except OSError as error:
        take()  # and with it the stream on which it can be said
        _refuse(error)
    kernel.on_signal(kernel.SIGUSR1, kernel.SIG_IGN)  # until there is a program to be asked
    launcher = os.getpid()
    reading, writing = os.pipe()
    grouped, grouping = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(reading)
        os.close(grouping)
        _run_init(ahead, take, launcher, writing, grouped)
    os.close(writing)
    os.close(grouped)
    _join(init, joining, grouping)
    said = _said_by_init(ahead["mode"], init, reading)
    os.waitpid(init, 0)  # in a namespace of its own, init is gone when everything in it is
    if len(said) != _STATUS.size:
        _leave_by(kernel.SIGKILL)  # init itself was killed: by us, by the system for want of memory, by somebody
    signalled, number = _STATUS.unpack(said)
    if signalled:
        _leave_by(number)
    os._exit(number)


def _show_view(order: "Order") -> None:
    try:
        enter_view(order)
    except OSError as error:
        _refuse(error)
    _become_program(order)


def _join(init: int, groups: "list[int]", grouping: int) -> None:
    """Put init into its groups and tell it, or why not."""
    try:
        # The kernel lets 10 to 20 ms pass before a process changes its group; meanwhile init makes the world.
        for group in groups:
            os.write(group, str(init).encode())
            os.close(group)
        answer = _JOINED
    except OSError as error:
        answer = (error.strerror or "?").encode()
    try:
        os.write(grouping, answer)
    except BrokenPipeError:
        pass  # init has died, and said why
    os.close(grouping)


def _said_by_init(mode: str, init: int, reading: int) -> bytes:
    """What init tells at its end; meanwhile the caller's wishes are passed on."""
    if not os.read(reading, len(_TAKEN)):  # until then standard input is init's
        return b""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(reading, select.POLLIN)
    end = kernel.SIGKILL if mode == "namespace" else kernel.SIGTERM
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if reading in ready:
            return os.read(reading, 64)
        if os.read(0, 1):
            os.kill(init, kernel.SIGUSR1)
        else:
            poll.unregister(0)
            os.kill(init, end)


def _run_init(ahead: "Order", take: "Callable[[], Order]", launcher: int, writing: int, grouped: int) -> None:
    """Make the world, start the program when this process is in its groups, reap, report; never returns."""
    namespace = ahead["mode"] == "namespace"
    trouble = None
    try:
        kernel.prctl(
            kernel.PR_SET_PDEATHSIG, kernel.SIGKILL if namespace else kernel.SIGTERM, "dying with the launcher"
        )
        if namespace:
            make_world(ahead)
        else:
            kernel.on_signal(kernel.SIGTERM, lambda *_: _end_everything(ours=True))
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1, "adopting what is left behind")
    except OSError as error:
        trouble = error
    order = take()
    os.write(writing, _TAKEN)
    try:
        if trouble is not None:
            raise trouble
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        if namespace:
            furnish_world(order)
        joined = os.read(grouped, 256)
        if joined != _JOINED:
            raise OSError(0, joined.decode() or "the launcher has died", "joining a control group")
    except OSError as error:
        os.write(writing, _STATUS.pack(0, REFUSED))
        _refuse(error)
    protected = () if namespace else (order["caller"], launcher, os.getpid())
    program = os.fork()
    if program == 0:
        _run_program(order, protected)
    kernel.on_signal(kernel.SIGUSR1, lambda *_: _ask(program))
    while True:
        pid, status = os.wait()  # orphans come here too
        if pid == program:
            break
    signalled = os.WIFSIGNALED(status)
    said = _STATUS.pack(signalled, os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status))
    if not namespace:
        _end_everything(ours=False)
    os.write(writing, said)
    os._exit(0)  # and the kernel ends whatever is left in a namespace


def _ask(program: int) -> None:
    """As a terminal or `timeout` would: the program's whole group hears it."""
    try:
        os.killpg(program, kernel.SIGTERM)
    except OSError:
        pass


def _end_everything(*, ours: bool) -> None:
    """Kill all that descends from this process: whose parent dies, becomes its child, until there is none."""
    try:
        os.nice(-10)  # as root; many may be competing
    except OSError:
        pass
    while True:
        for child in _children():
            try:
                os.kill(child, kernel.SIGKILL)
            except OSError:
                pass
        try:
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
    if ours:
        os._exit(0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:
            return [int(word) for word in stream.read().split()]
    except FileNotFoundError:  # a kernel without that file
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == os.getpid()]


def _parent(process: str) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _run_program(order: "Order", protected: tuple[int, ...]) -> None:
    """Limits, privileges, what it may do, exec; never returns."""
    try:
        os.setsid()  # no controlling terminal
        kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL, "dying with init")
        for number in (kernel.SIGTERM, kernel.SIGUSR1, kernel.SIGPIPE, kernel.SIGXFSZ):
            kernel.on_signal(number, kernel.SIG_DFL)
        _take_limits(order["limits"])
        _drop_privileges()
        kernel.close_all_but_streams()
        _confine(order, protected)
    except OSError as error:
        _not_started(order, error)
    _become_program(order)


def _become_program(order: "Order") -> None:
    """Never returns."""
    name = order["argv"][0]
    # `os.execvpe` imports a module for this search, which may be out of reach by now.
    folders = [""] if "/" in name else [f"{folder}/" for folder in order["env"].get("PATH", os.defpath).split(":")]
    reason = OSError(2, "No such file or directory", name)
    try:
        os.chdir(order["cwd"])
        for folder in folders:
            try:
                os.execve(folder + name, order["argv"], order["env"])
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError as error:
                reason = error
    except OSError as error:
        reason = error
    _not_started(order, reason)


def _not_started(order: "Order", error: OSError) -> None:
    what = error.filename or order["argv"][0]
    print(f"the program could not be started: {what}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(REFUSED)


def _take_limits(limits: dict[str, int]) -> None:
    try:
        kernel.write("/proc/self/oom_score_adj", "800")  # where memory runs out, the system is to choose this one
    except OSError:
        pass
    for name, value in limits.items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def _drop_privileges() -> None:
    for capability in range(_LAST_CAPABILITY + 1):
        if libc.prctl(kernel.PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # the kernel knows no more, or this process may not and has none to lose
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, bytes(24)), "dropping capabilities")
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, "no new privileges")


def _confine(order: "Order", protected: tuple[int, ...]) -> None:
    if order["mode"] == "namespace":
        if order["network"]:
            landlock.hide_abstract_sockets()
        filter_calls(FAMILIES, files_are_mounts=True, truncates=True)
        return
    abi = min(landlock.version(), order["abi"])
    landlock.restrict(order["readable"], order["listed"], order["writable"], abi)
    families = (AF_UNIX,) if order["unix_sockets"] else ()
    filter_calls(
        FAMILIES if order["network"] else families,
        files_are_mounts=False,
        modes=order["modes"],
        truncates=abi >= landlock.TRUNCATES,
        protected=() if abi >= landlock.SCOPES else protected,
    )


def _refuse(error: OSError) -> None:
    print(f"the sandbox could not be made: {error.filename}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(REFUSED)


def _leave_by(number: int) -> None:
    """End as the program did: by the same signal, without a core file of ours."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (kernel.SIGKILL, kernel.SIGSTOP):
        kernel.on_signal(number, kernel.SIG_DFL)
    os.kill(os.getpid(), number)
    while True:
        select.select([], [], [])
