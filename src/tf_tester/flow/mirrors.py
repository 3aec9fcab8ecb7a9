"""What mirrors there are, what is remembered of them, how well an index does its work, and which are the fastest."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.conformance import Finding, Grade, of_answer, of_page
from tf_tester.core.feeds import Report
from tf_tester.core.links import without_credentials
from tf_tester.core.ranking import Comparison, Observation, Wanted, rank
from tf_tester.core.simple import ACCEPT, parse_page
from tf_tester.errors import DownloadFailed, IndexUnreachable, NotAPage, NoWheel, TfTesterError, UnknownProject
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.request import Selection
from tf_tester.ports.fetch import Fetcher, Sample, Sampler
from tf_tester.ports.index import GetPage, Index

if TYPE_CHECKING:
    from tf_tester.flow.services import Services

_PART = 1024
"""Bytes that a server is asked for, to see whether it does ranges."""


class MirrorRow(Struct, frozen=True):
    """A mirror that we know by name."""

    name: str
    operator: str
    region: str
    copies: str | None
    """Name of the mirror that it is filled from."""
    notes: str
    right: int
    """Files that it helped to bring since it was last wrong."""
    speed: float | None
    """Bytes per second, of late."""
    cooldown_until: datetime | None
    feed: Report | None = None
    """What its own operator says of it."""


class Candidate(Struct, frozen=True):
    """A mirror that may be chosen, and what is known of it."""

    name: str
    root: str
    index: Index
    cooldown_until: datetime | None = None
    budget_left: int | None = None
    right: int = 0
    feed: Report | None = None


class Bench(Struct, frozen=True):
    """What a comparison needs."""

    authority: Index
    candidates: tuple[Candidate, ...]
    sampler: Sampler
    now: Callable[[], datetime]
    learn: Callable[[str, float], None]
    """Told of each mirror's rate in bytes per second."""
    pages_within: float = 6.0
    """Seconds for all pages together."""
    sample_within: float = 3.0
    """Seconds for one sample."""
    sample_size: int = 2 << 20
    """Bytes."""


def read_feeds(urls: Sequence[str], get: GetPage, learn: Callable[[bytes], int]) -> None:
    """Hand over the first feed that answers and can be read. Raises `IndexUnreachable` where none does."""
    troubles = []
    for url in urls:
        try:
            response = get.get_page(url, accept="application/json", etag=None)
            if response.status == 200:
                learn(response.body)
                return
            troubles.append(f"{url}: status {response.status}")
        except IndexUnreachable as error:
            troubles.append(f"{url}: {error.message}")
        except ValueError as error:
            troubles.append(f"{url}: not a feed ({error})")
    raise IndexUnreachable(
        "No feed of MirrorZ answers, so what mirrors say of themselves stays as it was.",
        hint="Repeat without --refresh, or name another feed in mirrors.toml.",
        detail="\n".join(troubles),
    )


def wheels_of(selection: Selection, services: "Services") -> list[Artifact]:
    """The wheels of the versions and Pythons selected. Raises `NoWheel` where there are none."""
    from tf_tester.flow.select import select_cells

    cells = select_cells(selection, services, installed_only=False).cells
    found = {one.artifact.filename: one.artifact for one in cells if one.artifact is not None}
    if not found:
        refusal = next(one.refusal for one in cells if one.refusal is not None)
        raise NoWheel(refusal.summary, hint=refusal.hint)
    return list(found.values())


def compare(artifacts: Sequence[Artifact], bench: Bench) -> Comparison:
    """Which mirrors would bring these files of one project fastest.

    Pages are asked for all at once; then a part of the largest file that each has, of three mirrors at a time so
    that they don't measure one another. What a mirror sends is compared with the authority's.
    """
    wanted = Wanted(len(artifacts), sum(artifact.size or 0 for artifact in artifacts))
    promised = bench.authority.page(artifacts[0].project)
    with_pages = [one for one in bench.candidates if one.cooldown_until is None]
    pages = _within(bench.pages_within, len(with_pages), lambda one: one.index.page(promised.project), with_pages)
    largest = sorted(artifacts, key=lambda artifact: -(artifact.size or 0))
    own = _sampled(largest[0], bench)
    observations: list[Observation] = []
    to_sample: list[tuple[Candidate, Observation, Artifact]] = []
    for one in bench.candidates:
        seen = Observation(
            one.name,
            one.root,
            cooldown_until=one.cooldown_until,
            budget_left=one.budget_left,
            right=one.right,
            feed=one.feed,
        )
        page = pages.get(one.name)
        if not isinstance(page, ProjectPage):
            trouble = page.message if page is not None else f"did not answer within {bench.pages_within:g} s"
            observations.append(replace(seen, trouble=trouble))
            continue
        seen = _seen_on(page, promised, artifacts, seen, bench.now())
        offered = {artifact.filename: artifact for artifact in page.artifacts}
        file = next((artifact for artifact in largest if artifact.filename in offered), None)
        if file is None:
            observations.append(seen)
        else:
            to_sample.append((one, seen, replace(file, url=offered[file.filename].url)))
    with ThreadPoolExecutor(_AT_ONCE, "sample") as pool:
        samples = list(pool.map(lambda item: _sampled(item[2], bench), to_sample))
    for (one, seen, file), sample in zip(to_sample, samples, strict=True):
        if isinstance(sample, Sample):
            bench.learn(one.name, sample.rate)
            same_file = file.filename == largest[0].filename
            wrong = same_file and isinstance(own, Sample) and not _agree(own.content, sample.content)
            observations.append(replace(seen, first_byte=sample.first_byte, rate=sample.rate, wrong_bytes=wrong))
        else:
            observations.append(replace(seen, trouble=f"its file can't be had: {sample}"))
    authority = Observation("authority", "authority", has=len(artifacts), json=True)
    if isinstance(own, Sample):
        authority = replace(authority, first_byte=own.first_byte, rate=own.rate)
    else:
        authority = replace(authority, trouble=own)
    return Comparison(wanted, authority, tuple(rank(observations, wanted, authority, bench.now())))


