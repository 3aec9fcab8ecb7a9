"""Run one hostile script through the executor in the isolation named: `python attack.py FACTS.json`, as any user."""

import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from tf_tester.execute.groups import ControlGroups
from tf_tester.execute.local import LocalExecutor
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.world import Overlay, World
from tf_tester.ports.execute import Command, Sandbox
from tf_tester.sandbox.landlocked import LandlockSandbox
from tf_tester.sandbox.namespace import NamespaceSandbox
from tf_tester.sandbox.none import NoSandbox
from tf_tester.sandbox.server import LaunchServer

LIMITS = Limits(
    memory=200 * 1024**2,
    processes=100,
    scratch=20 * 1024**2,
    output=2**20,
    file_size=50 * 1024**2,
    open_files=256,
)
NOTHING = Limits()


def main() -> None:
    facts: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    base = Path(facts["base"])
    sandbox: Sandbox
    match facts["isolation"]:
        case "namespace":
            sandbox = NamespaceSandbox(base / "workplace", limits=LIMITS)
        case "landlock":
            sandbox = LandlockSandbox(base / "workplace", limits=LIMITS)
        case _:
            sandbox = NoSandbox()
    limits = NOTHING if sandbox.name == "none" else LIMITS
    prefix = Path(sys.base_prefix)
    world = World(
        # The layer itself is nowhere to be seen; the environment is, in its own way.
        readable=(
            base / "script.py",
            *(() if prefix == Path("/usr") else (prefix,)),
            *(() if sandbox.name == "namespace" else (base / "environment",)),
        ),
        writable=(base / "scratch", base / "events.jsonl", base / "shared"),
        own=(base / "scratch",),
        overlays=(Overlay(base / "environment", (base / "layer",)),) if sandbox.name == "namespace" else (),
        catch=base / "caught",
    )
    command = Command(
        (facts["python"], "-B", str(base / "script.py"), json.dumps(facts)), {"PATH": os.defpath}, base / "scratch"
    )
    groups = ControlGroups() if facts["groups"] else ControlGroups(base / "nowhere", base / "nowhere")
    with closing(LaunchServer()) as launchers:
        end = LocalExecutor(groups, launchers).run(
            sandbox.wrap(command, world),
            stdout=base / "stdout",
            stderr=base / "stderr",
            timeout=60,
            limits=limits,
            scratch=(base / "scratch",),
        )
    print(msgspec.json.encode(end).decode())


if __name__ == "__main__":
    main()
