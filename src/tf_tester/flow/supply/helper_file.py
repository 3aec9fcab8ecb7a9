"""Write the helper module of tests as a file of the user's."""

from enum import Enum, auto
from pathlib import Path

from tf_tester.errors import UsageError
from tf_tester.flow.prepare.wheel_folder import write_file
from tf_tester.given_files import read_given

_BEGINNING = b'"""Mark what saves something and what loads it, and record numbers, for tf-tester'
"""Of every version of the helper."""


class HelperWritten(Enum):
    """What came of it."""

    NEW = auto()
    REPLACED = auto()
    SAME = auto()
    """The file was there, and is what would be written."""


def write_helper(source: Path, target: Path, *, force: bool) -> HelperWritten:
    """Write the module to a file of the user's, and return what came of it.

    With `force` also over what is there and differs. Raises `UsageError` without, or where there is no such folder.
    """
    text = source.read_text("utf-8")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {target.absolute().parent}.", hint="Make it first.")
    there = read_given(target) if target.is_file() else None
    if there == text.encode():
        return HelperWritten.SAME
    if there is not None and not force:
        kind = "another version of the helper, or one that was changed" if there.startswith(_BEGINNING) else "not ours"
        raise UsageError(f"{target} is there already, and {kind}.", hint="--force writes over it; -o names another.")
    write_file(target, text)
    return HelperWritten.NEW if there is None else HelperWritten.REPLACED
