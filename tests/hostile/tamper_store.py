"""Change a package for all later runs."""

import json
import os
import sys

place = json.loads(sys.argv[1])["layer_file"]
try:
    os.chmod(place, 0o666)
except OSError as error:
    print(error)
with open(place, "w") as stream:
    stream.write("tampered")
