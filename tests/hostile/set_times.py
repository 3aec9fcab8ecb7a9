"""Make a file look older than it is."""

import json
import os
import sys

os.utime(json.loads(sys.argv[1])["home"] + "/credentials", (1, 1))
