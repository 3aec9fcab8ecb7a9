"""Addresses: what a link on a page means, and how much of an address may be shown or kept.

Promise: what comes out of `resolve_link` is plain ASCII, holds no user name, no password and no fragment, and
never leads from https to http, or from the network to the local disk.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

_PLAIN = re.compile(r"(https?)://[A-Za-z0-9.-]+(?::[0-9]{1,4})?/[A-Za-z0-9._~+%/-]*")
"""Nearly all links: absolute, nothing to quote; `urljoin` and `urlsplit` cost five times as much."""

_HOSTLESS = re.compile(r"https?:(?!//[^/])", re.IGNORECASE)
"""Names a scheme and no host: readers take it for a path of this host, or for that of another."""
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]")
_USERINFO = re.compile(r"//[^/?#]*@")
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """To whom credentials belong: nobody else gets them."""

    scheme: str
    host: str
    port: int


def resolve_link(base: str, link: str) -> str | None:
    """Return the absolute address of a link found at `base`, or None where it is malformed or forbidden.

    >>> resolve_link("https://mirror.example/simple/six/", "../../files/six-1.0.tar.gz#sha256=00")
    'https://mirror.example/files/six-1.0.tar.gz'
    >>> resolve_link("https://mirror.example/simple/six/", "http://mirror.example/six-1.0.tar.gz") is None
    True
    """
    plain = _PLAIN.fullmatch(link)
    if plain:
        return None if plain[1] == "http" and base.startswith("https:") else link
    link = link.strip("\t\n\f\r ")
    if _CONTROL.search(link.replace(" ", "")) or _HOSTLESS.match(link):
        return None
    try:
        scheme, netloc, path, query, _ = urlsplit(urljoin(base, link))
        _ = urlsplit(f"//{netloc}").port
    except ValueError:
        return None
    if not _may_follow(base.partition(":")[0].lower(), scheme):
        return None
    host = netloc.rpartition("@")[2]
    if scheme == "file":
        if host not in ("", "localhost"):
            return None
        host = ""
    elif not _HOST.fullmatch(re.sub(r":[0-9]*$", "", host)):
        return None
    # A space or a letter beyond ASCII is quoted; what is quoted already stays as it is.
    quoted = quote(path, safe="/%:@!$&'()*+,;=~"), quote(query, safe="/?%:@!$&'()*+,;=~[]")
    return urlunsplit((scheme, host, *quoted, ""))


def _may_follow(here: str, there: str) -> bool:
    match here:
        case "https":
            return there == "https"
        case "http":
            return there in ("http", "https")
        case "file":
            return there in ("file", "http", "https")
    return False


def origin(url: str) -> Origin:
    """Return scheme, host and port of an absolute address.

    >>> origin("https://me:secret@Mirror.example/simple")
    Origin(scheme='https', host='mirror.example', port=443)
    """
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))


def is_address(url: str) -> bool:
    """Tell whether something can be the address of an index: a folder's or a server's, with a port that there is.

    >>> [is_address(url) for url in ("https://x.example/simple", "file:///srv", "http://[::1/", "http://x:99999", "x")]
    [True, True, False, False, False]
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.path) if parts.scheme == "file" else parts.scheme in ("http", "https") and bool(parts.hostname)


def display_url(url: str) -> str:
    """Return the address as it may be printed, logged or kept in a report.

    >>> display_url("https://me:secret@mirror.example/simple")
    'https://***@mirror.example/simple'
    """
    return _USERINFO.sub("//***@", url)


def without_credentials(url: str) -> str:
    """Return the same address without user name and password.

    >>> without_credentials("https://me:secret@mirror.example/simple")
    'https://mirror.example/simple'
    """
    return _USERINFO.sub("//", url, count=1)


def credentials(url: str) -> tuple[str, str] | None:
    """Return user name and password of an address, unquoted, or None where it holds none.

    >>> credentials("https://me:s%40fe@mirror.example/simple")
    ('me', 's@fe')
    """
    netloc = urlsplit(url).netloc
    userinfo, at, _ = netloc.rpartition("@")
    if not at:
        return None
    user, _, password = userinfo.partition(":")
    return unquote(user), unquote(password)


def local_path(url: str) -> Path:
    """Return where a `file:` address points.

    >>> local_path("file:///srv/my%20index").as_posix()
    '/srv/my index'
    """
    path = urlsplit(url).path
    if os.name == "posix":
        return Path(unquote(path))
    from urllib.request import url2pathname  # 60 ms

    return Path(url2pathname(path))
