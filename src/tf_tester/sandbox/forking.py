"""A process that becomes a launcher each time it is asked to: starting Python and importing is done once.

It is the far end of `sandbox.server`, on its standard input: a socket that keeps messages apart. A message is an order
and groups to join, with the descriptors of the launcher's three streams and of a report. The report gets the
launcher's number at once, and its end when it has ended. Standard library only.
"""

import _socket
import gc
import os
import select
import struct
import sys

from tf_tester.sandbox import calls, kernel
from tf_tester.sandbox.launcher import REFUSED, carry_out
from tf_tester.sandbox.messages import BEGUN, ENDED, LONGEST, STREAMS


def serve() -> None:
    """Until the other end is closed; never returns."""
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
            message, ancillary, _, _ = requests.recvmsg(LONGEST, _socket.CMSG_SPACE(STREAMS * 4))
            if not message:
                os._exit(0)  # launchers go on without us, and end when their inputs close
            streams = struct.unpack(f"={STREAMS}i", ancillary[0][2])
            launcher = _begin(message.decode().split("\0"), *streams)
            handle = os.pidfd_open(launcher)
            launchers[handle] = launcher, streams[-1]
            poll.register(handle, select.POLLIN)


def _begin(words: "list[str]", lifeline: int, output: int, errors: int, report: int) -> int:
    launcher = os.fork()
    if launcher:
        _tell(report, BEGUN.pack(launcher))
        for descriptor in (lifeline, output, errors):
            os.close(descriptor)
        return launcher
    try:
        for number, descriptor in enumerate((lifeline, output, errors)):
            os.dup2(descriptor, number)
        kernel.close_all_but_streams()
        os.setsid()
        carry_out(words[0], words[1:])
    except BaseException as error:  # noqa: BLE001 - what was forked must never go on as the one that forks
        print(f"the sandbox could not be made: {error!r}", file=sys.stderr, flush=True)
    os._exit(REFUSED)


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
