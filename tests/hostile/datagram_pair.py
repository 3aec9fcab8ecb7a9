"""Send to a service from one end of a pair: datagrams go to whoever is named, connected or not."""

import contextlib
import json
import socket
import sys

facts = json.loads(sys.argv[1])
mine, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
for name in (facts["socket"], "\0" + facts["abstract"]):
    with contextlib.suppress(OSError):
        mine.sendto(b"stolen", name)
    with contextlib.suppress(OSError):
        mine.sendmsg([b"stolen"], [], 0, name)
