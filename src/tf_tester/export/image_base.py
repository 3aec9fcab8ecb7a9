"""What an image is built on, as it comes: an image in a folder, a root file system as a folder or as a tar.

Nothing of it is believed unread: each blob is checked against its digest, each layer against that of its tar. What is
in its layers is listed, for the Pythons among it; nothing of it is unpacked.
"""

import hashlib
import lzma
import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from zlib_ng import gzip_ng, zlib_ng

from tf_tester.core.image.documents import (
    CONFIG,
    INDEX,
    LAYER,
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    BaseImage,
    Descriptor,
    ImageConfig,
    ImageManifest,
    ImagePlatform,
    LayerHistory,
    RootFiles,
    StackedLayer,
    layer_history,
    read_config,
    read_index,
    read_manifest,
)
from tf_tester.core.image.names import LayoutPlace
from tf_tester.core.image.tar import TarEntry, TarKind, stacked
from tf_tester.errors import NotAnImage, UsageError
from tf_tester.given_files import is_whole_system
from tf_tester.ports.images import ImageLayout

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CHUNK = 1 << 20
_KINDS = {kind.value: kind for kind in TarKind}
_UNREADABLE = (
    gzip_ng.BadGzipFile,
    tarfile.TarError,
    zlib.error,
    cast("type[Exception]", zlib_ng.error),
    zstd.ZstdError,
    lzma.LZMAError,
    EOFError,
    UnicodeDecodeError,
)
_DAMAGED = "Bring it here anew; `skopeo copy docker://… oci:…` makes such a folder of an image."
_ATTRIBUTES = ("security.capability",)
"""Extended ones that are kept: what programs may do, such as `ping`."""


class LayoutBase:
    """`ports.images.BaseSource`: an image in a folder."""

    def __init__(self, place: LayoutPlace, folder: ImageLayout) -> None:
        """Take one of a folder's images."""
        self._place = place
        self._folder = folder
        self._name = f"oci:{place.folder}{f':{place.tag}' if place.tag else ''}"

    def bring(self, layout: ImageLayout, platform: ImagePlatform) -> BaseImage:
        try:
            descriptor, manifest = self._manifest(platform)
            if manifest.config.kind != CONFIG:
                raise NotAnImage(f"it is no image of a system, but {manifest.config.media_type}")
            config = read_config(self._folder.read(manifest.config))
            if len(config.rootfs.diff_ids) != len(manifest.layers):
                raise NotAnImage("its configuration and its manifest don't have the same layers")
            histories = layer_history(manifest, config)
            found: list[StackedLayer] = []
            listed: list[list[TarEntry]] = []
            for given, diff_id, history in zip(manifest.layers, config.rootfs.diff_ids, histories, strict=True):
                layer = Descriptor(_layer_kind(given), given.digest, given.size)
                listed.append(self._layer(layer, diff_id, layout))
                found.append(StackedLayer(layer, diff_id, history))
        except NotAnImage as error:
            raise UsageError(f"{self._name} can't be built on: {error}.", hint=_DAMAGED) from error
        return BaseImage(self._name, descriptor.digest, config, tuple(found), _paths(listed))

    def _manifest(self, platform: ImagePlatform) -> tuple[Descriptor, ImageManifest]:
        index = self._folder.index()
        where = "index.json"
        names = [one.annotations.get("org.opencontainers.image.ref.name", "") for one in index.manifests]
        chosen = [
            one
            for one, name in zip(index.manifests, names, strict=True)
            if not self._place.tag or name == self._place.tag
        ]
        for _ in range(3):  # an index in an index is what `docker save` and builders for several machines make
            if len(chosen) > 1:
                fitting = [one for one in chosen if one.platform is not None and _fits(one.platform, platform)]
                chosen = fitting if len(fitting) == 1 else chosen
            if len(chosen) != 1:
                has = ", ".join(sorted(filter(None, names)))
                raise NotAnImage(f"{where} has {len(chosen)} images that could be meant{f' ({has})' if has else ''}")
            [descriptor] = chosen
            if descriptor.kind != INDEX:
                break
            nested = read_index(self._folder.read(descriptor))
            where, chosen = "its index", list(nested.manifests)
        if descriptor.kind != MANIFEST:
            raise NotAnImage(f"it is no image, but {descriptor.media_type}")
        return descriptor, read_manifest(self._folder.read(descriptor))

    def _layer(self, layer: Descriptor, diff_id: str, layout: ImageLayout) -> list[TarEntry]:
        path = self._folder.path(layer)
        try:
            if not layout.holds(layer):
                with path.open("rb") as stream:
                    layout.add_copy(layer, _pieces(stream))
            with path.open("rb") as stream:
                return _listed(_unpacked(stream, layer.kind), diff_id)
        except FileNotFoundError as error:
            raise NotAnImage(f"{layer.digest} is missing") from error
        except _UNREADABLE as error:
            raise NotAnImage(f"{layer.digest} is damaged: {error}") from error


