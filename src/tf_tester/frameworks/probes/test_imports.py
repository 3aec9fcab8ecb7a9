"""Import all that a distribution brings, and compare its versions: a probe of any package.

To make a copy of it your own, write the distribution's name in the place of `NAME`.
"""

import csv
import importlib
import os
import re
import sys
from pathlib import Path

import pytest

NAME = os.environ.get("PROBED_DISTRIBUTION", "")
NOT_FOR_USERS = {"test", "tests", "testing", "doc", "docs", "example", "examples", "benchmark", "benchmarks"}


def dist_info():
    """Return the folder of the distribution's metadata; not by importlib.metadata, which Python 3.6 lacks."""
    for folder in filter(Path.is_dir, map(Path, sys.path)):
        for entry in sorted(folder.glob("*.dist-info")):
            if canonical(entry.stem.rpartition("-")[0]) == canonical(NAME):
                return entry
    return None


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def top_level_names():
    folder = dist_info()
    found = set()
    if folder is not None:
        with (folder / "RECORD").open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                first, *others = row[0].split("/") if row else [""]
                if re.search(r"\.(py|so|pyd)$", row[0] if row else ""):
                    found.add(first if others else first.partition(".")[0])
    return sorted(name for name in found - NOT_FOR_USERS if re.match(r"[A-Za-z]\w*$", name))


@pytest.mark.parametrize("name", top_level_names())
def test_import(name):
    importlib.import_module(name)


def test_its_version_is_that_of_its_metadata():
    folder = dist_info()
    assert folder is not None, "there is no distribution " + repr(NAME)
    version = folder.stem.rpartition("-")[2]
    shown = getattr(sys.modules.get(canonical(NAME).replace("-", "_")), "__version__", version)
    if isinstance(shown, str) and re.match(r"\d+\.\d+", shown):
        assert shown.partition("+")[0] == version.partition("+")[0].replace("_", "-")
