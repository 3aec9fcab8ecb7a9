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
   (`sandbox.landlock`; in mode `landlock`) and a filter of system calls (`sandbox.calls`). Some calls that neither can
   judge are made by init for it, where the kernel allows that (`sandbox.supervise`).

In mode `view` there is none of this, and one process: the caller's own world with overlays in it, for a shell.

The caller holds the other end of the launcher's standard input: once the order is taken, a byte there asks the program
to end (SIGTERM); its closing ends everything at once, and it closes by itself when the caller dies. The launcher ends
as the program did: with its exit status, or by the same signal. Where the program has not run, because something can't
be set up, it ends with status 125 after it has said why: on its input if it was forked (`sandbox.messages`), which the
program never holds, else on standard error.
"""

import marshal
import os
import resource
import select
import stat
import struct
import sys

from tf_tester.sandbox import kernel, landlock
from tf_tester.sandbox.calls import FAMILIES, filter_calls
from tf_tester.sandbox.kernel import check, libc
from tf_tester.sandbox.messages import LONGEST_REASON, NO_PROGRAM, NO_SANDBOX
from tf_tester.sandbox.supervise.supervisor import channel, hand_over, in_a_thread, supervise
from tf_tester.sandbox.world import enter_namespaces, enter_view, furnish_world, make_world

TYPE_CHECKING = False  # `typing` itself costs 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Order = dict[str, Any]
    TellRefusal = Callable[[bytes, bytes], None]

REFUSED = 125
"""Exit status when the program was not started, as `env` and `docker run` have it; a program may have it, too."""
_SENTENCES = {NO_SANDBOX: b"the sandbox could not be made", NO_PROGRAM: b"the program could not be started"}
_TAKEN = b"t"
"""Said by init when it has taken the order."""
_JOINED = b"."
"""Said to init when it is in its groups; anything else is the reason why not."""
_ASKED = b"e"
"""Said to it later: the program is to be asked to end. No signal says so, for the program could send that, too."""
_EXITED, _SIGNALLED = b"e", b"k"
_END = struct.Struct("=ci")
"""What init says at its end: one of these and the status or the signal, or how the program failed to start; the reason
follows then."""
_FAILURE = 3
"""The descriptor on which the program's process says why it could not become the program; a program has closed it."""
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63


def main() -> None:
    order = read_order(sys.argv[1])
    carry_out(order, sys.argv[2:], lambda: order, _print)


def _print(kind: bytes, reason: bytes) -> None:
    os.write(2, _SENTENCES[kind] + b": " + reason + b"\n")


def read_order(file: str) -> "Order":
    """Return what is in a file that is there for this alone; who carries it out removes that."""
    with open(file, "rb") as stream:
        order: Order = marshal.load(stream)
    order["file"] = file
    return order


def carry_out(ahead: "Order", groups: "list[str]", take: "Callable[[], Order]", tell: "TellRefusal") -> None:
    """Run what is ordered, in these control groups; never returns.

    `ahead` is the part of the order that is known before; `take` waits for the whole, and for the streams; `tell` says
    to the caller if the program has not run.
    """
    if ahead["mode"] == "view":
        order = take()
        os.unlink(order["file"])
        _show_view(order, tell)
    try:
        # Where memory runs out, the system is to choose this one. Said by root, nobody without root's privileges can
        # take it back, so it is said while we have them.
        kernel.write("/proc/self/oom_score_adj", "800")
    except OSError:
        pass
    try:
        # The kernel asks whether we may when they are opened: we still are who we were.
        joining = [os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for group in groups]
        if ahead["mode"] == "namespace":
            enter_namespaces(network=ahead["network"], shared_memory=ahead["shared_memory"])
    except OSError as error:
        os.unlink(take()["file"])  # and with it there is the stream on which it can be said
        _refuse(tell, NO_SANDBOX, _reason(error))
    launcher = os.getpid()
    reading, writing = os.pipe()
    hearing, telling = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(reading)
        os.close(telling)
        _run_init(ahead, take, launcher, writing, hearing)
    os.close(writing)
    os.close(hearing)
    _join(init, joining, telling)
    said = _said_by_init(ahead["mode"], init, reading, telling)
    os.waitpid(init, 0)  # in a namespace of its own, init is gone when everything in it is
    if len(said) < _END.size:
        _leave_by(kernel.SIGKILL)  # init itself was killed: by us, by the system for want of memory, by somebody
    how, number = _END.unpack_from(said)
    if how == _SIGNALLED:
        _leave_by(number)
    if how == _EXITED:
        os._exit(number)
    _refuse(tell, how, said[_END.size :])


