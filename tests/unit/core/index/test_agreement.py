"""What counts when the authority can't be asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from tests.fakes import Told
from tf_tester.core.index.agreement import MirrorPage, agreed
from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.index.agreed import AgreedIndex
from tf_tester.index.first import FirstIndex
from tf_tester.model.artifact import Artifact, ProjectPage, Promise, Promiser
from tf_tester.model.mirror import Mirror
from tf_tester.ports.index import Index, MirrorIndex

GOOD, BAD = "a" * 64, "b" * 64
WHEN = datetime(2021, 1, 1, tzinfo=UTC)


def file(version: str, sha256: str | None = GOOD, **known: object) -> Artifact:
    name = f"toy-{version}-py3-none-any.whl"
    return Artifact(name, "toy", version, f"https://m/{name}", sha256, **known)  # type: ignore[arg-type]


def page(*files: Artifact, **known: object) -> ProjectPage:
    return ProjectPage("toy", files, **known)  # type: ignore[arg-type]


class FakeIndex:
    """An index that says what it is told to; implements `ports.Index`."""

    def __init__(self, answer: ProjectPage | Exception) -> None:
        self.answer = answer
        self.asked = 0

    def page(self, project: str) -> ProjectPage:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


DOWN = FakeIndex(IndexUnreachable("it is down"))


class Clock:
    def __init__(self) -> None:
        self.time = WHEN

    def __call__(self) -> datetime:
        return self.time


def index(
    authority: FakeIndex,
    *mirrors: MirrorIndex,
    told: Told | None = None,
    now: Callable[[], datetime] | None = None,
    trusted: str = "",
) -> AgreedIndex:
    return AgreedIndex(authority, mirrors, told or Told(), now or Clock(), trusted=(trusted,))


def copy(name: str, root: str, index: Index) -> MirrorIndex:
    return MirrorIndex(Mirror(name, f"https://{name}.example/simple"), root, index)


def names(found: ProjectPage) -> list[str]:
    return [one.version for one in found.artifacts]


def test_a_file_counts_where_two_roots_promise_the_same() -> None:
    pages = [
        MirrorPage("tuna", "tuna", page(file("1"), file("2"), file("3"), file("4", BAD), file("5", None))),
        MirrorPage("bfsu", "tuna", page(file("1"), file("2"), file("3"))),
        MirrorPage("aliyun", "aliyun", page(file("1"), file("4"), file("5"), file("6"))),
    ]
    found = agreed("toy", pages)
    assert names(found) == ["1"]
    assert found.artifacts[0].promise == Promise(Promiser.MIRROR, "tuna and bfsu and aliyun")


def test_one_that_says_otherwise_is_enough_against_a_file() -> None:
    pages = [MirrorPage(name, name, page(file("1", sha256))) for name, sha256 in (("a", GOOD), ("b", GOOD), ("c", BAD))]
    assert names(agreed("toy", pages)) == []
    sizes = [MirrorPage("a", "a", page(file("1", size=5))), MirrorPage("b", "b", page(file("1", size=6)))]
    assert names(agreed("toy", sizes)) == []


def test_what_only_one_tells_is_taken_and_contradictions_are_not() -> None:
    pages = [
        MirrorPage("a", "a", page(file("1", size=5, upload_time=WHEN), file("2", upload_time=WHEN), serial=3)),
        MirrorPage(
            "b",
            "b",
            page(file("1", yanked="bad"), file("2", upload_time=WHEN + timedelta(days=1)), status="archived"),
        ),
    ]
    found = agreed("toy", pages)
    assert (found.artifacts[0].size, found.artifacts[0].upload_time, found.artifacts[0].yanked) == (5, WHEN, "bad")
    assert found.artifacts[1].upload_time is None
    assert (found.serial, found.status) == (3, "archived")


def test_a_project_that_one_says_is_in_quarantine_has_no_files() -> None:
    pages = [MirrorPage("a", "a", page(file("1"))), MirrorPage("b", "b", page(file("1"), status="quarantined"))]
    assert (names(agreed("toy", pages)), agreed("toy", pages).status) == ([], "quarantined")


def test_the_authority_s_word_is_taken_alone_as_long_as_it_speaks() -> None:
    mirror = FakeIndex(page(file("1", BAD)))
    authority = FakeIndex(page(file("1")))
    found = index(authority, copy("a", "a", mirror), copy("b", "b", mirror)).page("toy")
    assert found.artifacts[0].sha256 == GOOD
    assert mirror.asked == 0


def test_two_independent_mirrors_may_speak_for_it_and_that_is_told_once() -> None:
    told = Told()
    found = index(
        DOWN,
        copy("a", "a", FakeIndex(page(file("1"), file("2")))),
        copy("b", "b", FakeIndex(page(file("1")))),
        told=told,
    )
    assert names(found.page("toy")) == ["1"]
    found.page("toy")
    assert [event.reason for event in told.events if hasattr(event, "reason")] == [
        "can't be reached: hashes are those of a and b, as far as they agree"
    ]


def test_copies_of_one_mirror_count_as_one() -> None:
    both = FakeIndex(page(file("1")))
    with pytest.raises(IndexUnreachable, match="2 mirrors that agree are needed for toy") as caught:
        index(DOWN, copy("tuna", "tuna", both), copy("bfsu", "tuna", both)).page("toy")
    assert "--trust" in caught.value.hint
    assert "tuna: lists 1 file\n" in caught.value.detail


def test_it_is_told_where_no_mirror_lists_the_project() -> None:
    with pytest.raises(IndexUnreachable, match="and no mirror lists toy"):
        index(DOWN, copy("tuna", "tuna", DOWN)).page("toy")


def test_one_mirror_may_be_trusted_alone() -> None:
    found = index(DOWN, copy("a", "a", FakeIndex(page(file("1")))), trusted="a").page("toy")
    assert found.artifacts[0].promise == Promise(Promiser.MIRROR, "a (trusted)")


def test_without_mirrors_the_failure_is_what_it_was() -> None:
    with pytest.raises(IndexUnreachable, match="it is down"):
        index(DOWN).page("toy")


def test_that_there_is_no_such_project_is_for_two_to_say() -> None:
    absent = FakeIndex(UnknownProject("no project named toy"))
    with pytest.raises(IndexUnreachable):
        index(DOWN, copy("a", "a", absent), copy("b", "a", absent)).page("toy")
    with pytest.raises(UnknownProject):
        index(DOWN, copy("a", "a", absent), copy("b", "b", absent)).page("toy")


def test_an_authority_that_could_not_be_reached_is_left_in_peace_for_a_while() -> None:
    authority, clock = FakeIndex(IndexUnreachable("it is down")), Clock()
    found = index(authority, copy("a", "a", FakeIndex(page(file("1")))), trusted="a", now=clock)
    found.page("toy")
    found.page("toy")
    assert authority.asked == 1
    clock.time += timedelta(minutes=6)
    authority.answer = page(file("1"), file("2"))
    assert names(found.page("toy")) == ["1", "2"]


OWN = Promise(Promiser.EXTRA_INDEX, "own")


def test_an_index_that_follows_the_authority_adds_to_it_and_another_one_stands_alone() -> None:
    """PEP 708."""
    authority = FakeIndex(page(file("1"), file("2")))
    own = page(file("2", BAD), file("3"))
    follows = FakeIndex(replace(own, tracks=("https://index.example/simple/toy/",)))
    for before, expected in ((follows, ["1", "2", "3"]), (FakeIndex(own), ["2", "3"])):
        found = FirstIndex([(OWN, before)], authority, [], url="https://index.example/simple").page("toy")
        assert names(found) == expected
    together = FirstIndex([(OWN, follows)], authority, [], url="https://index.example/simple").page("toy")
    assert [one.sha256 for one in together.artifacts] == [GOOD, GOOD, GOOD]
    assert names(FirstIndex([(OWN, follows)], authority, [], url="https://other.example").page("toy")) == ["2", "3"]
