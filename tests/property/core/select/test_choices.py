"""Laws of choosing versions, of eras, and of judging."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tf_tester.core.index.era import as_of, files_by_version, release_date
from tf_tester.core.outcome.harness_events import read_log
from tf_tester.core.outcome.judge import judge_command, judge_harness, last_exception
from tf_tester.core.select.choose import Choice, choose
from tf_tester.core.select.runner import Runner, runner_of
from tf_tester.errors import UsageError
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.host.exit import Exit
from tf_tester.model.outcome import worst

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy."""

numbers = st.integers(0, 3)
releases = st.builds("{}.{}.{}{}".format, numbers, numbers, numbers, st.sampled_from(["", "", "", "rc1", ".dev0"]))
moments = st.integers(0, 30).map(lambda days: datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days))


@st.composite
def pages(draw: st.DrawFn) -> ProjectPage:
    found = draw(
        st.lists(
            st.tuples(
                releases, st.sampled_from(["cp38", "cp39", "py3"]), st.none() | moments, st.sampled_from([None, ""])
            ),
            min_size=1,
            max_size=12,
            unique_by=lambda file: file[:2],
        )
    )
    return ProjectPage(
        "toy",
        tuple(
            Artifact(f"toy-{version}-{tag}-none-any.whl", "toy", version, "", upload_time=moment, yanked=yanked)
            for version, tag, moment, yanked in found
        ),
    )


words = st.sampled_from(["latest", "minors", "majors", "all", ">=1,<3", "!=1.0.0", "1.*", "~=2.1", "==2.*,!=2.0.0"])


@unhurried
@given(pages(), words, st.none() | st.integers(1, 5), st.booleans(), st.booleans())
def test_the_chosen_exist_are_sorted_and_allowed(
    page: ProjectPage, word: str, last: int | None, pre: bool, yanked: bool
) -> None:
    try:
        found = choose(page, Choice(word, last, pre, yanked))
    except UsageError:
        return
    known = files_by_version(page.artifacts)
    assert list(found) == sorted(set(found))
    assert last is None or len(found) <= last
    for version in found:
        assert pre or not version.is_prerelease
        assert yanked or any(file.yanked is None for file in known[version])


@unhurried
@given(pages(), st.sampled_from([">=1,<3", "!=1.0.0", "==1.*", "~=2.1", "<2,!=1.1.*"]))
def test_a_specifier_means_what_packaging_says(page: ProjectPage, text: str) -> None:
    everything = {Version(artifact.version) for artifact in page.artifacts}
    expected = [version for version in sorted(everything) if SpecifierSet(text).contains(version, prereleases=True)]
    try:
        assert list(choose(page, Choice(text, pre=True, yanked=True))) == expected
    except UsageError:
        assert not expected


@unhurried
@given(pages(), st.text(max_size=20))
def test_any_text_chooses_versions_or_is_an_error_with_a_hint(page: ProjectPage, text: str) -> None:
    try:
        assert choose(page, Choice(text))
    except UsageError as error:
        assert error.hint


@unhurried
@given(pages(), moments, moments)
def test_what_was_out_stays_out_as_time_goes_on(page: ProjectPage, one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    before, after = set(as_of(page, earlier)[0].artifacts), set(as_of(page, later)[0].artifacts)
    assert before <= after <= set(page.artifacts)


@unhurried
@given(pages(), moments)
def test_a_version_is_there_whole_or_not_at_all(page: ProjectPage, cutoff: datetime) -> None:
    shown = set(as_of(page, cutoff)[0].artifacts)
    for files in files_by_version(page.artifacts).values():
        released = release_date(files)
        assert shown.issuperset(files) if released is None or released <= cutoff else shown.isdisjoint(files)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["id", "status", "exception", "warnings", "remarks", "wall_s", "peak_rss_kib", "exit_code", "ids", "in_package"]
)
kinds = st.sampled_from(["start", "test-start", "test", "end", "collected", "import"])
likely = st.sampled_from(["a", "b", "pass", "fail", "skip", "error", {"type": "E", "message": "m", "line": 3}])
events = st.builds(
    lambda kind, more: {**more, "event": kind}, kinds | json_values, st.dictionaries(fields, likely | json_values)
)
exits = st.builds(
    Exit,
    st.none() | st.integers(0, 255),
    st.none() | st.integers(1, 70),
    st.booleans(),
    st.just(1.0),
    st.just(1.0),
    st.just(1),
    st.sampled_from(["", "not there"]),
)


@unhurried
@given(st.lists(events, max_size=8), exits)
def test_whatever_a_test_writes_into_the_events_there_is_an_outcome(written: list[dict[str, Any]], end: Exit) -> None:
    log = read_log(BytesIO("\n".join(map(json.dumps, written)).encode()))
    assert len(log.events) + log.dropped == len(written)
    rows = judge_harness(log.events, end, target="t", stdout="", stderr="")
    outcome = worst({row.outcome for row in rows})
    assert outcome.ran
    if end.signal or end.timed_out or end.spawn_error:
        assert outcome.is_failure_of_the_test


@unhurried
@given(st.binary() | st.lists(st.sampled_from([*b'{}[]",:\n', *b"event test-start id"])).map(bytes))
def test_any_bytes_are_events_or_are_left_out(written: bytes) -> None:
    log = read_log(BytesIO(written))
    assert len(log.events) + log.dropped <= written.count(b"\n") + 1


@unhurried
@given(exits, st.text(), st.text())
def test_a_command_has_one_outcome(end: Exit, stdout: str, stderr: str) -> None:
    [row] = judge_command(end, target="t", stdout=stdout, stderr=stderr)
    assert row.outcome.ran


@unhurried
@given(st.text(st.sampled_from(" \n\"'0123File,line in:Eab")).map("Traceback (most recent call last):\n".__add__))
def test_any_output_has_a_last_exception_or_none(text: str) -> None:
    last_exception(text)


@unhurried
@given(st.text() | st.text(st.sampled_from("def test_a():\n\t class TestCase(,)=1\\'\"")))
def test_any_text_has_a_runner(source: str) -> None:
    assert runner_of("check.py", source) in (Runner.SCRIPT, Runner.PYTEST)
