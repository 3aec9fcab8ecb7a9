"""An index for days on which the authority can't be reached: what independent mirrors agree on.

A mirror alone could promise a file of its own making. Two that are filled independently of one another would both
have to be wrong in the same way; copies of one another count as one. Whoever wants to trust one mirror alone, says so.
Nothing is asked of mirrors while the authority answers, or the store has its page of an earlier day.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from msgspec.structs import replace

from tf_tester.core.index.agreement import MirrorPage, agreed
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.model.artifact import ProjectPage, Promise, Promiser
from tf_tester.model.events import TransferTrouble
from tf_tester.model.source import AUTHORITY
from tf_tester.ports.index import Index, MirrorIndex
from tf_tester.ports.tell import Tell

_REST = timedelta(minutes=5)
"""How long an authority that could not be reached is not asked again: each question may take a minute to fail."""
_WORTH_ASKING = 6
"""Mirrors that are asked at once."""
_ENOUGH = 2
"""Mirrors that are filled independently of one another and must say the same."""


class AgreedIndex:
    """`ports.Index`: the authority; else a trusted mirror; else what two independent ones agree on."""

    def __init__(
        self,
        authority: Index,
        mirrors: Sequence[MirrorIndex],
        tell: Tell,
        now: Callable[[], datetime],
        *,
        trusted: Collection[str] = (),
    ) -> None:
        """Ask the authority first. `trusted`: names of the mirrors that the user trusts alone."""
        self._authority = authority
        self._mirrors = tuple(mirrors)
        self._trusted = trusted
        self._tell = tell
        self._now = now
        self._lock = threading.Lock()
        self._failed: tuple[datetime, IndexUnreachable] | None = None
        self._said = False

    def page(self, project: str) -> ProjectPage:
        failure = self._recent_failure()
        if failure is None:
            try:
                return self._authority.page(project)
            except IndexUnreachable as error:
                failure = error
                if self._mirrors:
                    with self._lock:
                        self._failed = (self._now(), error)
        if not self._mirrors:
            raise failure
        return replace(self._without_authority(project, failure), partial=True)

    def _recent_failure(self) -> IndexUnreachable | None:
        with self._lock:
            if self._failed is None or self._now() - self._failed[0] > _REST:
                return None
            return self._failed[1]

    def _without_authority(self, project: str, failure: IndexUnreachable) -> ProjectPage:
        for mirror in self._mirrors:
            if mirror.name in self._trusted:
                page = _page(mirror, project)
                if isinstance(page, ProjectPage):
                    self._say(project, f"{mirror.name}, as --trust says")
                    return page.promised(Promise(Promiser.MIRROR, f"{mirror.name} (trusted)"))
        with ThreadPoolExecutor(_WORTH_ASKING, "agreement") as pool:
            answers = list(pool.map(lambda mirror: _page(mirror, project), self._mirrors))
        said = list(zip(self._mirrors, answers, strict=True))
        pages = [MirrorPage(one.name, one.root, answer) for one, answer in said if isinstance(answer, ProjectPage)]
        roots = {one.root for one in pages}
        if len(roots) >= _ENOUGH:
            page = agreed(project, pages)
            self._say(project, f"{' and '.join(one.name for one in pages)}, as far as they agree")
            return page
        refusing = {mirror.root: answer for mirror, answer in said if isinstance(answer, UnknownProject)}
        if len(refusing) >= _ENOUGH:
            raise next(iter(refusing.values()))
        details = [failure.detail] if failure.detail else []
        raise IndexUnreachable(
            f"{failure.message}, and {_wanting(roots, project)}",
            hint="Two that are filled independently must agree: name more of them with --mirror, or --mirror auto; "
            "or believe one alone with --trust.",
            detail="\n".join([*details, *(f"{mirror.name}: {_told(answer)}" for mirror, answer in said)]),
        )

    def _say(self, project: str, who: str) -> None:
        with self._lock:
            said, self._said = self._said, True
        if not said:
            self._tell(TransferTrouble(project, AUTHORITY, f"can't be reached: hashes are those of {who}"))


def _page(mirror: MirrorIndex, project: str) -> ProjectPage | IndexUnreachable | UnknownProject:
    """Return a mirror's page, or why it doesn't count: one with an older state than was seen before hides
    what is new.
    """
    try:
        page = mirror.index.page(project)
        return IndexUnreachable("it shows an older state than was seen before") if page.behind else page
    except (IndexUnreachable, UnknownProject) as error:
        return error


def _told(answer: ProjectPage | IndexUnreachable | UnknownProject) -> str:
    return f"lists {count_text(len(answer.artifacts), 'file')}" if isinstance(answer, ProjectPage) else str(answer)


def _wanting(roots: set[str], project: str) -> str:
    if not roots:
        return f"no mirror lists {project}"
    return f"{_ENOUGH} mirrors that agree are needed for {project}"
