"""Provide ``tf_tester_helper`` where nobody else does: tests import it, and their environment need not have it."""

import importlib.machinery
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "tf_tester_helper"
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "provided")


class ProvidedModules:
    """The last finder on ``sys.meta_path``: a copy beside the tests, or an installed one, is found before."""

    def __init__(self) -> None:
        sys.meta_path.append(self)  # type: ignore[arg-type]

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """Return the spec of our copy; None of anything else."""
        return importlib.machinery.PathFinder.find_spec(name, [FOLDER]) if name == NAME else None