def _show_view(order: "Order", tell: "TellRefusal") -> None:
    try:
        enter_view(order)
    except OSError as error:
        _refuse(tell, NO_SANDBOX, _reason(error))
    _refuse(tell, NO_PROGRAM, _reason(_become_program(order), order["argv"][0]))


def _refuse(tell: "TellRefusal", kind: bytes, reason: bytes) -> None:
    tell(kind, reason)
    os._exit(REFUSED)


def _reason(error: BaseException, what: str = "") -> bytes:
    """Return what failed and why; `what` is for errors that don't name it."""
    if isinstance(error, OSError):
        told = f"{error.filename or what}: {error.strerror}"
    else:
        told = f"{what}: {error}" if isinstance(error, ValueError) else repr(error)
    return told.encode("utf-8", "backslashreplace")[:LONGEST_REASON]


def _join(init: int, groups: "list[int]", telling: int) -> None:
    """Put init into its groups and tell it, or why not."""
    try:
        # The kernel lets 10 to 20 ms pass before a process changes its group; meanwhile init makes the world.
        for group in groups:
            os.write(group, str(init).encode())
            os.close(group)
        answer = _JOINED
    except OSError as error:
        answer = (error.strerror or "?").encode()
    _tell(telling, answer)


def _tell(telling: int, word: bytes) -> None:
    """Say something to init."""
    try:
        os.write(telling, word)
    except BrokenPipeError:
        pass  # init has died, and said why


def _said_by_init(mode: str, init: int, reading: int, telling: int) -> bytes:
    """Return what init tells at its end; meanwhile what the caller asks for is passed on."""
    if not os.read(reading, len(_TAKEN)):  # until then standard input is init's
        return b""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(reading, select.POLLIN)
    end = kernel.SIGKILL if mode == "namespace" else kernel.SIGTERM
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if reading in ready:
            return os.read(reading, _END.size + LONGEST_REASON)
        if os.read(0, 1):
            _tell(telling, _ASKED)
        else:
            poll.unregister(0)
            os.kill(init, end)


def _run_init(ahead: "Order", take: "Callable[[], Order]", launcher: int, writing: int, hearing: int) -> None:
    """Make the world, start the program when this process is in its groups, reap, report; never returns."""
    namespace = ahead["mode"] == "namespace"
    trouble = None
    # The kernel keeps from the first process of a namespace the signals that it has no handler for; Python has one.
    kernel.on_signal(kernel.SIGINT, kernel.SIG_IGN)
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
    try:
        os.write(writing, _TAKEN)
    except BrokenPipeError:
        os._exit(REFUSED)  # the launcher has died: the order's file stays, so that it is made up for
    os.unlink(order["file"])
    try:
        if trouble is not None:
            raise trouble
        nothing = os.open("/dev/null", os.O_RDONLY)
        os.dup2(nothing, 0)
        if namespace:
            furnish_world(order)
        joined = os.read(hearing, len(_JOINED))
        if joined != _JOINED:
            reason = joined + os.read(hearing, 256)
            raise OSError(0, reason.decode() or "the launcher has died", "joining a control group")
    except OSError as error:
        os.write(writing, _END.pack(NO_SANDBOX, 0) + _reason(error))
        os._exit(REFUSED)
    program, failed = _start_program(order, () if namespace else (order["caller"], launcher, os.getpid()), nothing)
    failure = supervise(program, failed, order["own"]) if order.get("supervised") else b""
    in_a_thread(lambda: _ask_when_told(hearing, program))
    while True:
        pid, status = os.wait()  # orphans come here too
        if pid == program:
            break
    failure += os.read(failed, 1 + LONGEST_REASON)  # closed by whoever became the program
    if failure:
        said = _END.pack(failure[:1], 0) + failure[1:]
    elif os.WIFSIGNALED(status):
        said = _END.pack(_SIGNALLED, os.WTERMSIG(status))
    else:
        said = _END.pack(_EXITED, os.WEXITSTATUS(status))
    if not namespace:
        _end_everything(ours=False)
    os.write(writing, said)
    os._exit(0)  # and the kernel ends whatever is left in a namespace


