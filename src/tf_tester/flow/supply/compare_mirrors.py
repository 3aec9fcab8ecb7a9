"""Which mirrors bring given files fastest: their pages and a part of a file of each are asked for."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.fetch.ranking import MirrorComparison, Observation, WantedFiles, on_page, rank
from tf_tester.errors import DownloadFailed, IndexUnreachable, NoWheel, TfTesterError
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.request import Selection
from tf_tester.model.source import AUTHORITY
from tf_tester.ports.fetch import Sample, Sampler
from tf_tester.ports.index import Index, MirrorIndex

if TYPE_CHECKING:
    from tf_tester.flow.prepare.services import Services

_AT_ONCE = 3
"""Samples."""


class Bench(Struct, frozen=True):
    """What a comparison needs."""

    authority: Index
    known: Callable[[MirrorIndex], Observation]
    """What is known of a mirror before it is asked anything."""
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


def wheels_of(selection: Selection, services: "Services") -> list[Artifact]:
    """Return the wheels of the versions and Pythons selected. Raises `NoWheel` where there are none."""
    from tf_tester.flow.prepare.select import select_cells  # every run imports this module, few rank mirrors

    cells = select_cells(selection, services, installed_only=False).cells
    found = {one.artifact.filename: one.artifact for one in cells if one.artifact is not None}
    if not found:
        refusal = next(one.refusal for one in cells if one.refusal is not None)
        raise NoWheel(refusal.summary, hint=refusal.hint)
    return list(found.values())


def compare(artifacts: Sequence[Artifact], mirrors: Sequence[MirrorIndex], bench: Bench) -> MirrorComparison:
    """Return which mirrors would bring these files of one project fastest.

    Pages are asked for all at once; then a part of the largest file that each has, of three mirrors at a time so
    that they don't measure one another. What a mirror sends is compared with the authority's.
    """
    wanted = WantedFiles(len(artifacts), sum(artifact.size or 0 for artifact in artifacts))
    largest = sorted(artifacts, key=lambda artifact: -(artifact.size or 0))
    promised = bench.authority.page(artifacts[0].project)
    known = {mirror.name: bench.known(mirror) for mirror in mirrors}
    asked = [mirror for mirror in mirrors if known[mirror.name].cooldown_until is None]
    pages = _within(bench.pages_within, lambda mirror: mirror.index.page(promised.project), asked)
    own = _sampled(largest[0], bench)
    files: dict[str, Artifact] = {}
    for name, page in pages.items():
        if isinstance(page, ProjectPage):
            known[name] = on_page(known[name], page, promised, artifacts, bench.now())
            offered = {artifact.filename: artifact.url for artifact in page.artifacts}
            file = next((artifact for artifact in largest if artifact.filename in offered), None)
            if file is not None:
                files[name] = replace(file, url=offered[file.filename])
        else:
            known[name] = replace(known[name], trouble=page.message)
    with ThreadPoolExecutor(_AT_ONCE, "sample") as pool:
        samples = dict(zip(files, pool.map(lambda file: _sampled(file, bench), files.values()), strict=True))
    for name, sample in samples.items():
        if isinstance(sample, Sample):
            bench.learn(name, sample.rate)
            comparable = own if files[name].filename == largest[0].filename else None
            known[name] = _with_sample(known[name], sample, comparable)
        else:
            known[name] = replace(known[name], trouble=f"its file can't be had: {sample}")
    authority = Observation(AUTHORITY, AUTHORITY, has=len(artifacts), json=True)
    authority = replace(authority, trouble=own) if isinstance(own, str) else _with_sample(authority, own, None)
    return MirrorComparison(wanted, authority, tuple(rank(list(known.values()), wanted, authority, bench.now())))


def _within(
    seconds: float, ask: Callable[[MirrorIndex], ProjectPage], mirrors: Sequence[MirrorIndex]
) -> dict[str, ProjectPage | TfTesterError]:
    """Return the answers by name. Who still waits ends with the network."""
    if not mirrors:
        return {}
    pool = ThreadPoolExecutor(len(mirrors), "page")
    asked: dict[str, Future[ProjectPage]] = {one.name: pool.submit(ask, one) for one in mirrors}
    wait(asked.values(), timeout=seconds)
    pool.shutdown(wait=False, cancel_futures=True)
    late = IndexUnreachable(f"did not answer within {seconds:g} s")
    return {name: _answer(future) if future.done() else late for name, future in asked.items()}


def _answer(future: "Future[ProjectPage]") -> ProjectPage | TfTesterError:
    try:
        return future.result()
    except TfTesterError as error:
        return error


def _sampled(artifact: Artifact, bench: Bench) -> Sample | str:
    """Return a part from the middle, or why there is none: what a cache has of a file is most often its beginning."""
    size = artifact.size or bench.sample_size
    start = max(0, (size - bench.sample_size) // 2)
    try:
        return bench.sampler.sample(
            artifact.url, start, min(size, start + bench.sample_size), within=bench.sample_within
        )
    except DownloadFailed as error:
        return error.message


def _with_sample(observation: Observation, sample: Sample, comparable: Sample | str | None) -> Observation:
    """Return what a sample adds; `comparable`: the authority's of the same file, compared as far as both go."""
    wrong = False
    if isinstance(comparable, Sample):
        length = min(len(sample.content), len(comparable.content))
        wrong = sample.content[:length] != comparable.content[:length]
    return replace(observation, first_byte=sample.first_byte, rate=sample.rate, wrong_bytes=wrong)
