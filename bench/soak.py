"""An hour in which everything goes wrong: two workers serve 50 clients while the upstream lies, cuts, stalls and dies.

    python bench/soak.py [--minutes 60] [--clients 50] [--seed N] [--public-read]

Nothing but loopback is used. `tf-tester serve --workers 2` proxies an index of ours (soak_upstream.py), which every
few seconds behaves in another way by a schedule that the seed decides: it sends wrong bytes, cuts off, answers nothing,
503, 429, HTML, pages without files, is killed and comes back, puts projects into quarantine and takes them out, and has
new projects and versions all the time. Clients (soak_clients.py) list, fetch, ask for ranges and by tags, upload
private wheels and look at them at once through the other worker, ask for private names that the upstream has in version
99; some of them are pip and uv. Files are evicted from the store meanwhile, and in the middle one worker is killed.
What must hold is what `Facts.breaks` is called for, here and there; the status is 1 where something did not.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from soak_clients import Client, Facts, Place
from soak_upstream import ALL, DEAD, RIGHT, UpstreamProcess

HOT, COLD, CORP = 12, 150, 40
"""Projects at the start: that get new versions and are put into quarantine; that stay; whose names will be private."""
LAST = 5
"""Projects that come when everything is right again."""
SIZES = (20_000, 90_000, 400_000)
WORKERS = 2
PROGRAMS = 2
"""Clients that start pip and uv; the others ask by themselves."""
EVICTED_EVERY_S = 40.0
KEPT = "15MB"
"""What the store holds after an eviction."""
SETTLED_MIN = 2
"""Minute after which nothing of a worker grows any more."""
MORE_MEMORY, MORE_DESCRIPTORS, MORE_THREADS = 96 << 20, 60, 150
"""By how much a worker may grow after that: buffers, connections and threads of pools come and go."""
ENDS_WITHIN_S = 60.0


@dataclass(frozen=True)
class Sample:
    """How large a worker is."""

    minute: float
    worker: int
    memory: int
    descriptors: int
    threads: int


class Schedule:
    """What the upstream does next; one seed, one schedule."""

    def __init__(self, upstream: UpstreamProcess, facts: Facts, seed: int) -> None:
        self._upstream = upstream
        self._facts = facts
        self._chance = random.Random(seed)
        self._left: list[str] = []
        self._number = 0
        self._quarantined: set[str] = set()
        self.phases = 0

    def fill(self) -> None:
        """Make what the upstream has from the start."""
        for count, name in ((HOT, "hot"), (COLD, "cold"), (CORP, "corp")):
            for number in range(count):
                self._add(f"{name}-{number}", "99.0" if name == "corp" else "1.0")

    def fill_last(self) -> None:
        """Add what nobody has asked for yet."""
        for number in range(LAST):
            self._add(f"last-{number}", "1.0")

    def run(self, over: threading.Event) -> None:
        while not over.is_set():
            behaviour = self._next()
            if behaviour == DEAD:
                self._upstream.kill()
            else:
                self._upstream.behave(behaviour)
            over.wait(self._chance.uniform(2.0, 7.0))
            if behaviour == DEAD:
                self._upstream.start()
            self._change()
            self._upstream.behave(RIGHT)
            over.wait(self._chance.uniform(0.5, 4.0))
            self.phases += 1

    def _next(self) -> str:
        """Return each of what goes wrong once before the first comes again."""
        if not self._left:
            self._left = list(ALL)
            self._chance.shuffle(self._left)
        return self._left.pop()

    def _change(self) -> None:
        self._add(f"hot-{self._chance.randrange(HOT)}", f"2.{self.phases}")
        for _ in range(3):
            self._add(f"new-{self._number}", "1.0")
            self._number += 1
        facts = self._facts
        if self._chance.random() < 0.4:
            # Half of them have just come, so that the server hears of it when it first asks.
            project = f"new-{self._number - 1}" if self._chance.random() < 0.5 else f"hot-{self._chance.randrange(HOT)}"
            if project not in self._quarantined:
                # Once only: who sees a page of the first time must not take it for one of the second.
                self._quarantined.add(project)
                with facts.lock:
                    facts.quarantined[project] = 0.0
                self._upstream.say_status(project, "quarantined")
        if facts.quarantined and self._chance.random() < 0.2:
            project = self._chance.choice(list(facts.quarantined))
            with facts.lock:
                del facts.quarantined[project]  # from now on both are right
            self._upstream.say_status(project, None)

    def _add(self, project: str, version: str) -> None:
        name, sha256 = self._facts.make(project, version, self._chance.choice(SIZES))
        promised = {name: sha256}
        with self._facts.lock:
            if self._facts.public.get(project):
                self._facts.public[project] = self._facts.public[project] | promised
        self._upstream.add([name])
        with self._facts.lock:
            self._facts.public[project] = self._facts.public[project] | promised


# -- the server


def ours(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "tf_tester", *map(str, words)]


@contextmanager
def server(folder: Path, url: str, env: Mapping[str, str], words: Sequence[str]) -> Iterator[tuple[Place, Path]]:
    """Yield a server that runs, and its log."""
    tokens = folder / "tokens.json"

    def token(*words: str) -> str:
        made = ours("token", "create", "--tokens", tokens, *words)
        return subprocess.run(made, check=True, env=env, capture_output=True, text=True).stdout.split()[-1]

    reader, uploader = token("reader"), token("uploader", "--upload")
    log = folder / "serve.log"
    command = ours("serve", "--port", "0", "--workers", str(WORKERS), "--tokens", tokens, "--index-url", url)
    command += [*words, "--private", str(folder / "private"), "--uploads"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
    try:
        while not (found := re.search(r"Serving http://([^:]+):(\d+)/", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(f"the server didn't start: {log.read_text()}")
            time.sleep(0.1)
        yield (
            Place(found[1], int(found[2]), psutil.Process(process.pid), reader, uploader, "--public-read" in words),
            log,
        )
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


# -- watching


class Watch:
    """What becomes of the workers."""

    def __init__(self, place: Place, facts: Facts) -> None:
        self._place = place
        self._facts = facts
        self._began = time.monotonic()
        self.samples: list[Sample] = []
        self._expected = {worker.pid for worker in place.workers()}

    @property
    def minute(self) -> float:
        return (time.monotonic() - self._began) / 60

    def look(self) -> None:
        workers = self._place.workers()
        there = {worker.pid for worker in workers}
        for gone in self._expected - there:
            self._facts.breaks(f"worker {gone} has died by itself")
        self._expected = there
        for worker in workers:
            with suppress(psutil.Error):
                sizes = worker.memory_info().rss, worker.num_fds(), worker.num_threads()
                self.samples.append(Sample(self.minute, worker.pid, *sizes))

    def kill_one(self) -> None:
        """Kill a worker, and wait for the other one that takes its place."""
        worker = self._place.workers()[0]
        self._facts.kills.append(time.monotonic())
        worker.send_signal(signal.SIGKILL)
        ends = time.monotonic() + ENDS_WITHIN_S
        while worker.pid in (there := {one.pid for one in self._place.workers()}) or len(there) < WORKERS:
            if time.monotonic() > ends:
                self._facts.breaks("nobody took the place of the worker that was killed")
                break
            time.sleep(0.1)
        self._facts.kills.append(time.monotonic())
        self._expected = there

    def judge(self) -> list[str]:
        """Return how each worker grew since its first minutes."""
        told = []
        for worker in dict.fromkeys(one.worker for one in self.samples):
            mine = [one for one in self.samples if one.worker == worker]
            early = [one for one in mine if SETTLED_MIN - 1 <= one.minute - mine[0].minute < SETTLED_MIN]
            late = [one for one in mine if one.minute > mine[-1].minute - 1]
            if not early or mine[-1].minute - mine[0].minute < SETTLED_MIN + 1:
                continue
            grown = []
            for what, most in (("memory", MORE_MEMORY), ("descriptors", MORE_DESCRIPTORS), ("threads", MORE_THREADS)):
                before, after = (median(getattr(one, what) for one in some) for some in (early, late))
                if after - before > most:
                    self._facts.breaks(f"worker {worker}: {what} went from {before:g} to {after:g}")
                unit = 1 << 20 if what == "memory" else 1
                grown.append(f"{what} {before / unit:.0f} to {after / unit:.0f}")
            told.append(f"worker {worker}, minute {early[-1].minute:.0f} to {mine[-1].minute:.0f}: {', '.join(grown)}")
        return told

    def line(self, phases: int) -> str:
        counts, latest = self._facts.counts, {one.worker: one for one in self.samples}
        now = [latest[worker] for worker in sorted(self._expected) if worker in latest]
        statuses = " ".join(f"{one}:{counts[one]}" for one in sorted(counts) if one.isdecimal())
        sizes = ", ".join(f"{one.memory >> 20} MB {one.descriptors} fd {one.threads} thr" for one in now)
        done = f"{counts['requests']} requests ({statuses}, cut {counts['cut']}), {counts['uploads']} uploads"
        ends = f"longest {self._facts.longest:.1f} s; {sizes}; {len(self._facts.broken)} broken"
        return f"{self.minute:5.1f} min  {phases} phases, {done}, {ends}"


def evict(over: threading.Event, env: Mapping[str, str], facts: Facts) -> None:
    """Let the store go of most files, again and again."""
    while not over.wait(EVICTED_EVERY_S):
        done = subprocess.run(ours("cache", "gc", "--max-size", KEPT), env=env, capture_output=True, text=True)
        facts.count("evictions")
        if done.returncode:
            facts.breaks(f"cache gc ended with {done.returncode}: {done.stderr[-300:]!r}")


# -- the end


def comes_back(place: Place, upstream: UpstreamProcess, schedule: Schedule, facts: Facts) -> None:
    """Look whether what the upstream has only now is there, when nothing is wrong with it any more."""
    upstream.behave(RIGHT)
    schedule.fill_last()
    client = Client(place, facts, -1, 0)
    for number in range(LAST):
        client.must_have(f"last-{number}")


def end(place: Place, log: Path, folder: Path, env: Mapping[str, str], facts: Facts) -> None:
    """Tell the server to end, and look at what it leaves."""
    began = time.monotonic()
    place.process.send_signal(signal.SIGTERM)
    try:
        status = place.process.wait(ENDS_WITHIN_S)
        print(f"SIGTERM: ended with {status} in {time.monotonic() - began:.1f} s")
        if status:
            facts.breaks(f"the server ended with {status}")
    except psutil.TimeoutExpired:
        facts.breaks(f"the server still ran {ENDS_WITHIN_S:g} s after SIGTERM")
    said = log.read_text(errors="replace")
    for bad in ("Traceback", "never retrieved", "never awaited", "Unclosed"):
        if bad in said:
            start = said.index(bad)
            facts.breaks(f"the log has {said.count(bad)} × {bad!r}: {said[max(0, start - 300) : start + 1500]}")
    if deaths := said.count("has died") - len(facts.kills) // 2:
        facts.breaks(f"{deaths} workers have died by themselves")
    done = subprocess.run(ours("cache", "verify"), env=env, capture_output=True, text=True)
    print(f"cache verify: {(done.stdout + done.stderr).strip().splitlines()[-1:]}")
    if done.returncode:
        facts.breaks(f"cache verify ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    store = Path(env["TF_TESTER_STORE"])
    parts = [one for one in (store / "incoming").iterdir() if one.suffix == ".part"]
    for one in parts:
        if (store / "blobs" / one.stem[:2] / one.stem).exists():
            facts.breaks(f"{one.name} is left of a file that is there")
    incoming = list((folder / "private" / ".incoming").iterdir())
    if len(incoming) > len(facts.kills) * 10:
        facts.breaks(f"{len(incoming)} uploads are left unfinished")
    scraps = [one for one in (folder / "private").glob("*/.*") if one.name != ".lock"]
    if scraps and not facts.kills:
        facts.breaks(f"{scraps[0]} is left")
    working = list((store / "tmp").iterdir())
    print(f"left: {len(parts)} begun files, {len(incoming)} begun uploads, {len(scraps)} scraps, {len(working)} in tmp")


def run(folder: Path, arguments: argparse.Namespace) -> Facts:
    (folder / "wheels").mkdir()
    facts = Facts(folder / "wheels")
    upstream = UpstreamProcess(facts.folder)
    upstream.start()
    schedule = Schedule(upstream, facts, arguments.seed)
    schedule.fill()
    store = folder / "store"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_TESTER_STORE": str(store), "NO_PROXY": "*"}
    env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    words = ["--public-read"] if arguments.public_read else []
    with server(folder, upstream.url, env, words) as (place, log):
        while len(place.workers()) < WORKERS:
            time.sleep(0.1)
        watch, over = Watch(place, facts), threading.Event()
        clients = [Client(place, facts, number, arguments.seed) for number in range(arguments.clients)]
        works = [one.run_programs if n < PROGRAMS else one.run for n, one in enumerate(clients)]
        threads = [threading.Thread(target=work, args=(over,)) for work in works]
        threads += [
            threading.Thread(target=schedule.run, args=(over,)),
            threading.Thread(target=evict, args=(over, env, facts)),
        ]
        for thread in threads:
            thread.start()
        try:
            keep_watch(watch, schedule, arguments.minutes)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        comes_back(place, upstream, schedule, facts)
        print(*watch.judge(), sep="\n")
        end(place, log, folder, env, facts)
        upstream.kill()
        if facts.broken:
            print("the end of the log:", *log.read_text(errors="replace").splitlines()[-20:], sep="\n  ")
    return facts


def keep_watch(watch: Watch, schedule: Schedule, minutes: float) -> None:
    told, killed = 0, False
    while watch.minute < minutes:
        time.sleep(5)
        watch.look()
        if not killed and watch.minute > minutes / 2:
            watch.kill_one()
            killed = True
        if watch.minute >= told + 1:
            told = int(watch.minute)
            print(watch.line(schedule.phases), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--public-read", action="store_true", help="without tokens: pages come from a cache of answers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        facts = run(Path(folder), arguments)
    for what, count in sorted(facts.counts.items()):
        print(f"  {count:9} {what}")
    print(f"the longest request took {facts.longest:.1f} s, {facts.longest_private:.1f} s where no upstream is needed")
    print(f"{len(facts.broken)} invariants broken")
    return 1 if facts.broken else 0


if __name__ == "__main__":
    sys.exit(main())
