"""Start more processes than allowed; bounded, and they end by themselves."""

import os
import time

made = 0
for _ in range(400):
    if os.fork() == 0:
        time.sleep(10)
        os._exit(0)
    made += 1
time.sleep(4)
print(made, "processes")
