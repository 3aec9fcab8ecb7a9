"""How well an index does its work, compared with the authority."""

from collections.abc import Callable
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.index.conformance import ConformanceFinding, Grade, of_answer, of_page
from tf_tester.core.index.links import without_credentials
from tf_tester.core.index.simple import ACCEPT, parse_page
from tf_tester.errors import DownloadFailed, IndexUnreachable, NotAPage, UnknownProject
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.ports.fetch import Fetcher
from tf_tester.ports.index import GetPage, Index

_PART = 1024
"""Bytes that a server is asked for, to see whether it does ranges."""


class Examiner(Struct, frozen=True):
    """What an examination needs."""

    authority: Index
    get: GetPage
    fetcher: Fetcher
    monotonic: Callable[[], float]


def examine(url: str, project: str, world: Examiner) -> list[ConformanceFinding]:
    """Return how an index serves one project, compared with the authority.

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
        ConformanceFinding("page", Grade.OK, size),
        *of_answer(response.content_type, response.body, again),
        *of_page(page, promised),
        *_of_files(page, promised, world.fetcher),
    ]


def _of_files(page: ProjectPage, promised: ProjectPage, fetcher: Fetcher) -> list[ConformanceFinding]:
    """Return the newest wheel that both have, looked at itself."""
    theirs = {artifact.filename: artifact for artifact in promised.artifacts}
    wheels = [one for one in page.artifacts if one.is_wheel and one.filename in theirs]
    if not wheels:
        return []
    newest = max(wheels, key=lambda one: time.timestamp() if (time := theirs[one.filename].upload_time) else 0.0)
    return [_ranges(newest, fetcher), *_metadata(newest, theirs[newest.filename], fetcher)]


def _ranges(artifact: Artifact, fetcher: Fetcher) -> ConformanceFinding:
    try:
        fetcher.read_range(artifact, 0, _PART)
    except DownloadFailed as error:
        return ConformanceFinding("ranges of files", Grade.LESS, str(error))
    return ConformanceFinding("ranges of files", Grade.OK, f"asked of {artifact.filename}")


def _metadata(artifact: Artifact, promised: Artifact, fetcher: Fetcher) -> list[ConformanceFinding]:
    if artifact.metadata_sha256 is None:
        return []
    body = fetcher.metadata(replace(artifact, metadata_sha256=promised.metadata_sha256 or artifact.metadata_sha256))
    if body is None:
        told = f"of {artifact.filename} it is advertised, and can't be had or is another one"
        return [ConformanceFinding("metadata itself", Grade.WRONG, told)]
    return [ConformanceFinding("metadata itself", Grade.OK, f"of {artifact.filename}")]
