"""Which mirrors may be asked for what, and in which order sources bring a file."""

from datetime import UTC, datetime

import pytest

from tf_tester.core.fetch.ranking import MirrorComparison, Observation, Ranked, WantedFiles
from tf_tester.core.fetch.sourcing import (
    MirrorFile,
    budget_left,
    copies_of,
    hosts_of,
    is_private,
    is_remembered,
    reason_against,
    sources_of,
    told_of,
)
from tf_tester.core.index.mirror_list import MirrorList
from tf_tester.model.artifact import Artifact, Promise, Promiser
from tf_tester.model.mirror import Mirror
from tf_tester.model.source import AUTHORITY, SourceHistory, SourceUse

PUBLIC = "https://public.example/simple"
WHEELS = "https://download.pytorch.org/whl/cpu"
TUNA = Mirror("tuna", "https://tuna.example/simple", region="CN")
NJU = Mirror("nju", "https://nju.example/simple", pytorch="https://nju.example/pytorch/whl")
OFFICE = Mirror("office", "https://office.example/simple")
KNOWN = MirrorList({mirror.name: mirror for mirror in (TUNA, NJU, OFFICE)}, own=frozenset({"office"}))
FRESH = SourceHistory(AUTHORITY)


def artifact(by: Promiser = Promiser.AUTHORITY, url: str = "https://public.example/toy.whl") -> Artifact:
    return Artifact("toy-1.0-py3-none-any.whl", "toy", "1.0", url, sha256="ab" * 32, promise=Promise(by, "somebody"))


def offer(mirror: Mirror, *, right: int = 0) -> MirrorFile:
    return MirrorFile(mirror, SourceHistory(mirror.name, right, speed=1e6), f"{mirror.url}/toy.whl")


def test_copies_of_the_public_index_are_not_asked_for_another_one() -> None:
    assert copies_of(PUBLIC, KNOWN, (), public=True) == [TUNA, NJU, OFFICE]
    assert copies_of("https://private.example/simple", KNOWN, (), public=False) == [OFFICE]
    assert copies_of("https://private.example/simple", KNOWN, [TUNA], public=False) == [TUNA, OFFICE]


def test_an_index_of_its_own_kind_is_asked_of_those_that_copy_it() -> None:
    assert copies_of(WHEELS, KNOWN, (), public=False) == [NJU, OFFICE]


@pytest.mark.parametrize(
    ("by", "private"),
    [
        (Promiser.AUTHORITY, False),
        (Promiser.MIRROR, False),
        (Promiser.LOCK, False),
        (Promiser.EXTRA_INDEX, True),
        (Promiser.PRIVATE, True),
    ],
)
def test_no_mirror_hears_of_a_project_of_ones_own(by: Promiser, private: bool) -> None:
    assert is_private(artifact(by)) is private


def test_a_cooldown_and_a_used_up_budget_speak_against_a_mirror() -> None:
    until = datetime(2026, 11, 8, tzinfo=UTC)
    few = Mirror("few", "https://few.example/simple", daily_gb=1, daily_requests=10)
    assert reason_against(few, SourceHistory("few", bytes_today=999_999_999, requests_today=9)) == ""
    assert "cooldown until 2026-11-08" in reason_against(few, SourceHistory("few", cooldown_until=until))
    for history in (SourceHistory("few", bytes_today=10**9), SourceHistory("few", requests_today=10)):
        assert "until tomorrow" in reason_against(few, history)
    assert budget_left(few, SourceHistory("few", bytes_today=400_000_000)) == 600_000_000
    assert budget_left(few, SourceHistory("few", bytes_today=2 * 10**9)) == 0
    assert budget_left(TUNA, SourceHistory("tuna", bytes_today=10**15)) is None


def test_the_authority_is_a_reserve_as_soon_as_one_mirror_was_right() -> None:
    names = [source.name for source in sources_of(artifact(), [offer(TUNA), offer(NJU)], FRESH)]
    assert names == ["tuna", "nju", AUTHORITY]
    assert not sources_of(artifact(), [offer(TUNA)], FRESH)[-1].reserve
    known = sources_of(artifact(), [offer(TUNA, right=1)], FRESH)
    assert known[-1].reserve
    assert (known[0].proven, known[0].speed, known[0].region) == (True, 1e6, "CN")


def test_without_an_authority_there_is_no_address_of_its_own() -> None:
    of_mirror = offer(TUNA).url
    names = [one.name for one in sources_of(artifact(Promiser.MIRROR, of_mirror), [offer(TUNA)], FRESH)]
    assert names == ["tuna"]
    # A mirror may link to the authority's own files: it is two sources all the same.
    names = [one.name for one in sources_of(artifact(url=of_mirror), [offer(TUNA)], FRESH)]
    assert names == ["tuna", AUTHORITY]


def test_the_authority_gets_no_cooldown() -> None:
    assert not is_remembered(SourceUse(AUTHORITY, right=False, speed=None))
    assert is_remembered(SourceUse(AUTHORITY, right=True, speed=1.0))
    assert is_remembered(SourceUse("tuna", right=False, speed=None))


def test_folders_have_no_host() -> None:
    assert hosts_of([PUBLIC, "file:///srv/simple", "https://me:x@b.example:8443/"]) == {"public.example", "b.example"}


def test_a_choice_is_told_with_its_reason() -> None:
    def told(*ranked: Ranked) -> str:
        return told_of(MirrorComparison(WantedFiles(1, 1), Observation("authority", "authority"), ranked))

    tuna = Observation("tuna", "tuna")
    assert told(Ranked(tuna, 1.0, ("9 MB/s", "JSON", "more"), chosen=True)) == "the fastest of 1: 9 MB/s, JSON"
    assert told(Ranked(tuna, 1.0, ("9 MB/s",))) == "the authority itself is the fastest"
    assert told(Ranked(tuna, None, ("is down",))) == "none of 1 can be used"
