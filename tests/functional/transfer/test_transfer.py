"""Files come whole and right or not at all, whatever the servers do."""

import errno
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.fakes import MemoryishBlobs, Told
from tests.simulator import (
    Cut,
    Fault,
    Headers,
    Lie,
    Longer,
    LyingRange,
    NoRanges,
    Portal,
    Raw,
    Redirect,
    Silent,
    Simulator,
    Slow,
    Stall,
    Status,
    WrongRange,
)
from tests.transfers import transferring
from tests.waiting import until
from tests.wheels import make_wheel
from tf_tester.errors import DownloadFailed, InterruptedTransfer, StoreError
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferFinished, TransferProgress, TransferTrouble
from tf_tester.model.source import Source
from tf_tester.transfer.fetch import Transfer
from tf_tester.transfer.settings import Timeouts

NOISE = os.urandom(400_000)
WHEEL = make_wheel("toy", "1.0", files={"toy.bin": NOISE})
NAME = WHEEL[0]
QUICK = Timeouts(connect=5, stall=5, page=5, retry_delay=0.01, retry_after_cap=0.02)
IMPATIENT = Timeouts(connect=5, stall=0.3, page=0.5, retry_delay=0.01)


class Rig:
    """A mirror and an authority with the same file, a store, and a transfer that asks the mirror first."""

    def __init__(self, mirror: Simulator, authority: Simulator, folder: Path) -> None:
        self.mirror = mirror
        self.authority = authority
        self.blobs = MemoryishBlobs(folder)
        self.told = Told()
        mirror.add_wheel(*WHEEL)
        self.artifact = authority.add_wheel(*WHEEL)
        self.content = WHEEL[1]
        self.size = len(self.content)

    def transfer(
        self, timeouts: Timeouts = QUICK, *, mirror: bool = False, **more: object
    ) -> AbstractContextManager[Transfer]:
        def sources(artifact: Artifact) -> list[Source]:
            return [Source("mirror", f"{self.mirror.url}/files/{NAME}")] * mirror + [Source("authority", artifact.url)]

        return transferring(
            self.blobs,
            self.told,
            sources=sources,
            timeouts=timeouts,
            **more,  # type: ignore[arg-type]
        )

    def fetch(self, timeouts: Timeouts = QUICK, *, mirror: bool = False) -> Path:
        with self.transfer(timeouts, mirror=mirror) as transfer:
            return transfer.fetch(self.artifact)

    def leave_partial(self, content: bytes) -> None:
        assert self.artifact.sha256
        self.blobs.partial(self.artifact.sha256).write_bytes(content)

    def partial_size(self) -> int:
        assert self.artifact.sha256
        partial = self.blobs.partial(self.artifact.sha256)
        return partial.stat().st_size if partial.exists() else 0

    @property
    def reasons(self) -> list[str]:
        return [f"{trouble.source} {trouble.reason}" for trouble in self.told.of(TransferTrouble)]

    def is_whole(self, path: Path) -> bool:
        return path.read_bytes() == self.content


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Simulator() as mirror, Simulator() as authority:
        yield Rig(mirror, authority, tmp_path / "store")


# -- the straight way


def test_a_file_arrives_whole_and_is_told_once(rig: Rig) -> None:
    assert rig.is_whole(rig.fetch())
    (finished,) = rig.told.of(TransferFinished)
    assert (finished.filename, finished.source) == (NAME, "authority")
    assert (finished.size, finished.received) == (rig.size, rig.size)
    assert rig.reasons == []
    assert rig.blobs.adopted == [(rig.artifact.sha256, NAME, "authority")]


def test_a_second_fetch_asks_nobody(rig: Rig) -> None:
    first = rig.fetch()
    rig.authority.stop()
    assert rig.fetch() == first
    assert rig.authority.requests[NAME] == 1


def test_a_file_in_the_store_is_had_offline(rig: Rig) -> None:
    rig.fetch()
    with rig.transfer(offline=True) as transfer:
        assert rig.is_whole(transfer.fetch(rig.artifact))
        assert transfer.read_range(rig.artifact, 2, 5) == rig.content[2:5]


