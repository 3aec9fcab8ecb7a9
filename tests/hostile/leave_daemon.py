"""Leave a program running, in a session of its own, without a trace of who started it."""

import fcntl
import json
import os
import sys

facts = json.loads(sys.argv[1])
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, 60)  # closed when the other program has begun
        os.closerange(0, 50)
        words = [sys.executable, "-c", "import time; time.sleep(30)", facts["mark"]]
        os.execve(sys.executable, words, {})
    os._exit(0)
os.close(writer)
os.read(reader, 1)
