"""What is said between us and the process that forks launchers; standard library only."""

import struct

BEGUN = struct.Struct("=i")
"""The launcher's number."""
ENDED = struct.Struct("=idq")
"""Its wait status, CPU seconds and peak KiB, with those of all that it waited for."""
STREAMS = 4
"""Descriptors in a message: input, output, errors, report."""
LONGEST = 1 << 16
