"""The same by UDP, of which Landlock knows nothing."""

import json
import socket
import sys

socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"stolen", ("127.0.0.1", json.loads(sys.argv[1])["datagrams"]))
