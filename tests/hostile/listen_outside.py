"""Listen on all networks, by a socket that was never bound and by one whose address changes while it is looked at."""

import contextlib
import ctypes
import json
import socket
import struct
import sys
import threading
import time
from pathlib import Path

scratch = Path(json.loads(sys.argv[1])["base"], "scratch")
libc = ctypes.CDLL(None)
address = ctypes.create_string_buffer(struct.pack("=HH4s8x", socket.AF_INET, 0, bytes([127, 0, 0, 1])), 16)
ended = threading.Event()


def swap() -> None:
    while not ended.is_set():
        for host in (bytes(4), bytes([127, 0, 0, 1])):
            ctypes.memmove(ctypes.addressof(address) + 4, host, 4)


threading.Thread(target=swap, daemon=True).start()
listening = [socket.socket() for _ in range(30)]
for number, mine in enumerate(listening):
    with contextlib.suppress(OSError):
        if number:
            libc.bind(mine.fileno(), address, len(address))
        mine.listen()
ended.set()
(scratch / "ports").write_text(" ".join(str(mine.getsockname()[1]) for mine in listening))
(scratch / "ports").rename(scratch / "ready")
deadline = time.monotonic() + 20
while not (scratch / "looked").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
