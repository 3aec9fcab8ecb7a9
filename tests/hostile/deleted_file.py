"""Write more than allowed into a file that has no name any more."""

import json
import os
import sys
import time

with open("file", "wb") as stream:
    os.unlink("file")
    for _ in range(40):
        stream.write(os.urandom(1_000_000))
    stream.flush()
    os.fsync(stream.fileno())
    if json.loads(sys.argv[1])["isolation"] != "none":
        time.sleep(50)  # somebody should notice
print("all written")
