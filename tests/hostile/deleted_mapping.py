"""Hold more of the disk than allowed by a mapping of a file that has no name any more, and no descriptor."""

import ctypes
import json
import os
import sys
import time

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]

with open("file", "w+b") as stream:
    os.unlink("file")
    for _ in range(40):
        stream.write(os.urandom(1_000_000))
    stream.flush()
    os.fsync(stream.fileno())
    # Python's own mappings keep a descriptor.
    assert libc.mmap(None, 40_000_000, 1, 1, stream.fileno(), 0) != ctypes.c_void_p(-1).value
if json.loads(sys.argv[1])["isolation"] != "none":
    time.sleep(50)  # somebody should notice
print("all written")
