"""Project pages as indexes really send them, and as hostile ones could."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tf_tester.core.index.simple import JSON_TYPE, parse_page, render_json
from tf_tester.errors import NotAPage
from tf_tester.model.artifact import Artifact, LeftOutFile, ProjectPage, ProjectStatus

URL = "https://index.example/simple/six/"
HASH = "ab" * 32
WHEEL = "six-1.16.0-py2.py3-none-any.whl"


def json_page(*files: dict[str, Any], name: str = "six", status: object = None) -> bytes:
    page = {"meta": {"api-version": "1.4"}, "name": name, "files": files, "project-status": status, "x-new": 1}
    return json.dumps(page).encode()


def file(filename: str = WHEEL, **more: Any) -> dict[str, Any]:
    """One entry; `upload_time=` stands for the key `upload-time`."""
    entry = {"filename": filename, "url": f"https://files.example/{filename}", "hashes": {"sha256": HASH}}
    return entry | {key.replace("_", "-"): value for key, value in more.items()}


def parse(body: bytes | str, url: str = URL, project: str = "six") -> ProjectPage:
    content = body.encode() if isinstance(body, str) else body
    return parse_page(content, "", url, project)


def only(body: bytes | str, url: str = URL) -> Artifact:
    (artifact,) = parse(body, url).artifacts
    return artifact


def html_page(*anchors: str, head: str = "") -> str:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(anchors)}</body></html>"


# -- JSON


def test_a_full_json_file_is_read_in_full() -> None:
    body = json_page(
        file(
            requires_python=">=2.7",
            size=11053,
            upload_time="2021-05-05T14:18:17.237749Z",
            yanked="broken",
            core_metadata={"sha256": "CD" * 32},
            provenance="https://somewhere.example",
            gpg_sig=True,
        ),
        status={"status": "archived", "reason": "done"},
    )
    page = parse(body)
    assert page == ProjectPage(
        project="six",
        status=ProjectStatus.ARCHIVED,
        artifacts=(
            Artifact(
                filename=WHEEL,
                project="six",
                version="1.16.0",
                url=f"https://files.example/{WHEEL}",
                sha256=HASH,
                size=11053,
                upload_time=datetime(2021, 5, 5, 14, 18, 17, 237749, UTC),
                requires_python=">=2.7",
                yanked="broken",
                metadata_sha256="cd" * 32,
                provenance="https://somewhere.example",
            ),
        ),
        source=body,
    )


@pytest.mark.parametrize(
    ("serial", "read"), [(41357807, 41357807), ("41357807", 41357807), ("new", None), (None, None)]
)
def test_the_serial_is_read_as_number_or_text(serial: object, read: int | None) -> None:
    body = json.dumps({"meta": {"api-version": "1.0", "_last-serial": serial}, "name": "six", "files": []})
    assert parse(body).serial == read


@pytest.mark.parametrize(
    ("yanked", "read"), [(True, ""), (False, None), ("", None), (None, None), ("why not", "why not")]
)
def test_yanked_is_a_bool_or_a_reason(yanked: object, read: str | None) -> None:
    assert only(json_page(file(yanked=yanked))).yanked == read


@pytest.mark.parametrize("key", ["core-metadata", "dist-info-metadata"])
@pytest.mark.parametrize(
    ("value", "read"), [(True, ""), (False, None), ({}, ""), ({"sha256": HASH}, HASH), ({"sha256": "?"}, None)]
)
def test_metadata_is_advertised_by_both_names_as_bool_or_hashes(key: str, value: object, read: str | None) -> None:
    assert only(json_page({**file(), key: value})).metadata_sha256 == read


def test_the_newer_name_of_metadata_wins() -> None:
    assert only(json_page(file(core_metadata=False, dist_info_metadata=True))).metadata_sha256 is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2021-05-05T14:18:17Z", datetime(2021, 5, 5, 14, 18, 17, tzinfo=UTC)),
        ("2021-05-05T16:18:17+02:00", datetime(2021, 5, 5, 14, 18, 17, tzinfo=UTC)),
        ("2021-05-05T14:18:17", datetime(2021, 5, 5, 14, 18, 17, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("1970-01-01T00:00:00Z", None),
    ],
)
def test_upload_times_are_utc_or_unknown(text: str, read: datetime | None) -> None:
    assert only(json_page(file(upload_time=text))).upload_time == read


def test_what_cannot_be_is_not_handed_on() -> None:
    """Neither from what was read, nor beside it."""
    entry = file(upload_time="0004-01-01T00:00:00Z", requires_python="3,x\x07", yanked="red \x1b[31m,\nall")
    page = parse(json_page(entry, status={"status": "archived", "reason": "gone\u202e\r\nSet-Cookie: x"}))
    told = json.loads(render_json(page, lambda artifact: artifact.url))
    assert "upload-time" not in told["files"][0] and told["files"][0]["requires-python"] is None
    assert told["files"][0]["yanked"] == "red [31m, all"
    assert told["project-status"] == {"status": "archived", "reason": "gone Set-Cookie: x"}
    anchor = f'<a href="{WHEEL}#sha256={HASH}" data-yanked="a&#10;b" data-requires-python="&gt;=3.6.*">x</a>'
    assert (only(html_page(anchor)).yanked, only(html_page(anchor)).requires_python) == ("a b", ">=3.6")


def test_relative_links_are_relative_to_the_page() -> None:
    assert only(json_page(file(url=f"../../files/{WHEEL}"))).url == f"https://index.example/files/{WHEEL}"


@pytest.mark.parametrize(
    "url",
    [
        f"http://files.example/{WHEEL}",
        f"file:///etc/{WHEEL}",
        f"ftp://files.example/{WHEEL}",
        f"javascript:{WHEEL}",
        f"https://[files.example/{WHEEL}",
        f"https://files.example:port/{WHEEL}",
        f"https://files.example:99999/{WHEEL}",
        f"https:///{WHEEL}",
        f"https:{WHEEL}",
        f"https://files.example/{WHEEL}\r\nX: y",
        f"https://:80/{WHEEL}",
        f"//evil\\@files.example/{WHEEL}",
    ],
)
def test_a_file_with_a_forbidden_or_broken_link_is_left_out_and_the_page_stands(url: str) -> None:
    body = json_page(file(url=url), file("six-1.15.0-py3-none-any.whl"))
    assert only(body).version == "1.15.0"


def test_an_http_page_may_link_to_http_and_https() -> None:
    for scheme in ("http", "https"):
        assert only(json_page(file(url=f"{scheme}://h.example/{WHEEL}")), "http://index.example/six/").url


def test_a_page_on_disk_may_link_to_disk() -> None:
    body = json_page(file(url=f"../../files/{WHEEL}"))
    assert only(body, "file:///srv/simple/six/").url == f"file:///srv/files/{WHEEL}"


def test_credentials_and_fragments_of_links_are_not_kept() -> None:
    url = f"https://me:secret@files.example/{WHEEL}#egg=six"
    assert only(json_page(file(url=url))).url == f"https://files.example/{WHEEL}"


@pytest.mark.parametrize(
    "filename",
    [
        "../six-1.0-py3-none-any.whl",
        "a/six-1.0-py3-none-any.whl",
        "six-1.0\\x-py3-none-any.whl",
        "six-1.0\x00-py3-none-any.whl",
        "six-1.0\n-py3-none-any.whl",
        "six-..-py3-none-any.whl",
        "six-1.0\u202e-py3-none-any.whl",
        "six-<b>-py3-none-any.whl",
        "six-1.0.exe",
        "six-1.0-py3.6.egg",
        "seven-1.0-py3-none-any.whl",
        "sixpack-1.0.tar.gz",
        "six--py3-none-any.whl",
        "six-1.0-py3-none-any.whl.asc",
        "",
        "six-" + "1" * 300 + ".tar.gz",
    ],
)
def test_a_file_with_a_hostile_or_foreign_name_is_left_out(filename: str) -> None:
    body = json_page({**file(filename), "url": "https://files.example/x"}, file())
    assert only(body).filename == WHEEL


@pytest.mark.parametrize("sha256", ["", "ab", "g" * 64, HASH + "0", HASH[:-1] + "\n"])
def test_a_file_with_a_hash_that_cannot_be_one_is_left_out(sha256: str) -> None:
    assert parse(json_page(file(hashes={"sha256": sha256}))).artifacts == ()


def test_a_file_without_a_sha256_is_kept_without() -> None:
    assert only(json_page(file(hashes={"md5": "00"}))).sha256 is None


@pytest.mark.parametrize(
    "wrong", [{"size": "big"}, {"size": -1}, {"size": 10**30}, {"yanked": 7}, {"hashes": []}, {"url": None}]
)
def test_a_file_with_a_value_of_a_wrong_type_is_left_out_and_the_page_stands(wrong: dict[str, Any]) -> None:
    page = parse(json_page(file("six-1.0.tar.gz", **wrong), file(), status="archived"))
    assert [artifact.filename for artifact in page.artifacts] == [WHEEL]
    assert page.status == "archived"


def test_a_project_in_quarantine_has_no_files_whatever_its_page_says() -> None:
    """PEP 792: an index must not offer them; one of before may be kept somewhere."""
    page = parse(json_page(file(), status={"status": "quarantined"}))
    assert (page.artifacts, page.status) == ((), "quarantined")
    assert json.loads(render_json(page, lambda artifact: artifact.url))["files"] == []
    head = '<meta name="pypi:project-status" content="quarantined">'
    assert parse(html_page(f'<a href="{WHEEL}#sha256={HASH}">x</a>', head=head)).artifacts == ()


OTHER = "cd" * 32


@pytest.mark.parametrize("more", [{}, {"hashes": {"sha256": HASH.upper()}}, {"hashes": {}}, {"url": "b/" + WHEEL}])
def test_of_two_files_of_one_name_that_do_not_disagree_one_counts(more: dict[str, Any]) -> None:
    assert only(json_page(file(), file(**more))).sha256 == HASH
    assert only(json_page(file(**more), file())).sha256 == HASH


def test_of_two_files_of_one_name_with_two_hashes_neither_counts() -> None:
    page = parse(json_page(file(), file(hashes={"sha256": OTHER}), file(hashes={"sha256": OTHER})))
    assert page.artifacts == ()
    assert page.left_out == (LeftOutFile(WHEEL, "it is listed twice, with different hashes"),)


def test_an_address_with_another_hash_than_the_page_leaves_the_file_out() -> None:
    assert only(json_page(file(url=f"x/{WHEEL}#sha256={HASH}"))).sha256 == HASH
    assert only(json_page(file(url=f"x/{WHEEL}#sha256={HASH}", hashes={}))).sha256 == HASH
    for body in (
        json_page(file(url=f"x/{WHEEL}#sha256={OTHER}")),
        html_page(f'<a href="{WHEEL}#sha256={HASH}&sha256={OTHER}">x</a>'),
    ):
        assert parse(body).left_out == (LeftOutFile(WHEEL, "two hashes are given for it"),)


def test_what_is_left_out_is_told_with_the_reason() -> None:
    page = parse(
        json_page(
            file(url="file:///etc/passwd"),
            file("six-1.tar.gz", hashes={"sha256": "ab"}),
            file("six-2.tar.gz", size="big"),
            {"filename": 7},
            file("seven-1.tar.gz"),
        )
    )
    assert [(one.filename, one.is_foreign) for one in page.left_out] == [
        ("six-2.tar.gz", False),
        ("", False),
        (WHEEL, False),
        ("six-1.tar.gz", False),
        ("seven-1.tar.gz", True),
    ]
    wrong, unnamed, addressed, hashed, foreign = (one.reason for one in page.left_out)
    assert "Expected `int | null`, got `str`" in wrong
    assert "Expected `str`, got `int`" in unnamed
    assert (addressed, hashed) == ("its address is none that may be followed", "its SHA-256 can't be one")
    assert foreign == "it is no wheel or source distribution of six"
    [linked] = parse(html_page(f'<a href="file:///{WHEEL}">x</a>', '<a href="../">up</a>')).left_out
    assert linked == LeftOutFile(WHEEL, "its address is none that may be followed")


@pytest.mark.parametrize("spelling", ["Zope.Interface", "zope_interface", "zope-interface", "zope--interface"])
def test_the_name_on_the_page_may_be_spelled_in_any_way(spelling: str) -> None:
    body = json_page(file("zope.interface-5.0-py3-none-any.whl"), name=spelling)
    assert len(parse(body, project="zope-interface").artifacts) == 1


@pytest.mark.parametrize(
    "body",
    [
        json_page(file(), name="seven"),
        json.dumps({"meta": {"api-version": "2.0"}, "name": "six", "files": []}).encode(),
        b'{"error": "please log in"}',
        b'{"name": "six", "files": ',
        b'{"name": "\xff", "files": []}',
        b"{" * 100_000,
        b'{"name": "six", "x": ' + b"[" * 100_000,
        b"",
        b"<html><body>Please <a href='/login'>log in</a></body></html>",
        b"<a href='https://files.example/seven-1.0.tar.gz'>x</a>",
        b"<meta name='pypi:repository-version' content='2.0'>",
    ],
)
def test_what_is_not_the_page_of_the_project_is_refused(body: bytes) -> None:
    with pytest.raises(NotAPage):
        parse(body)


# -- HTML


def test_a_full_html_anchor_is_read_in_full() -> None:
    body = html_page(
        f'<a href="../../files/{WHEEL}#sha256={HASH}" data-requires-python="&gt;=2.7" data-yanked="br&quot;oken"'
        f' data-core-metadata="sha256={HASH}">whatever stands here</a>',
        head='<meta name="pypi:repository-version" content="1.4">'
        '<meta name="pypi:project-status" content="deprecated">',
    )
    page = parse(body + "\n<!--SERIAL 7-->")
    assert page == ProjectPage(
        project="six",
        serial=7,
        status=ProjectStatus.DEPRECATED,
        artifacts=(
            Artifact(
                filename=WHEEL,
                project="six",
                version="1.16.0",
                url=f"https://index.example/files/{WHEEL}",
                sha256=HASH,
                requires_python=">=2.7",
                yanked='br"oken',
                metadata_sha256=HASH,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("attribute", "yanked", "metadata"),
    [
        ("", None, None),
        ("data-yanked", "", None),
        ('data-yanked=""', "", None),
        ('data-dist-info-metadata="true"', None, ""),
        (f'data-dist-info-metadata="sha256={HASH}"', None, HASH),
        ('data-core-metadata="false"', None, None),
    ],
)
def test_html_attributes_without_values_mean_what_the_peps_say(
    attribute: str, yanked: str | None, metadata: str | None
) -> None:
    artifact = only(html_page(f'<a href="{WHEEL}" {attribute}>x</a>'))
    assert (artifact.yanked, artifact.metadata_sha256) == (yanked, metadata)


def test_a_base_href_moves_relative_links() -> None:
    body = html_page(f'<a href="{WHEEL}">x</a>', head='<base href="https://cdn.example/here/">')
    assert only(body).url == f"https://cdn.example/here/{WHEEL}"


def test_a_quoted_name_is_read_unquoted_once() -> None:
    assert only(html_page('<a href="six-1.0%2Bcpu-py3-none-any.whl">x</a>')).version == "1.0+cpu"
    assert parse(html_page('<a href="six-1.0%252Fx.tar.gz">x</a>', f'<a href="{WHEEL}">y</a>')).artifacts[0].url


def test_an_escaped_slash_does_not_make_a_path() -> None:
    body = html_page('<a href="a%2F..%2Fsix-1.0.tar.gz">x</a>', f'<a href="{WHEEL}">y</a>')
    assert only(body).filename == WHEEL


def test_another_hash_than_sha256_is_no_hash() -> None:
    for body in (html_page(f'<a href="{WHEEL}#md5=00">x</a>'), json_page(file(hashes={"md5": "00"}))):
        assert (only(body).sha256, only(body).weak_hash) == (None, "md5")


def test_an_html_page_without_files_is_one_only_where_it_says_so() -> None:
    empty = html_page(head='<meta name="pypi:repository-version" content="1.0">')
    assert parse(empty).artifacts == ()
    with pytest.raises(NotAPage):
        parse(html_page())


def test_json_is_recognised_whatever_its_type_says() -> None:
    body = json_page(file())
    for content_type in ("application/octet-stream", "text/html", JSON_TYPE, ""):
        assert parse_page(body, content_type, URL, "six").artifacts


def test_the_rendered_page_has_what_uv_needs() -> None:
    page = parse(json_page(file(upload_time="2021-05-05T14:18:17Z", size=3, core_metadata=True)))
    rendered = json.loads(render_json(page, lambda artifact: f"http://127.0.0.1:1/{artifact.sha256}"))
    assert rendered == {
        "meta": {"api-version": "1.4"},
        "name": "six",
        "x-new": 1,
        "versions": ["1.16.0"],
        "files": [
            {
                "filename": WHEEL,
                "url": f"http://127.0.0.1:1/{HASH}",
                "hashes": {"sha256": HASH},
                "requires-python": None,
                "yanked": False,
                "size": 3,
                "upload-time": "2021-05-05T14:18:17.000000Z",
                "core-metadata": True,
            }
        ],
    }


def test_what_an_index_follows_is_read_in_both_forms() -> None:
    """PEP 708; what is no list of addresses is none."""
    body = json.dumps(
        {"meta": {"api-version": "1.2", "tracks": ["https://i.example/six/", 3]}, "name": "six", "files": []}
    )
    assert parse(body).tracks == ("https://i.example/six/",)
    assert parse(body.replace('["https://i.example/six/", 3]', '"x"')).tracks == ()
    head = (
        '<meta name="pypi:repository-version" content="1.2"><meta name="pypi:tracks" content="https://i.example/six/">'
    )
    assert parse(html_page(f'<a href="{WHEEL}">x</a>', head=head)).tracks == ("https://i.example/six/",)
