"""Bring a service's socket into one's own folder, from one that may be written: itself, a second name, its folder."""

import contextlib
import json
import os
import socket
import sys

shared = json.loads(sys.argv[1])["shared"]
names = ["moved", "linked", "folder/service", "outer/folder/service"]
with contextlib.suppress(OSError):
    os.link(f"{shared}/one/service", "linked")
with contextlib.suppress(OSError):
    os.rename(f"{shared}/one/service", "moved")
with contextlib.suppress(OSError):
    os.rename(f"{shared}/two", "folder")
with contextlib.suppress(OSError):
    os.rename(f"{shared}/outer", "outer")
for name in names:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as mine:
        mine.connect(name)
        mine.sendall(b"stolen")
