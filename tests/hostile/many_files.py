"""Fill the disk's table of files with such as have no content."""

import json
import sys
import time

for number in range(20_000):
    open("file-%d" % number, "wb").close()
if json.loads(sys.argv[1])["isolation"] != "none":
    time.sleep(50)  # somebody should notice
print("all written")
