"""Whose files a failure speaks of: the distributions on the way of a traceback, and those that its message names."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from tf_tester.model.outcome import TestRow

_BELOW_SITE = r"[/\\](?:site|dist)-packages[/\\]([^\s\"':;,()\[\]]+)"
_CYTHON = r'File "(\w+/[\w./-]+\.p(?:yx|xd))"'
"""Cython's frames have the path from the root of the sources."""
_STANDARD = r"[/\\]lib[/\\]python3\.\d+t?[/\\]|^<"
_MODULES = (
    r"module '([\w.]+)' has no attribute '?\w",
    r"cannot import name '?\w+'? from '([\w.]+)'",
    r"No module named '?([\w.]+)",
)
_LACKING_FILE = r"cannot import name '?\w+'? from '[\w.]+' \((.+?)\)"
_IMPORTS = r"(?m)^ +(?:import|from) ([\w.]+)"
_MOST_FAILED = 10_000
"""Failures of a cell that are looked at."""
_LONGEST = 20_000
"""Characters of one text that are looked at."""

YOURS = ""
"""The owner of the user's own files."""


class InstalledFiles(Struct, frozen=True):
    """One distribution in an environment."""

    owner: str
    """Its canonical name; `YOURS` of the user's own project."""
    import_names: Collection[str]
    """Top-level modules and packages."""
    has: Callable[[str], bool]
    """Whether a file, as it is called below site-packages, is one of its own."""


def owners_of(rows: Iterable[TestRow], installed: Sequence[InstalledFiles]) -> dict[str, str]:
    """Return the owners of the files and modules that failures speak of.

    By top-level module (`numpy`) where that is one distribution's; else, in a namespace, by file or module
    (`google/protobuf/message.py`, `google/protobuf`).
    """
    failed = list(islice((row for row in rows if row.outcome.is_failure_of_the_test), _MOST_FAILED))
    found: dict[str, str] = {}
    for path in dict.fromkeys(path for row in failed for path in _paths(row)):
        top = path.split("/")[0].split(".")[0]
        owners = {one.owner for one in installed if top in one.import_names}
        if len(owners) == 1:
            found[top] = owners.pop()
        else:
            its = next((one for one in installed if any(map(one.has, _files(path)))), None)
            if its is not None:
                found[path] = its.owner
    return found


def owner_of_file(file: str, owners: Mapping[str, str]) -> str | None:
    """Return whose a file of a traceback is; None: the interpreter's, or nobody knows.

    >>> owner_of_file("/x/site-packages/numpy/core/a.py", {"numpy": "numpy"})
    'numpy'
    >>> owner_of_file("/home/me/test_x.py", {}) == YOURS, owner_of_file("/usr/lib/python3.11/json/x.py", {})
    (True, None)
    """
    below = re.search(_BELOW_SITE, file)
    path = below[1].replace("\\", "/") if below else file
    if below is None and file.endswith((".pyx", ".pxd")):
        return owners.get(path.split("/")[0])
    if below is None:
        return None if re.search(_STANDARD, file) else YOURS
    return owners.get(path, owners.get(path.split("/")[0].split(".")[0]))


def owner_of_module(module: str, owners: Mapping[str, str]) -> str | None:
    """Return whose a module is; None: nobody in that environment has it."""
    return owners.get(module.replace(".", "/"), owners.get(module.split(".")[0]))


def named_module(message: str) -> str:
    """Return the module that an exception's message says lacks something, or isn't there.

    >>> named_module("module 'numpy' has no attribute 'object'"), named_module("No module named 'a.b'")
    ('numpy', 'a.b')
    """
    return next((found[1] for pattern in _MODULES if (found := re.search(pattern, message[:_LONGEST]))), "")


def file_of_named(message: str) -> str:
    """Return the file of the module that lacks a name, where Python tells it: `tensorflow.keras` may be keras's.

    >>> file_of_named("cannot import name 'x' from 'a.b' (/lib/python3.9/site-packages/c/b.py)")
    '/lib/python3.9/site-packages/c/b.py'
    """
    found = re.search(_LACKING_FILE, message[:_LONGEST])
    return found[1] if found is not None else ""


def _paths(row: TestRow) -> Iterable[str]:
    message = row.exception.message if row.exception is not None else row.reason
    for text in (row.exception.file if row.exception is not None else "", row.traceback, message, row.stderr):
        for path in (*re.findall(_BELOW_SITE, text[-_LONGEST:]), *re.findall(_CYTHON, text[-_LONGEST:])):
            yield path.replace("\\", "/")
        for pattern in (*_MODULES, _IMPORTS):
            yield from (module.rstrip(".").replace(".", "/") for module in re.findall(pattern, text[-_LONGEST:]))


def _files(path: str) -> Iterable[str]:
    """Yield the files of which one is what a path means: itself, a module, or a package."""
    yield path
    if "." not in path.rpartition("/")[2]:
        yield from (f"{path}.py", f"{path}/__init__.py")
