"""Print what is in somebody's home."""

import json
import sys

print(open(json.loads(sys.argv[1])["home"] + "/credentials").read())
