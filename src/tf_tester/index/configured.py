"""Which indexes and mirrors the settings, and what pip and uv are set to, let us ask."""

from collections.abc import Mapping

from msgspec import Struct

from tf_tester.core.config.settings import Settings
from tf_tester.core.fetch.sourcing import copies_of, hosts_of
from tf_tester.core.index.links import display_url, is_address, local_path, without_credentials
from tf_tester.core.index.mirror_list import MirrorList, is_auto
from tf_tester.errors import ConfigError
from tf_tester.index.authority import (
    authority_url,
    extra_index_urls,
    pip_index_url,
    pip_setting,
    public_files_host,
    public_index_url,
    uv_default_index,
)
from tf_tester.index.find_links import local_place, state_of
from tf_tester.model.mirror import Mirror


class ConfiguredIndexes(Struct, frozen=True):
    """Who may be asked."""

    authority: str
    """Address of the index whose word counts; may hold credentials."""
    extra: tuple[str, ...]
    """Addresses of indexes that are asked before it; may hold credentials."""
    folders: tuple[str, ...]
    """Addresses of folders that are asked after it, as far as they are there."""
    links: tuple[str, ...]
    """Folders, and pages with links, that are asked before all others: paths and addresses."""
    mirrors: tuple[Mirror, ...]
    """Those named, the most wanted first."""
    auto: bool
    """Choose among all `copies`."""
    trusted: frozenset[str]
    """Mirrors whose hashes count where the authority can't be reached."""
    known: MirrorList

    @property
    def identities(self) -> tuple[str, ...]:
        """Addresses that may hold credentials."""
        return (self.authority, *self.extra, *(mirror.url for mirror in self.mirrors))

    def copies(self) -> list[Mirror]:
        """Return the mirrors named, and all others that are known to copy the authority."""
        return copies_of(self.authority, self.known, self.mirrors, public=self.authority == public_index_url())

    def hosts(self) -> set[str]:
        """Return the hosts of all indexes and mirrors that are known, and of the public index's files."""
        mirrors = (mirror.url for mirror in (*self.mirrors, *self.known.mirrors.values()))
        files = {public_files_host()} if self.authority == public_index_url() else set()
        links = [one for one in self.links if local_place(one) is None]
        return hosts_of([self.authority, *self.extra, *links, *mirrors]) | files

    @property
    def shown(self) -> str:
        """Which indexes answer, without credentials: others may give another answer to the same question."""
        told = map(without_credentials, (*self.extra, self.authority, *self.folders))
        return " ".join((*map(state_of, self.links), *told))


def configured_indexes(settings: Settings, environ: Mapping[str, str], known: MirrorList) -> ConfiguredIndexes:
    """Return who may be asked. Raises `UsageError` for a mirror that nobody knows, `ConfigError`."""
    mirrors = [mirror for name in settings.mirror if not is_auto(name) and (mirror := known.named(name)) is not None]
    trusted = [mirror for name in settings.trust if (mirror := known.named(name)) is not None]
    url = settings.index_url or authority_url(environ, lambda: pip_index_url(environ) or uv_default_index(environ))
    extra, folders = beside(settings, environ)
    if settings.index_url is None and (set_for_pip := known.at(url)) is not None:
        # Whoever has set pip to a mirror wants its bytes, and trusts it as far as need be; its poorer pages he
        # doesn't want: without upload times there is no era.
        url = public_index_url()
        mirrors.append(set_for_pip)
        trusted.append(set_for_pip)
    _check_addresses(url, *extra, *(one for one in settings.find_links if "://" in one))
    for place in settings.find_links:
        if (path := local_place(place)) is not None and not path.exists():
            raise ConfigError(f"--find-links: there is no file or folder {path}.", hint="Check the name.")
    extra = tuple(one for one in dict.fromkeys(one.rstrip("/") for one in extra) if one != url)
    return ConfiguredIndexes(
        authority=url,
        extra=extra,
        folders=folders,
        links=settings.find_links,
        mirrors=tuple(dict.fromkeys([*mirrors, *trusted])),
        auto=any(map(is_auto, settings.mirror)),
        trusted=frozenset(mirror.name for mirror in trusted),
        known=known,
    )


def _check_addresses(*urls: str) -> None:
    """Raise `ConfigError` for the first that can't be one."""
    for url in urls:
        if not is_address(url):
            raise ConfigError(
                f"This is not an address of an index: {display_url(url)}",
                hint="Give one such as https://index.example/simple, here or in pip's and uv's settings.",
            )


def beside(settings: Settings, environ: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return other indexes, and folders that are there: of the settings, else of pip's and uv's."""
    if settings.extra_index_url or settings.index_url is not None:
        return settings.extra_index_url, ()
    found = extra_index_urls(environ, lambda key: pip_setting(environ, key))
    folders = [one for one in found if one.startswith("file:") and local_path(one).is_dir()]
    return tuple(one for one in found if not one.startswith("file:")), tuple(folders)
