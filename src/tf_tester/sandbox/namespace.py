"""Programs in namespaces of their own, which see a root of their own."""

import os
from functools import cached_property
from pathlib import Path

from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import Overlay, World
from tf_tester.ports.execute import Command, Starter
from tf_tester.sandbox.order import (
    AS_ROOT,
    MERGED,
    NETWORK,
    SYSTEM,
    ZONE,
    gpu_devices,
    in_short,
    program,
    start,
    try_out,
)

WAYS = ("name", "descriptor", "options")
"""How layers can be given to the kernel, the cheapest first."""
_SHARED_MEMORY = 2
"""/dev/shm may take this part of the memory (one half), as it does outside."""
_IN_MEMORY = 64 * 1024**2
"""Bytes that may be written into an environment where that goes to memory and nothing else is said."""


class NamespaceSandbox:
    """`ports.Sandbox`; what it needs on disk is made in `workplace`."""

    name = IsolationKind.NAMESPACE
    moves = True
    copies = True
    gaps: tuple[str, ...] = ()

    def __init__(
        self,
        workplace: Path,
        *,
        limits: Limits,
        network: bool = False,
        gpu: bool = False,
        ways: tuple[str, ...] = WAYS,
    ) -> None:
        self._workplace = workplace
        self._limits = limits
        self._network = network
        self._gpu = gpu
        self._ways = ways
        self._count = 0

    @property
    def category(self) -> str:
        return f"{self.name}{AS_ROOT if not os.getuid() else ''}"

    @property
    def ahead(self) -> bytes:
        return in_short(self._ahead)

    def wrap(self, command: Command, world: World) -> Command:
        self._count += 1
        file = self._workplace / f"world-{self._count}-{os.urandom(3).hex()}"
        limits = self._limits
        # The kernel counts per user and namespace, but for root.
        processes = limits.processes if os.getuid() else None
        trees, emptied = trees_of(world)
        private = [
            overlay_order(Overlay(path, (path,)), number, world, file.name, size=limits.scratch, ways=self._ways)
            | {"upper": world.written(path)}
            for number, path in enumerate(world.private, len(world.overlays))
        ]
        hidden = [trees.pop(str(path), []) for path in world.private]
        binds = [(str(path), str(path), False) for path in world.readable if str(path) not in trees]
        binds += [(str(path), str(path), True) for path in world.writable]
        order = {
            "binds": binds,
            "moved": [(str(moved.folder), str(moved.seen_at)) for moved in world.moved],
            "fresh": [(str(moved.folder), str(moved.seen_at)) for moved in world.fresh],
            "memory": limits.scratch or "50%",
            "overlays": [
                overlay_order(overlay, number, world, file.name, size=limits.scratch, ways=self._ways)
                for number, overlay in enumerate(world.overlays)
            ],
            "links": self._links,
            "trees": list(trees.items()),
            "private": list(zip(private, hidden, strict=True)),
            "emptied": emptied,
            "ways": self._ways,
            **program(command, limits, processes=processes),
        }
        return start(self._ahead, order, file)

    def check(self, starter: Starter) -> None:
        """Run the smallest program there is. Raises `IsolationUnavailable` with the system's reason."""
        lowers = (self._workplace / "probe" / "one", self._workplace / "probe" / "two")
        for lower in lowers:
            lower.mkdir(parents=True, exist_ok=True)
        world = World((), (), (Overlay(Path("/tf-tester/probe"), lowers),))
        try_out(self.wrap(Command(("/usr/bin/env", "true"), {"PATH": os.defpath}, Path("/")), world), starter)

    @cached_property
    def _ahead(self) -> dict[str, object]:
        """What all its programs see."""
        root = self._workplace / "root"
        root.mkdir(parents=True, exist_ok=True)
        limits = self._limits
        linked = [name for name, _ in self._links]
        names = [name for name in (*SYSTEM, *(NETWORK if self._network else ())) if name not in linked]
        names += [name for name in MERGED if Path(name).is_dir() and not Path(name).is_symlink()]
        system = [(name, name, False) for name in names]
        # Read-only they still take what is written; their modes, owners and times stay as they are.
        system += [(device, device, False) for device in (gpu_devices() if self._gpu else ())]
        return {
            "mode": str(self.name),
            "network": self._network,
            "root": str(root),
            "system": system,
            "shared_memory": str(limits.memory // _SHARED_MEMORY) if limits.memory else "50%",
            "processes": 0 if os.getuid() else limits.processes or 0,
        }

    @cached_property
    def _links(self) -> list[tuple[str, str]]:
        names = [*MERGED, *([ZONE] if Path(ZONE).resolve().is_relative_to("/usr") else [])]
        return [(name, str(Path(name).readlink())) for name in names if Path(name).is_symlink()]


def trees_of(world: World) -> tuple[dict[str, list[str]], list[str]]:
    """Return shown folders with what is hidden in each, relative to it, and hidden folders to be seen empty.

    These are such in which something else is shown.
    """
    overlaid = [overlay.target for overlay in world.overlays]
    shown = {str(path) for path in (*world.readable, *world.private, *world.writable, *overlaid)}
    above = {str(parent) for path in shown for parent in Path(path).parents}
    folders = sorted(map(str, (*world.readable, *world.private)), key=len, reverse=True)
    trees: dict[str, list[str]] = {}
    emptied = []
    for path in map(str, world.hidden):
        if path in shown:
            continue
        if path in above:
            emptied.append(path)
        elif (folder := next((one for one in folders if path.startswith(f"{one}/")), None)) is not None:
            trees.setdefault(folder, []).append(path.removeprefix(f"{folder}/"))
    return trees, emptied


def overlay_order(
    overlay: Overlay, number: int, world: World, name: str, *, size: int | None = None, ways: tuple[str, ...] = WAYS
) -> dict[str, object]:
    """Describe how an overlay is to be mounted for the program of a `name` that no other has.

    `size`: bytes that may be written into it where that goes to memory.
    """
    return {
        "target": str(overlay.target),
        "lowers": [str(lower) for lower in overlay.lowers],
        "number": number,
        "upper": None if world.catch is None else f"{world.catch}/{name}-{number}-up",
        "work": None if world.catch is None else f"{world.catch}/{name}-{number}-work",
        "size": size or _IN_MEMORY if world.catch is None else _IN_MEMORY,
        "ways": ways,
    }
