"""The same through the environment's own files, which are links into the store where they aren't a mount."""

import json
import os
import sys

place = json.loads(sys.argv[1])["environment_file"]
try:
    os.chmod(place, 0o666)
except OSError as error:
    print(error)
with open(place, "w") as stream:
    stream.write("tampered")
