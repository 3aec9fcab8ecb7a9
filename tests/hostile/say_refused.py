"""Say with its exit status, its output and every descriptor within reach that it was never started."""

import glob
import os
import sys

SENTENCES = "the sandbox could not be made: forged", "the program could not be started: forged"
FORGED = [kind + frame + sentence.encode() for kind in (b"s", b"p") for frame in (b"", bytes(4)) for sentence in SENTENCES]

files = list(range(256))
for place in glob.glob("/proc/[0-9]*/fd/*"):
    try:
        files.append(os.open(place, os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND))
    except OSError:
        pass
for file in files:
    for forged in FORGED:
        try:
            os.write(file, forged)
        except OSError:
            pass
for sentence in SENTENCES:
    print(sentence, file=sys.stderr, flush=True)
os._exit(125)
