"""Which form of a page a client wants (PEP 691), and which encoding. Pure; answers to what clients say are kept, for
they all say the same."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tf_tester.core.index.simple import JSON_TYPE

JSON = JSON_TYPE
HTML = "application/vnd.pypi.simple.v1+html"
TEXT_HTML = "text/html"

_MEANT = {
    "application/vnd.pypi.simple.latest+json": JSON,
    "application/vnd.pypi.simple.latest+html": HTML,
}


@lru_cache(128)
def content_type(accept: str, *, forced: str = "") -> str | None:
    """Return the type to answer with; None: none that we have is accepted (status 406).

    Of types that are wanted alike JSON comes first; a client that says nothing, or takes all, is an old one, and gets
    HTML. `forced`: a type from the address (`?format=`), which overrules.

    >>> content_type("application/vnd.pypi.simple.v1+json, text/html;q=0.1")
    'application/vnd.pypi.simple.v1+json'
    >>> content_type("*/*"), content_type(""), content_type("image/png")
    ('text/html', 'text/html', None)
    """
    if forced:
        wanted = _MEANT.get(forced, forced)
        return wanted if wanted in (JSON, HTML, TEXT_HTML) else None
    accepted = {_MEANT.get(name, name): quality for name, quality in _qualities(accept)}
    if not accepted:
        return TEXT_HTML
    best, found = 0.0, None
    for name in (JSON, HTML, TEXT_HTML):
        quality = accepted.get(name, 0.0)
        if quality > best:
            best, found = quality, name
    if found is None:
        any_of_them = max(accepted.get("*/*", 0.0), accepted.get("text/*", 0.0))
        return TEXT_HTML if any_of_them and accepted.get(TEXT_HTML) != 0.0 else None
    return found


@lru_cache(128)
def content_coding(accept_encoding: str) -> str:
    """Return the coding of ours (`zstd`, `gzip`) in which a body is sent; empty: as it is.

    Of codings that are wanted alike the smaller one is taken; `*` is not a word for zstd, which is younger than many
    who say it.

    >>> content_coding("gzip, deflate"), content_coding("gzip, zstd, br"), content_coding("*")
    ('gzip', 'zstd', 'gzip')
    >>> content_coding("gzip;q=0"), content_coding(""), content_coding("zstd;q=0.5, gzip")
    ('', '', 'gzip')
    """
    accepted = dict(_qualities(accept_encoding))
    found = {"zstd": accepted.get("zstd", 0.0), "gzip": accepted.get("gzip", accepted.get("*", 0.0))}
    best = max(found, key=lambda coding: found[coding])
    return best if found[best] > 0 else ""


def matches(if_none_match: str, etag: str) -> bool:
    """Return whether a client has what this tag stands for (RFC 9110, weak comparison)."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last of a single range; None: not a range that is understood, take
    all.

    Raises `ValueError` where it can't be satisfied (status 416).

    >>> byte_range("bytes=0-4", 10), byte_range("bytes=-3", 10), byte_range("bytes=8-", 10), byte_range("lines=1-2", 10)
    ((0, 5), (7, 10), (8, 10), None)
    """
    unit, equals, spec = header.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip().lower() != "bytes" or not equals or not dash or "," in spec:
        return None
    if not all(part == "" or (part.isascii() and part.isdigit() and len(part) < 19) for part in (first, last)):
        return None
    if first == "":
        if last == "":
            return None
        if int(last) == 0 or size == 0:
            raise ValueError(header)
        return max(0, size - int(last)), size
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise ValueError(header)
    return start, end


def _qualities(header: str) -> Iterable[tuple[str, float]]:
    """Return names with their weights, between 0 and 1; what is malformed weighs nothing."""
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            yield name, _weight(parameters)


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0
