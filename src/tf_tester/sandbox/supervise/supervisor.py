"""Make a program's supervised calls for it, in threads of the process that keeps it; standard library only.

The program's process hands its listener over before it becomes the program, and waits until somebody listens.
"""

import _socket
import os
import resource
import struct

from tf_tester.sandbox import calls, kernel
from tf_tester.sandbox.supervise.files import FileChanges
from tf_tester.sandbox.supervise.notices import Listener, Notice
from tf_tester.sandbox.supervise.places import ScratchPlaces
from tf_tester.sandbox.supervise.sockets import Sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HANDED_OVER, _HEARD, _NOT_HEARD = b"l", b"h", b"n"
EPERM = 1


def channel() -> tuple[int, int]:
    """Return two ends, through which the listener goes, and after it whatever would go through a pipe."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    return ours.detach(), theirs.detach()


def hand_over(listener: int, end: int) -> None:
    """Give the listener away and wait until somebody listens. Raises `OSError`."""
    asked = _socket.socket(fileno=end)
    try:
        asked.sendmsg([_HANDED_OVER], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("=i", listener))])
        heard = asked.recv(1)
    finally:
        asked.detach()
    os.close(listener)
    if heard != _HEARD:
        raise OSError(EPERM, "its memory can't be read", "supervising")


def supervise(program: int, end: int, own: "list[str]") -> bytes:
    """Take the listener of a process and begin to listen; return what has come in its place, if it has failed."""
    asked = _socket.socket(fileno=end)
    try:
        said, ancillary, _, _ = asked.recvmsg(1, _socket.CMSG_SPACE(4))
        if not ancillary:
            return said
        listener = Listener(*struct.unpack("=i", ancillary[0][2]))
        try:
            os.close(os.open(f"/proc/{program}/mem", os.O_RDONLY))  # Yama or a container's filter may forbid it
        except OSError:
            asked.send(_NOT_HEARD)
            return b""
        in_a_thread(_Supervisor(listener, own).listen)
        asked.send(_HEARD)
    finally:
        asked.detach()
    return b""


class _Supervisor:
    def __init__(self, listener: Listener, own: "list[str]") -> None:
        self._listener = listener
        self._own = own
        self._makers: dict[int, Callable[[Notice], int | None]] = {}

    def _prepare(self) -> None:
        """Make what a program without such calls has no use for, and raise a limit that it has begun without."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # of all its processes some sockets are kept
        places = ScratchPlaces(self._own)
        makers = {**FileChanges(places).calls, **Sockets(places, self._listener).calls}
        numbers = calls.supervised_calls(kernel.machine())
        self._makers = {numbers[name]: make for name, make in makers.items() if name in numbers}

    def listen(self) -> None:
        """Make one call after the other, until there is nobody left to make one; never raises."""
        while True:
            try:
                asked = self._listener.receive()
            except OSError:
                return
            if asked is not None:
                self._make(asked)

    def _make(self, asked: Notice) -> None:
        try:
            if not self._makers:
                self._prepare()
            value = self._makers[asked.number](asked)
        except OSError as error:
            self._listener.answer(asked, 0, error.errno or EPERM)
        except Exception:  # noqa: BLE001 - who asks strangely is refused, and others are still heard
            self._listener.answer(asked, 0, EPERM)
        else:
            if value is not None:
                self._listener.answer(asked, value)


def in_a_thread(listen: "Callable[[], None]") -> None:
    """Run something where no signal comes: those are for the thread that waits for the program."""
    import _signal  # type: ignore[import-not-found]
    import _thread

    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    try:
        _thread.start_new_thread(listen, ())
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
