"""Which names are private: remembered in the private folder and in the store, so that the loss of either frees none."""

import os
from collections.abc import Iterable
from pathlib import Path

from tf_tester.errors import OurFailure

_MARKER = ".names"


class PrivateNames:
    """Names under which something was uploaded, and in which folders; callable from many threads and processes.

    Both files have a line `NAME FOLDER` for each, and are only added to, but by `forget`.
    """

    def __init__(self, root: Path, store: Path | None) -> None:
        """Look after the names of a private folder; `store`: None where nothing is known outside of it."""
        self._folder = root.as_uri()
        self._marker = root / _MARKER
        self._kept = store / "private-names" if store is not None else None
        self._files = (self._marker, self._kept) if self._kept is not None else (self._marker,)
        self._read: dict[Path, tuple[tuple[int, ...], frozenset[tuple[str, str]]]] = {}
        """Lines of each file, with its status when they were read."""
        self._of: dict[Path, tuple[frozenset[tuple[str, str]], frozenset[str]]] = {}
        """Names in these lines."""

    @property
    def own(self) -> frozenset[str]:
        """Names of this folder, whatever is in it now. Raises `OurFailure`."""
        # What the marker says is this folder's, wherever it lay when that was written.
        names = {name for name, _ in self._lines(self._marker)}
        kept = self._lines(self._kept) if self._kept is not None else ()
        return frozenset(names | {name for name, folder in kept if folder == self._folder})

    @property
    def folders(self) -> list[str]:
        """Private folders, as addresses, of which the store knows names."""
        return sorted({folder for _, folder in self._lines(self._kept)}) if self._kept is not None else []

    @property
    def has_marker(self) -> bool:
        return self._marker.is_file()

    def is_known(self, name: str) -> bool:
        """Return whether a name was uploaded to this folder, or to another one with this store: some microseconds."""
        return any(name in self._names(file) for file in self._files)

    def remember(self, names: Iterable[str]) -> None:
        """Add names to both files, where they aren't in them.

        Raises `OurFailure` where one of them can't be written: the other one has the names all the same.
        """
        lines = {(name, self._folder) for name in names}
        refused, noted = [], []
        for file in self._files:
            try:
                missing = self._missing(file, lines)
                if missing or not file.is_file():
                    if file == self._kept:
                        file.parent.mkdir(parents=True, exist_ok=True)
                    self._add(file, missing)
                noted.append(str(file))
            except OSError as error:
                refused.append(f"{file}: {error.strerror}")
            except OurFailure:
                refused.append(f"{file}: it can't be read")
        if refused and lines:
            where = f"in {noted[0]} alone" if noted else "nowhere"
            raise OurFailure(
                f"Private names can't be noted in {', nor in '.join(refused)}.",
                hint=f"They are known {where}: if that is lost as well as a project, its name is public again.",
            )

    def unnoted(self, names: Iterable[str]) -> list[tuple[str, Path]]:
        """Return which of these names which file lacks. Raises `OurFailure` where one can't be read."""
        lines = {(name, self._folder) for name in names}
        return sorted((name, file) for file in self._files for name, _ in self._missing(file, lines))

    def _missing(self, file: Path, lines: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return which lines a file lacks; what the marker says is this folder's, wherever that lay."""
        known = self._lines(file) if os.path.lexists(file) else frozenset[tuple[str, str]]()
        names = {name for name, _ in known} if file == self._marker else set[str]()
        return {line for line in lines if line not in known and line[0] not in names}

    def forget(self, name: str) -> bool:
        """Let go of a name, in this folder and in the store, and return whether it was known. Raises `OurFailure`."""
        found = self.is_known(name)
        try:
            for file in self._files:
                if file.is_file():
                    rest = sorted(line for line in self._lines(file) if line[0] != name)
                    # In place: it stays the file of who serves it. Never empty, which would count as damage, nor on a
                    # full disk: what is written is shorter than what was there, and that isn't cut off before.
                    with file.open("r+b") as stream:
                        stream.write(("\n" + "".join(f"{one} {folder}\n" for one, folder in rest)).encode())
                        stream.truncate()
        except OSError as error:
            raise OurFailure(
                f"{error.filename or 'The list of private names'} can't be changed: {error.strerror}.",
                hint="Free some space, or do it as the user who serves it.",
            ) from error
        return found

    def _names(self, file: Path) -> frozenset[str]:
        lines = self._lines(file)
        found = self._of.get(file)
        if found is None or found[0] is not lines:
            found = self._of[file] = lines, frozenset(name for name, _ in lines)
        return found[1]

    def _add(self, file: Path, lines: set[tuple[str, str]]) -> None:
        with file.open("a", encoding="utf-8") as stream:
            # A line break comes first: what was cut off by a crash stays a line of its own.
            stream.write("".join(f"\n{name} {folder}\n" for name, folder in sorted(lines)))
            stream.flush()
            if lines:
                os.fsync(stream.fileno())

    def _lines(self, file: Path) -> frozenset[tuple[str, str]]:
        """Return what a file says; where it is gone or was emptied, what it said before."""
        known = self._read.get(file)
        try:
            status = os.stat(file)  # noqa: PTH116 - a path's own takes longer
            state = status.st_ino, status.st_mtime_ns, status.st_size
            if known is not None and known[0] == state:
                return known[1]
            text = file.read_text("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return known[1] if known is not None else frozenset()
        except OSError as error:
            if known is not None:
                return known[1]
            raise OurFailure(
                f"{file} can't be read: {error.strerror}.",
                hint="It says which names are private: correct its permissions, or restore it from a backup.",
            ) from error
        lines = frozenset(
            (name, folder) for name, _, folder in (one.partition(" ") for one in text.split("\n")) if folder
        )
        if not status.st_size and known is not None:
            lines = known[1]
        self._read[file] = state, lines
        return lines
