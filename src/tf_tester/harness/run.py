"""Start the harness: ``ENV/bin/python /path/to/run.py SPEC.json``.

The siblings of this file are loaded as the package ``_tf_tester_harness``, so that no module of the user can clash with
them, and their folder has left ``sys.path`` before the user's code runs. This file stays small: it is compiled anew at
each start.
"""

import os
import sys


def main(order: str, folder: str) -> object:
    """Run the order; return what the process leaves with."""
    before = frozenset(sys.modules)
    adds_folder = bool(sys.path) and sys.path[0] == folder  # not with -I, -P or PYTHONSAFEPATH
    if adds_folder:
        del sys.path[0]
    package = type(sys)("_tf_tester_harness")
    package.__path__ = [folder]
    sys.modules[package.__name__] = package
    from _tf_tester_harness import dispatch  # type: ignore[import-not-found]

    return dispatch.main(order, before, adds_folder)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], os.path.dirname(os.path.realpath(__file__))))
