"""Write a file where only the user's own programs may."""

import json
import sys

place = json.loads(sys.argv[1])["victim"]
with open(place + "/left-behind", "w") as stream:
    stream.write("was here")