def test_offline_a_file_that_is_not_in_the_store_is_refused_without_a_request(rig: Rig) -> None:
    with rig.transfer(offline=True) as transfer, pytest.raises(DownloadFailed) as caught:
        transfer.fetch(rig.artifact)
    assert "isn't in the store" in str(caught.value)
    assert "without --offline" in caught.value.hint
    assert not rig.authority.log


def test_a_file_without_a_promised_hash_is_refused_without_a_request(rig: Rig) -> None:
    artifact = rig.authority.add_wheel(*make_wheel("bare", "1.0"), hashes=False)
    with rig.transfer() as transfer, pytest.raises(DownloadFailed) as caught:
        transfer.fetch(artifact)
    assert "no SHA-256" in str(caught.value)
    assert not rig.authority.log


def test_the_mirror_is_asked_first_and_the_authority_not_at_all(rig: Rig) -> None:
    assert rig.is_whole(rig.fetch(mirror=True))
    assert (rig.mirror.requests[NAME], rig.authority.requests[NAME]) == (1, 0)


def test_a_file_of_unknown_size_is_had_all_the_same(rig: Rig) -> None:
    artifact = Artifact(NAME, "toy", "1.0", rig.artifact.url, sha256=rig.artifact.sha256)
    with rig.transfer() as transfer:
        assert rig.is_whole(transfer.fetch(artifact))
    assert rig.told.of(TransferFinished)[0].size == rig.size


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
    ],
    ids=["told", "chunked", "untold"],
)
def test_an_empty_answer_is_no_file_and_not_asked_for_again_and_again(rig: Rig, answer: bytes) -> None:
    artifact = Artifact(NAME, "toy", "1.0", rig.artifact.url, sha256=rig.artifact.sha256)
    rig.authority.fault(NAME, Raw(answer))
    with rig.transfer() as transfer, pytest.raises(DownloadFailed, match="sent an empty file"):
        transfer.fetch(artifact)
    assert rig.authority.requests[NAME] <= 2
    rig.mirror.fault(NAME, Raw(answer))
    rig.authority.heal(NAME)
    with rig.transfer(mirror=True) as transfer:
        assert rig.is_whole(transfer.fetch(artifact))