def _start_program(order: "Order", protected: tuple[int, ...], nothing: int) -> tuple[int, int]:
    """Return the process that is to become the program, and the descriptor on which it says why it could not."""
    failed, failing = channel() if order.get("supervised") else os.pipe()
    program = os.fork()
    if program == 0:
        os.dup2(order.get("stdin", nothing), 0)
        _run_program(order, protected, failing)
    os.close(failing)
    if "stdin" in order:
        os.close(order["stdin"])  # the program's alone
    return program, failed


def _ask_when_told(hearing: int, program: int) -> None:
    """Ask the program to end whenever that is wanted, as a terminal or `timeout` would: its whole group hears it."""
    while os.read(hearing, len(_ASKED)):
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


def _run_program(order: "Order", protected: tuple[int, ...], failing: int) -> None:
    """Set limits, drop privileges, confine, exec; never returns. How it fails and why is written to `failing`."""
    if failing != _FAILURE:
        os.dup2(failing, _FAILURE, inheritable=False)
    kernel.close_from(_FAILURE + 1)
    kind = NO_SANDBOX
    try:
        os.setsid()  # no controlling terminal
        if order["umask"] >= 0:
            os.umask(order["umask"])
        kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL, "dying with init")
        for number in (kernel.SIGINT, kernel.SIGTERM, kernel.SIGPIPE, kernel.SIGXFSZ):
            kernel.on_signal(number, kernel.SIG_DFL)
        _take_limits(order["limits"])
        _drop_privileges()
        _confine(order, protected)
        kind = NO_PROGRAM
        reason: BaseException = _become_program(order)
    except BaseException as error:  # noqa: BLE001 - what was forked must never go on as init
        reason = error
    os.write(_FAILURE, kind + _reason(reason, order["argv"][0]))
    os._exit(REFUSED)


def _become_program(order: "Order") -> "OSError | ValueError":
    """Return why not, or never."""
    name = order["argv"][0]
    # `os.execvpe` imports a module for this search, which may be out of reach by now.
    folders = [""] if "/" in name else [f"{folder}/" for folder in order["env"].get("PATH", os.defpath).split(":")]
    reason: OSError | ValueError = OSError(2, "No such file or directory", name)
    try:
        os.chdir(order["cwd"])
        for folder in folders:
            try:
                os.execve(folder + name, order["argv"], order["env"])
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError as error:
                reason = error
    except (OSError, ValueError) as error:  # a NUL in a word
        reason = error
    return reason


def _take_limits(limits: dict[str, int]) -> None:
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
    # A program may open once more what it is to print into: `/dev/stdout`.
    streams = [f"/proc/self/fd/{number}" for number in (1, 2) if stat.S_ISREG(os.fstat(number).st_mode)]
    writable = [*order["writable"], *streams]
    landlock.restrict(order["readable"], order["listed"], writable, order["own"], abi=abi, sockets=order["network"])
    listener = filter_calls(
        FAMILIES if order["network"] else (),
        files_are_mounts=False,
        truncates=abi >= landlock.TRUNCATES,
        protected=() if abi >= landlock.SCOPES else protected,
        supervised=order["supervised"],
    )
    if order["supervised"]:
        hand_over(listener, _FAILURE)


def _leave_by(number: int) -> None:
    """End as the program did: by the same signal, without a core file of ours."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (kernel.SIGKILL, kernel.SIGSTOP):
        kernel.on_signal(number, kernel.SIG_DFL)
    os.kill(os.getpid(), number)
    while True:
        select.select([], [], [])
