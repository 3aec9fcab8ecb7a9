"""The mirrors we know by name: data in `mirrors.toml`, ours and the user's, read when first asked for."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from tf_tester.core.links import display_url
from tf_tester.errors import ConfigError, UsageError

NO_MIRROR = "none"
AUTO = "auto"
FILE = "mirrors.toml"
_PYTORCH = "https://download.pytorch.org/whl"


class Mirror(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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
    apt: str | None = None
    """Where it has Debian and Ubuntu, each below its own name."""
    conda: str | None = None
    """Where it has conda's channels: above `pkgs` and `cloud`."""
    pytorch: str | None = None
    """Its copy of PyTorch's own index of wheels, above the variants such as `cpu`."""
    daily_gb: float | None = None
    """Gigabytes that it may be asked for in a day; None: no limit."""
    daily_requests: int | None = None
    pythons: str | None = None
    """Its copy of the releases of python-build-standalone."""

    def beside(self, authority: str) -> str | None:
        """The address of its copy of that index; None where it has none.

        >>> nju = mirror_named("nju")
        >>> nju.beside("https://download.pytorch.org/whl/cpu")
        'https://mirror.nju.edu.cn/pytorch/whl/cpu'
        """
        if authority.startswith(_PYTORCH):
            return None if self.pytorch is None else self.pytorch + authority.removeprefix(_PYTORCH)
        return self.url


class _Feeds(msgspec.Struct, frozen=True):
    mirrorz: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mirror: tuple[Mirror, ...] = ()
    feeds: _Feeds = _Feeds()


class Known(Struct, frozen=True):
    """What the files say."""

    mirrors: dict[str, Mirror]
    """By name, in the order of the files."""
    own: frozenset[str]
    """Names of those that stand in the user's file."""
    feeds: tuple[str, ...]
    """Where MirrorZ publishes how up to date its members are."""


@cache
def known() -> Known:
    """Ours, and the user's, which replace ours of the same name. Raises `ConfigError`."""
    from importlib.resources import files

    import platformdirs

    ours = _read(files("tf_tester.index").joinpath(FILE).read_bytes(), FILE)
    file = platformdirs.user_config_path("tf-tester", appauthor=False) / FILE
    try:
        theirs = _read(file.read_bytes(), str(file))
    except (FileNotFoundError, NotADirectoryError):
        theirs = _File()
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from error
    mirrors = {mirror.name: mirror for mirror in ours.mirror} | {mirror.name: mirror for mirror in theirs.mirror}
    own = frozenset(mirror.name for mirror in theirs.mirror)
    return Known(mirrors, own, theirs.feeds.mirrorz or ours.feeds.mirrorz)


def known_mirrors() -> dict[str, Mirror]:
    """All mirrors by name."""
    return known().mirrors


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
    if wanted.startswith("/"):
        return _at(Path(wanted).as_uri())
    mirrors = known_mirrors()
    mirror = mirrors.get(wanted.lower())
    if mirror is None:
        raise _unknown(wanted, list(mirrors))
    return mirror


def roots(mirrors: dict[str, Mirror], name: str) -> str:
    """The name of the mirror from which a mirror is filled in the end: those of one root are one voice.

    >>> roots(known_mirrors(), "lzu"), roots(known_mirrors(), "aliyun")
    ('tuna', 'aliyun')
    """
    seen = {name}
    while (mirror := mirrors.get(name)) is not None and mirror.copies and mirror.copies not in seen:
        name = mirror.copies
        seen.add(name)
    return name


def _read(content: bytes, shown: str) -> _File:
    import tomllib

    try:
        table: dict[str, Any] = tomllib.loads(content.decode())
        file = msgspec.convert(table, _File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{shown}: {error}", hint="It has a [[mirror]] with name and url for each; the documentation has the rest."
        ) from error
    for mirror in file.mirror:
        # A name is what --mirror takes and what stands in records and notes.
        if not mirror.name.replace("-", "").isalnum() or mirror.name.lower() != mirror.name:
            raise ConfigError(f"{shown}: {mirror.name!r} is no name: lower-case letters, digits and dashes.")
        if mirror.name in (NO_MIRROR, AUTO, "authority"):
            raise ConfigError(f"{shown}: {mirror.name} has a meaning of its own and names no mirror.")
        _at(mirror.url, known={})
    return _File(tuple(msgspec.structs.replace(one, url=one.url.rstrip("/")) for one in file.mirror), file.feeds)


def _at(url: str, known: dict[str, Mirror] | None = None) -> Mirror:
    """A mirror by its address: the one of ours that lives there, or one without a history."""
    for mirror in (known_mirrors() if known is None else known).values():
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

    near = get_close_matches(wanted.lower(), [*names, NO_MIRROR, AUTO], n=3, cutoff=0.5)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    return UsageError(
        f"there is no mirror named {wanted}",
        hint=f"{guess}Known: {', '.join([*names, AUTO, NO_MIRROR])}; the address of any other works too.",
    )