def test_an_empty_file_on_disk_is_no_file(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    artifact = Artifact(NAME, "toy", "1.0", (tmp_path / NAME).as_uri(), sha256=rig.artifact.sha256)
    with transferring(rig.blobs, rig.told) as transfer, pytest.raises(DownloadFailed, match="an empty file"):
        transfer.fetch(artifact)


def test_a_file_of_an_index_on_disk_is_copied(rig: Rig, tmp_path: Path) -> None:
    original = tmp_path / "my files" / NAME
    original.parent.mkdir()
    original.write_bytes(rig.content)
    artifact = Artifact(NAME, "toy", "1.0", original.as_uri(), sha256=rig.artifact.sha256)
    with transferring(rig.blobs, rig.told) as transfer:
        assert rig.is_whole(transfer.fetch(artifact))
        assert original.exists()


def test_a_warm_run_imports_nothing_of_the_network() -> None:
    program = (
        "import sys, tf_tester.transfer.fetch, tf_tester.index.http, tf_tester.index.file_sources\n"
        "print([name for name in ('aiohttp', 'asyncio', 'ssl', 'http.client') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_no_thread_is_started_before_it_is_needed_or_left_behind(rig: Rig) -> None:
    rig.fetch()
    assert _our_threads() == 0
    with rig.transfer() as transfer:
        transfer.fetch(rig.artifact)
        assert _our_threads() == 0


# -- resuming


@pytest.mark.parametrize("reset", [False, True])
def test_after_a_cut_only_the_rest_is_fetched(rig: Rig, reset: bool) -> None:
    rig.authority.fault(NAME, Cut(after=150_000, reset=reset), times=1)
    assert rig.is_whole(rig.fetch())
    if not reset:  # a reset may throw away what the system had taken in
        assert rig.authority.bytes_sent[NAME] == rig.size
        assert rig.reasons == ["authority cut the connection at 150 kB"]
    assert rig.authority.requests[NAME] == 2


def test_a_resumed_request_insists_on_the_same_file(rig: Rig) -> None:
    rig.authority.fault(NAME, Cut(after=150_000), times=1)
    rig.fetch()
    headers = rig.authority.log[-1].headers
    assert headers["range"] == "bytes=150000-"
    assert "if-range" in headers


def test_what_an_earlier_run_left_is_not_fetched_again(rig: Rig) -> None:
    rig.leave_partial(rig.content[:300_000])
    assert rig.is_whole(rig.fetch())
    assert rig.authority.bytes_sent[NAME] == rig.size - 300_000
    assert rig.told.of(TransferFinished)[0].received == rig.size - 300_000


def test_a_file_that_an_earlier_run_left_complete_is_adopted_without_a_request(rig: Rig) -> None:
    rig.leave_partial(rig.content)
    assert rig.is_whole(rig.fetch())
    assert not rig.authority.log


def test_cuts_are_forgiven_five_times_while_something_comes(rig: Rig) -> None:
    rig.authority.fault(NAME, Cut(after=1000), times=5)
    assert rig.is_whole(rig.fetch())
    assert rig.authority.requests[NAME] == 6
    assert rig.authority.bytes_sent[NAME] == rig.size


def test_after_too_many_cuts_the_next_source_brings_the_rest(rig: Rig) -> None:
    rig.mirror.fault(NAME, Cut(after=1000))
    assert rig.is_whole(rig.fetch(mirror=True))
    assert rig.mirror.requests[NAME] == 6
    assert rig.authority.bytes_sent[NAME] == rig.size - 6000


def test_without_another_source_what_came_is_kept_for_the_next_run(rig: Rig) -> None:
    rig.authority.fault(NAME, Cut(after=1000), times=6)
    with pytest.raises(DownloadFailed) as caught:
        rig.fetch()
    assert "what has arrived is kept" in caught.value.hint
    assert rig.partial_size() == 6000
    assert rig.is_whole(rig.fetch())
    assert rig.authority.bytes_sent[NAME] == rig.size


@pytest.mark.parametrize("left", [b"not the beginning", NOISE + NOISE])
def test_a_partial_file_that_was_wrong_costs_a_second_request_and_blames_nobody(rig: Rig, left: bytes) -> None:
    rig.leave_partial(left)
    assert rig.is_whole(rig.fetch())
    assert all(reason.startswith("store ") for reason in rig.reasons)
    assert rig.told.of(TransferFinished)[0].source == "authority"


@pytest.mark.parametrize("fault", [NoRanges(), WrongRange(), LyingRange()])
def test_a_server_without_sound_ranges_is_asked_from_zero(rig: Rig, fault: Fault) -> None:
    rig.leave_partial(rig.content[:300_000])
    rig.authority.fault(NAME, fault)
    assert rig.is_whole(rig.fetch())
    # One that lies about ranges is asked for what was there before, too: only then is it known that it must be whole.
    assert rig.authority.requests[NAME] <= 2 + isinstance(fault, LyingRange)


def test_a_partial_file_longer_than_the_server_s_starts_anew(rig: Rig) -> None:
    artifact = Artifact(NAME, "toy", "1.0", rig.artifact.url, sha256=rig.artifact.sha256)
    rig.leave_partial(rig.content + b"?")
    with rig.transfer() as transfer:
        assert rig.is_whole(transfer.fetch(artifact))


# -- lies


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Lie(at=7), "gave other bytes than the index promises"),
        (Longer(), "sent more bytes than the index promises"),
        (Portal(), "sent an HTML page instead of the file"),
        (Status(403), "answered 403 Forbidden"),
        (Status(404), "answered 404 Not Found"),
        (Status(429), "answered 429 Too Many Requests"),
        (Status(503), "answered 503 Service Unavailable"),
        (Silent(), "closed the connection without an answer"),
        (Redirect("/nowhere"), "answered 404 Not Found"),
        (Redirect(f"/files/{NAME}"), "redirects more than 5 times"),
        (Redirect("file:///etc/passwd"), "redirects to an address that may not be followed"),
        (Headers({"Content-Encoding": "gzip"}), ""),
    ],
)
def test_after_a_source_that_fails_the_next_heals(rig: Rig, fault: Fault, reason: str) -> None:
    rig.mirror.fault(NAME, fault)
    assert rig.is_whole(rig.fetch(mirror=True))
    if reason:
        assert f"mirror {reason}" in rig.reasons[-1]
        assert "authority" in rig.told.of(TransferFinished)[0].source.split("+")


