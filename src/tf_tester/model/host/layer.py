"""A wheel, unpacked once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

FILE_TIME = 1_577_836_800
"""When all files of a layer were changed last, in seconds since 1970: the bytecode of Python 3.6 is only valid for its
source's exact time."""


class EntryPoint(Struct, frozen=True):
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
    """Holds `bin/` and `data/` where the wheel has them."""
    tree: Path
    """An environment's folder with nothing in it but `site`."""
    place: str
    """Where in `tree` that is."""
    listed: "Callable[[], Listing]" = field(repr=False, compare=False)
    """Gives the names of its files. Most environments need none of them, and reading is half of finding a layer."""
    entry_points: tuple[EntryPoint, ...] = ()
    import_names: tuple[str, ...] = ()
    """Top-level modules and packages."""
    metadata_sha256: str = ""
    """Of its own METADATA."""

    @property
    def site(self) -> Path:
        """What goes into site-packages, with the bytecode of one interpreter beside its sources."""
        return self.tree / self.place

    @property
    def brings_programs(self) -> bool:
        """Return whether it has programs of its own: those of entry points import it."""
        return (self.folder / "bin").is_dir()

    @property
    def files(self) -> tuple[str, ...]:
        """The wheel's own: `site/…`, `bin/…` and `data/…`, sorted, `/` between the parts; see `path`."""
        return self.listed().files

    @property
    def bytecode(self) -> tuple[str, ...]:
        """Compiled files, relative to `site`."""
        return self.listed().bytecode

    def path(self, name: str) -> Path:
        """Return where one of `files` lies."""
        part, _, rest = name.partition("/")
        return Path(f"{self.tree}/{self.place}/{rest}") if part == "site" else self.folder / name


class Listing(Struct, frozen=True):
    """The names of a layer's files."""

    files: tuple[str, ...]
    bytecode: tuple[str, ...] = ()
    sums: tuple[int, ...] = ()
    """CRC-32 of each of `bytecode`; layers of earlier versions have none."""
