"""Take more memory than allowed in another process, and wait for it when it is dead."""

import json
import os
import signal
import sys
import time

if os.fork() == 0:
    taken = []
    for _ in range(60):
        taken.append(b"x" * 10_000_000)
    os.kill(os.getppid(), signal.SIGKILL if json.loads(sys.argv[1])["isolation"] != "none" else 0)
    os._exit(0)
if json.loads(sys.argv[1])["isolation"] != "none":
    time.sleep(50)  # as whoever waits for an answer that never comes
print("waited to the end")
