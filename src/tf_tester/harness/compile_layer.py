"""Compile the sources that each line of standard input names, read-only; runs in the tested interpreter.

Python 3.6 syntax, stdlib only. Unchecked-hash bytecode, so that no file times matter (PEP 552); Python 3.6 has only
the timestamped kind, for which all sources carry one fixed time. The file names inside are those of the place where
the sources will be seen; elsewhere the import system corrects them (`_fix_co_filename`). A line is answered when its
last source is done.
"""

import json
import os
import py_compile
import sys
import warnings


def main():
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        compile_all(json.loads(line))
        sys.stdout.write("done\n")
        sys.stdout.flush()


def compile_all(job):
    kind = {}
    if sys.version_info >= (3, 7):
        kind["invalidation_mode"] = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for source in job["sources"]:
        folder, name = os.path.split(source)
        compiled = "%s.%s.pyc" % (name[:-3], sys.implementation.cache_tag)
        target = os.path.join(job["folder"], folder, "__pycache__", compiled)
        try:
            py_compile.compile(
                os.path.join(job["folder"], source),
                cfile=target,
                dfile=os.path.join(job["seen_at"], source),
                doraise=True,
                **kind,
            )
            os.chmod(target, 0o444)
        except (py_compile.PyCompileError, OSError, ValueError, RecursionError):
            # Files for another Python are normal in a wheel: importing them says so, if anybody does.
            continue


main()
