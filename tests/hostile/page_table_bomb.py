"""Take more memory than allowed for the tables of pages that are all the same one: what was only read is zeros."""

import json
import mmap
import sys
import time

# A private mapping without a file, of which nothing is promised ahead (MAP_NORESERVE).
space = mmap.mmap(-1, 200 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, mmap.PROT_READ)
for place in range(0, len(space), 2 << 20):
    space[place]
if json.loads(sys.argv[1])["isolation"] != "none":
    time.sleep(50)  # somebody should notice
print("all written")
