"""Take more memory than allowed in another process, and go on when that one is dead."""

import json
import os
import sys
import time

held_in = json.loads(sys.argv[1])["isolation"] != "none"
if os.fork() == 0:
    taken = []
    for _ in range(60):
        taken.append(b"x" * 10_000_000)
    if held_in:
        time.sleep(50)  # somebody should notice
    os._exit(0)
os.wait()
if held_in:
    time.sleep(50)  # as whoever waits for an answer that never comes
print("waited to the end")
