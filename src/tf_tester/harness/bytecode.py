"""Keep compiled files out of the user's folders, and let the environment have them.

``sys.dont_write_bytecode`` would do the first and undo the second: a framework without bytecode takes two to three
times as long to import, at every start.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class UserFolders:
    """The folders whose modules leave no ``__pycache__`` behind."""

    def __init__(self, folders: "list[str]") -> None:
        self._folders = _with_real_names(folders)
        self._environment = _with_real_names([sys.prefix, sys.base_prefix])

    def spare(self) -> None:
        """Let Python's own loader write nothing there."""
        loader = sys.modules["_frozen_importlib_external"].SourceFileLoader
        write = loader.set_data

        def set_data(self_: "Any", path: str, data: "Any", **options: "Any") -> None:
            if path not in self:
                write(self_, path, data, **options)

        loader.set_data = set_data

    def spare_from_pytest(self) -> None:
        """Let pytest, which compiles test modules itself, write nothing there."""
        rewrite = sys.modules.get("_pytest.assertion.rewrite")
        make = getattr(rewrite, "try_makedirs", None)
        if make:
            rewrite.try_makedirs = lambda folder: str(folder) not in self and make(folder)  # type: ignore[union-attr]

    def __contains__(self, path: str) -> bool:
        return path.startswith(self._folders) and not path.startswith(self._environment)


def _with_real_names(folders: "list[str]") -> "tuple[str, ...]":
    return tuple(os.path.join(name, "") for folder in folders for name in (folder, os.path.realpath(folder)))
