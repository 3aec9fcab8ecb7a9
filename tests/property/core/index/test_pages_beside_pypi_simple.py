"""Our pages as another reader reads them: pypi-simple, which knows all of the standards."""

import json
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import ProjectPage as TheirPage

from tf_tester.core.index.simple import render_html, render_json
from tf_tester.model.artifact import Artifact, ProjectPage

URL = "https://index.example/simple/toy/"
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def artifacts(draw: st.DrawFn) -> Artifact:
    version = f"{draw(st.integers(0, 9))}.{draw(st.integers(0, 99))}"
    name = draw(st.sampled_from([f"toy-{version}-py3-none-any.whl", f"toy-{version}.tar.gz"]))
    return Artifact(
        name,
        "toy",
        version,
        f"https://files.example/{name}",
        draw(DIGEST),
        draw(st.none() | st.integers(0, 1 << 40)),
        draw(st.none() | st.datetimes(timezones=st.just(UTC))),
        draw(st.none() | st.sampled_from([">=3.8", "<4,>=2.7", "!=3.0.*"])),
        draw(st.none() | TEXT),
        draw(st.none() | DIGEST),
    )


PAGES = st.builds(
    lambda files, serial, status: ProjectPage("toy", tuple(files), serial, status),
    st.lists(artifacts(), max_size=5, unique_by=lambda one: one.filename),
    st.none() | st.integers(0, 1 << 50),
    st.sampled_from(["active", "archived", "quarantined", "deprecated"]),
)


@given(PAGES)
def test_what_json_says(page: ProjectPage) -> None:
    body = render_json(page, lambda one: one.url)
    theirs = TheirPage.from_json_data(_decoded(body), base_url=URL)
    assert theirs.last_serial == (None if page.serial is None else str(page.serial))
    assert str(theirs.status or "active") == page.status
    assert [one.filename for one in theirs.packages] == [one.filename for one in page.artifacts]
    for one, ours in zip(theirs.packages, page.artifacts, strict=True):
        assert (one.url, one.digests.get("sha256"), one.size) == (ours.url, ours.sha256, ours.size)
        assert (one.upload_time, one.requires_python) == (ours.upload_time, ours.requires_python)
        assert one.is_yanked == (ours.yanked is not None)
        assert (one.yanked_reason or "") == (ours.yanked or "")
        assert (one.has_metadata or False) == (ours.metadata_sha256 is not None)
        if ours.metadata_sha256:
            assert one.metadata_digests == {"sha256": ours.metadata_sha256}


@given(PAGES)
def test_what_html_says(page: ProjectPage) -> None:
    body = render_html(page, lambda one: one.url)
    theirs = TheirPage.from_html("toy", body, base_url=URL)
    assert [one.filename for one in theirs.packages] == [one.filename for one in page.artifacts]
    for one, ours in zip(theirs.packages, page.artifacts, strict=True):
        assert one.url.partition("#")[0] == ours.url
        assert one.digests == {"sha256": ours.sha256}
        assert one.requires_python == ours.requires_python
        assert one.is_yanked == (ours.yanked is not None)
        assert (one.yanked_reason or "") == (ours.yanked or "")
        assert (one.has_metadata or False) == (ours.metadata_sha256 is not None)


def _decoded(body: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(body)
    return found