def test_a_mirror_with_another_file_under_the_name_is_left_before_a_byte_is_kept(rig: Rig) -> None:
    rig.mirror.replace(NAME, b"another build")
    assert rig.is_whole(rig.fetch(mirror=True))
    assert rig.reasons == [f"mirror has a file of 13 bytes under this name, the index promises {rig.size}"]
    assert rig.told.of(TransferFinished)[0].received == rig.size


def test_an_index_that_promises_an_empty_file_is_not_believed(rig: Rig) -> None:
    artifact = rig.authority.add_wheel("zero-1.0-py3-none-any.whl", b"something", promised=b"")
    with rig.transfer() as transfer, pytest.raises(DownloadFailed) as caught:
        transfer.fetch(artifact)
    assert "the index promises 0" in str(caught.value)


def test_a_mirror_that_lies_about_the_rest_is_found_out(rig: Rig) -> None:
    rig.leave_partial(rig.content[:1000])
    rig.mirror.fault(NAME, Lie(at=5))
    assert rig.is_whole(rig.fetch(mirror=True))
    assert rig.mirror.requests[NAME] == 2  # the rest, then all of it: only then is it known who lied
    assert rig.reasons[-1] == "mirror gave other bytes than the index promises"


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("length", [1000, None])
@pytest.mark.parametrize("notes", [False, True])
def test_what_has_rotted_of_an_earlier_run_is_nobody_s_fault(
    rig: Rig, mirror: bool, length: int | None, notes: bool
) -> None:
    rotten = bytearray(rig.content[:length])
    rotten[500] ^= 1
    rig.leave_partial(bytes(rotten))
    if notes:
        part = rig.blobs.partial(str(rig.artifact.sha256))
        part.with_name(f"{part.name}.notes").write_text(f"0 {len(rotten)} authority\n")
    assert rig.is_whole(rig.fetch(mirror=mirror))
    assert rig.reasons == ["store what had been fetched of it earlier was damaged: that was fetched again"]


def test_when_all_fail_each_has_a_line_and_nothing_wrong_is_kept(rig: Rig) -> None:
    rig.mirror.fault(NAME, Status(403))
    rig.authority.fault(NAME, Lie())
    with pytest.raises(DownloadFailed) as caught:
        rig.fetch(mirror=True)
    assert str(caught.value) == f"{NAME} can't be had: authority gave other bytes than the index promises"
    assert caught.value.detail.splitlines() == [
        f"mirror: answered 403 Forbidden ({rig.mirror.url}/files/{NAME})",
        f"authority: gave other bytes than the index promises ({rig.artifact.url})",
    ]
    assert "Nothing of it was kept" in caught.value.hint
    assert rig.partial_size() == 0
    assert rig.blobs.adopted == []


# -- retries


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_a_server_that_is_busy_once_is_asked_once_more(rig: Rig, code: int) -> None:
    rig.authority.fault(NAME, Status(code, retry_after="99999"), times=1)
    assert rig.is_whole(rig.fetch())
    assert rig.authority.requests[NAME] == 2


def test_what_a_cache_on_the_way_had_wrong_is_asked_of_the_source_itself(rig: Rig) -> None:
    rig.authority.fault(NAME, Lie(at=7), times=1)
    assert rig.is_whole(rig.fetch())
    last = [request for request in rig.authority.log if request.path.endswith(NAME)][-1]
    assert last.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(("code", "requests"), [(403, 1), (404, 1), (429, 2), (503, 4)])
def test_no_server_is_asked_over_and_over(rig: Rig, code: int, requests: int) -> None:
    rig.authority.fault(NAME, Status(code))
    with pytest.raises(DownloadFailed) as caught:
        rig.fetch()
    assert f"authority answered {code}" in str(caught.value)
    assert rig.authority.requests[NAME] == requests


