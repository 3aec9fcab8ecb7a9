"""Where a file may be had: what is asked of mirrors, what is taken from them, and what is told."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.fakes import Told
from tf_tester.core.fetch.ranking import MirrorComparison, Observation, Ranked, WantedFiles
from tf_tester.core.fetch.sourcing import WORTH_A_COMPARISON
from tf_tester.core.index.mirror_list import MirrorList
from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.index.copies import MirrorCopies
from tf_tester.index.fastest import ChoiceMemory, FastestMirrors
from tf_tester.index.file_sources import FileSources
from tf_tester.model.artifact import Artifact, ProjectPage, Promise, Promiser
from tf_tester.model.events import MirrorsChosen, TransferTrouble
from tf_tester.model.mirror import Mirror
from tf_tester.model.source import AUTHORITY, Source, SourceHistory, SourceUse

ARTIFACT = Artifact("six-1.0.tar.gz", "six", "1.0", "https://authority.example/six-1.0.tar.gz", sha256="ab" * 32)
TUNA = Mirror("tuna", "https://tuna.example/simple")
ALIYUN = Mirror("aliyun", "https://aliyun.example/simple", daily_requests=1)
OWN = Source(AUTHORITY, ARTIFACT.url, proven=True)


class OnePage:
    def __init__(self, *artifacts: Artifact, error: Exception | None = None) -> None:
        self.artifacts = artifacts
        self.error = error
        self.asked = 0

    def page(self, project: str) -> ProjectPage:
        self.asked += 1
        if self.error:
            raise self.error
        return ProjectPage(project, self.artifacts)


class Histories:
    def __init__(self, *known: SourceHistory) -> None:
        self.known = {history.name: history for history in known}
        self.uses: list[SourceUse] = []

    def of(self, source: str) -> SourceHistory:
        return self.known.get(source, SourceHistory(source))

    def learn(self, use: SourceUse) -> None:
        self.uses.append(use)


def sources_from(page: OnePage, told: Told, histories: Histories, mirror: Mirror = TUNA) -> FileSources:
    copies = MirrorCopies("https://authority.example/simple", MirrorList(), lambda _url: page)
    return FileSources(lambda _artifact: [mirror], copies, histories, told)


def test_only_the_address_is_taken_from_a_mirror() -> None:
    theirs = Artifact("six-1.0.tar.gz", "six", "1.0", "https://mirror.example/6.tar.gz", sha256="cd" * 32, size=1)
    told = Told()
    found = sources_from(OnePage(theirs), told, Histories())(ARTIFACT)
    assert found == [Source("tuna", "https://mirror.example/6.tar.gz"), OWN]
    assert told.events == []


@pytest.mark.parametrize(
    "page",
    [OnePage(), OnePage(error=UnknownProject("no")), OnePage(error=IndexUnreachable("mirror.example answered 503"))],
)
def test_a_mirror_that_cannot_help_is_told_and_left_out(page: OnePage) -> None:
    told = Told()
    assert sources_from(page, told, Histories())(ARTIFACT) == [OWN]
    (trouble,) = told.of(TransferTrouble)
    assert (trouble.filename, trouble.source) == ("six-1.0.tar.gz", "tuna")
    assert trouble.reason


def test_no_mirror_is_asked_for_a_project_of_ones_own() -> None:
    page = OnePage(ARTIFACT)
    private = replace(ARTIFACT, promise=Promise(Promiser.EXTRA_INDEX, "https://own.example"))
    assert sources_from(page, Told(), Histories())(private) == [OWN]
    assert page.asked == 0


def test_why_a_mirror_is_not_asked_is_told_once() -> None:
    page, told = OnePage(ARTIFACT), Told()
    sources = sources_from(page, told, Histories(SourceHistory("aliyun", requests_today=1)), ALIYUN)
    assert sources(ARTIFACT) == sources(ARTIFACT) == [OWN]
    assert page.asked == 0
    (trouble,) = told.of(TransferTrouble)
    assert "until tomorrow" in trouble.reason


def test_a_wrong_authority_is_not_remembered() -> None:
    histories = Histories()
    sources = sources_from(OnePage(), Told(), histories)
    sources.learn(SourceUse(AUTHORITY, right=False, speed=None))
    sources.learn(SourceUse("tuna", right=False, speed=None))
    assert [use.source for use in histories.uses] == ["tuna"]


# -- the fastest


class Choices:
    """`ports.memory.Memos`."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, ...]] = {}

    def recall(self, key: str) -> tuple[str, ...] | None:
        return self.kept.get(key)

    def remember(self, key: str, value: tuple[str, ...]) -> None:
        self.kept[key] = value


class Comparer:
    def __init__(self) -> None:
        self.compared: list[str] = []

    def __call__(self, artifacts: Sequence[Artifact]) -> MirrorComparison:
        self.compared += [artifact.filename for artifact in artifacts]
        ranked = Ranked(Observation("tuna", "tuna"), 1.0, ("9 MB/s",), chosen=True)
        return MirrorComparison(WantedFiles(1, 1), Observation("authority", "authority"), (ranked,))


LARGE = replace(ARTIFACT, size=WORTH_A_COMPARISON)
SMALL = replace(ARTIFACT, size=WORTH_A_COMPARISON - 1)


def test_mirrors_are_compared_once_for_the_first_large_file_and_remembered() -> None:
    choices, compare, told = Choices(), Comparer(), Told()
    memory = ChoiceMemory(choices, "https://authority.example/simple")
    fastest = FastestMirrors(lambda: [ALIYUN, TUNA], compare, memory, told)
    assert fastest(SMALL) == []
    assert fastest(LARGE) == fastest(LARGE) == fastest(SMALL) == [TUNA]
    assert len(compare.compared) == 1
    assert told.of(MirrorsChosen) == [MirrorsChosen(("tuna",), "the fastest of 1: 9 MB/s")]
    later = FastestMirrors(lambda: [TUNA], compare, memory, told)
    assert later(SMALL) == [TUNA]
    gone = FastestMirrors(lambda: [ALIYUN], compare, memory, told)
    assert gone(LARGE) == []
    assert len(compare.compared) == 1


def test_where_no_mirror_is_a_copy_that_is_told() -> None:
    told, compare = Told(), Comparer()
    assert FastestMirrors(list, compare, ChoiceMemory(Choices(), "a"), told)(LARGE) == []
    assert compare.compared == []
    assert "none of those" in told.of(MirrorsChosen)[0].told
