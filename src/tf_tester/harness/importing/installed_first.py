"""Import the user's project as it is installed, although its sources lie in a folder that comes first."""

import importlib.machinery
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InstalledFirst:
    """A finder for a few top-level names: it looks where Python looked before any folder of the user was added."""

    def __init__(self, names: "list[str]") -> None:
        self.names = frozenset(names)
        self.path = list(sys.path)
        if names:
            sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Return the spec of one of the names where it is installed; None leaves it to the other finders."""
        if path is not None or name not in self.names:
            return None
        return importlib.machinery.PathFinder.find_spec(name, self.path)

    def leave(self, names: "set[str]") -> None:
        """Leave some names to the other finders."""
        self.names -= names
