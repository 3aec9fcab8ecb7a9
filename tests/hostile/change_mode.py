"""Open a private file to everybody: Landlock has no word for modes."""

import json
import os
import sys

os.chmod(json.loads(sys.argv[1])["home"] + "/credentials", 0o777)
