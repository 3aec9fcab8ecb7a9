"""Talk to a service behind an abstract UNIX socket, as a container engine's was (CVE-2020-15257)."""

import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as service:
    service.connect("\0" + json.loads(sys.argv[1])["abstract"])
    service.sendall(b"stolen")
