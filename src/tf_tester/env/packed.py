"""An environment as members of a tar: for images, in which it has a place of its own and belongs to root."""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from tf_tester.core.image.documents import PLACE
from tf_tester.core.image.tar import TarEntry, with_folders
from tf_tester.env.arrangement import PlacedFile, arrange, placed_files
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.scheme import layout_of
from tf_tester.ports.images import PackedEnvironment

_PYTHON = Path(f"/{PLACE}/bin/python")
"""What the first lines of scripts name."""


def packed(layers: Sequence[Layer], interpreter: Interpreter, own: Iterable[str]) -> PackedEnvironment:
    """Return the environment; see `ports.images.PackEnvironment`."""
    layout = layout_of(interpreter)
    inside = [path.removeprefix(f"{PLACE}/") for path in own if path.startswith(f"{PLACE}/")]
    arrangement = arrange(layers, layout, _PYTHON, inside)
    entries = map(_entry, placed_files(arrangement, layers, layout, interpreter))
    return PackedEnvironment({one.path: one for one in with_folders(entries, PLACE)}, arrangement.clashes)


def _entry(file: PlacedFile) -> TarEntry:
    path = f"{PLACE}/{file.place}"
    if not isinstance(file.source, str):
        return TarEntry.text(path, file.source.read(), mode=0o755 if file.source.is_program else 0o644)
    status = os.stat(file.source)  # noqa: PTH116 - of each of 15,000 files
    mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    return TarEntry(path, mode=mode, size=status.st_size, source=file.source)
