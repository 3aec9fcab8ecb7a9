"""All cases with what came of each, and the table of policies."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.corpus import answers, archives, judges, pages, shown, sources, wheels
from tests.corpus.case import RIGHT, Group
from tests.corpus.servers import Servers

_WRONG = ("another", "wrong", "something outside", "others", "its own")
"""How judges begin to tell of what must not come of any case."""


class Kind(NamedTuple):
    """Inputs that are judged in one way."""

    told: str
    groups: Sequence[Group[Any]]
    judge: Callable[[Any], str]


class Result(NamedTuple):
    """What came of one case."""

    group: Group[Any]
    case: str
    came: str
    """`RIGHT`, or the sentence."""

    @property
    def is_as_wanted(self) -> bool:
        if self.group.wanted == RIGHT:
            return self.came == RIGHT
        return self.came != RIGHT and self.group.wanted in self.came and not self.came.startswith(_WRONG)


KINDS = {
    "pages": Kind("pages of an index", pages.GROUPS, judges.of_page),
    "shown": Kind("METADATA beside a wheel", shown.GROUPS, judges.of_shown),
    "archives": Kind("the archive of a wheel", archives.GROUPS, judges.of_archive),
    "wheels": Kind("the contents of a wheel", wheels.GROUPS, judges.of_wheel),
    "sources": Kind("source archives", sources.GROUPS, judges.of_source),
}
ANSWERS = Kind("answers of a server", answers.GROUPS, str)
"""Judged by servers that are started for all of them."""


def results(kind: Kind) -> Iterator[Result]:
    """Yield what comes of each case of a kind; nothing is to be raised by any of them."""
    if kind is ANSWERS:
        yield from _of_answers()
        return
    for group in kind.groups:
        for name, case in group.cases.items():
            yield Result(group, name, kind.judge(case))


def _of_answers() -> Iterator[Result]:
    asked = [(group, name, case) for group in ANSWERS.groups for name, case in group.cases.items()]
    # Side by side: most of the time is waited.
    with TemporaryDirectory() as folder, Servers(Path(folder)) as servers, ThreadPoolExecutor(8) as pool:
        judged = pool.map(lambda one: servers.judge(one[2]), asked)
        for (group, name, _), came in zip(asked, judged, strict=True):
            healed = came.healed == RIGHT
            yield Result(group, name, came.alone if healed else f"wrong even beside a good one: {came.healed}")


def table() -> str:
    """Return the policies as documented, a line a group."""
    lines = ["| what is wrong | what is done about it | cases |", "|---|---|---|"]
    for kind in (ANSWERS, *KINDS.values()):
        lines.append(f"| **{kind.told}** | | {sum(len(group.cases) for group in kind.groups)} |")
        lines += [f"| {group.wrong} | {group.policy} | {len(group.cases)} |" for group in kind.groups]
    return "\n".join(lines) + "\n"
