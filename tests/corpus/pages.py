"""Project pages in JSON and HTML; the right file is the wheel of `toy` 1.0."""

import json
from hashlib import sha256
from typing import Any, NamedTuple

from tests.corpus.case import RIGHT, Group
from tests.wheels import make_wheel

WHEEL, CONTENT = make_wheel("toy", "1.0")
HASH = sha256(CONTENT).hexdigest()
OTHER = "cd" * 32
URL = "https://index.example/simple/toy/"
FILE = f"https://index.example/files/{WHEEL}"
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"


class Page(NamedTuple):
    """An answer to the question for a project."""

    body: bytes
    content_type: str = JSON


def file(filename: object = WHEEL, **changes: Any) -> dict[str, Any]:
    return {"filename": filename, "url": FILE, "hashes": {"sha256": HASH}, "size": len(CONTENT)} | changes


def page(*files: object, **changes: Any) -> Page:
    whole = {"meta": {"api-version": "1.1"}, "name": "toy", "files": list(files)} | changes
    return Page(json.dumps(whole).encode())


def anchors(*links: str, head: str = "") -> Page:
    return Page(f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(links)}</body></html>".encode(), HTML)


def anchor(href: str = f"/files/{WHEEL}#sha256={HASH}", more: str = "", text: str = WHEEL) -> str:
    return f'<a href="{href}" {more}>{text}</a>'


GOOD = page(file()).body
NOT_FOLLOWED = "its address is none that may be followed"
WRONG_VALUE = "what is said of it is wrong"
FOREIGN = "it is no wheel or source distribution of toy"

