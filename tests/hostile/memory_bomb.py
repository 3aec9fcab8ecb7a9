"""Take more memory than allowed, and use it."""

import time

taken = []
for _ in range(60):
    taken.append(b"x" * 10_000_000)
    time.sleep(0.01)
time.sleep(3)
print(sum(map(len, taken)), "bytes")
