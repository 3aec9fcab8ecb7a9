"""Let the results be a link to a file that only the reader may read."""

import json
import os
import sys

facts = json.loads(sys.argv[1])
os.unlink(facts["events"])
os.symlink(facts["home"] + "/credentials", facts["events"])
