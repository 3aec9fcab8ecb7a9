"""Images, wired: folders, bases, registries."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tf_tester.core.image.documents import Compression
from tf_tester.core.image.names import OCI, LayoutPlace, Repository, layout_place
from tf_tester.env.packed import packed
from tf_tester.export.image_base import FileSystemBase, LayoutBase
from tf_tester.export.oci_layout import LayoutFolder
from tf_tester.ports.images import BaseSource, ImageLayout, PackEnvironment
from tf_tester.store.folder import sync_tree
from tf_tester.transfer.settings import ClientSettings, Timeouts
from tf_tester.wiring.network import USER_AGENT

if TYPE_CHECKING:
    from tf_tester.transfer.registry import RegistryClient

PACK: PackEnvironment = packed
"""What lays out environments in images."""
_QUIET = 300.0
"""Seconds."""


def layout_at(place: LayoutPlace, compression: Compression = Compression.GZIP) -> ImageLayout:
    """Return a folder of images; nothing is read yet. `compression`: of the layers that are written there."""
    return LayoutFolder(Path(place.folder).absolute(), sync_tree, compression)


def base_at(text: str) -> BaseSource:
    """Return what `oci:FOLDER[:TAG]`, a folder or a tar is to be built on. Raises `UsageError`."""
    if text.startswith(OCI):
        place = layout_place(text)
        return LayoutBase(place, layout_at(place))
    if (Path(text) / "oci-layout").is_file():
        place = LayoutPlace(text)
        return LayoutBase(place, layout_at(place))
    return FileSystemBase(Path(text).absolute())


def registry_at(
    repository: Repository, environ: Mapping[str, str], *, plain: bool, also: str
) -> "closing[RegistryClient]":
    """Return a repository, closed at the end. `plain`: without TLS. `also`: another one, from which it takes blobs."""
    from tf_tester.transfer.registry import RegistryClient

    # A registry is quiet while it moves what it was sent to where it stays.
    settings = ClientSettings(environ=environ, user_agent=USER_AGENT, timeouts=Timeouts(stall=_QUIET))
    return closing(RegistryClient(repository, settings, plain=plain, also=also))
