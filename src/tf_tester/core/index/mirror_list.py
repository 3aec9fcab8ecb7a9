"""The mirrors that are known by name, and what a name or an address means among them. Pure."""

from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.index.links import display_url, is_address
from tf_tester.core.text.parsing import parse_toml
from tf_tester.errors import ConfigError, UsageError
from tf_tester.model.mirror import Mirror
from tf_tester.model.source import AUTHORITY

NO_MIRROR = "none"
AUTO = "auto"


class MirrorList(Struct, frozen=True):
    """What the files of mirrors say."""

    mirrors: dict[str, Mirror] = {}
    """By name, in the order of the files."""
    own: frozenset[str] = frozenset()
    """Names of those that stand in the user's file."""
    feeds: tuple[str, ...] = ()
    """Where MirrorZ publishes how up to date its members are."""

    def named(self, name_or_url: str) -> Mirror | None:
        """Return the mirror of that name or address; None for `none`. Raises `UsageError`, for `auto` too.

        An address that none of them has is a mirror, too, named by its host.
        """
        wanted = name_or_url.strip()
        if wanted.lower() == NO_MIRROR:
            return None
        if is_auto(wanted):
            raise UsageError(
                f"{wanted!r} is a choice among mirrors, not a mirror.",
                hint="Name one that `tf-tester mirrors` lists, or give an address.",
            )
        if "://" in wanted:
            return self._with_address(wanted.rstrip("/"))
        if wanted.startswith("/"):
            return self._with_address(PurePosixPath(wanted).as_uri())
        mirror = self.mirrors.get(wanted.lower())
        if mirror is None:
            raise _unknown(wanted, list(self.mirrors))
        return mirror

    def at(self, url: str) -> Mirror | None:
        """Return the mirror with just that address."""
        return next((mirror for mirror in self.mirrors.values() if mirror.url == url), None)

    def root_of(self, name: str) -> str:
        """Return the name of the mirror from which one is filled in the end: those of one root count as one."""
        seen = {name}
        while (mirror := self.mirrors.get(name)) is not None and mirror.copies and mirror.copies not in seen:
            name = mirror.copies
            seen.add(name)
        return name

    def _with_address(self, url: str) -> Mirror:
        return self.at(url) or mirror_at(url)


def is_auto(name: str) -> bool:
    """Return whether a word of `--mirror` leaves the choice to us."""
    return name.strip().lower() == AUTO


def mirror_list(ours: bytes, theirs: bytes, *, shown: str) -> MirrorList:
    """Return the mirrors of two files, of which the user's replace ours of the same name. Raises `ConfigError`.

    `shown`: what the user's file is called.
    """
    shipped, own = _read(ours, "our own list"), _read(theirs, shown)
    mirrors = {mirror.name: mirror for mirror in (*shipped.mirror, *own.mirror)}
    names = frozenset(mirror.name for mirror in own.mirror)
    return MirrorList(mirrors, names, own.feeds.mirrorz or shipped.feeds.mirrorz)


def mirror_at(url: str) -> Mirror:
    """Return a mirror of which only the address is known. Raises `UsageError` where it can't be one."""
    if not is_address(url):
        raise UsageError(
            f"this is not an address of a mirror: {display_url(url)}",
            hint="Give the address of a simple API, such as https://mirror.example/simple.",
        )
    parts = urlsplit(url)
    return Mirror(name=parts.netloc.rpartition("@")[2] or parts.path, url=url)


class _Feeds(Struct, frozen=True):
    mirrorz: tuple[str, ...] = ()


class _MirrorFile(Struct, frozen=True, forbid_unknown_fields=True):
    mirror: tuple[Mirror, ...] = ()
    feeds: _Feeds = _Feeds()


def _read(content: bytes, shown: str) -> _MirrorFile:
    import tomllib  # most runs have no list of their own

    try:
        file = msgspec.convert(parse_toml(content), _MirrorFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{shown}: {error}", hint="It has a [[mirror]] with name and url for each; the documentation has the rest."
        ) from error
    for mirror in file.mirror:
        # A name is what --mirror takes and what stands in records and notes.
        if not mirror.name.replace("-", "").isalnum() or mirror.name.lower() != mirror.name:
            raise ConfigError(f"{shown}: {mirror.name!r} is not a name: lower-case letters, digits and dashes.")
        if mirror.name in (NO_MIRROR, AUTO, AUTHORITY):
            raise ConfigError(f"{shown}: {mirror.name} has a meaning of its own and names no mirror.")
        mirror_at(mirror.url)
    return _MirrorFile(tuple(replace(one, url=one.url.rstrip("/")) for one in file.mirror), file.feeds)


def _unknown(wanted: str, names: list[str]) -> UsageError:
    from difflib import get_close_matches  # only mistakes need it

    near = get_close_matches(wanted.lower(), names, n=3, cutoff=0.5)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    return UsageError(
        f"there is no mirror named {wanted}",
        hint=f"{guess}Known: {', '.join([*names, AUTO, NO_MIRROR])}; the address of any other works too.",
    )
