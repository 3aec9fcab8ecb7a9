"""Show the user something that isn't there."""

import json
import sys

with open(json.loads(sys.argv[1])["terminal"], "w") as terminal:
    terminal.write("stolen\n")