_AT_ONCE = 3
_A_DAY = timedelta(days=1)


def _within(
    seconds: float, threads: int, ask: Callable[[Candidate], ProjectPage], candidates: Sequence[Candidate]
) -> dict[str, ProjectPage | TfTesterError]:
    """By name; whoever has not answered by then is left out. Who still waits ends with the network."""
    if not candidates:
        return {}
    pool = ThreadPoolExecutor(threads, "page")
    asked: dict[str, Future[ProjectPage]] = {one.name: pool.submit(ask, one) for one in candidates}
    wait(asked.values(), timeout=seconds)
    pool.shutdown(wait=False, cancel_futures=True)
    found: dict[str, ProjectPage | TfTesterError] = {}
    for name, future in asked.items():
        if future.done() and not future.cancelled():
            error = future.exception()
            if error is None:
                found[name] = future.result()
            elif isinstance(error, TfTesterError):
                found[name] = error
            else:
                raise error
    return found


def _seen_on(
    page: ProjectPage, promised: ProjectPage, artifacts: Sequence[Artifact], seen: Observation, now: datetime
) -> Observation:
    offered = {artifact.filename: artifact for artifact in page.artifacts}
    there = [(artifact, offered[artifact.filename]) for artifact in artifacts if artifact.filename in offered]
    times = [one.upload_time for one in promised.artifacts if one.filename in offered and one.upload_time is not None]
    missing = [one for one in promised.artifacts if one.filename not in offered]
    return replace(
        seen,
        has=len(there),
        wrong_sizes=sum(its.size is not None and one.size is not None and its.size != one.size for one, its in there),
        newest=max(times, default=None),
        behind=sum(one.upload_time is not None and now - one.upload_time > _A_DAY for one in missing),
        json=any(artifact.size is not None for artifact in page.artifacts),
    )


def _sampled(artifact: Artifact, bench: Bench) -> Sample | str:
    """A part from the middle: what a cache has of a file is most often its beginning. Or why there is none."""
    size = artifact.size or bench.sample_size
    start = max(0, (size - bench.sample_size) // 2)
    try:
        return bench.sampler.sample(
            artifact.url, start, min(size, start + bench.sample_size), within=bench.sample_within
        )
    except DownloadFailed as error:
        return error.message


def _agree(one: bytes, other: bytes) -> bool:
    """As far as both go."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


class Examiner(Struct, frozen=True):
    """What an examination needs."""

    authority: Index
    get: GetPage
    fetcher: Fetcher
    monotonic: Callable[[], float]


def examine(url: str, project: str, world: Examiner) -> list[Finding]:
    """How an index serves one project, beside the authority.

    Raises `IndexUnreachable` where one of the two gives no page, `UnknownProject` where the authority has none.
    """
    address = f"{url.rstrip('/')}/{quote(project, safe='')}/"
    promised = world.authority.page(project)
    began = world.monotonic()
    response = world.get.get_page(address, accept=ACCEPT, etag=None)
    took = world.monotonic() - began
    if response.status == 404:
        raise UnknownProject(
            f"{without_credentials(url)} has no project named {project}", hint="Name another --package."
        )
    try:
        page = parse_page(response.body, response.content_type, response.url_after_redirects, project)
    except NotAPage as error:
        raise IndexUnreachable(
            f"{without_credentials(url)} answers with something that isn't an index page",
            hint="Give the address of a simple API, such as https://mirror.example/simple.",
            detail=str(error),
        ) from error
    again = None
    if response.etag:
        again = world.get.get_page(address, accept=ACCEPT, etag=response.etag).status
    size = f"{len(response.body) / 1000:.0f} kB in {took * 1000:.0f} ms"
    return [
        Finding("page", Grade.OK, size),
        *of_answer(response.content_type, response.body, again),
        *of_page(page, promised),
        *_of_files(page, promised, world.fetcher),
    ]


def _of_files(page: ProjectPage, promised: ProjectPage, fetcher: Fetcher) -> list[Finding]:
    """The newest wheel that both have, looked at itself."""
    theirs = {artifact.filename: artifact for artifact in promised.artifacts}
    wheels = [one for one in page.artifacts if one.is_wheel and one.filename in theirs]
    if not wheels:
        return []
    newest = max(wheels, key=lambda one: time.timestamp() if (time := theirs[one.filename].upload_time) else 0.0)
    return [_ranges(newest, fetcher), *_metadata(newest, theirs[newest.filename], fetcher)]


def _ranges(artifact: Artifact, fetcher: Fetcher) -> Finding:
    try:
        fetcher.read_range(artifact, 0, _PART)
    except DownloadFailed as error:
        return Finding("ranges of files", Grade.LESS, str(error))
    return Finding("ranges of files", Grade.OK, f"asked of {artifact.filename}")


def _metadata(artifact: Artifact, promised: Artifact, fetcher: Fetcher) -> list[Finding]:
    if artifact.metadata_sha256 is None:
        return []
    body = fetcher.metadata(replace(artifact, metadata_sha256=promised.metadata_sha256 or artifact.metadata_sha256))
    if body is None:
        told = f"of {artifact.filename} it is advertised, and can't be had or is another one"
        return [Finding("metadata itself", Grade.WRONG, told)]
    return [Finding("metadata itself", Grade.OK, f"of {artifact.filename}")]
