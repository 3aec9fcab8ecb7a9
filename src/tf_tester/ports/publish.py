"""Where a replica is published, and who signs it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tf_tester.core.index.replica_tree import Manifest


class TreeTarget(Protocol):
    """A place for trees. All its members raise `OurFailure` where it can't be used."""

    packed: bool
    """Whether it is served by somebody who takes pages that are compressed already."""

    def is_damaged(self, shown: Manifest) -> bool:
        """Return whether what is shown isn't what its manifest says, pages that is; to be asked while `alone`.

        Somebody did not come to the end of showing it, or pages were lost or changed.
        """
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Hold the place alone; raises `OurFailure` where there is a writer already."""
        ...

    def current(self) -> str | None:
        """Return the generation that is shown; None: none."""
        ...

    def generations(self) -> Sequence[str]:
        """Return those that are kept, the oldest first."""
        ...

    def manifest(self, generation: str) -> tuple[bytes, bytes | None]:
        """Return a generation's manifest and its signature."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Return bytes of the files that generations share, by path."""
        ...

    def is_doubtful(self, path: str, source: Path | None) -> bool:
        """Return whether a shared file that is there may have been changed, by what shows without reading it.

        `source`: the file of the store that it may be a link to.
        """
        ...

    def confirm(self, path: str) -> None:
        """Note that a shared file was read, and is right."""
        ...

    def put_file(self, path: str, content: Path | bytes, sha256: str) -> None:
        """Make a file that generations share; whole or absent.

        Raises `WrongBytes` where what is copied, not linked, isn't what its digest says.
        """
        ...

    def add(
        self, manifest: Manifest, pages: Mapping[str, bytes], told: Mapping[str, bytes], before: Manifest | None
    ) -> None:
        """Make a generation, which nobody sees yet. `told`: manifest and signature. `before`: one that is there."""
        ...

    def show(self, manifest: Manifest) -> None:
        """Let everybody see a generation that is there."""
        ...

    def note_left(self, *, is_left: bool) -> None:
        """Note whether the generations after the one that is shown were gone back from."""
        ...

    def is_left(self) -> bool:
        """Return what was noted last; False where nothing was: a publisher may have died before he showed them."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a page as it is shown, or what is told of it; None: it isn't there."""
        ...

    def closed(self) -> Sequence[str]:
        """Return what a web server's user can't read of all that is there, by path."""
        ...

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a shared file, of its bytes as they are now; None: it isn't there."""
        ...

    def remove(self, generations: Iterable[str], files: Iterable[str], unused: Iterable[str]) -> None:
        """Remove generations, shared files, and pages that no generation has any more, by their SHA-256."""
        ...


class Signer(Protocol):
    """Whoever vouches for a manifest."""

    def sign(self, content: bytes) -> bytes: ...

    def verifies(self, content: bytes, signature: bytes) -> bool: ...