def test_a_server_that_refuses_connections_is_left_at_once(rig: Rig) -> None:
    rig.mirror.stop()
    assert rig.is_whole(rig.fetch(mirror=True))
    assert rig.reasons == ["mirror can't be reached: connection refused"]


def test_a_name_that_nobody_has_is_told_as_such(rig: Rig) -> None:
    artifact = Artifact(NAME, "toy", "1.0", "http://nobody.invalid/toy.whl", sha256="00" * 32)
    with rig.transfer() as transfer, pytest.raises(DownloadFailed) as caught:
        transfer.fetch(artifact)
    assert "can't be found: no address for nobody.invalid" in str(caught.value)


def test_a_server_that_speaks_no_tls_is_told_as_such(rig: Rig) -> None:
    url = rig.artifact.url.replace("http:", "https:")
    artifact = Artifact(NAME, "toy", "1.0", url, sha256="00" * 32)
    with rig.transfer() as transfer, pytest.raises(DownloadFailed) as caught:
        transfer.fetch(artifact)
    assert "can't be trusted" in str(caught.value)


def test_a_stalled_source_is_left_and_the_next_brings_only_the_rest(rig: Rig) -> None:
    rig.mirror.fault(NAME, Stall(after=200_000))
    assert rig.is_whole(rig.fetch(IMPATIENT, mirror=True))
    assert rig.reasons[0] == "mirror sent nothing for 0.3 s"
    assert rig.mirror.bytes_sent[NAME] + rig.authority.bytes_sent[NAME] == rig.size


def test_what_came_is_kept_before_a_stalled_source_is_left(rig: Rig) -> None:
    rig.authority.fault(NAME, Stall(after=200_000))
    patient = Timeouts(stall=3600, retry_delay=0.01)
    with rig.transfer(patient) as transfer, ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(transfer.fetch, rig.artifact)
        until(lambda: rig.partial_size() == 200_000)
        rig.authority.stop()
        with pytest.raises(DownloadFailed):
            fetching.result()


def test_a_source_that_never_answers_is_left(rig: Rig) -> None:
    rig.mirror.fault(NAME, Stall())
    assert rig.is_whole(rig.fetch(IMPATIENT, mirror=True))


def test_a_dripping_source_is_left_and_what_came_is_kept(rig: Rig) -> None:
    rig.mirror.fault(NAME, Slow(bytes_per_second=200))
    timeouts = Timeouts(stall=5, slow_rate=10_000, slow_window=0.2)
    assert rig.is_whole(rig.fetch(timeouts, mirror=True))
    assert "mirror sent only" in rig.reasons[0]
    assert rig.authority.bytes_sent[NAME] < rig.size


# -- many at once


def test_twenty_threads_that_want_one_file_cause_one_request(rig: Rig) -> None:
    with rig.transfer() as transfer, ThreadPoolExecutor(20) as pool:
        paths = list(pool.map(lambda _: transfer.fetch(rig.artifact), range(20)))
    assert len(set(paths)) == 1
    assert rig.authority.requests[NAME] == 1


def test_two_transfers_that_want_one_file_cause_one_request(rig: Rig) -> None:
    with rig.transfer() as one, rig.transfer() as other, ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda transfer: transfer.fetch(rig.artifact), (one, other)))
    assert len(set(paths)) == 1
    assert rig.authority.requests[NAME] == 1


def test_a_failure_is_everybodys_who_waits_and_not_remembered(rig: Rig) -> None:
    rig.authority.fault(NAME, Status(404))
    with rig.transfer() as transfer, ThreadPoolExecutor(4) as pool:
        attempts = [pool.submit(transfer.fetch, rig.artifact) for _ in range(4)]
        assert all(isinstance(attempt.exception(), DownloadFailed) for attempt in attempts)
        rig.authority.heal()
        assert rig.is_whole(transfer.fetch(rig.artifact))


