"""An index for days on which the authority can't be reached: what independent mirrors agree on.

A mirror alone could promise a file of its own making. Two that are filled independently of one another would both
have to be wrong in the same way; copies of one another are one voice. Whoever wants to trust one mirror alone, says so.
Nothing is asked of mirrors while the authority answers, or the store has its page of an earlier day.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.agreement import Voice, agreed
from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.model.artifact import ProjectPage, Promise, Promiser
from tf_tester.model.events import TransferTrouble
from tf_tester.ports.index import Index
from tf_tester.ports.tell import Tell

_REST = timedelta(minutes=5)
"""How long an authority that could not be reached is not asked again: each question may take a minute to fail."""
_WORTH_ASKING = 6
"""Mirrors that are asked at once."""


class Witness(Struct, frozen=True):
    """A mirror that may be asked what the authority would say."""

    name: str
    root: str
    """Whose copy it is in the end."""
    index: Index
    trusted: bool = False
    """By the user, alone."""


class AgreedIndex:
    """`ports.Index`: the authority; else a trusted mirror; else what two independent ones agree on."""

    def __init__(self, authority: Index, witnesses: Sequence[Witness], tell: Tell, now: Callable[[], datetime]) -> None:
        self._authority = authority
        self._witnesses = tuple(witnesses)
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
                if self._witnesses:
                    with self._lock:
                        self._failed = (self._now(), error)
        if not self._witnesses:
            raise failure
        return replace(self._without_authority(project, failure), partial=True)

    def _recent_failure(self) -> IndexUnreachable | None:
        with self._lock:
            if self._failed is None or self._now() - self._failed[0] > _REST:
                return None
            return self._failed[1]

    def _without_authority(self, project: str, failure: IndexUnreachable) -> ProjectPage:
        for witness in self._witnesses:
            if witness.trusted:
                page = _page(witness, project)
                if isinstance(page, ProjectPage):
                    self._say(project, f"{witness.name}, as --trust says")
                    return page.promised(Promise(Promiser.MIRROR, f"{witness.name} (trusted)"))
        with ThreadPoolExecutor(_WORTH_ASKING, "witness") as pool:
            answers = list(pool.map(lambda witness: _page(witness, project), self._witnesses))
        voices = [
            Voice(witness.name, witness.root, answer)
            for witness, answer in zip(self._witnesses, answers, strict=True)
            if isinstance(answer, ProjectPage)
        ]
        roots = {voice.root for voice in voices}
        if len(roots) >= 2:
            page = agreed(project, voices)
            self._say(project, f"{' and '.join(voice.name for voice in voices)}, as far as they agree")
            return page
        said = list(zip(self._witnesses, answers, strict=True))
        refusing = {witness.root: answer for witness, answer in said if isinstance(answer, UnknownProject)}
        if len(refusing) >= 2:
            raise next(iter(refusing.values()))
        details = [failure.detail] if failure.detail else []
        raise IndexUnreachable(
            f"{failure.message}, and of the mirrors {_counted(roots)} what {project} has",
            hint="Two that are filled independently must agree: name more of them with --mirror, or --mirror auto; "
            "or believe one alone with --trust.",
            detail="\n".join([*details, *(f"{witness.name}: {_told(answer)}" for witness, answer in said)]),
        )

    def _say(self, project: str, who: str) -> None:
        with self._lock:
            said, self._said = self._said, True
        if not said:
            self._tell(TransferTrouble(project, "authority", f"can't be reached: hashes are those of {who}"))


def _page(witness: Witness, project: str) -> ProjectPage | IndexUnreachable | UnknownProject:
    """One that shows an older state than was seen before says nothing: a frozen mirror hides what is new."""
    try:
        page = witness.index.page(project)
        return IndexUnreachable("it shows an older state than was seen before") if page.behind else page
    except (IndexUnreachable, UnknownProject) as error:
        return error


def _told(answer: ProjectPage | IndexUnreachable | UnknownProject) -> str:
    return f"lists {len(answer.artifacts)} files" if isinstance(answer, ProjectPage) else str(answer)


def _counted(roots: set[str]) -> str:
    if not roots:
        return "none tells"
    return f"only one voice ({next(iter(roots))}) tells"
