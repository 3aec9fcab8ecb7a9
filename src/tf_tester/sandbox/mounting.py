"""Programs in the caller's own world, in which an environment is mounted: for a person at a shell. No sandbox."""

import os
from pathlib import Path

from msgspec.structs import replace

from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import Overlay, World
from tf_tester.ports.execute import Command, Starter
from tf_tester.sandbox.namespace import overlay_order
from tf_tester.sandbox.order import program, start, try_out


class EnvironmentView:
    """`ports.Sandbox` that keeps a program from nothing but changing the store."""

    name = IsolationKind.NONE
    category = "none"
    moves = False
    copies = False
    gaps: tuple[str, ...] = ()
    ahead = None

    def __init__(self, workplace: Path) -> None:
        self._workplace = workplace

    def wrap(self, command: Command, world: World) -> Command:
        file = self._workplace / f"view-{os.urandom(3).hex()}"
        root = self._workplace / "root"
        root.mkdir(parents=True, exist_ok=True)
        order = {
            "root": str(root),
            "overlays": [
                overlay_order(overlay, number, world, file.name) for number, overlay in enumerate(world.overlays)
            ],
            **program(command, Limits(), processes=None),
        }
        # It becomes the program: there is nobody to supervise it, and the terminal stays its own.
        return replace(start({"mode": "view"}, order, file), supervised=False)

    def check(self, starter: Starter) -> None:
        """Try it. Raises `IsolationUnavailable` with the system's reason."""
        lowers = (self._workplace / "probe-view" / "one", self._workplace / "probe-view" / "two")
        for lower in lowers:
            lower.mkdir(parents=True, exist_ok=True)
        world = World((), (), (Overlay(Path("/tf-tester/probe"), lowers),))
        try_out(self.wrap(Command(("/usr/bin/env", "true"), {"PATH": os.defpath}, Path("/")), world), starter)