def test_many_files_come_at_once_but_not_more_than_allowed(rig: Rig) -> None:
    artifacts = [rig.authority.add_wheel(*make_wheel("toy", f"2.{minor}")) for minor in range(9)]
    for artifact in artifacts:
        rig.authority.fault(artifact.filename, Stall())
    with rig.transfer(connections=3) as transfer, ThreadPoolExecutor(9) as pool:
        for artifact in artifacts:
            pool.submit(transfer.fetch, artifact)
        until(lambda: len(rig.authority.log) == 3)
        transfer.client.close()
    assert len(rig.authority.log) == 3


def test_a_file_held_by_another_process_can_be_given_up(rig: Rig) -> None:
    assert rig.artifact.sha256
    with rig.blobs.exclusive(rig.artifact.sha256), ThreadPoolExecutor(2) as pool:
        with rig.transfer() as transfer:
            waiting = [pool.submit(transfer.fetch, rig.artifact) for _ in range(2)]
            until(lambda: _our_threads() == 1)
        for future in waiting:
            assert isinstance(future.exception(timeout=60), InterruptedTransfer)


def test_closing_ends_running_transfers_quickly_and_keeps_what_came(rig: Rig) -> None:
    rig.authority.fault(NAME, Stall(after=200_000), times=1)
    with ThreadPoolExecutor(3) as pool:
        with rig.transfer() as transfer:
            waiting = [pool.submit(transfer.fetch, rig.artifact) for _ in range(3)]
            until(lambda: rig.authority.bytes_sent[NAME] == 200_000)
        for future in waiting:
            assert isinstance(future.exception(timeout=60), InterruptedTransfer)
        with pytest.raises(InterruptedTransfer):
            transfer.fetch(rig.artifact)
    assert rig.is_whole(rig.fetch())


def test_memory_stays_small_however_large_the_file(rig: Rig) -> None:
    large = os.urandom(1 << 20) * 48
    artifact = rig.authority.add_wheel("big-1.0-py3-none-any.whl", large)
    tracemalloc.start()
    try:
        with rig.transfer() as transfer:
            transfer.fetch(artifact)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20
    events = rig.told.of(TransferProgress)
    assert len(events) <= 1 + 10 * rig.told.of(TransferFinished)[0].seconds
    assert [event.done for event in events] == sorted(event.done for event in events)


