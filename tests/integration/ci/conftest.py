"""What machines of CI systems have here."""

import sys
from pathlib import Path

from tests.forking import PYTHONPATH


def programs(home: Path) -> Path:
    """Make a folder with `tf-tester` and `python3`."""
    folder = home / "programs"
    folder.mkdir()
    (folder / "tf-tester").write_text(f'#!/bin/sh\nPYTHONPATH={PYTHONPATH} exec {sys.executable} -m tf_tester "$@"\n')
    (folder / "tf-tester").chmod(0o755)
    (folder / "python3").symlink_to(Path(sys.executable).resolve())
    return folder
