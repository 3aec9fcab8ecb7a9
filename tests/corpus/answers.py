"""Answers of a server to the question for a page, or for a file: broken, slow, lying, or somebody else's."""

from typing import NamedTuple

from tests.corpus.case import RIGHT, Group
from tests.simulator import (
    Bomb,
    Cut,
    Fault,
    Headers,
    Lie,
    Longer,
    LyingRange,
    NoRanges,
    Portal,
    Raw,
    Redirect,
    Silent,
    Slow,
    Stall,
    Status,
    WrongRange,
)

HALF = 400
"""Bytes: about half of the file."""
SOME = 100
"""Bytes of a page."""


class Answer(NamedTuple):
    """What goes wrong with a server; `{file}` and `{project}` in an address are the case's own."""

    faults: tuple[Fault, ...]
    is_page: bool = False
    times: int | None = None
    """How often; None: always."""
    is_slow: bool = False
    """Whether somebody has to lose patience."""


def file(*faults: Fault, times: int | None = None, is_slow: bool = False) -> Answer:
    return Answer(faults, times=times, is_slow=is_slow)


def page(*faults: Fault, times: int | None = None, is_slow: bool = False) -> Answer:
    return Answer(faults, True, times, is_slow)


def both(faults: dict[str, Fault]) -> dict[str, Answer]:
    """The same for a file and for a page."""
    files = {f"file: {told}": file(fault) for told, fault in faults.items()}
    return files | {f"page: {told}": page(fault) for told, fault in faults.items()}


def whole(head: bytes, body: bytes = b"hello") -> Raw:
    return Raw(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)


OTHER_BYTES: Group[Answer] = Group(
    "a file isn't what its index promises: a byte, its end, HTML in its place, another file",
    "nothing of it is kept, the source is left for another one, and named where there is none",
    "",
    {
        "its first byte": file(Lie()),
        "a byte in the middle": file(Lie(at=HALF)),
        "a byte, twice": file(Lie(at=HALF), times=2),
        "more bytes": file(Longer()),
        "many bytes more": file(Longer(bytes(3_000_000))),
        "a login page": file(Portal()),
        "called HTML": file(Headers({"Content-Type": "text/html"})),
        "a bomb in gzip": file(Bomb(1 << 24)),
        "gzip that is none": file(Headers({"Content-Encoding": "gzip"}), Lie(at=HALF)),
        "another file of the server": file(Redirect("/files/other-1.0-py3-none-any.whl")),
        "a page of the server": file(Redirect("/simple/other/")),
        "a path above": file(Redirect("../../../../etc/passwd")),
    },
)

HEALED: Group[Answer] = Group(
    "what is wrong passes: cut off, refused once, wrong once, ranges that the server doesn't do",
    "it is asked for again, a few times; what has come is kept, and only the rest is asked for",
    RIGHT,
    {
        "wrong once": file(Lie(at=HALF), times=1),
        "cut once": file(Cut(after=HALF), times=1),
        "cut each time": file(Cut(after=HALF)),
        "cut three times by TCP": file(Cut(after=HALF, reset=True), times=3),
        "cut at its first byte": file(Cut(after=0), times=1),
        "closed once": file(Silent(), times=1),
        "busy once": file(Status(429, "0"), times=1),
        "busy once, for days": file(Status(429, "999999"), times=1),
        "503 twice": file(Status(503), times=2),
        "500 once": file(Status(500), times=1),
        "cut, then no ranges": file(Cut(after=HALF), NoRanges(), times=2),
        "cut, then another range": file(Cut(after=HALF), WrongRange(), times=2),
        "cut, then the start as the rest": file(Cut(after=HALF), LyingRange(), times=2),
        "a strange type": file(Headers({"Content-Type": "image/png"})),
        "a name outside": file(Headers({"Content-Disposition": 'attachment; filename="../../evil.whl"'})),
        "cookies": file(Headers({"Set-Cookie": f"a={'x' * 4000}"})),
        "a redirect": file(Redirect("/files/{file}", 307), times=1),
        "four redirects": file(Redirect("/files/{file}"), times=4),
        "page: closed once": page(Silent(), times=1),
        "page: cut once": page(Cut(after=SOME), times=1),
        "page: a login page once": page(Portal(), times=1),
        "page: 503 twice": page(Status(503), times=2),
        "page: busy once, for days": page(Status(429, "999999"), times=1),
        "page: a strange type": page(Headers({"Content-Type": "image/png"})),
        "page: a redirect": page(Redirect("/simple/{project}/", 308), times=1),
        "page: a serial of letters": page(Headers({"X-PyPI-Last-Serial": "newest"})),
        "page: a serial beyond all": page(Headers({"X-PyPI-Last-Serial": "9" * 400})),
    },
)

STATUS: Group[Answer] = Group(
    "the answer is an error, or no answer to that question",
    "it is refused with the status; asked again, a few times, where that may help",
    "",
    both({str(code): Status(code) for code in (400, 401, 402, 403, 407, 418, 451, 500, 501, 502, 504, 520, 599)})
    | {f"file: {code}": file(Status(code)) for code in (404, 410)}
    | {f"page: {code}": page(Status(code)) for code in (404, 410)}
    | both({"300 without a place": Status(300), "304 unasked": Status(304)})
    | {"page: a login page": page(Portal())},
)

