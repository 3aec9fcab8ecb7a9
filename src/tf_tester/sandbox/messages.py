"""What is said between us, the process that forks launchers, and the launchers; standard library only."""

import struct

BEGUN = struct.Struct("=i")
"""The launcher's number."""
ENDED = struct.Struct("=idq")
"""Its wait status, CPU seconds and peak KiB, with those of all that it waited for."""
DESCRIPTORS = 3
"""In a message at the most: a launcher's input and its report, or its program's output, errors and, perhaps, input."""
LONGEST = 1 << 16
NO_SANDBOX, NO_PROGRAM = b"s", b"p"
"""What a launcher says on its input if the program has not run: one of these, and the reason.

Neither an exit status nor the output could say it: both are the program's own, too.
"""
LONGEST_REASON = 1000
"""Bytes."""
