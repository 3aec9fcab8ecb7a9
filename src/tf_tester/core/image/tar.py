"""Members of a layer's tar, and how layers that lie on one another look as one folder. Pure.

A layer's bytes depend on its entries and on nothing else: no clock, no user's name, no order that a disk has them in.
The format is that of POSIX (pax), as the OCI image specification asks for ("Image Layer Filesystem Changeset").
"""

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from msgspec import Struct

from tf_tester.model.host.layer import FILE_TIME

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
"""What closes a tar."""
WHITEOUT = ".wh."
"""Begins the name of an empty file that hides the one of the rest of its name in the layers below."""
_OPAQUE = ".wh..wh..opq"
"""Likewise of one that hides all of its folder that is in the layers below."""
_CAPABILITY = "SCHILY.xattr."


class TarKind(Enum):
    """What a member is; the values are those of the format."""

    FILE = tarfile.REGTYPE
    FOLDER = tarfile.DIRTYPE
    SYMLINK = tarfile.SYMTYPE
    HARDLINK = tarfile.LNKTYPE
    """A second name of a file further up in the same tar."""
    CHARACTERS = tarfile.CHRTYPE
    BLOCKS = tarfile.BLKTYPE
    PIPE = tarfile.FIFOTYPE


class TarEntry(Struct, frozen=True):
    """One member."""

    path: str
    """`/` between the parts, none at either end."""
    kind: TarKind = TarKind.FILE
    mode: int = 0o644
    size: int = 0
    """Bytes of a file's contents; 0 for all else."""
    source: str = ""
    """The file on this machine that has them; empty: `content` does."""
    content: bytes = b""
    target: str = ""
    """Of a link."""
    owner: tuple[int, int] = (0, 0)
    """Numbers of user and group."""
    modified: int = FILE_TIME
    """Seconds since 1970."""
    device: tuple[int, int] = (0, 0)
    attributes: tuple[tuple[str, bytes], ...] = ()
    """Extended ones, such as the capabilities of `ping`."""

    @classmethod
    def text(cls, path: str, content: bytes, *, mode: int = 0o644) -> "TarEntry":
        """Return a file with that content."""
        return cls(path, mode=mode, size=len(content), content=content)

    @classmethod
    def folder(cls, path: str, *, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> "TarEntry":
        """Return a folder."""
        return cls(path, TarKind.FOLDER, mode, owner=owner)

    @classmethod
    def symlink(cls, path: str, target: str) -> "TarEntry":
        """Return a symbolic link."""
        return cls(path, TarKind.SYMLINK, 0o777, target=target)


def header_of(entry: TarEntry) -> bytes:
    """Return the blocks that stand before a member's contents.

    >>> len(header_of(TarEntry("a"))), len(header_of(TarEntry("a/" * 200 + "b")))
    (512, 1536)
    """
    info = tarfile.TarInfo(entry.path)
    info.type, info.mode, info.size, info.mtime = entry.kind.value, entry.mode, entry.size, entry.modified
    info.uid, info.gid = entry.owner
    info.linkname = entry.target
    info.devmajor, info.devminor = entry.device
    info.pax_headers = {
        _CAPABILITY + name: value.decode("utf-8", "surrogateescape") for name, value in entry.attributes
    }
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding_of(size: int) -> bytes:
    """Return what fills the last block of that many bytes."""
    return bytes(-size % BLOCK)


def with_folders(entries: Iterable[TarEntry], top: str) -> list[TarEntry]:
    """Return entries sorted by path, with each folder that they need from `top` downwards; what is above is the base's.

    >>> [one.path for one in with_folders([TarEntry("opt/env/lib/x.py")], "opt/env")]
    ['opt/env', 'opt/env/lib', 'opt/env/lib/x.py']
    """
    found = {entry.path: entry for entry in entries}
    for path in list(found):
        for folder in _above(path):
            if folder not in found and (folder == top or folder.startswith(f"{top}/")):
                found[folder] = TarEntry.folder(folder)
    return [found[path] for path in sorted(found, key=lambda path: path.split("/"))]


def stacked(layers: Iterable[Iterable[TarEntry]]) -> dict[str, TarEntry]:
    """Return what is seen of layers, the lowest first, by path; a file hides a folder of its name, and the reverse."""
    seen: dict[str, TarEntry] = {}
    holds: dict[str, set[str]] = {}
    """What is directly in each folder."""

    def hide(path: str) -> None:
        for name in holds.pop(path, ()):
            hide(f"{path}/{name}")
        seen.pop(path, None)

    for layer in layers:
        entries = list(layer)
        for folder, name in [_parted(entry.path) for entry in entries if _is_whiteout(entry)]:
            if name == _OPAQUE:
                for hidden in list(holds.get(folder, ())):
                    hide(f"{folder}/{hidden}" if folder else hidden)
            else:
                hide(f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
        for entry in entries:
            if _is_whiteout(entry):
                continue
            if entry.kind is not TarKind.FOLDER:
                hide(entry.path)
            for above in _above(entry.path):
                if above in seen and seen[above].kind is not TarKind.FOLDER:
                    hide(above)
            seen[entry.path] = entry
            _note(holds, entry.path)
    return seen


def corrections(seen: Mapping[str, TarEntry], wanted: Mapping[str, TarEntry]) -> list[TarEntry]:
    """Return what has to lie on top so that `wanted` is seen, where `seen` would be without it."""
    found = [entry for path, entry in wanted.items() if not _is_same(seen.get(path), entry)]
    gone = {path for path in seen if path not in wanted}
    tops = sorted(path for path in gone if not any(above in gone for above in _above(path)))
    return [*found, *(_whiteout(path) for path in tops if not _is_replaced(path, wanted))]


def _is_same(one: TarEntry | None, other: TarEntry) -> bool:
    if one is None or one.kind is not other.kind:
        return False
    return one.kind is TarKind.FOLDER or one == other


def _is_replaced(path: str, wanted: Mapping[str, TarEntry]) -> bool:
    """Tell whether a file stands where one of the path's folders was: with that the path is gone."""
    return any(above in wanted and wanted[above].kind is not TarKind.FOLDER for above in _above(path))


def _whiteout(path: str) -> TarEntry:
    folder, _, name = path.rpartition("/")
    return TarEntry(f"{folder}/{WHITEOUT}{name}" if folder else f"{WHITEOUT}{name}")


def _is_whiteout(entry: TarEntry) -> bool:
    return entry.path.rpartition("/")[2].startswith(WHITEOUT)


def _parted(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _note(holds: dict[str, set[str]], path: str) -> None:
    while path:
        folder, _, name = path.rpartition("/")
        names = holds.setdefault(folder, set())
        if name in names:
            return
        names.add(name)
        path = folder


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
