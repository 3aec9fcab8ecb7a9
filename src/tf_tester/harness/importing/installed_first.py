"""Import the user's project as it is installed, although its sources lie in a folder that comes first."""

import importlib.machinery
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InstalledFirst:
    """A finder for a few top-level names: it looks where Python looked before any folder of the user was added.

    Those of ``sources`` it takes from the folder given there.
    """

    def __init__(self, names: "list[str]", sources: "dict[str, str]") -> None:
        self.names = frozenset(names)
        self.sources = sources
        self.path = list(sys.path)
        if names or sources:
            sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Return the spec of one of the names where it is to come from; None leaves it to the other finders."""
        if path is None and name in self.sources:
            return importlib.machinery.PathFinder.find_spec(name, [self.sources[name]])
        return self._installed(name) if path is None and name in self.names else None

    def leave(self, found: "dict[str, str]") -> None:
        """Take some names from where their sources lie; where these are not all there is of it, leave it to others.

        A compiled module, and a ``_version.py`` that a build writes, are in what is installed alone.
        """
        whole = [name for name, folder in found.items() if self._is_whole(name, os.path.join(folder, name))]
        self.names -= set(found)
        self.sources = {name: found[name] for name in whole}

    def _installed(self, name: str) -> "Any":
        return importlib.machinery.PathFinder.find_spec(name, self.path)

    def _is_whole(self, name: str, source: str) -> bool:
        spec = self._installed(name)
        for place in (spec and spec.submodule_search_locations) or []:
            for folder, inside, files in os.walk(place):
                inside[:] = [one for one in inside if one != "__pycache__"]
                there = os.path.join(source, os.path.relpath(folder, place))
                if not all(os.path.exists(os.path.join(there, file)) for file in files):
                    return False
        return True
