"""End another program of the same user."""

import json
import os
import sys

os.kill(json.loads(sys.argv[1])["victim_process"], 9)
