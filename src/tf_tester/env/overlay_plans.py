"""What an overlay of given layers needs besides them, worked out once and kept in the store.

Comparing the lists of all files (11,300 for TensorFlow 2.8) costs ten times as much as all the rest of an
environment, and its answer never changes. It is kept with the *face*: the folder that lies on top of the layers and
has `pyvenv.cfg`, the interpreter's link and the programs, whose first lines name the one place at which every
environment is mounted. It is read-only there, so that all environments share it.

    plans/<sha256 of the layers' digests, the interpreter and this format>/
        plan.json   its own SHA-256, a line end, and the answer
        face/

Every plan is checked when it is used: one whose bytes are not those that were written is made anew.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from msgspec import Struct

from tf_tester.env.arrangement import Arrangement, arrange
from tf_tester.env.scripts import write_new
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.host.scheme import InstallScheme, layout_of

PLACE = Path("/tf-tester/env")
"""Where every environment is seen, in a world of its own."""
_FORMAT = 5
"""To be raised with every change of what a plan or a face holds."""
_READ_BYTES = 65_536
"""Larger files of a face are links to a layer's; of them the size is checked."""


class OverlayPlan(Struct, frozen=True):
    """The answer for one list of layers and one interpreter."""

    face: Path
    uneven: bool
    """The layers can't be laid over one another; there is no more than an empty face then."""
    clashes: tuple[str, ...]
    parts: tuple[tuple[int, bool], ...]
    """What is seen below the face, from the top: number of a layer; its data or else what it has for site-packages."""


