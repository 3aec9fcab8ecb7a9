"""What stands where in an environment, and what two layers dispute. Nothing is written here.

A file of another project is never silently replaced: of two that bring one path the first one's is used, and where
their contents differ a sentence says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from tf_tester.core.text.sizes import count_text
from tf_tester.env.records import installed_record, record_name
from tf_tester.env.scripts import entry_script, rewritten
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.scheme import InstallScheme


class Piece(Struct, frozen=True):
    """One file of an environment."""

    layer: Layer
    name: str
    """One of the layer's files; empty for the program of an entry point."""
    content: bytes | None = None
    """Of what is written anew: programs, and RECORDs that list them; None where the layer's file is taken as it is."""

    @property
    def path(self) -> Path:
        return self.layer.path(self.name)

    @property
    def is_program(self) -> bool:
        """Whether it is one of the wheel's scripts or entry points."""
        return not self.name.startswith(("site/", "data/"))

    def read(self) -> bytes:
        return self.path.read_bytes() if self.content is None else self.content


class Arrangement(Struct, frozen=True):
    """The decision, for one list of layers."""

    pieces: dict[str, Piece]
    """By place, relative to the environment's folder."""
    clashes: tuple[str, ...]
    """A sentence for each two layers of which one's files are not used, because the other's are, and for each file that
    the environment has itself.
    """
    disputed: tuple[str, ...]
    """Places that several layers' files want, with different contents."""
    uneven: bool
    """A file stands where another layer has a folder: layers laid over one another would hide all that is in it."""


class PlacedFile(Struct, frozen=True):
    """Something to be put at a place in an environment."""

    source: str | Piece
    """Path of a file of the store; a piece that is written anew."""
    place: str
    layer: Layer


def placed_files(
    arrangement: Arrangement, layers: Sequence[Layer], layout: InstallScheme, interpreter: Interpreter
) -> Iterator[PlacedFile]:
    """Yield all files of an environment, and the bytecode of each source that is its own layer's: bytecode is not
    checked at import.
    """
    for place, piece in arrangement.pieces.items():
        yield PlacedFile(str(piece.path) if piece.content is None else piece, place, piece.layer)
    ending = f".{interpreter.cache_tag}.pyc"
    for layer in layers:
        for name in layer.bytecode:
            folder, _, file = name.rpartition("__pycache__/")
            source = f"{folder}{file.removesuffix(ending)}.py"
            first = arrangement.pieces.get(f"{layout.site}/{source}")
            if first is not None and first.layer is layer and first.name == f"site/{source}":
                yield PlacedFile(f"{layer.site}/{name}", f"{layout.site}/{name}", layer)


def arrange(layers: Sequence[Layer], layout: InstallScheme, python: Path, own: Iterable[str]) -> Arrangement:
    """Decide which layer's file stands where.

    `python`: what the first lines of scripts name. `own`: the files and links that the environment has of itself.
    """
    arranging = _Arranging(layout, own)
    for layer in layers:
        files = layer.files
        scripts = frozenset(name for name in files if name.startswith("bin/"))
        programs = _programs(layer, scripts, python)
        record = record_name(layer)
        for name in files:
            part, _, rest = name.partition("/")
            match part:
                case "site" if name == record:
                    text = layer.path(name).read_text("utf-8")
                    content = installed_record(text, layout.site, layout.scripts, programs)
                    arranging.place(f"{layout.site}/{rest}", Piece(layer, name, content))
                case "site":
                    arranging.place(f"{layout.site}/{rest}", Piece(layer, name))
                case "bin":
                    arranging.place(f"{layout.scripts}/{rest}", Piece(layer, name, programs.get(rest)))
                case _:
                    arranging.place(rest, Piece(layer, name))
        for program in programs:
            if f"bin/{program}" not in scripts:
                arranging.place(f"{layout.scripts}/{program}", Piece(layer, "", programs[program]))
    return arranging.decision()


