"""The same in files that are nowhere but in memory."""

import time

for number in range(60):
    with open("/dev/shm/tf-tester-hostile-%d" % number, "wb") as stream:
        stream.write(b"x" * 10_000_000)
    time.sleep(0.01)
time.sleep(1)
print("all written")