# -- the disk


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "Free at least"), (errno.EDQUOT, "Free at least"), (errno.EACCES, "writable")],
)
def test_a_disk_that_takes_nothing_is_the_stores_error_and_what_is_written_stays(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    real_write = os.pwrite
    room = 100_000

    def write(file: int, content: memoryview, position: int) -> int:
        nonlocal room
        if room == 0:
            raise OSError(number, os.strerror(number))
        count = real_write(file, content[:room], position)
        room -= count
        return count

    monkeypatch.setattr(os, "pwrite", write)
    with pytest.raises(StoreError) as caught:
        rig.fetch()
    assert words in caught.value.hint
    monkeypatch.undo()
    assert rig.partial_size() == 100_000
    assert rig.is_whole(rig.fetch())
    assert rig.told.of(TransferFinished)[0].received == rig.size - 100_000


def test_a_folder_that_cannot_be_written_is_the_stores_error(rig: Rig) -> None:
    assert rig.artifact.sha256
    rig.blobs.partial(rig.artifact.sha256).mkdir()
    with pytest.raises(StoreError):
        rig.fetch()


# -- credentials


@pytest.mark.parametrize("how", ["identities", "url", "netrc"])
def test_credentials_reach_their_own_server_and_nobody_else(rig: Rig, tmp_path: Path, how: str) -> None:
    wheel = make_wheel("private", "1.0")
    with Simulator(user=("me", "s3cret")) as private:
        artifact = private.add_wheel(*wheel)
        rig.mirror.add_wheel(*wheel)
        private.fault(artifact.filename, Redirect(f"{rig.mirror.url}/files/{artifact.filename}"), times=1)
        with_secret = private.simple_url.replace("//", "//me:s3cret@")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\ndefault login x password y\n")
        with transferring(
            rig.blobs,
            rig.told,
            timeouts=QUICK,
            environ={"NETRC": str(tmp_path / "netrc") if how == "netrc" else os.devnull},
            identities=(with_secret,) if how == "identities" else (),
        ) as transfer:
            if how == "url":
                transfer.client.get_page(f"{with_secret}/private/", accept="*/*", etag=None)
            transfer.fetch(artifact)
        assert private.log[-1].headers["authorization"].startswith("Basic ")
        assert "authorization" not in rig.mirror.log[-1].headers
    assert "s3cret" not in repr(rig.told.events)


def test_no_password_is_in_what_is_said_of_a_failure(rig: Rig) -> None:
    rig.authority.fault(NAME, Status(403))
    url = rig.artifact.url.replace("//", "//me:s3cret@")
    artifact = Artifact(NAME, "toy", "1.0", url, sha256=rig.artifact.sha256)
    with transferring(rig.blobs, rig.told, timeouts=QUICK) as transfer, pytest.raises(DownloadFailed) as caught:
        transfer.fetch(artifact)
    said = repr([str(caught.value), caught.value.hint, caught.value.detail, rig.told.events])
    assert "s3cret" not in said
    assert "authorization" in rig.authority.log[0].headers


def test_a_proxy_of_the_environment_is_used_with_its_own_credentials(rig: Rig) -> None:
    proxy = rig.mirror.url.replace("//", "//me:s3cret@")
    with transferring(rig.blobs, rig.told, timeouts=QUICK, environ={"http_proxy": proxy}) as transfer:
        artifact = Artifact(NAME, "toy", "1.0", f"http://files.example/files/{NAME}", sha256=rig.artifact.sha256)
        with pytest.raises(DownloadFailed):
            transfer.fetch(artifact)
    assert rig.mirror.log[0].path == artifact.url
    assert rig.mirror.log[0].headers["proxy-authorization"].startswith("Basic ")
    assert "authorization" not in rig.mirror.log[0].headers


def test_no_proxy_is_honoured(rig: Rig) -> None:
    environ = {"HTTP_PROXY": rig.mirror.url, "no_proxy": "127.0.0.1,example.org"}
    with transferring(rig.blobs, rig.told, timeouts=QUICK, environ=environ) as transfer:
        assert rig.is_whole(transfer.fetch(rig.artifact))
    assert not rig.mirror.log


# -- parts


def test_a_range_is_read_from_either_end(rig: Rig) -> None:
    with rig.transfer() as transfer:
        assert transfer.read_range(rig.artifact, 10, 20) == rig.content[10:20]
        assert transfer.read_range(rig.artifact, -22, 0) == rig.content[-22:]
    assert rig.authority.bytes_sent[NAME] == 32


@pytest.mark.parametrize("fault", [NoRanges(), WrongRange(), Status(404), Portal(), Silent()])
def test_a_range_that_cannot_be_had_is_a_failure(rig: Rig, fault: Fault) -> None:
    rig.authority.fault(NAME, fault)
    with rig.transfer() as transfer, pytest.raises(DownloadFailed):
        transfer.read_range(rig.artifact, 10, 20)


def test_advertised_metadata_is_had_and_checked(rig: Rig) -> None:
    artifact = rig.authority.add_wheel(*make_wheel("meta", "1.0", requires=["six"]), metadata=True)
    lying = rig.authority.add_wheel(*make_wheel("meta", "1.1"), metadata=True)
    rig.authority.fault(f"{lying.filename}.metadata", Lie())
    with rig.transfer() as transfer:
        metadata = transfer.metadata(artifact)
        assert metadata is not None and b"Requires-Dist: six" in metadata
        assert transfer.metadata(lying) is None
        assert transfer.metadata(rig.artifact) is None
    assert rig.authority.requests[f"{NAME}.metadata"] == 0


@pytest.mark.parametrize("fault", [Status(404), Status(500), Stall(), Silent(), Cut(after=3)])
def test_metadata_that_cannot_be_had_is_none(rig: Rig, fault: Fault) -> None:
    artifact = rig.authority.add_wheel(*make_wheel("meta", "1.0"), metadata=True)
    rig.authority.fault(f"{artifact.filename}.metadata", fault)
    with rig.transfer(IMPATIENT) as transfer:
        assert transfer.metadata(artifact) is None


def _our_threads() -> int:
    return sum(thread.name.startswith(("tf-tester", "asyncio_")) for thread in threading.enumerate())
