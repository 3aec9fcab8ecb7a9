"""Laws of project pages."""

import html
import json
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tf_tester.core.index.links import resolve_link
from tf_tester.core.index.simple import JSON_TYPE, parse_page, render_json
from tf_tester.core.index.told_values import reason, requires_python
from tf_tester.errors import NotAPage
from tf_tester.model.artifact import Artifact, ProjectPage

HOST = "https://index.example"
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(rc[0-9])?(\+cpu[0-9])?", fullmatch=True)
times = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year >= 1998)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
reasons = texts.map(reason)
pythons = (texts | st.sampled_from([">=3.6", ">=3.6.*", "<4,>=2.7"])).map(requires_python)


@st.composite
def artifacts(draw: st.DrawFn, project: str = "some-project") -> Artifact:
    version = draw(versions)
    endings = ["-py3-none-any.whl", "-7-cp38-cp38-manylinux2014_x86_64.whl", ".tar.gz", ".zip"]
    filename = draw(st.sampled_from(["some_project", "Some.Project"])) + f"-{version}{draw(st.sampled_from(endings))}"
    return Artifact(
        filename=filename,
        project=project,
        version=version,
        url=f"{HOST}/files/{draw(hashes)[:8]}/{filename}",
        sha256=draw(st.none() | hashes),
        size=draw(st.none() | st.integers(0, 2**50 - 1)),
        upload_time=draw(st.none() | times),
        requires_python=draw(st.none() | pythons.filter(bool)),
        yanked=draw(st.none() | st.just("") | reasons),
        metadata_sha256=draw(st.none() | st.just("") | hashes),
    )


pages = st.builds(
    ProjectPage,
    project=st.just("some-project"),
    artifacts=st.lists(artifacts(), max_size=6, unique_by=lambda artifact: artifact.filename).map(tuple),
    serial=st.none() | st.integers(0, 2**60),
    status=st.sampled_from(["active", "archived", "quarantined", "deprecated"]),
).map(ProjectPage.offered)


@given(pages)
def test_what_is_rendered_reads_the_same(page: ProjectPage) -> None:
    body = render_json(page, lambda artifact: artifact.url)
    read = parse_page(body, JSON_TYPE, f"{HOST}/simple/some-project/", "some-project")
    assert read == replace(page, source=body)


@given(pages)
def test_html_and_json_of_one_page_say_the_same_of_what_both_can_say(page: ProjectPage) -> None:
    read = parse_page(_as_html(page), "text/html", f"{HOST}/simple/some-project/", "some-project")
    for ours, theirs in zip(page.artifacts, read.artifacts, strict=True):
        assert (ours.filename, ours.version, ours.url, ours.sha256) == (
            theirs.filename,
            theirs.version,
            theirs.url,
            theirs.sha256,
        )
        assert (ours.requires_python, ours.yanked, ours.metadata_sha256) == (
            theirs.requires_python,
            theirs.yanked,
            theirs.metadata_sha256,
        )


def _as_html(page: ProjectPage) -> bytes:
    lines = ['<meta name="pypi:repository-version" content="1.1">']
    for artifact in page.artifacts:
        attributes = []
        if artifact.requires_python is not None:
            attributes.append(f'data-requires-python="{html.escape(artifact.requires_python)}"')
        if artifact.yanked is not None:
            attributes.append(f'data-yanked="{html.escape(artifact.yanked)}"')
        if artifact.metadata_sha256 is not None:
            value = f"sha256={artifact.metadata_sha256}" if artifact.metadata_sha256 else "true"
            attributes.append(f'data-core-metadata="{value}"')
        fragment = f"#sha256={artifact.sha256}" if artifact.sha256 else ""
        lines.append(f'<a href="{html.escape(artifact.url)}{fragment}" {" ".join(attributes)}>x</a>')
    return "\n".join(lines).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
field_names = st.sampled_from(
    ["filename", "url", "hashes", "size", "upload-time", "yanked", "requires-python", "core-metadata"]
)


@given(
    st.lists(st.dictionaries(field_names, json_values | st.just("some_project-1.0.tar.gz")), max_size=4),
    json_values,
)
def test_whatever_json_says_the_answer_is_a_page_or_a_refusal(files: list[object], meta: object) -> None:
    good = {"filename": "some_project-2.0.tar.gz", "url": "some_project-2.0.tar.gz", "hashes": {}}
    body = json.dumps({"name": "some-project", "meta": meta, "files": [good, *files]}).encode()
    try:
        page = parse_page(body, JSON_TYPE, f"{HOST}/simple/some-project/", "some-project")
    except NotAPage:
        assert isinstance(meta, dict) and "api-version" in meta
        return
    assert page.artifacts[0].version == "2.0"
    for artifact in page.artifacts:
        assert artifact.url.startswith("https://")
        assert "/" not in artifact.filename


@given(st.binary(max_size=200), st.sampled_from([JSON_TYPE, "text/html", ""]))
def test_whatever_the_bytes_the_answer_is_a_page_or_a_refusal(body: bytes, content_type: str) -> None:
    try:
        page = parse_page(body, content_type, f"{HOST}/simple/some-project/", "some-project")
    except NotAPage:
        return
    assert page.project == "some-project"


schemes = st.sampled_from(["https:", "http:", "file:", "HTTP:", "hTTps:", "", "ftp:", "data:"])


@given(st.builds("{}{}{}".format, schemes, st.sampled_from(["//", "///", "/", ""]), st.text(max_size=30)))
def test_no_link_of_an_https_page_leaves_https_or_holds_a_secret(link: str) -> None:
    url = resolve_link(f"{HOST}/simple/some-project/", link)
    if url is not None:
        assert url.startswith("https://")
        assert url.isascii() and url.isprintable() and " " not in url
        assert "@" not in url.split("/")[2]
