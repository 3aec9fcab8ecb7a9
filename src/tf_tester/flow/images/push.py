"""Bring images of a folder to a registry; what it has isn't sent again.

Promise: a tag leads to an image whose layers are all there, or to what it led to before; the manifest goes last.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from threading import Lock as Mutex

from msgspec import Struct

from tf_tester.core.image.documents import (
    MANIFEST,
    NAME,
    Blob,
    Descriptor,
    ImageManifest,
    read_manifest,
)
from tf_tester.errors import NotAnImage, OurFailure, RegistryForgot, UsageError
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.ports.images import ImageLayout, ImageRegistry

_AT_ONCE = 4


class PushOrder(Struct, frozen=True):
    """What is pushed."""

    layout: ImageLayout
    registry: ImageRegistry
    tag: str = ""
    """Of the folder's images; empty: all."""
    as_tag: str = ""
    """What it is called there; empty: as here."""
    source: str = ""
    """Another repository of the registry, from which it may take blobs; empty: none."""
    force: bool = False
    """Whether a tag that leads to another image there is moved."""
    dry_run: bool = False


class PushedImage(Struct, frozen=True):
    """One image that the registry has now."""

    tag: str
    digest: str
    was_there: bool


class Push(Struct, frozen=True):
    """What became of all."""

    images: tuple[PushedImage, ...]
    sent: int
    """Blobs; each counts once, however many images have it."""
    sent_size: int
    mounted: int
    there: int
    """Blobs that the registry had."""


class _Way(Enum):
    """How a blob has come to be there."""

    THERE = auto()
    MOUNTED = auto()
    SENT = auto()


def push(order: PushOrder) -> Push:
    """Bring the images. Raises `RegistryFailed`, `UsageError`, `OurFailure` where the folder is damaged."""
    images = _chosen(order)
    sending = _Sending(order)
    with interruptible(_AT_ONCE, "push", order.registry.close) as pool:
        there = {tag: order.registry.tagged(tag) for tag, _, _ in images}
        _check_movable(order, images, there)
        new = [one for one in images if there[one[0]] != one[1].descriptor.digest]
        blobs = {one.digest: one for _, _, manifest in new for one in (*manifest.layers, manifest.config)}
        # The largest first, so that what takes longest isn't alone at the end.
        list(pool.map(sending.bring, sorted(blobs.values(), key=lambda one: -one.size)))
        for tag, blob, manifest in new if not order.dry_run else ():
            sending.put(blob, manifest, tag, lambda some: list(pool.map(sending.send, some)))
    digests = [(tag, blob.descriptor.digest) for tag, blob, _ in images]
    return sending.result(tuple(PushedImage(tag, digest, there[tag] == digest) for tag, digest in digests))


def _chosen(order: PushOrder) -> list[tuple[str, Blob, ImageManifest]]:
    """Return the images with the tags that they get. Raises `UsageError`, `OurFailure`."""
    index = order.layout.index()
    by_tag = {one.annotations[NAME]: one for one in index.manifests if NAME in one.annotations}
    wanted = [order.tag] if order.tag else sorted(tag for tag, one in by_tag.items() if one.kind == MANIFEST)
    if not wanted:
        raise UsageError("The folder has no image with a name.", hint="`tf-tester image build` makes some.")
    if order.as_tag and len(wanted) > 1:
        raise UsageError(
            f"The folder has {len(wanted)} images, which can't all be called {order.as_tag}.",
            hint="Name one of them as oci:FOLDER:TAG, or leave the tag away at the registry.",
        )
    if order.tag and order.tag not in by_tag:
        raise UsageError(
            f"The folder has no image {order.tag}.", hint=f"It has: {', '.join(sorted(by_tag)) or 'none'}."
        )
    return [(order.as_tag or tag, *_read(order.layout, by_tag[tag], tag)) for tag in wanted]


def _read(layout: ImageLayout, descriptor: Descriptor, tag: str) -> tuple[Blob, ImageManifest]:
    try:
        if descriptor.kind != MANIFEST:
            raise NotAnImage(f"it is {descriptor.media_type}")
        content = layout.read(descriptor)
        return Blob(descriptor, content), read_manifest(content)
    except NotAnImage as error:
        raise OurFailure(f"The image {tag} can't be pushed: {error}.", hint="Make it anew: it is damaged.") from error


def _check_movable(
    order: PushOrder, images: Sequence[tuple[str, Blob, ImageManifest]], there: Mapping[str, str]
) -> None:
    """Raise `UsageError` where a tag would be taken from another image."""
    moved = [tag for tag, blob, _ in images if there[tag] not in ("", blob.descriptor.digest)]
    if moved and not order.force:
        more = " and more" if moved[3:] else ""
        raise UsageError(
            f"The registry has another image called {', '.join(moved[:3])}{more}.",
            hint="Give --force to have the name lead to the new one; the other one stays under its digest.",
        )


class _Sending:
    """What is counted while blobs go."""

    def __init__(self, order: PushOrder) -> None:
        self._order = order
        self._mutex = Mutex()
        self._ways: dict[str, tuple[_Way, int]] = {}

    def bring(self, blob: Descriptor) -> None:
        """Let the registry have a blob in the cheapest way."""
        registry, source = self._order.registry, self._order.source
        if registry.has(blob):
            self._note(blob, _Way.THERE)
        elif source and not self._order.dry_run and registry.mount(blob, source):
            self._note(blob, _Way.MOUNTED)
        elif self._order.dry_run:
            self._note(blob, _Way.SENT)
        else:
            self.send(blob)

    def send(self, blob: Descriptor) -> None:
        """Send a blob, after a look at it: whose fault a wrong digest is must be known."""
        if not self._order.layout.holds(blob):
            raise OurFailure(
                f"{self._order.layout.path(blob)} is missing or damaged.", hint="Make the image anew, and push that."
            )
        self._order.registry.upload(blob, self._order.layout.path(blob))
        self._note(blob, _Way.SENT)

    def put(
        self, blob: Blob, manifest: ImageManifest, tag: str, send: Callable[[Sequence[Descriptor]], object]
    ) -> None:
        """Give the registry a manifest; where it has forgotten layers, these are sent once more before."""
        try:
            self._order.registry.put(blob, tag)
        except RegistryForgot:
            every = (*manifest.layers, manifest.config)
            # Some say of a blob that they have it when they have only its name: all that wasn't sent is.
            lost = [
                one for one in every if not self._order.registry.has(one) or self._ways[one.digest][0] is _Way.THERE
            ]
            send(lost or every)
            self._order.registry.put(blob, tag)

    def result(self, images: tuple[PushedImage, ...]) -> Push:
        """Return what became of all."""
        sent = [size for way, size in self._ways.values() if way is _Way.SENT]
        ways = [way for way, _ in self._ways.values()]
        return Push(images, len(sent), sum(sent), ways.count(_Way.MOUNTED), ways.count(_Way.THERE))

    def _note(self, blob: Descriptor, way: _Way) -> None:
        with self._mutex:
            self._ways[blob.digest] = (way, blob.size)
