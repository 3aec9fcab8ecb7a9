"""Programs in namespaces of their own, through the launcher."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tf_tester.errors import IsolationUnavailable
from tf_tester.model.world import Overlay, World
from tf_tester.ports import Command

_SYSTEM = (
    # Programs and libraries; of /etc only what a program needs to find them and to name things.
    "/usr", "/etc/alternatives", "/etc/ca-certificates", "/etc/fonts", "/etc/group", "/etc/hosts", "/etc/ld.so.cache",
    "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf", "/etc/passwd",
    "/etc/protocols", "/etc/services", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)  # fmt: skip
_NETWORK = ("/etc/resolv.conf",)
_GPUS = ("nvidia*", "dri", "kfd", "dxg")
"""Devices of NVIDIA, of Mesa and Intel, of AMD, and of Windows' Linux."""
_MERGED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
"""Links into /usr on most systems, folders of their own on the others."""


class NamespaceSandbox:
    """`ports.Sandbox`; orders are written into `workplace`."""

    name = "namespace"

    def __init__(self, workplace: Path, store: Path, launcher: Path, *, network: bool, gpu: bool = False) -> None:
        self._workplace = workplace
        self._store = store
        self._launcher = launcher
        self._network = network
        self._gpu = gpu
        self._count = 0

    def wrap(self, command: Command, world: World) -> Command:
        self._count += 1
        place = self._workplace / f"world-{self._count}-{os.urandom(3).hex()}"
        (place / "root").mkdir(parents=True)
        order = place / "order.json"
        order.write_text(json.dumps(self._order(command, world, place / "root")), encoding="utf-8")
        order.chmod(0o600)
        argv = (sys.executable, "-I", "-S", str(self._launcher), str(order))
        return Command(argv, {"PATH": os.defpath}, self._workplace)

    def check(self) -> None:
        """Run the smallest program there is. Raises `IsolationUnavailable` with the system's reason."""
        lowers = (self._workplace / "probe" / "one", self._workplace / "probe" / "two")
        for lower in lowers:
            lower.mkdir(parents=True, exist_ok=True)
        world = World((), (), (Overlay(Path("/tf-tester/probe"), lowers),))
        command = self.wrap(Command(("/usr/bin/env", "true"), {"PATH": os.defpath}, Path("/")), world)
        done = subprocess.run(
            command.argv, env=dict(command.env), cwd=command.cwd, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise IsolationUnavailable(
                f"Tests can't be sandboxed here: {said[-1] if said else f'status {done.returncode}'}.",
                hint="`tf-tester doctor` shows what this system allows; --isolation none runs tests without.",
            )

    def _order(self, command: Command, world: World, root: Path) -> Mapping[str, object]:
        system = [*_SYSTEM, *(_NETWORK if self._network else ())]
        links = []
        for name in _MERGED:
            if Path(name).is_symlink():
                links.append((name, str(Path(name).readlink())))
            elif Path(name).is_dir():
                system.append(name)
        binds = [(name, name, False) for name in system]
        binds += [(str(path), str(path), False) for path in world.readable]
        binds += [(str(path), str(path), True) for path in world.writable]
        if self._gpu:
            binds += [(str(device), str(device), True) for name in _GPUS for device in Path("/dev").glob(name)]
        return {
            "root": str(root),
            "network": self._network,
            "binds": binds,
            "links": links,
            "overlays": [
                {
                    "target": str(overlay.target),
                    "lowers": [str(lower) for lower in overlay.lowers],
                    "upper": f"/tf-tester/upper-{number}",
                    "store": str(self._store),
                }
                for number, overlay in enumerate(world.overlays)
            ],
            "limits": {"RLIMIT_CORE": 0},
            "argv": list(command.argv),
            "env": dict(command.env),
            "cwd": str(command.cwd),
        }


class NoSandbox:
    """`ports.Sandbox` that isn't one; the record says so."""

    name = "none"

    def wrap(self, command: Command, world: World) -> Command:
        return command
