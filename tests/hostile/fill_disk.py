"""Write more than allowed, in many files."""

import json
import sys
import time

for number in range(80):
    with open("file-%d" % number, "wb") as stream:
        stream.write(b"x" * 1_000_000)
if json.loads(sys.argv[1])["isolation"] != "none":
    time.sleep(50)  # somebody should notice
print("all written")
