"""Make images of environments, one for each cell, in a folder: the store's layers, packed, on a base or on nothing.

Promise: the same lock on the same base makes the same bytes, whatever else is made beside it; a wheel that several
images have is there once. An image that is shown is whole; what fails for one version doesn't cost the others.
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor as Pool
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.image.bases import check_library, check_platform, image_platform, python_of, pythons_in
from tf_tester.core.image.documents import (
    CONTENT,
    NAME,
    OURS,
    PLACE,
    BaseImage,
    Blob,
    ImagePlatform,
    LayerHistory,
    StackedLayer,
    image_of,
    named,
    read_config,
    read_manifest,
    with_image,
)
from tf_tester.core.image.environment import own_files, told_of, use_of, verdict_of
from tf_tester.core.image.grouping import MOST_LAYERS, layer_groups
from tf_tester.core.image.names import tags_of
from tf_tester.core.image.tar import TarEntry, corrections, stacked, with_folders
from tf_tester.core.outcome.report import RunReport
from tf_tester.errors import NotAnImage, StoreError, TfTesterError, UsageError
from tf_tester.flow.images.cells import locked, selected_cells
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.services import Services
from tf_tester.model.cell import Cell, PlannedCell
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.lock import Lock, Pin
from tf_tester.model.request import Selection, Trial
from tf_tester.ports.images import BaseSource, ImageLayout, PackEnvironment

_AT_ONCE = 4
_UNREAD = 86_400.0
"""Seconds: what goes to others has been read since yesterday, whatever the file system tells of it."""
_FORMAT = 1
"""Of the layers' content; a change makes all of them anew."""


class ImageOrder(Struct, frozen=True):
    """What is made, and of what."""

    layout: ImageLayout
    pack: PackEnvironment
    tool: str
    base: BaseSource | None = None
    locks: tuple[Path, ...] = ()
    """Files, or folders with files, that say what the images have; none: the selection does."""
    record: RunReport | None = None
    """Of a run whose verdicts the images tell."""
    force: bool = False
    """Whether images of others are replaced."""


class BuiltImage(Struct, frozen=True):
    """One image that is in the folder now."""

    cell: Cell
    tag: str
    digest: str
    layers: int
    size: int
    """Bytes of the layers, packed."""
    new_size: int
    """Bytes of those that weren't there."""
    verdict: str
    """Of the run that was named; empty: it had no such cell."""
    remarks: tuple[str, ...] = ()


class UnbuiltImage(Struct, frozen=True):
    """A cell without an image, and why."""

    cell: Cell
    error: TfTesterError


def build(selection: Selection, trial: Trial, services: Services, order: ImageOrder) -> list[BuiltImage | UnbuiltImage]:
    """Make an image for each cell, one after the other. Raises `UsageError`, `OurFailure`, `IndexUnreachable`."""
    platform = image_platform(services.provisioning.interpreters.platform())
    layout = order.layout

    def stop() -> None:
        services.run.stop()
        layout.stop()

    with layout.alone():
        base = None if order.base is None else order.base.bring(layout, platform)
        if base is not None:
            check_platform(base, platform)
        pythons = () if base is None else tuple(one.label for one in pythons_in(base))
        if base is not None and not pythons:
            raise _without_python(base)
        selected = selected_cells(selection, services, order.locks, pythons)
        tags = tags_of(planned.cell for planned in selected.cells)
        _check_replaceable(layout, tags.values(), force=order.force)
        with interruptible(_AT_ONCE, "image", stop) as pool:
            preparer = Preparer(selection, trial, selected.page, services, pool)
            locks = list(pool.map(lambda planned: locked(planned, preparer), selected.cells))
            making = _Making(order, preparer, pool, platform, base)
            return [
                making.image(planned, lock, tags[planned.cell.name])
                for planned, lock in zip(selected.cells, locks, strict=True)
            ]


def _check_replaceable(layout: ImageLayout, tags: Iterable[str], *, force: bool) -> None:
    """Raise `UsageError` where an image of that name is somebody else's."""
    of_others = {one.annotations.get(NAME) for one in layout.index().manifests if OURS not in one.annotations}
    for tag in tags:
        if tag in of_others and not force:
            raise UsageError(
                f"The folder has an image {tag} that tf-tester has not made.",
                hint="Name another folder with -o, or replace it with --force.",
            )


