"""A wheel, unpacked once."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A script that an environment gets (entry-points specification)."""

    name: str
    module: str
    attribute: str
    gui: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """Read-only; many environments link into it at the same time."""

    sha256: str
    """Of the wheel."""
    name: str
    """Canonical project name."""
    folder: Path
    """Holds `site/`, and `bin/` and `data/` where the wheel has them."""
    files: tuple[str, ...]
    """Relative to `folder`, sorted, `/` between the parts."""
    rooms: frozenset[str] = frozenset()
    """Which of `site`, `bin` and `data` it has."""
    entry_points: tuple[EntryPoint, ...] = ()
    import_names: tuple[str, ...] = ()
    """Top-level modules and packages."""
    metadata_sha256: str = ""
    """Of its own METADATA."""
    bytecode: Path | None = None
    """Compiled files for one interpreter, laid out as in `site/`; None where there are none."""
    bytecode_files: tuple[str, ...] = ()
    """Relative to `bytecode`."""
