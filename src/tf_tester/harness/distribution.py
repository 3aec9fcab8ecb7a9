"""Read a distribution's installed version without importing anything of it."""

import os
import re


def installed_version(name: str, folders: "list[str]") -> "str | None":
    """Return the version in the first ``*.dist-info`` of that name on a search path; names compare as in PEP 503."""
    for folder in folders:
        try:
            entries = sorted(os.listdir(folder))
        except OSError:  # a zip file, or a folder that does not exist
            continue
        for entry in entries:
            stem, suffix = os.path.splitext(entry)
            if suffix == ".dist-info" and _normal(stem.rpartition("-")[0]) == _normal(name):
                version = _version(os.path.join(folder, entry, "METADATA"))
                if version:
                    return version
    return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _version(file: str) -> "str | None":
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                field, _, value = line.partition(":")
                if field.lower() == "version":
                    return value.strip()
                if not line.strip():
                    break
    except OSError:
        pass
    return None