class _Making:
    """What the images of one command share."""

    def __init__(
        self, order: ImageOrder, preparer: Preparer, pool: Pool, platform: ImagePlatform, base: BaseImage | None
    ) -> None:
        self._order = order
        self._layout = order.layout
        self._preparer = preparer
        self._pool = pool
        self._platform = platform
        self._base = base
        self._packing = order.layout.packing
        self._known = _layers_known(order.layout)

    def image(
        self, planned: PlannedCell, found: tuple[Preparation, Lock] | TfTesterError, tag: str
    ) -> BuiltImage | UnbuiltImage:
        """Make one image, and show it."""
        if isinstance(found, TfTesterError):
            return UnbuiltImage(planned.cell, found)
        try:
            return self._made(*found, tag)
        except InterruptedError:
            raise  # the user's Ctrl-C
        except TfTesterError as error:
            return UnbuiltImage(planned.cell, error)
        except OSError as error:
            return UnbuiltImage(planned.cell, _unreadable(error))

    def _made(self, preparation: Preparation, lock: Lock, tag: str) -> BuiltImage:
        cell, interpreter, base = preparation.planned.cell, preparation.interpreter, self._base
        python = None if base is None else python_of(base, interpreter.label)
        if base is not None:
            check_library(base, self._platform, lock.pins)
        layers = self._preparer.sound_layers(preparation, lock, lambda _step: None, unread_for=_UNREAD)
        told = told_of(cell, lock, tool=self._order.tool)
        own = own_files(told, python)
        stack, new_size, clashes = self._stack(lock.pins, layers, interpreter, own)
        verdict = verdict_of(self._order.record, cell, lock.pins) if self._order.record is not None else ""
        use = use_of(cell, lock, told, verdict=verdict, has_base=base is not None)
        config, manifest = image_of(self._platform, base, stack, use, {OURS: cell.name, **_based_on(base)})
        self._show(config, manifest, tag, cell)
        every = [*(base.layers if base is not None else ()), *stack]
        return BuiltImage(
            cell,
            tag,
            manifest.descriptor.digest,
            len(every),
            sum(layer.descriptor.size for layer in every),
            new_size,
            verdict,
            (*preparation.remarks, *clashes),
        )

    def _stack(
        self, pins: Sequence[Pin], layers: Sequence[Layer], interpreter: Interpreter, own: Sequence[TarEntry]
    ) -> tuple[list[StackedLayer], int, tuple[str, ...]]:
        """Return the layers of an environment, the lowest first, the bytes that are new, and what they dispute."""
        by_digest = {layer.sha256: layer for layer in layers}
        sizes = [(layer.sha256, self._size(layer, pins)) for layer in layers]
        room = MOST_LAYERS - 1 - (len(self._base.layers) if self._base is not None else 0)
        groups = [[by_digest[one] for one in group.digests] for group in layer_groups(sizes, room=max(room, 1))]
        # In a lock's order: of two that bring one file the first one's is used.
        packed = [self._order.pack(group[::-1], interpreter, ()).files for group in groups]
        whole = self._order.pack(layers, interpreter, [entry.path for entry in own])
        wanted = {entry.path: entry for entry in with_folders([*whole.files.values(), *own], PLACE)}
        top = with_folders(corrections(stacked(one.values() for one in packed), wanted), PLACE)
        work = [
            self._pool.submit(
                self._layer, self._content(group, interpreter), list(files.values()), _of_wheels(group, pins)
            )
            for group, files in zip(groups, packed, strict=True)
        ]
        work.append(self._pool.submit(self._layer, "", top, "environment"))
        made = [one.result() for one in work]
        return [layer for layer, _ in made], sum(size for _, size in made), whole.clashes

    def _size(self, layer: Layer, pins: Sequence[Pin]) -> int:
        return next((pin.size or 0 for pin in pins if pin.sha256 == layer.sha256), 0)

    def _content(self, group: Sequence[Layer], interpreter: Interpreter) -> str:
        """Return what decides the bytes of a layer of these wheels: where it is the same, it is not packed again."""
        parts = [
            (layer.sha256, layer.place, layer.listed().bytecode, layer.listed().sums, interpreter.cache_tag)
            for layer in group
        ]
        return hashlib.sha256(msgspec.json.encode([_FORMAT, self._packing, PLACE, parts])).hexdigest()

    def _layer(self, content: str, entries: Sequence[TarEntry], what: str) -> tuple[StackedLayer, int]:
        """Return a layer, and the bytes that are new. `content`: empty where nobody else could have the same."""
        known = self._known.get(content)
        if known is not None and self._layout.holds(known.descriptor):
            return replace(known, history=LayerHistory(created_by=what)), 0
        descriptor, diff_id = self._layout.add_layer(entries)
        if content:
            descriptor = replace(descriptor, annotations={CONTENT: content})
        layer = StackedLayer(descriptor, diff_id, LayerHistory(created_by=what))
        if content:
            self._known[content] = layer
        return layer, descriptor.size

    def _show(self, config: Blob, manifest: Blob, tag: str, cell: Cell) -> None:
        """Let the folder have the image."""
        before = self._layout.index().manifests
        after = with_image(before, named(manifest.descriptor, tag, self._platform, cell.name))
        self._layout.add(config)
        self._layout.add(manifest)
        self._layout.show(after)


def _layers_known(layout: ImageLayout) -> dict[str, StackedLayer]:
    """Return the layers that images of ours in a folder have, by what they were made from."""
    known: dict[str, StackedLayer] = {}
    for one in layout.index().manifests:
        if OURS not in one.annotations:
            continue
        try:
            manifest = read_manifest(layout.read(one))
            config = read_config(layout.read(manifest.config))
        except NotAnImage:
            continue  # it is made anew where it is asked for
        for layer, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=False):
            if CONTENT in layer.annotations:
                known[layer.annotations[CONTENT]] = StackedLayer(layer, diff_id, LayerHistory())
    return known


def _without_python(base: BaseImage) -> UsageError:
    return UsageError(
        f"{base.name} has no Python.", hint="Name a base that has one, or none: without --base it is a volume."
    )


def _based_on(base: BaseImage | None) -> dict[str, str]:
    if base is None or not base.digest:
        return {}
    return {"org.opencontainers.image.base.digest": base.digest}


def _of_wheels(group: Sequence[Layer], pins: Sequence[Pin]) -> str:
    names = {pin.sha256: f"{pin.name} {pin.version}" for pin in pins}
    return ", ".join(names.get(layer.sha256, layer.name) for layer in group)


def _unreadable(error: OSError) -> StoreError:
    """Return what is to be said of a layer that somebody has deleted or changed while it was being packed."""
    return StoreError(
        f"{error.filename} can't be read: {error.strerror}.", hint="Repeat the command; `tf-tester cache verify` looks."
    )
