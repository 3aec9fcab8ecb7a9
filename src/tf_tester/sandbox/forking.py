"""A process that becomes a launcher each time it is asked to: starting Python and importing is done once.

It is the far end of `sandbox.server`, on its standard input: a socket that keeps messages apart. A message is what a
launcher can do ahead of its order and the groups to join, with two descriptors: a socket that becomes the launcher's
standard input, and a report. The report gets the launcher's number at once, and its end when it has ended. The order
comes through the launcher's own socket: its file, with the descriptors of the program's streams. Through the same
socket the launcher says if the program could not be run, and why. Standard library only.
"""

import _socket
import gc
import marshal
import os
import select
import struct

from tf_tester.sandbox import calls, kernel
from tf_tester.sandbox.launcher import REFUSED, carry_out, read_order
from tf_tester.sandbox.messages import BEGUN, DESCRIPTORS, ENDED, LONGEST, NO_SANDBOX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def serve() -> None:
    """Fork launchers until the other end is closed; never returns."""
    calls.prepare()
    gc.disable()  # a launcher lives too shortly for garbage; looking for it copies every page that is shared with us
    requests = _socket.socket(fileno=0)
    launchers: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready:
                poll.unregister(ready)
                _report(ready, *launchers.pop(ready))
                continue
            message, descriptors = _receive(requests)
            if not message:
                os._exit(0)  # launchers go on without us, and end when their inputs close
            ahead, groups = marshal.loads(message)
            lifeline, report = descriptors
            launcher = _begin(marshal.loads(ahead), groups, lifeline, report)
            handle = os.pidfd_open(launcher)
            launchers[handle] = launcher, report
            poll.register(handle, select.POLLIN)


def _receive(asked: "_socket.socket") -> "tuple[bytes, tuple[int, ...]]":
    """Return a message and its descriptors; an empty one when the other end is closed."""
    message, ancillary, _, _ = asked.recvmsg(LONGEST, _socket.CMSG_SPACE(DESCRIPTORS * 4))
    return message, struct.unpack(f"={len(ancillary[0][2]) // 4}i", ancillary[0][2]) if message else ()


def _begin(ahead: "dict[str, Any]", groups: "list[str]", lifeline: int, report: int) -> int:
    launcher = os.fork()
    if launcher:
        _tell(report, BEGUN.pack(launcher))
        os.close(lifeline)
        return launcher
    try:
        os.dup2(lifeline, 0)
        kernel.close_from(3)
        os.setsid()
        carry_out(ahead, groups, _take, _say)
    except BaseException as error:  # noqa: BLE001 - what was forked must never go on as the one that forks
        _say(NO_SANDBOX, repr(error).encode())
    os._exit(REFUSED)


def _say(kind: bytes, reason: bytes) -> None:
    try:
        os.write(0, kind + reason)
    except OSError:
        pass  # nobody listens any more


def _take() -> "dict[str, Any]":
    """Wait for the order and the streams; if it never comes, this process ends."""
    asked = _socket.socket(fileno=0)
    message, streams = _receive(asked)
    asked.detach()
    if not message:
        os._exit(0)
    for number, descriptor in enumerate(streams[:2], start=1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    order = read_order(message.decode())
    if len(streams) > 2:
        order["stdin"] = streams[2]
    return order


def _report(handle: int, launcher: int, report: int) -> None:
    os.close(handle)
    _, status, usage = os.wait4(launcher, 0)
    _tell(report, ENDED.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))
    os.close(report)


def _tell(report: int, said: bytes) -> None:
    try:
        os.write(report, said)
    except OSError:
        pass  # nobody listens any more
