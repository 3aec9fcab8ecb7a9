"""Compile the sources named on standard input; runs in the tested interpreter (Python 3.6 syntax, stdlib only).

Unchecked-hash bytecode, so that no file times matter (PEP 552); Python 3.6 has only the timestamped kind, for
which all sources carry one fixed time. The import system corrects the file names inside (`_fix_co_filename`).
"""

import json
import os
import py_compile
import sys
import warnings


def main():
    job = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    kind = {}
    if sys.version_info >= (3, 7):
        kind["invalidation_mode"] = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for source in job["sources"]:
        folder, name = os.path.split(source)
        compiled = "%s.%s.pyc" % (name[:-3], sys.implementation.cache_tag)
        target = os.path.join(job["target"], folder, "__pycache__", compiled)
        try:
            py_compile.compile(os.path.join(job["folder"], source), cfile=target, dfile=source, doraise=True, **kind)
        except (py_compile.PyCompileError, OSError, ValueError, RecursionError):
            # Files for another Python are normal in a wheel: importing them says so, if anybody does.
            continue


main()
