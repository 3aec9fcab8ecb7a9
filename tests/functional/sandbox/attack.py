"""Run hostile scripts through the executor in the isolation named, as any user: `python attack.py`.

Each line of standard input is the path of an attack's facts. A process is forked for it, and its exit code is printed;
how the script ended is then in `end.json` beside the facts, and what went wrong here in `driver-stderr`.
"""

import json
import os
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

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
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            attack_alone(Path(line.rstrip("\n")))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def attack_alone(order: Path) -> NoReturn:
    """End this process, with 0 if the script was run."""
    code = 1
    try:
        os.chdir(order.parent)
        stderr = os.open("driver-stderr", os.O_CREAT | os.O_WRONLY, 0o600)
        for stream, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), stderr, stderr)):
            os.dup2(descriptor, stream)
        os.closerange(3, 256)
        attack(json.loads(order.read_text()))
        code = 0
    except BaseException:  # noqa: BLE001 - what was forked must never go on as the one that forks
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def attack(facts: dict[str, Any]) -> None:
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
        (facts["python"], "-S", "-B", str(base / "script.py"), json.dumps(facts)),
        {"PATH": os.defpath},
        base / "scratch",
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
    (base / "end.json").write_bytes(msgspec.json.encode(end))


if __name__ == "__main__":
    main()
