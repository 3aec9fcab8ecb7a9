"""What `lock`, `download` and `sync` tell while they go on: what they are at, and what is still to come."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fake_world import FakeWorld
from tf_tester.core.locks.lockfile import LockFormat
from tf_tester.errors import DownloadFailed, IndexUnreachable
from tf_tester.flow.supply.download import DownloadRequest, download
from tf_tester.flow.supply.lock import make_locks
from tf_tester.flow.supply.sync_plan import UpstreamPages
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.events import Event, TaskState
from tf_tester.model.lock import Lock
from tf_tester.model.request import Selection, Trial
from tf_tester.ports.resolve import Question
from tf_tester.report.live.progress import Progress

TOY = Selection(package="toy", versions="all")


class Watcher:
    """Somebody who watches a command go on."""

    def __init__(self) -> None:
        self.progress = Progress(0.0)
        self.told: list[Event] = []
        self.seen: list[str] = []
        """What the log would say, whenever it was looked at."""
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        with self._lock:
            self.told.append(event)
            self.progress.observe(event, 0.0)

    def look(self) -> None:
        with self._lock:
            self.seen.append(self.progress.summary(0.0))


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def world(folder: Path, watcher: Watcher) -> FakeWorld:
    return FakeWorld(folder, lambda toy, gear: 0, watcher.tell)


def test_locks_are_told_one_by_one(tmp_path: Path, watcher: Watcher) -> None:
    here = world(tmp_path, watcher)
    lock = here.lock

    def looked(question: Question) -> Lock:
        watcher.look()
        return lock(question)

    here.lock = looked
    made, failures = make_locks(TOY, Trial(), here.services(), lambda _remark: None)
    assert (len(made), failures) == (3, [])
    assert all("resolving: " in told and " of 3 (" in told for told in watcher.seen)
    assert watcher.progress.summary(0.0) == "0 ms: resolving: 3 of 3"


def test_of_files_it_is_told_what_is_still_to_come_and_nothing_of_what_failed(tmp_path: Path, watcher: Watcher) -> None:
    here = world(tmp_path, watcher)
    barrier = threading.Barrier(3)

    def fetch(artifact: Artifact) -> Path:
        barrier.wait(60)
        watcher.look()
        barrier.wait(60)
        raise DownloadFailed(f"{artifact.filename} can't be had")

    here.fetch = fetch
    order = DownloadRequest(tmp_path / "wheels", with_dependencies=False, lock_format=LockFormat.NONE)
    delivery = download(TOY, Trial(), here.services(), order)
    assert len(delivery.failures) == 3
    assert len(watcher.seen) == 3
    assert all("bringing: 0 of 3 (toy-1." in told and "to come: 3 files, 30 B" in told for told in watcher.seen)
    assert watcher.progress.summary(0.0) == "0 ms: bringing: 3 of 3"


def test_what_each_version_requires_is_told_where_it_is_asked_for(tmp_path: Path, watcher: Watcher) -> None:
    here = world(tmp_path, watcher)

    def fetch(artifact: Artifact) -> Path:
        raise DownloadFailed("no")

    here.fetch = fetch
    order = DownloadRequest(tmp_path / "wheels", with_dependencies=True, lock_format=LockFormat.NONE)
    download(TOY, Trial(), here.services(), order)
    resolved = [one.what for one in watcher.told if isinstance(one, TaskState) and one.doing == "resolving"]
    assert set(resolved) == {f"toy {version} on Python 3.11" for version in ("1.0", "1.1", "1.2")}


def test_pages_of_an_upstream_are_counted(watcher: Watcher) -> None:
    class Index:
        def page(self, project: str) -> ProjectPage:
            watcher.look()
            if project == "gear":
                raise IndexUnreachable("no")
            return ProjectPage(project, ())

    with ThreadPoolExecutor(1) as pool:
        pages = UpstreamPages(Index(), watcher.tell)
        pages.ask(["toy", "gear"], pool)
        pages.ask(["toy", "axle"], pool)
    assert watcher.seen == [
        "0 ms: asking the index: 0 of 2 (toy for 0 ms)",
        "0 ms: asking the index: 1 of 2 (gear for 0 ms)",
        "0 ms: asking the index: 2 of 3 (axle for 0 ms)",
    ]
    assert watcher.progress.tasks(0.0) == []
