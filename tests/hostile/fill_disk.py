"""Write more than allowed, in many files."""

import time

for number in range(80):
    with open("file-%d" % number, "wb") as stream:
        stream.write(b"x" * 1_000_000)
time.sleep(2)
print("all written")
