"""The upstream of soak.py: an index in a process of its own, which behaves as it is told.

    python bench/soak_upstream.py FOLDER PORT

FOLDER holds the wheels. It prints its port, and then reads lines of JSON: `{"behave": "lie"}`, `{"add": [names of
wheels]}`, `{"status": {project: "quarantined" or null}}`; each is answered by a line when it holds. It ends with stdin.
"""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.simulator import Cut, Fault, Lie, Longer, Portal, Silent, Simulator, Slow, Stall, Status

SHARE = 0.7
"""Of the answers that go wrong while something does: the others come as they should."""

Choice = Callable[[random.Random], Fault | None]
"""Makes a fault of one answer; None: nothing at all comes until the behaviour changes."""

BEHAVIOURS: Mapping[str, Choice] = {
    "wrong bytes": lambda chance: Lie(chance.randrange(200_000)),
    "a wrong first byte": lambda _: Lie(0),
    "cut in the middle": lambda chance: Cut(chance.randrange(150_000)),
    "reset in the middle": lambda chance: Cut(chance.randrange(150_000), reset=True),
    "stalls in the middle": lambda chance: Stall(chance.randrange(150_000)),
    "no answer": lambda _: None,
    "closes without an answer": lambda _: Silent(),
    "503": lambda _: Status(503),
    "429": lambda _: Status(429, retry_after="2"),
    "HTML in place of all": lambda _: Portal(),
    "more than was promised": lambda _: Longer(),
    "slow": lambda _: Slow(100_000.0, piece=4096),
}
EMPTY, MIXED, RIGHT, DEAD = "pages without files", "each time another", "right", "killed"
ALL = (*BEHAVIOURS, EMPTY, MIXED, DEAD)
"""What goes wrong; `DEAD` is for who started this process."""


class Upstream(Simulator):
    """An index all of which goes wrong."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port)
        self._behaviour = RIGHT
        self._chance = random.Random()
        self._changed = threading.Event()

    def behave(self, behaviour: str) -> None:
        """Behave like this from the next request on; whoever has no answer yet gets none."""
        self._behaviour = behaviour
        before, self._changed = self._changed, threading.Event()
        before.set()
        self.forget_counts()  # they grow

    def say_status(self, project: str, status: str | None) -> None:
        """Say this of a project (PEP 792); None: nothing."""
        if status is None:
            self._statuses.pop(project, None)
        else:
            self._statuses[project] = status

    def _take_faults(self, name: str) -> list[Fault]:
        behaviour, changed = self._behaviour, self._changed
        if behaviour == MIXED:
            behaviour = self._chance.choice(list(BEHAVIOURS))
        choice = BEHAVIOURS.get(behaviour)
        if choice is None or self._chance.random() >= SHARE:
            return []
        fault = choice(self._chance)
        is_page = "." not in name
        if is_page and isinstance(fault, Lie):
            fault = Lie(0)  # whoever says wrong things on a page that can be read is believed: it is the authority
        if fault is None:
            changed.wait()
            fault = Silent()
        return [fault]

    def _page(self, project: str, *, as_json: bool) -> bytes | None:
        if self._behaviour != EMPTY or not self._of(project):
            return super()._page(project, as_json=as_json)
        return self._json_page(project, []) if as_json else self._html_page(project, [])

    def do(self, folder: Path, told: Mapping[str, Any]) -> None:
        """Do what a line tells."""
        for name in told.get("add", ()):
            self.add_wheel(name, (folder / name).read_bytes(), metadata=True)
        for project, status in told.get("status", {}).items():
            self.say_status(project, status)
        if "behave" in told:
            self.behave(told["behave"])


def main(folder: Path, port: int) -> None:
    index = Upstream(port)
    print(index.url.rpartition(":")[2], flush=True)
    index.do(folder, json.loads(sys.stdin.readline()))  # before it answers anybody: else it would say 404
    with index:
        print("done", flush=True)
        for line in sys.stdin:
            index.do(folder, json.loads(line))
            print("done", flush=True)


class UpstreamProcess:
    """Start, tell and kill that process; when it comes back it has the same port and the same files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._statuses: dict[str, str | None] = {}
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple"

    def start(self) -> None:
        """Start it, or let it come back."""
        words = [sys.executable, __file__, str(self._folder), str(self.port)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        self._tell({"add": self._names, "status": self._statuses})

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process and self._process.stdin and self._process.stdout
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process = None

    def behave(self, behaviour: str) -> None:
        self._tell({"behave": behaviour})

    def add(self, names: Sequence[str]) -> None:
        """Show these wheels; they lie in its folder."""
        self._names += names
        self._tell({"add": names})

    def say_status(self, project: str, status: str | None) -> None:
        self._statuses[project] = status
        self._tell({"status": {project: status}})

    def _tell(self, what: Mapping[str, object]) -> None:
        if self._process is None:
            return  # it hears of it when it comes back
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise SystemExit("the upstream has died by itself")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
