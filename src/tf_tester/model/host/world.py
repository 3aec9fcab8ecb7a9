"""What a sandboxed program sees."""

from pathlib import Path

from msgspec import Struct


class Overlay(Struct, frozen=True):
    """Folders seen as one; the first one wins, and what is written is gone with the program."""

    target: Path
    lowers: tuple[Path, ...]


class Moved(Struct, frozen=True):
    """A folder that is shown at another place than its own, where `Sandbox.moves`."""

    folder: Path
    seen_at: Path


class World(Struct, frozen=True):
    """Everything but the system's own folders."""

    readable: tuple[Path, ...]
    """Files and folders shown at their own places, read-only."""
    writable: tuple[Path, ...]
    """Likewise, and what is written there stays."""
    overlays: tuple[Overlay, ...] = ()
    """An overlay within another comes after it."""
    catch: Path | None = None
    """A folder for what is written into overlays and private folders; None: memory."""
    moved: tuple[Moved, ...] = ()
    """What is written there stays."""
    fresh: tuple[Moved, ...] = ()
    """Likewise, but what is seen is an empty folder in memory, of the same mode: it is gone with the program."""
    private: tuple[Path, ...] = ()
    """Folders shown at their own places, where `Sandbox.copies`: what is written there, only programs see that have the
    same `catch`."""
    hidden: tuple[Path, ...] = ()
    """What lies below readable and private folders and isn't shown, unless it is named above. In namespaces it isn't
    there; under Landlock its name can be seen."""
    own: tuple[Path, ...] = ()
    """Those of the writable ones that are the program's alone: nobody else has anything there."""

    def written(self, private: Path) -> str | None:
        """Return where goes what is written into a private folder; None: to memory."""
        return None if self.catch is None else f"{self.catch}/private-{self.private.index(private)}"
