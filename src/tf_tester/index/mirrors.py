"""The mirrors we know by name: data in `mirrors.toml`, read when first asked for."""

from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from tf_tester.core.links import display_url
from tf_tester.errors import UsageError

NO_MIRROR = "none"


@dataclass(frozen=True, slots=True)
class Mirror:
    """An index that copies the authority; trusted for nothing but to be a place where bytes may be had."""

    name: str
    url: str
    """Of its simple API, without a slash at its end."""
    title: str = ""
    operator: str = ""
    region: str = ""
    """ISO 3166 code of the country."""
    copies: str | None = None
    """Name of the mirror it is filled from, where that isn't the authority."""
    notes: str = ""


@cache
def known_mirrors() -> dict[str, Mirror]:
    """All mirrors by name, in the order of the file."""
    import tomllib
    from importlib.resources import files

    text = files("tf_tester.index").joinpath("mirrors.toml").read_text("utf-8")
    return {entry["name"]: Mirror(**entry) for entry in tomllib.loads(text)["mirror"]}


def mirror_named(name_or_url: str) -> Mirror | None:
    """The mirror of that name or address; None for `none`. Raises `UsageError`.

    >>> mirror_named("tuna").title
    'TUNA'
    >>> mirror_named("https://mirror.example/simple/").name
    'mirror.example'
    """
    wanted = name_or_url.strip()
    if wanted.lower() == NO_MIRROR:
        return None
    if "://" in wanted:
        return _at(wanted.rstrip("/"))
    mirrors = known_mirrors()
    mirror = mirrors.get(wanted.lower())
    if mirror is None:
        raise _unknown(wanted, list(mirrors))
    return mirror


def _at(url: str) -> Mirror:
    """A mirror by its address: the one of ours that lives there, or one without a history."""
    for mirror in known_mirrors().values():
        if mirror.url == url:
            return mirror
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https", "file") and bool(parts.hostname or parts.path)
        name = parts.netloc.rpartition("@")[2] or parts.path
        _ = parts.port
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(
            f"this is no address of a mirror: {display_url(url)}",
            hint="Give the address of a simple API, such as https://mirror.example/simple.",
        )
    return Mirror(name=name, url=url)


def _unknown(wanted: str, names: list[str]) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(wanted.lower(), [*names, NO_MIRROR], n=3, cutoff=0.5)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    return UsageError(
        f"there is no mirror named {wanted}",
        hint=f"{guess}Known: {', '.join([*names, NO_MIRROR])}; the address of any other works too.",
    )
