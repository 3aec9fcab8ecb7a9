"""What is said between us and the process that forks launchers; standard library only."""

import struct

BEGUN = struct.Struct("=i")
"""The launcher's number."""
ENDED = struct.Struct("=idq")
"""Its wait status, CPU seconds and peak KiB, with those of all that it waited for."""
DESCRIPTORS = 2
"""In each message: a launcher's input and its report, or its program's output and errors."""
LONGEST = 1 << 16