RETRY_AFTER: Group[Answer] = Group(
    "429 each time, with a `Retry-After` that is far away or makes no sense",
    "it is asked once more, after 30 seconds at the most",
    "429",
    both(
        {
            told: Status(429, after)
            for told, after in {
                "days": "999999",
                "never": "9" * 40,
                "below zero": "-1",
                "a word": "soon",
                "a date": "Fri, 31 Dec 9999 23:59:59 GMT",
                "a float": "1e400",
                "nothing": "",
                "hex": "0x10",
            }.items()
        }
    ),
)

REDIRECTS: Group[Answer] = Group(
    "a redirect leads to the disk, to another scheme, nowhere, or in a circle",
    "it is not followed",
    "",
    both(
        {
            "to the disk": Redirect("file:///etc/hostname"),
            "to FTP": Redirect("ftp://127.0.0.1/x"),
            "to a script": Redirect("javascript:alert(1)"),
            "to data": Redirect("data:text/plain,x"),
            "to a port beyond all": Redirect("http://127.0.0.1:99999/"),
            "to half an address": Redirect("http://[::1/"),
            "to a host with a space": Redirect("http://a b/"),
            "to a backslash": Redirect("http://127.0.0.1\\@evil.example/"),
            "to nobody": Redirect("http://127.0.0.1:9/"),
        }
    )
    | {
        "file: to itself": file(Redirect("/files/{file}")),
        "page: to itself": page(Redirect("/simple/{project}/")),
        "page: to another project": page(Redirect("/simple/other/")),
        "page: to the list": page(Redirect("/simple/")),
    },
)

NO_HTTP: Group[Answer] = Group(
    "the answer breaks HTTP: two lengths, a length and chunks, forbidden characters, half a head, another protocol",
    "it is no answer",
    "",
    both(
        {
            "two lengths": whole(b"Content-Length: 5\r\nContent-Length: 6"),
            "a length and chunks": whole(
                b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"
            ),
            "a length with a sign": whole(b"Content-Length: +5"),
            "a length below zero": whole(b"Content-Length: -5"),
            "a length of letters": whole(b"Content-Length: five"),
            "a length beyond all": whole(b"Content-Length: " + b"9" * 30),
            "a list of lengths": whole(b"Content-Length: 5, 5"),
            "chunks of letters": whole(b"Transfer-Encoding: chunked", b"xyz\r\nhello\r\n0\r\n\r\n"),
            "chunks below zero": whole(b"Transfer-Encoding: chunked", b"-5\r\nhello\r\n0\r\n\r\n"),
            "chunks without end": whole(b"Transfer-Encoding: chunked", b"5\r\nhel"),
            "an unknown transfer encoding": whole(b"Transfer-Encoding: rot13"),
            "a NUL in a header": whole(b"X: a\0b\r\nContent-Length: 5"),
            "a header without a colon": whole(b"hello\r\nContent-Length: 5"),
            "a space before the colon": whole(b"Content-Length : 5"),
            "a header without end": Raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
            "headers without end": Raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000),
            "half a head": Raw(b"HTTP/1.1 200 OK\r\n"),
            "a status of letters": Raw(b"HTTP/1.1 fine OK\r\n\r\n"),
            "a status of four digits": Raw(b"HTTP/1.1 2000 OK\r\n\r\n"),
            "HTTP/9": Raw(b"HTTP/9.9 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            "a body alone": Raw(b"<html>hello</html>"),
            "SMTP": Raw(b"220 smtp.example ready\r\n"),
            "SSH": Raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
            "TLS": Raw(b"\x15\3\1\0\2\2\x28"),
            "noise": Raw(bytes(range(256)) * 4),
            "nothing": Raw(b""),
        }
    ),
)

PAGE_BODY: Group[Answer] = Group(
    "a page is cut off, or packed as it doesn't say, or unpacks without end",
    "it is no page",
    "",
    {
        "cut": page(Cut(after=SOME)),
        "cut by TCP": page(Cut(after=SOME, reset=True)),
        "gzip that is none": page(Headers({"Content-Encoding": "gzip"})),
        "Brotli that is none": page(Headers({"Content-Encoding": "br"})),
        "an unknown packing": page(Headers({"Content-Encoding": "rot13"})),
        "a bomb": page(Bomb(1 << 27)),
        "a byte of its text": page(Lie(at=0)),
        "more than the page": page(Longer(b"more")),
        "closed": page(Silent()),
    },
)

SLOW: Group[Answer] = Group(
    "nothing comes, or a byte a second",
    "the source is left after a time without a byte, or below a rate; there is a time for the whole page or file",
    "",
    {
        "file: nothing": file(Stall(), is_slow=True),
        "file: nothing more": file(Stall(after=HALF), is_slow=True),
        "file: a byte a second": file(Slow(bytes_per_second=1), is_slow=True),
        "page: nothing": page(Stall(), is_slow=True),
        "page: nothing more": page(Stall(after=SOME), is_slow=True),
        "page: a byte a second": page(Slow(bytes_per_second=1), is_slow=True),
    },
)

GROUPS = [OTHER_BYTES, HEALED, STATUS, RETRY_AFTER, REDIRECTS, NO_HTTP, PAGE_BODY, SLOW]