class Plans:
    """The plans of a store, in a folder of their own; new ones grow in `workplace`, on the same file system."""

    def __init__(
        self, folder: Path, workplace: Path, *, exclusive: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._folder = folder
        self._workplace = workplace
        self._exclusive = exclusive
        """One holder of a name among all processes and threads."""

    def plan(self, interpreter: Interpreter, layers: Sequence[Layer]) -> OverlayPlan:
        """Return the plan, made if nobody has. Raises `OSError`."""
        name = _name(interpreter, layers)
        kept = _read(self._folder / name)
        if kept is not None:
            with contextlib.suppress(OSError):
                os.utime(self._folder / name)  # what nobody has used for long is swept
            return kept
        with self._exclusive(f"plan-{name}"):
            return _read(self._folder / name) or self._make(name, interpreter, layers)

    def _make(self, name: str, interpreter: Interpreter, layers: Sequence[Layer]) -> OverlayPlan:
        fresh = self._workplace / f"plan-{os.urandom(4).hex()}"
        target = self._folder / name
        self._folder.mkdir(exist_ok=True)
        try:
            _write(fresh, interpreter, layers)
            if target.exists():
                target.rename(self._workplace / f"wrong-{os.urandom(4).hex()}")
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        made = _read(target)
        if made is None:
            raise OSError(f"{target} was changed while it was made")
        return made


def _name(interpreter: Interpreter, layers: Sequence[Layer]) -> str:
    of = (interpreter.path, interpreter.version, interpreter.implementation, interpreter.abi, interpreter.cache_tag)
    text = json.dumps([_FORMAT, str(PLACE), [str(part) for part in of], [layer.sha256 for layer in layers]])
    return hashlib.sha256(text.encode()).hexdigest()


def _read(folder: Path) -> OverlayPlan | None:
    """Return the plan that is kept there; None where there is none or its bytes are not those that were written."""
    try:
        with open(folder / "plan.json", "rb", buffering=0, opener=_open) as stream:
            digest, _, text = stream.read().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            return None
        answer: dict[str, Any] = json.loads(text)
        if _fingerprint(folder / "face") != answer["face"]:
            return None
    except OSError:
        return None
    return OverlayPlan(
        face=folder / "face",
        uneven=answer["uneven"],
        clashes=tuple(answer["clashes"]),
        parts=tuple((number, is_data) for number, is_data in answer["parts"]),
    )


def _write(folder: Path, interpreter: Interpreter, layers: Sequence[Layer]) -> None:
    face = folder / "face"
    layout = layout_of(interpreter)
    (face / layout.site).mkdir(parents=True)
    (face / layout.scripts).mkdir(exist_ok=True)
    own = [*_files(interpreter, face), *_links(interpreter, face)]
    arrangement = arrange(layers, layout, PLACE / layout.scripts / "python", own)
    if not arrangement.uneven:
        _write_pieces(face, arrangement)
        _settle_bytecode(face, layout, arrangement, interpreter)
    answer = {
        "face": _fingerprint(face),
        "uneven": arrangement.uneven,
        "clashes": arrangement.clashes,
        "parts": list(_parts(layers)),
    }
    text = json.dumps(answer).encode()
    (folder / "plan.json").write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


def _files(interpreter: Interpreter, face: Path) -> Iterator[str]:
    (face / "pyvenv.cfg").write_text(
        f"home = {interpreter.path.parent}\ninclude-system-site-packages = false\nversion = {interpreter.version}\n",
        encoding="utf-8",
    )
    yield "pyvenv.cfg"


def _links(interpreter: Interpreter, face: Path) -> Iterator[str]:
    major, minor = interpreter.release
    links = {"bin/python": str(interpreter.path)}
    links |= {f"bin/{name}": "python" for name in (f"python{major}", f"python{major}.{minor}")}
    if sys.maxsize > 2**32 and (face / "lib").is_dir():
        links["lib64"] = "lib"
    for place, target in links.items():
        (face / place).symlink_to(target)
        yield place


def _write_pieces(face: Path, arrangement: Arrangement) -> None:
    """Lay on top what is not just as it is in its layer: programs, and RECORDs that list them."""
    for place, piece in arrangement.pieces.items():
        if piece.content is not None:
            (face / place).parent.mkdir(parents=True, exist_ok=True)
            write_new(face / place, piece.content, executable=piece.is_program)
        elif piece.is_program:
            # Nothing to rewrite, such as a compiled program of 50 MB.
            try:
                (face / place).hardlink_to(piece.path)
            except OSError:
                shutil.copy2(piece.path, face / place)


def _settle_bytecode(face: Path, layout: InstallScheme, arrangement: Arrangement, interpreter: Interpreter) -> None:
    """Lay the bytecode of each disputed source on top: that of the source that won, or none that is valid.

    It is not checked at import: below, the first layer's that could be compiled would be taken for it.
    """
    for place in arrangement.disputed:
        if not (place.startswith(f"{layout.site}/") and place.endswith(".py")):
            continue
        folder, _, file = place.rpartition("/")
        compiled = f"__pycache__/{file.removesuffix('.py')}.{interpreter.cache_tag}.pyc"
        settled = face / folder / compiled
        settled.parent.mkdir(parents=True, exist_ok=True)
        piece = arrangement.pieces[place]
        source = piece.name.removeprefix("site/").rpartition("/")[0]
        content = b""
        if piece.name.startswith("site/"):
            own = piece.layer.site / source / compiled
            content = own.read_bytes() if own.is_file() else b""
        settled.write_bytes(content)


def _parts(layers: Sequence[Layer]) -> Iterator[tuple[int, bool]]:
    for number, layer in enumerate(layers):
        if any(name.startswith("data/") for name in layer.files):
            yield number, True
        yield number, False


def _fingerprint(face: Path) -> str:
    """Return one digest of all that is in the face: names, kinds, modes and contents."""
    digest = hashlib.sha256()
    for entry in _entries(str(face)):
        status = entry.stat(follow_symlinks=False)
        digest.update(f"{entry.path[len(str(face)) :]}\0{status.st_mode}\0".encode("utf-8", "surrogateescape"))
        if entry.is_symlink():
            digest.update(os.fsencode(os.readlink(entry.path)))  # noqa: PTH115 - on the way to every environment
        elif entry.is_file() and status.st_size <= _READ_BYTES:
            with open(entry.path, "rb", buffering=0) as stream:  # noqa: PTH123 - likewise
                digest.update(stream.read())
        elif entry.is_file():
            digest.update(str(status.st_size).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe isn't waited for


def _entries(folder: str) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path)
