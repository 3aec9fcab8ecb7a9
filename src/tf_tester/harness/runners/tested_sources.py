"""Packages that have tests among their own modules: pytest imports these from where they lie, and so the package."""

import glob
import os
from fnmatch import fnmatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


def packages_with_tests(config: "Any", names: "frozenset[str]") -> "dict[str, str]":
    """Return those of some top-level packages in whose source pytest, as it is set, looks for tests, with its folder.

    ``config`` is what it is before the first ``conftest.py``: that may already import the package.
    """
    found = {}  # type: dict[str, str]
    options = config.known_args_namespace
    if names and not options.pyargs:  # with it, names are those of installed packages
        as_doctests = getattr(options, "doctestmodules", False)  # not there with `-p no:doctest`
        patterns = ["*.py"] if as_doctests else [one.rpartition("/")[2] for one in config.getini("python_files")]
        for file in _files(_places(config), config.getini("norecursedirs")):
            folder, name = _top_package(file)
            if name in names and any(fnmatch(os.path.basename(file), pattern) for pattern in patterns):
                found.setdefault(name, folder)
                if found.keys() == names:
                    break
    return found


def _places(config: "Any") -> "list[str]":
    """Return the files and folders that pytest looks into."""
    here = os.path.abspath(str(config.invocation_params.dir))
    named = [os.path.join(here, one.partition("::")[0]) for one in config.known_args_namespace.file_or_dir]
    if not named and here == os.path.abspath(str(getattr(config, "rootpath", None) or config.rootdir)):
        patterns = [os.path.join(here, one) for one in config.getini("testpaths")]
        named = [place for pattern in patterns for place in sorted(glob.glob(pattern, recursive=True))]
    return named or [here]


def _files(places: "list[str]", skipped: "list[str]") -> "Iterator[str]":
    """Yield files of Python, those of a folder after one another."""
    for place in places:
        if os.path.isfile(place):
            yield os.path.abspath(place)
        for folder, inside, files in os.walk(os.path.abspath(place)):
            inside[:] = [name for name in inside if not any(fnmatch(name, pattern) for pattern in skipped)]
            yield from (os.path.join(folder, name) for name in files if name.endswith(".py"))


def _top_package(file: str) -> "tuple[str, str]":
    """Return where the topmost package lies that a file is a module of, and its name; empty where it is of none."""
    folder, name = os.path.dirname(file), ""
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
    return folder, name
