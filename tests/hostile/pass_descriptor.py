"""Hand a file of one's own to a service outside, in a message by its address or once connected (SCM_RIGHTS)."""

import array
import contextlib
import json
import os
import socket
import sys

facts = json.loads(sys.argv[1])
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [os.open("handed", os.O_CREAT | os.O_RDWR)]))]
flags = (0, socket.MSG_DONTWAIT, 0x20000000)  # the last one, MSG_FASTOPEN, connects by sending
for address in (facts["socket"], "\0" + facts["abstract"]):
    for flag in flags:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as mine:
            mine.sendmsg([b"x"], rights, flag, address)
    for one in socket.socketpair():
        with contextlib.suppress(OSError), one:
            one.sendmsg([b"x"], rights, 0, address)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as mine:
        mine.connect(address)
        mine.sendmsg([b"x"], rights)
