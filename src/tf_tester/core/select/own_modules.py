"""Modules that a test doesn't find although they lie among the user's own files. Pure."""

import re
from collections.abc import Iterable

_MISSING = r"No module named '([A-Za-z_]\w*)"


def missing_modules(kind: str, message: str) -> list[str]:
    """Return the top names of modules that an exception says are missing.

    >>> missing_modules("ModuleNotFoundError", "No module named 'mine.part'")
    ['mine']
    """
    return re.findall(_MISSING, message) if kind in ("ModuleNotFoundError", "ImportError") else []


def folder_of_module(name: str, paths: Iterable[str]) -> str | None:
    """Return the folder from which a module could be imported, the topmost of several; None: there is none.

    >>> folder_of_module("mine", ["/p/src/mine/__init__.py", "/p/src/mine/part.py", "/p/tests/test_it.py"])
    '/p/src'
    >>> folder_of_module("helper", ["/p/lib/helper.py"]), folder_of_module("six", ["/p/lib/helper.py"])
    ('/p/lib', None)
    """
    ends = (f"/{name}/__init__.py", f"/{name}.py")
    found = [path.removesuffix(end) for path in paths for end in ends if path.endswith(end)]
    # What lies in a package is imported by that, not from the folder.
    return min(found, key=lambda folder: (folder.count("/"), folder), default=None)


def own_module(name: str, folder: str) -> str:
    """Return the remark on such a module. `folder`: as from where the user stands."""
    return (
        f"the module {name} is yours, in {folder}: --pythonpath {folder} lets tests import it, or --project builds it"
    )


def own_sources(name: str, folder: str) -> str:
    """Return the remark on a package of the user's whose sources were imported, and lack what its build makes."""
    return (
        f"the module {name} is yours, in {folder}: tests that lie in its sources import these, which lack what the "
        f"build of --project makes; tests outside of {name} get what was built"
    )


def is_own_module(name: str, remark: str) -> bool:
    """Tell whether a remark is that on a module."""
    return remark.startswith(f"the module {name} is yours, in ")
