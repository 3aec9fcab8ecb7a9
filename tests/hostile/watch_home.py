"""Learn which files of a home are used, and what new ones are called."""

import ctypes
import json
import os
import sys

libc = ctypes.CDLL(None)
if libc.inotify_add_watch(libc.inotify_init(), os.fsencode(json.loads(sys.argv[1])["home"]), 0xFFF) >= 0:
    print("watching")
