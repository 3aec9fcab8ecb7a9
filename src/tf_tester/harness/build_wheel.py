"""Call one hook of a project's build back end (PEP 517); runs in the environment that was made for its build.

Started as `python build_wheel.py ORDER`, in the project's folder. ORDER is a JSON object: `hook`, `backend`,
`backend_path`, and `result`, the folder of the wheel, or the file for what `get_requires_for_build_wheel` returns.
Python 3.6 syntax, standard library only. All that is printed goes to standard error, in the order in which it was said.
"""

import importlib
import json
import os
import sys


def main():
    order = json.loads(sys.argv[1])
    del sys.argv[1:]
    # Ours is no folder to import from, and the project's is none either, unless it says so.
    sys.path[:1] = [os.path.abspath(folder) for folder in order["backend_path"]]
    os.dup2(2, 1)
    backend = find(order["backend"])
    if order["hook"] == "build_wheel":
        backend.build_wheel(order["result"])
        return
    hook = getattr(backend, order["hook"], None)
    required = [] if hook is None else list(hook())
    with open(order["result"], "w", encoding="utf-8") as stream:
        json.dump(required, stream)


def find(backend):
    """Return the object that `module:name.name` or `module` means."""
    module, _, names = backend.partition(":")
    found = importlib.import_module(module)
    for name in names.split(".") if names else ():
        found = getattr(found, name)
    return found


if __name__ == "__main__":
    main()
