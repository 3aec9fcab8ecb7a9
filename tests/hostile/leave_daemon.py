"""Leave a program running, in a session of its own, without a trace of who started it."""

import json
import os
import sys
import time

facts = json.loads(sys.argv[1])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 50)
        words = [sys.executable, "-c", "import time; time.sleep(30)", facts["mark"]]
        os.execve(sys.executable, words, {})
    os._exit(0)
time.sleep(0.5)
