"""Talk to a service behind a UNIX socket in a file: a session's bus, a container engine."""

import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as service:
    service.connect(json.loads(sys.argv[1])["socket"])
    service.sendall(b"stolen")
