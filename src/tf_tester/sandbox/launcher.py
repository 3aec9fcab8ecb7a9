"""Run one program where it can reach nothing but what an order names. Linux only, standard library only.

Started as `python -I -S -c START FOLDER ORDER [GROUP...]`, see `sandbox.order`, or forked, see `sandbox.forking`. Three
processes: the *launcher*, which
the caller knows; *init*, its child; the *program*, init's child. In order:

1. the launcher enters new namespaces in mode `namespace`, and puts init into the control groups it was given;
2. init is the first process of these. It makes the world (`sandbox.world`), starts the program, reaps, and tells the
   launcher how the program ended. In mode `landlock` there are no namespaces: init adopts whatever the program
   leaves behind, and kills it;
3. the program gives up all privileges, takes its limits on, and then what it may do is fixed by Landlock
   (`sandbox.landlock`; in mode `landlock`) and a filter of system calls (`sandbox.calls`).

In mode `view` there is none of this, and one process: the caller's own world with overlays in it, for a shell.

The caller holds the other end of the launcher's standard input: a byte there asks the program to end (SIGTERM), its
closing ends everything at once; it closes by itself when the caller dies. The launcher ends as the program did: with
its exit status, or by the same signal. What can't be set up ends with status 125 and a sentence on standard error:
then the program has not run.
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
from tf_tester.sandbox.world import enter_namespaces, enter_view, make_world

TYPE_CHECKING = False  # `typing` itself costs 7 ms
if TYPE_CHECKING:
    from typing import Any

REFUSED = 125
"""Exit status when the program was not started; as `env`, `timeout` and `docker run` have it."""
_STATUS = struct.Struct("=Bi")
"""Whether it was a signal, and its number or the exit status."""
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63


def main() -> None:
    carry_out(sys.argv[1], sys.argv[2:])


def carry_out(file: str, groups: "list[str]") -> None:
    """Run what the order in a file says, in these control groups; never returns."""
    with open(file, "rb") as stream:
        order = marshal.load(stream)
    os.unlink(file)
    try:
        if order["mode"] == "view":
            enter_view(order)
            _become_program(order)
        # The kernel asks whether we may when they are opened: we still are who we were.
        joining = [os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for group in groups]
        if order["mode"] == "namespace":
            enter_namespaces(network=order["network"])
    except OSError as error:
        _refuse(error)
    kernel.on_signal(kernel.SIGUSR1, kernel.SIG_IGN)  # until there is a program to be asked
    launcher = os.getpid()
    reading, writing = os.pipe()
    grouped, grouping = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(reading)
        os.close(grouping)
        _run_init(order, launcher, writing, grouped)
    os.close(writing)
    os.close(grouped)
    try:
        # The kernel lets 10 to 20 ms pass before a process changes its group; meanwhile init makes the world.
        for group in joining:
            os.write(group, str(init).encode())
            os.close(group)
        os.write(grouping, b"g")
    except BrokenPipeError:
        pass  # init has died, and said why
    except OSError as error:
        os.kill(init, kernel.SIGKILL)
        _refuse(OSError(error.errno, error.strerror, "joining a control group"))
    os.close(grouping)
    said = _said_by_init(order, init, reading)
    os.waitpid(init, 0)  # in a namespace of its own, init is gone when everything in it is
    if len(said) != _STATUS.size:
        _leave_by(kernel.SIGKILL)  # init itself was killed: by us, by the system for want of memory, by somebody
    signalled, number = _STATUS.unpack(said)
    if signalled:
        _leave_by(number)
    os._exit(number)


def _said_by_init(order: "dict[str, Any]", init: int, reading: int) -> bytes:
    """What init tells at its end; meanwhile the caller's wishes are passed on."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(reading, select.POLLIN)
    end = kernel.SIGKILL if order["mode"] == "namespace" else kernel.SIGTERM
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if reading in ready:
            return os.read(reading, 64)
        if os.read(0, 1):
            os.kill(init, kernel.SIGUSR1)
        else:
            poll.unregister(0)
            os.kill(init, end)


def _run_init(order: "dict[str, Any]", launcher: int, writing: int, grouped: int) -> None:
    """Make the world, start the program when this process is in its groups, reap, report; never returns."""
    namespace = order["mode"] == "namespace"
    try:
        kernel.prctl(
            kernel.PR_SET_PDEATHSIG, kernel.SIGKILL if namespace else kernel.SIGTERM, "dying with the launcher"
        )
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        if namespace:
            make_world(order)
            protected: tuple[int, ...] = ()
        else:
            kernel.on_signal(kernel.SIGTERM, lambda *_: _end_everything(ours=True))
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1, "adopting what is left behind")
            protected = (order["caller"], launcher, os.getpid())
    except OSError as error:
        os.write(writing, _STATUS.pack(0, REFUSED))
        _refuse(error)
    if not os.read(grouped, 1):
        os._exit(0)  # the launcher could not do it, and says why
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


def _run_program(order: "dict[str, Any]", protected: tuple[int, ...]) -> None:
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


def _become_program(order: "dict[str, Any]") -> None:
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


def _not_started(order: "dict[str, Any]", error: OSError) -> None:
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


def _confine(order: "dict[str, Any]", protected: tuple[int, ...]) -> None:
    if order["mode"] == "namespace":
        if order["network"]:
            landlock.hide_abstract_sockets()
        filter_calls(FAMILIES, files_are_mounts=True, truncates=True)
        return
    abi = min(landlock.version(), order["abi"])
    landlock.restrict(order["readable"], order["writable"], abi)
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
