"""Files that a test may have made anything of, read without following it anywhere."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def opened_safely(path: Path) -> Iterator[BinaryIO | None]:
    """Yield a regular file that has no other name; None for anything else, also for a name that no file can have."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        yield None
        return
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        yield None
        return
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def is_folder(path: Path) -> bool:
    """Tell whether something is a folder and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def lies_there(folder: Path, trusted: Path) -> bool:
    """Tell whether a folder lies where its path says, below a trusted one.

    A test may have put a link in the place of any folder that it could write to.
    """
    between = [one for one in (folder, *folder.parents) if one != trusted and one.is_relative_to(trusted)]
    return folder.is_relative_to(trusted) and all(map(is_folder, between))
