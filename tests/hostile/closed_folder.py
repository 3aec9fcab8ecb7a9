"""Write more than allowed into a folder that nobody, its owner included, may look into."""

import json
import os
import sys
import time

os.mkdir("closed")
with open("closed/file", "wb") as stream:
    os.chmod("closed", 0)
    for _ in range(40):
        stream.write(os.urandom(1_000_000))
    stream.flush()
    os.fsync(stream.fileno())
if json.loads(sys.argv[1])["isolation"] != "none":
    time.sleep(50)  # somebody should notice
print("all written")
