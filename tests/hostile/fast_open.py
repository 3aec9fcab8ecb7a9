"""Connect by sending: TCP Fast Open."""

import json
import socket
import sys

with socket.socket() as mine:
    mine.sendto(b"stolen", socket.MSG_FASTOPEN, ("127.0.0.1", json.loads(sys.argv[1])["port"]))