def _programs(layer: Layer, scripts: Iterable[str], python: Path) -> dict[str, bytes]:
    """Return what is written anew; a wheel's entry point stands for its script of the same name."""
    contents = {name.removeprefix("bin/"): rewritten(layer.path(name), python) for name in sorted(scripts)}
    contents |= dict(entry_script(entry, python) for entry in layer.entry_points)
    return {name: content for name, content in contents.items() if content is not None}


class _Arranging:
    def __init__(self, layout: InstallScheme, own: Iterable[str]) -> None:
        self._site = f"{layout.site}/"
        self._own = frozenset(own)
        self._pieces: dict[str, Piece] = {}
        self._folders: set[str] = set()
        """What must be a folder, because something stands in it."""
        self._hidden: list[str] = []
        """A sentence for each file that the environment has itself."""
        self._clashes: dict[tuple[str, str], list[str]] = {}
        """Places by the layer whose file is used, and the one whose isn't."""
        self._disputed: list[str] = []
        self._uneven = False
        for place in self._own:
            self._file_above(place)

    def decision(self) -> Arrangement:
        clashes = [_told(used, other, places) for (used, other), places in self._clashes.items()]
        return Arrangement(self._pieces, (*self._hidden, *clashes), tuple(self._disputed), self._uneven)

    def place(self, place: str, piece: Piece) -> None:
        """Let the piece stand there, if no other layer's does."""
        if place.startswith("lib64/") and "lib64" in self._own:
            # A link to `lib`: the folder of that name in the layer would not be seen through it.
            place = f"lib/{place.removeprefix('lib64/')}"
            self._uneven = True
        first = self._pieces.get(place)
        if first is not None:
            self._second(place, piece, first)
        elif place in self._own:
            self._clash(place, piece.layer, None)
        elif (above := self._file_above(place)) is not None:
            self._uneven = True
            self._clash(place, piece.layer, self._pieces.get(above))
        elif place in self._folders:
            self._uneven = True
            below = (other for name, other in self._pieces.items() if name.startswith(f"{place}/"))
            self._clash(place, piece.layer, next(below, None))
        else:
            self._pieces[place] = piece

    def _second(self, place: str, piece: Piece, first: Piece) -> None:
        if first.layer is piece.layer and not piece.name:
            self._pieces[place] = piece  # a wheel's entry point stands for its script of the same name
        elif not _same(first, piece):
            self._disputed.append(place)
            self._clash(place, piece.layer, first)

    def _clash(self, place: str, layer: Layer, first: Piece | None) -> None:
        place = place.removeprefix(self._site)
        if first is None:
            self._hidden.append(f"{layer.name} brings {place}, which is the environment's own; that is used")
        elif first.layer is not layer:
            self._clashes.setdefault((first.layer.name, layer.name), []).append(place)

    def _file_above(self, place: str) -> str | None:
        """Return the file that stands where a folder is needed; without one, the folders count as taken."""
        needed = []
        folder = place.rpartition("/")[0]
        while folder and folder not in self._folders:
            if folder in self._pieces or folder in self._own:
                return folder
            needed.append(folder)
            folder = folder.rpartition("/")[0]
        self._folders.update(needed)
        return None


def _told(used: str, other: str, places: Sequence[str]) -> str:
    """Return one sentence on all files of a layer that are not used.

    >>> _told("one", "two", ["x.py"])
    "one and two both bring x.py; one's is used"
    >>> _told("one", "two", ["x.py", "y.py"])
    "one and two both bring x.py and 1 other file; one's are used"
    """
    if len(places) == 1:
        return f"{used} and {other} both bring {places[0]}; {used}'s is used"
    more = count_text(len(places) - 1, "other file")
    return f"{used} and {other} both bring {places[0]} and {more}; {used}'s are used"


def _same(one: Piece, other: Piece) -> bool:
    if one.content is None and other.content is None and one.path.stat().st_size != other.path.stat().st_size:
        return False
    return one.read() == other.read()
