"""The harness, started as the project starts it, in every CPython from 3.6 on that this machine has."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from tf_tester.core.outcome.harness_events import read_log

HARNESS = Path(__file__).parents[3] / "src" / "tf_tester" / "harness"
VERSIONS = [f"3.{minor}" for minor in range(6, 15)]


@functools.cache
def interpreters() -> dict[str, str]:
    """Return the CPythons of this machine by their minor version."""
    found = {}
    probe = "import sys; print('%d.%d %s' % (sys.version_info[:2] + (sys.implementation.name,)))"
    for version in VERSIONS:
        managed = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")
        for candidate in filter(None, [*map(str, managed), shutil.which(f"python{version}")]):
            answer = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == f"{version} cpython":  # a pyenv shim may answer 127
                found[version] = candidate
                break
    found[f"{sys.version_info.major}.{sys.version_info.minor}"] = sys.executable
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


@dataclass(frozen=True)
class Ran:
    """What one start of the harness left behind."""

    exit_code: int
    out: str
    err: str
    events: list[dict[str, Any]]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        ids = [event["id"] for event in self.events if event["event"] == "test"]
        assert len(ids) == len(set(ids)), "a test has two rows"
        return {event["id"]: event for event in self.events if event["event"] == "test"}

    @property
    def row(self) -> dict[str, Any]:
        (row,) = self.rows.values()
        return row

    @property
    def statuses(self) -> dict[str, str]:
        return {id: row["status"] for id, row in self.rows.items()}

    @property
    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]

    def event(self, kind: str) -> dict[str, Any]:
        (found,) = (event for event in self.events if event["event"] == kind)
        return found


@dataclass(frozen=True)
class Bench:
    """A folder with the user's files, and the two ways to run them."""

    folder: Path
    harness: Path

    def write(self, **files: str) -> Bench:
        """Write files; a double underscore in a name is a slash, and every name gets ``.py``."""
        for name, text in files.items():
            path = self.folder / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return self

    def run(
        self,
        python: str,
        mode: str,
        *targets: str,
        environment: dict[str, str] | None = None,
        flags: tuple[str, ...] = (),
        foreign: tuple[str, ...] = (),
        **order: Any,
    ) -> Ran:
        """Start the harness with an order. Events that the user's code writes itself are `foreign`."""
        work = self.folder.parent
        events = work / "events.jsonl"
        events.unlink(missing_ok=True)
        order = {
            "mode": mode,
            "targets": [str(self.folder / target) for target in targets],
            "args": [],
            "events": str(events),
            "watch": [],
            "distribution": "nothing",
            "limit": 65536,
            "deselect": [],
            "rootdir": str(self.folder),
            **order,
        }
        (work / "order.json").write_text(json.dumps(order))
        ran = self._start([python, *flags, str(self.harness / "run.py"), str(work / "order.json")], environment)
        written = events.read_bytes() if events.exists() else b""
        lines = [json.loads(line) for line in written.decode("ascii").splitlines()]
        _hold_the_contract(written, [line for line in lines if line["event"] not in foreign])
        return Ran(ran.returncode, ran.stdout, ran.stderr, lines)

    def script(self, python: str, text: str, **order: Any) -> Ran:
        """Run a text as ``script.py``."""
        return self.write(script=text).run(python, "script", "script.py", **order)

    def bare(
        self, python: str, *arguments: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``script.py`` without the harness."""
        return self._start([python, str(self.folder / "script.py"), *arguments], environment)

    def _start(self, command: list[str], environment: dict[str, str] | None) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
        kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # only for speed
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**kept, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
            timeout=300,
        )


def _hold_the_contract(written: bytes, lines: list[dict[str, Any]]) -> None:
    """Every event of the harness is one of the parent's, field by field."""
    log = read_log(BytesIO(written))
    assert len(log.events) == len(lines)
    for event, line in zip(log.events, lines, strict=True):
        assert line.keys() == {"event", *event.__struct_fields__}
        assert line["event"] == event.__struct_config__.tag