NO_PAGE: Group[Page] = Group(
    "the page isn't JSON or HTML, is another project's, or of another major version of the API",
    "it is no page: never kept, asked for once more past all caches, then refused",
    "",
    {
        "empty": Page(b""),
        "blank": Page(b" \n"),
        "cut off": Page(GOOD[:-20]),
        "two documents": Page(GOOD + GOOD),
        "a list": Page(b"[]"),
        "null": Page(b"null"),
        "a text": Page(b'"toy"'),
        "a number": Page(b"17"),
        "not UTF-8": Page(GOOD.replace(b"toy", b"t\xffy")),
        "UTF-16": Page(GOOD.decode().encode("utf-16")),
        "with a byte order mark": Page(b"\xef\xbb\xbf" + GOOD),
        "with comments": Page(b"/* toy */" + GOOD),
        "with an infinite size": page(file(size=1e400)),
        "with NaN": Page(GOOD.replace(b'"name"', b'"x": NaN, "name"')),
        "in single quotes": Page(GOOD.replace(b'"', b"'")),
        "nested without end": Page(b"[" * 100_000),
        "nested within": Page(GOOD[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "gzip that nobody announced": Page(b"\x1f\x8b\x08\0\0\0\0\0"),
        "a picture": Page(b"\x89PNG\r\n\x1a\n", "image/png"),
        "an error in JSON": Page(b'{"message": "rate limit"}'),
        "without a name": page(file(), name=None),
        "without files": page(files=None),
        "files in a table": page(files={WHEEL: file()}),
        "another project's": page(file(), name="tay"),
        "another's by a second name": Page(GOOD[:-1] + b', "name": "tay"}'),
        "API 2.0": page(file(), meta={"api-version": "2.0"}),
        "API of no number": page(file(), meta={"api-version": "latest"}),
        "a login form": Page(b"<html><form action='/login'><input name=password></form></html>", HTML),
        "a login form as JSON": Page(b"<html><a href='/login'>log in</a></html>"),
        "HTML of another project": anchors(anchor(f"/files/tay-1.0.tar.gz#sha256={HASH}")),
        "HTML of API 2.0": anchors(anchor(), head='<meta name="pypi:repository-version" content="2.0">'),
        "HTML in a comment": anchors(f"<!-- {anchor()} -->"),
        "HTML in a script": anchors(f"<script>{anchor()}</script>"),
    },
)

BY_ADDRESS: Group[Page] = Group(
    "the address of a file is malformed, or leads to the disk, out of TLS or to another scheme",
    "the file is left out, which is told where nothing else fits; the page stands",
    NOT_FOLLOWED,
    {
        **{
            told: page(file(url=url))
            for told, url in {
                "on the disk": f"file:///srv/{WHEEL}",
                "on another host's disk": f"file://host/srv/{WHEEL}",
                "out of TLS": f"http://index.example/{WHEEL}",
                "FTP": f"ftp://index.example/{WHEEL}",
                "SSH": f"git+ssh://index.example/{WHEEL}",
                "a script": f"javascript:alert(1)//{WHEEL}",
                "data": "data:application/zip;base64,UEsFBg==",
                "with a line feed": f"https://index.example/a\n{WHEEL}",
                "with a return": f"https://index.example/\r\nX: y/{WHEEL}",
                "with a NUL": f"https://index.example/\0/{WHEEL}",
                "with a backslash": f"https://index.example\\@evil.example/{WHEEL}",
                "with a port beyond all": f"https://index.example:99999/{WHEEL}",
                "with a port of letters": f"https://index.example:http/{WHEEL}",
                "half an IPv6 address": f"https://[::1/{WHEEL}",
                "without a host": f"https:///{WHEEL}",
                "with a space in the host": f"https://in dex.example/{WHEEL}",
                "with a host beyond ASCII": f"https://index.exämple/{WHEEL}",
            }.items()
        },
        "HTML, on the disk": anchors(anchor(f"file:///srv/{WHEEL}#sha256={HASH}")),
        "HTML, out of TLS": anchors(anchor(f"http://index.example/{WHEEL}#sha256={HASH}")),
        "HTML, from a base on the disk": anchors(
            anchor(f"file:///{WHEEL}#sha256={HASH}"), head='<base href="file:///srv/">'
        ),
    },
)

BY_HASH: Group[Page] = Group(
    "a SHA-256 can't be one",
    "the file is left out",
    "its SHA-256 can't be one",
    {
        **{
            told: page(file(hashes={"sha256": value}))
            for told, value in {
                "empty": "",
                "short": HASH[:-1],
                "long": HASH + "0",
                "no hex": "g" * 64,
                "with a space": " " + HASH[1:],
                "with a line feed": HASH[:-1] + "\n",
                "a path": "../" * 21 + "x",
                "in base64": "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=",
            }.items()
        },
        "HTML, short": anchors(anchor(f"/files/{WHEEL}#sha256={HASH[:-1]}")),
        "HTML, empty": anchors(anchor(f"/files/{WHEEL}#sha256=")),
    },
)

TWO_HASHES: Group[Page] = Group(
    "two hashes for one file: two entries of a name, an address with another one, twice in a link",
    "the file is left out: nobody can say which is meant",
    "hashes",
    {
        "two entries": page(file(), file(hashes={"sha256": OTHER})),
        "two entries, the right one last": page(file(hashes={"sha256": OTHER}), file()),
        "three entries": page(file(), file(), file(hashes={"sha256": OTHER})),
        "the address has another": page(file(url=f"{FILE}#sha256={OTHER}")),
        "the address has two": page(file(url=f"{FILE}#sha256={HASH}&sha256={OTHER}")),
        "HTML, two entries": anchors(anchor(), anchor(f"/files/{WHEEL}#sha256={OTHER}")),
        "HTML, one link": anchors(anchor(f"/files/{WHEEL}#sha256={HASH}&sha256={OTHER}")),
    },
)

NO_HASH: Group[Page] = Group(
    "no SHA-256, or MD5 alone",
    "the file is not fetched: it can't be verified",
    "for it",
    {
        "none": page(file(hashes={})),
        "null": page(file(hashes={"sha256": None})),
        "MD5 alone": page(file(hashes={"md5": "ab" * 16})),
        "SHA-512 alone": page(file(hashes={"sha512": "ab" * 64})),
        "HTML, none": anchors(anchor(f"/files/{WHEEL}")),
        "HTML, MD5 alone": anchors(anchor(f"/files/{WHEEL}#md5={'ab' * 16}")),
        "HTML, in the text alone": anchors(anchor(f"/files/{WHEEL}", text=f"{WHEEL}#sha256={HASH}")),
    },
)

_VALUES: dict[str, dict[str, Any]] = {
    "address null": {"url": None},
    "address a list": {"url": [FILE]},
    "address a number": {"url": 7},
    "hashes a list": {"hashes": [HASH]},
    "hashes a text": {"hashes": HASH},
    "hash a number": {"hashes": {"sha256": 7}},
    "size a text": {"size": "large"},
    "size a fraction": {"size": 1.5},
    "size below zero": {"size": -1},
    "size beyond all": {"size": 10**30},
    "requires-python a list": {"requires-python": [">=3"]},
    "yanked a number": {"yanked": 7},
    "yanked a table": {"yanked": {"why": "x"}},
    "upload-time a number": {"upload-time": 1_600_000_000},
    "core-metadata a list": {"core-metadata": [HASH]},
    "provenance a table": {"provenance": {}},
}

BY_VALUE: Group[Page] = Group(
    "a value has a wrong type, or is impossible",
    "the file is left out",
    "is left out",
    {
        **{told: page(file(**changes)) for told, changes in _VALUES.items()},
        "the second of two keys": Page(GOOD.replace(b'"size"', b'"url": 7, "size"')),
    },
)

BY_NAME: Group[Page] = Group(
    "a file name is hostile, another project's or of no kind that pip installs",
    "the file is left out",
    "",
    {
        told: page(file(name))
        for told, name in {
            "up": f"../{WHEEL}",
            "absolute": f"/srv/{WHEEL}",
            "in a folder": f"a/{WHEEL}",
            "with a backslash": "toy-1.0\\x-py3-none-any.whl",
            "with a NUL": "toy-1.0\0-py3-none-any.whl",
            "with a line feed": "toy-1.0\n-py3-none-any.whl",
            "with an escape": "toy-1.0\x1b[2J-py3-none-any.whl",
            "with two dots": "toy-1..0-py3-none-any.whl",
            "from right to left": "toy-1.0\u202e-py3-none-any.whl",
            "with markup": "toy-1.0-py3-none-<b>any.whl",
            "too long": f"toy-1.0-py3-none-{'x' * 300}.whl",
            "empty": "",
            "null": None,
            "a number": 7,
            "an option": f"-{WHEEL}",
            "another project's": "tay-1.0-py3-none-any.whl",
            "a longer project's": "toybox-1.0-py3-none-any.whl",
            "of a look-alike": "t\u043ey-1.0-py3-none-any.whl",
            "without tags": "toy-1.0.whl",
            "without a version": "toy--py3-none-any.whl",
            "with a tag too many": "toy-1.0-1-x-py3-none-any.whl",
            "an egg": "toy-1.0-py3.11.egg",
            "a program": "toy-1.0.exe",
            "a signature": f"{WHEEL}.asc",
            "of no version": "toy-latest-py3-none-any.whl",
        }.items()
    },
)

PASSED_OVER: Group[Page] = Group(
    "what a page says besides is wrong: dates, serials, versions, other files, unknown keys, the text of a link",
    "it is passed over; hash and address of the file count",
    RIGHT,
    {
        "nothing": page(file()),
        "uppercase hash": page(file(hashes={"sha256": HASH.upper()})),
        "an entry twice": page(file(), file()),
        "an entry twice, once without a hash": page(file(hashes={}), file()),
        "two addresses, one hash": page(file(), file(url=FILE.replace("files", "copy"))),
        "a key twice, the last right": Page(GOOD.replace(b'"url"', b'"url": "ftp://x", "url"')),
        "an upload time that is none": page(file(**{"upload-time": "yesterday"})),
        "an upload time beyond all": page(file(**{"upload-time": "99999-01-01T00:00:00Z"})),
        "a reason with escapes": page(file(yanked="\x1b]0;owned\x07<script>")),
        "metadata with a hash that is none": page(file(**{"core-metadata": {"sha256": "xyz"}})),
        "attestations on the disk": page(file(provenance="file:///etc/passwd")),
        "versions that are not there": page(file(), versions=["9.9", 7, None]),
        "a serial of letters": page(file(), meta={"api-version": "1.0", "_last-serial": "newest"}),
        "a serial that is a fraction": page(file(), meta={"api-version": "1.0", "_last-serial": 1.5}),
        "meta that is a list": page(file(), meta=[]),
        "meta that is missing": Page(json.dumps({"name": "toy", "files": [file()]}).encode()),
        "a status nobody knows": page(file(), **{"project-status": {"status": "haunted"}}),
        "tracks that are none": page(file(), meta={"api-version": "1.2", "tracks": {"a": 1}}),
        "another file that is a text": page("toy", file()),
        "another file that is null": page(None, file()),
        "another file of a hostile name": page(file("../x"), file()),
        "a name in capitals": page(file(), name="TOY"),
        "JSON called HTML": Page(GOOD, HTML),
        "JSON of no type": Page(GOOD, ""),
        "hash in the address alone": page(file(url=f"{FILE}#sha256={HASH}", hashes={})),
        "credentials in the address": page(file(url=FILE.replace("//", "//me:secret@"))),
        "HTML": anchors(anchor()),
        "HTML, the text is another file's": anchors(anchor(text="tay-2.0.tar.gz")),
        "HTML, tags without end": Page(f"<a href='/files/{WHEEL}#sha256={HASH}'>x<p><b><td".encode(), HTML),
        "HTML, capitals": Page(f"<A HREF='/files/{WHEEL}#sha256={HASH}'>x</A>".encode(), HTML),
        "HTML, quoted name": anchors(anchor(f"/files/{WHEEL.replace('t', '%74', 1)}#sha256={HASH}")),
        "HTML, entities": anchors(anchor(f"&#47;files/{WHEEL}&#35;sha256={HASH}")),
        "HTML, a base of a script": anchors(anchor(), head='<base href="javascript:x">'),
        "HTML, two hrefs": anchors(anchor(more='href="file:///etc/passwd"')),
        "HTML, a NUL": Page(b"\0" + anchors(anchor()).body, HTML),
        "HTML, links elsewhere": anchors('<a href="../">up</a><a href="#x">x</a><a>y</a>', anchor()),
    },
)

GROUPS = [NO_PAGE, BY_ADDRESS, BY_HASH, TWO_HASHES, NO_HASH, BY_VALUE, BY_NAME, PASSED_OVER]
