"""Open the setting that names a program which the kernel runs as root."""

import os

os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
print("opened")