class FileSystemBase:
    """`ports.images.BaseSource`: the folder, or the tar, of a root file system, such as debootstrap and `docker
    export` make.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def bring(self, layout: ImageLayout, platform: ImagePlatform) -> BaseImage:
        if is_whole_system(self._place):
            raise UsageError("The system that is running is no base.", hint="Name the folder of another one.")
        entries: list[TarEntry] = []
        try:
            if self._place.is_dir():
                entries += _of_folder(self._place)
                _check_root(_paths([entries]), self._place)
                descriptor, diff_id = layout.add_layer(entries)
            else:
                with _reading(self._place) as stream:
                    descriptor, diff_id = layout.add_tar(_listing(_Copied(stream), entries))
        except OSError as error:
            raise self._unusable(f"can't be read: {error.strerror or error}") from error
        except _UNREADABLE as error:
            raise self._unusable(f"is no tar of a root file system: {error}") from error
        paths = _paths([entries])
        _check_root(paths, self._place)
        layer = StackedLayer(descriptor, diff_id, LayerHistory(created_by=f"root file system {self._place.name}"))
        config = ImageConfig(platform.architecture, platform.os, RootFiles((diff_id,)), variant=platform.variant)
        return BaseImage(str(self._place), "", config, (layer,), paths)

    def _unusable(self, why: str) -> UsageError:
        return UsageError(
            f"{self._place} {why}.",
            hint="Name the folder or the tar of a root file system, or an image as oci:FOLDER.",
        )


def _check_root(paths: frozenset[str], place: Path) -> None:
    """Raise `UsageError` for something else: a saved image, a folder of somebody's own."""
    if paths & {"oci-layout", "manifest.json"}:
        raise UsageError(
            f"{place} is a saved image, not a root file system.",
            hint="Make a folder of it: `skopeo copy docker-archive:FILE oci:FOLDER`, and name oci:FOLDER.",
        )
    if not any(path.startswith(("usr/", "bin/", "lib/")) for path in paths):
        raise UsageError(
            f"{place} is no root file system: it has no usr, bin or lib.",
            hint="debootstrap makes one; without --base the image is a volume.",
        )


def _fits(one: ImagePlatform, wanted: ImagePlatform) -> bool:
    return (one.os, one.architecture) == (wanted.os, wanted.architecture)


def _layer_kind(layer: Descriptor) -> str:
    """Return what the layer is called in our manifest. Raises `NotAnImage` for one that isn't here to be read."""
    if layer.kind not in (LAYER, LAYER_GZIP, LAYER_ZSTD):
        raise NotAnImage(f"a layer of it is {layer.media_type}, which isn't known here")
    return layer.kind


def _paths(layers: list[list[TarEntry]]) -> frozenset[str]:
    return frozenset(path for path, entry in stacked(layers).items() if entry.kind is not TarKind.FOLDER)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        yield piece


def _unpacked(stream: BinaryIO, kind: str) -> IO[bytes]:
    if kind == LAYER_GZIP:
        return cast(IO[bytes], gzip_ng.GzipNGFile(fileobj=stream, mode="rb"))  # type: ignore[no-untyped-call]
    return cast(IO[bytes], zstd.ZstdFile(stream)) if kind == LAYER_ZSTD else stream


class _Copied:
    """A tar that is read once, by what lists it, and goes on to what packs it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.pieces: list[bytes] = []

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        if piece:
            self.pieces.append(piece)
        return piece

    def taken(self) -> Iterator[bytes]:
        """Yield what was read since the last time."""
        pieces, self.pieces = self.pieces, []
        yield from pieces


def _listing(copied: _Copied, entries: list[TarEntry]) -> Iterator[bytes]:
    """Yield a tar's bytes, and list its members meanwhile."""
    with tarfile.open(fileobj=cast(IO[bytes], copied), mode="r|") as archive:
        for member in archive:
            entries.append(_named(member))
            yield from copied.taken()
    while copied.read(_CHUNK):
        yield from copied.taken()
    yield from copied.taken()


def _listed(stream: IO[bytes], diff_id: str) -> list[TarEntry]:
    """Return the members of a layer. Raises `NotAnImage` where it isn't the layer of that digest."""
    digest = hashlib.sha256()
    entries: list[TarEntry] = []
    for piece in _listing(_Copied(stream), entries):
        digest.update(piece)
    if f"sha256:{digest.hexdigest()}" != diff_id:
        raise NotAnImage(f"what is unpacked of a layer isn't {diff_id}")
    return entries


def _named(member: tarfile.TarInfo) -> TarEntry:
    """Return where a member stands and what it is: all that is asked of a base."""
    path = os.path.normpath(f"/{member.name}").strip("/")
    return TarEntry(path, _KINDS.get(member.type, TarKind.FILE))


@contextmanager
def _reading(file: Path) -> Iterator[IO[bytes]]:
    """Open a tar, packed or not, as its first bytes say."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError(0, "it is neither a folder nor a file")
    with file.open("rb") as stream:
        start = stream.read(6)
        stream.seek(0)
        if start.startswith(b"\x1f\x8b"):
            yield _unpacked(stream, LAYER_GZIP)
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            yield _unpacked(stream, LAYER_ZSTD)
        elif start == b"\xfd7zXZ\x00":
            with lzma.open(stream) as unpacked:
                yield cast(IO[bytes], unpacked)
        else:
            yield stream


def _of_folder(root: Path) -> Iterator[TarEntry]:
    """Yield a root file system's members, sorted, without sockets; what is the caller's, who isn't root, is root's.

    What is mounted in it, such as the `proc` that debootstrap may leave, is an empty folder. Raises `OSError`.
    """
    device = root.stat().st_dev
    first: dict[tuple[int, int], str] = {}
    own = (os.geteuid(), os.getegid())
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as found:
            inside = sorted(found, key=lambda one: one.name)
        folders = []
        for one in inside:
            path = f"{folder}/{one.name}" if folder else one.name
            status = one.stat(follow_symlinks=False)
            if stat.S_ISSOCK(status.st_mode):
                continue
            if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
                folders.append(path)
            yield _of_file(one.path, path, status, first, own)
        waiting += reversed(folders)


def _of_file(
    source: str, path: str, status: os.stat_result, first: dict[tuple[int, int], str], own: tuple[int, int]
) -> TarEntry:
    owner = (0, 0) if own[0] and (status.st_uid, status.st_gid) == own else (status.st_uid, status.st_gid)
    kind, target, device = _kind_of(status.st_mode), "", (0, 0)
    if kind is TarKind.SYMLINK:
        target = os.readlink(source)  # noqa: PTH115
    elif kind is TarKind.FILE and status.st_nlink > 1:
        target = first.setdefault((status.st_dev, status.st_ino), path)
        kind = TarKind.FILE if target == path else TarKind.HARDLINK
        target = "" if target == path else target
    elif kind in (TarKind.CHARACTERS, TarKind.BLOCKS):
        device = (os.major(status.st_rdev), os.minor(status.st_rdev))
    is_file = kind is TarKind.FILE
    return TarEntry(
        path,
        kind,
        stat.S_IMODE(status.st_mode),
        status.st_size if is_file else 0,
        source if is_file else "",
        target=target,
        owner=owner,
        modified=int(status.st_mtime),
        device=device,
        attributes=_attributes(source) if is_file else (),
    )


def _kind_of(mode: int) -> TarKind:
    kinds = {
        stat.S_IFREG: TarKind.FILE,
        stat.S_IFDIR: TarKind.FOLDER,
        stat.S_IFLNK: TarKind.SYMLINK,
        stat.S_IFCHR: TarKind.CHARACTERS,
        stat.S_IFBLK: TarKind.BLOCKS,
        stat.S_IFIFO: TarKind.PIPE,
    }
    return kinds[stat.S_IFMT(mode)]


def _attributes(source: str) -> tuple[tuple[str, bytes], ...]:
    found = []
    for name in _ATTRIBUTES:
        try:
            found.append((name, os.getxattr(source, name, follow_symlinks=False)))
        except OSError:
            continue  # it has none, or the file system knows none
    return tuple(found)
