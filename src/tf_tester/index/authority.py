"""Which index's word counts: the one that the user's pip and uv already trust.

No address of an index stands in our files; where nothing is configured it is pip's own constant.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tf_tester.core.index.links import display_url
from tf_tester.errors import ConfigError
from tf_tester.given_files import read_given

if TYPE_CHECKING:
    from pip._internal.configuration import Configuration

_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_NAMED = re.compile(r"[A-Za-z0-9._-]+=(?=[a-z]+:/)")
"""uv writes an index as `name=address` too."""
_INDEX_KEY = re.compile(rb"^\s*index[-_]url\s*[=:]", re.MULTILINE)
_NETWORK_KEYS = {"proxy": "PIP_PROXY", "cert": "PIP_CERT", "client-cert": "PIP_CLIENT_CERT"}


def authority_url(environ: Mapping[str, str], config: Callable[[], str | None]) -> str:
    """Return the address of the authority's simple API, without a slash at its end; it may hold credentials.

    From uv's and pip's variables, then `config` (asked only when needed: see `pip_index_url`), then pip's own
    constant. Raises `ConfigError` where the address makes no sense.
    """
    for variable in _VARIABLES:
        if environ.get(variable, "").strip():
            return _checked(environ[variable], variable)
    configured = config()
    if configured:
        return _checked(configured, "pip's configuration")
    return public_index_url()


def extra_index_urls(environ: Mapping[str, str], config: Callable[[str], str | None]) -> list[str]:
    """Return indexes besides the authority, as uv's and pip's variables and pip's files name them; in the order of
    their importance, without slashes at their ends. They may hold credentials. Raises `ConfigError`.
    """
    found: list[str] = []
    for variable in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        found += [_checked(word, variable) for word in environ.get(variable, "").split()]
    for key in ("install.extra-index-url", "global.extra-index-url"):
        found += [_checked(word, "pip's configuration") for word in (config(key) or "").split()]
    return list(dict.fromkeys(found))


def pip_setting(environ: Mapping[str, str], key: str) -> str | None:
    """Return a setting of pip's files, such as `global.extra-index-url`; None where they say nothing.

    Raises `ConfigError`.

    On Linux without pip's own reader, which costs 150 ms: the files are read in its order, the last one counts.
    """
    if sys.platform != "linux":
        return _asked_of_pip(key)
    section, _, name = key.partition(".")
    found = None
    written = re.compile(rb"^\s*%s\s*[=:]" % name.replace("-", "[-_]").encode(), re.MULTILINE | re.IGNORECASE)
    for file in _pip_files(environ):
        content = _content(file)
        if written.search(content):
            found = _ini_value(file, content, section, name) or found
    return found


def as_pip_reaches_it(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables with what pip's settings say of the way to its index: proxy and certificates.

    `PIP_PROXY`, `PIP_CERT` and `PIP_CLIENT_CERT`, else `proxy`, `cert` and `client-cert` in its files. Raises
    `ConfigError`.
    """
    found = {
        variable: value
        for key, variable in _NETWORK_KEYS.items()
        if (value := environ.get(variable) or pip_setting(environ, f"global.{key}"))
    }
    if proxy := found.get("PIP_PROXY"):
        # pip's own outranks the environment's.
        found |= {"http_proxy": proxy, "https_proxy": proxy}
    return {**environ, **found}


def _ini_value(file: Path, content: bytes, section: str, name: str) -> str | None:
    from configparser import Error, RawConfigParser

    parser = RawConfigParser()
    parser.optionxform = lambda optionstr: optionstr.lower().replace("_", "-")  # type: ignore[method-assign]
    try:
        parser.read_string(content.decode())
    except (Error, UnicodeDecodeError) as error:
        raise ConfigError(
            f"pip's configuration can't be read: {file}: {' '.join(str(error).split())}", hint="Repair the file."
        ) from error
    return parser.get(section, name, fallback=None)


def _asked_of_pip(key: str) -> str | None:
    from pip._internal.configuration import Configuration
    from pip._internal.exceptions import PipError

    configuration = Configuration(isolated=False)
    try:
        configuration.load()
        return _value(configuration, key)
    except PipError as error:
        raise ConfigError(
            f"pip's configuration can't be read: {str(error).strip()}", hint="Repair the file."
        ) from error


def uv_default_index(environ: Mapping[str, str]) -> str | None:
    """Return the default index of the user's `uv.toml`; None where it says nothing, or can't be read."""
    import tomllib

    folder = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config"
    if sys.platform == "win32":
        folder = environ.get("APPDATA") or folder
    try:
        table = tomllib.loads(_content(Path(folder, "uv", "uv.toml")).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    indexes = table.get("index")
    for index in indexes if isinstance(indexes, list) else ():
        if isinstance(index, dict) and index.get("default") is True and isinstance(index.get("url"), str):
            return str(index["url"])
    url = table.get("index-url")
    return url if isinstance(url, str) else None


def public_index_url() -> str:
    """Return pip's own constant, without a slash at its end."""
    from pip._internal.models.index import PyPI

    return PyPI.simple_url.rstrip("/")


def public_files_host() -> str:
    """Return where the public index has its files; pip's own constant."""
    from pip._internal.models.index import PyPI

    return PyPI.file_storage_domain


def pip_index_url(environ: Mapping[str, str]) -> str | None:
    """Return what pip's configuration files say of the index, as pip itself reads them; None where they say nothing.

    pip's own reader costs 150 ms of CPU to import, so on Linux it is started only where a file exists that it
    would read and that names an index.
    """
    if sys.platform == "linux" and not any(_names_an_index(file) for file in _pip_files(environ)):
        return None
    from pip._internal.configuration import Configuration
    from pip._internal.exceptions import PipError

    configuration = Configuration(isolated=False)
    try:
        configuration.load()
        found = _value(configuration, "install.index-url") or _value(configuration, "global.index-url")
    except PipError as error:
        raise ConfigError(
            f"pip's configuration can't be read: {str(error).strip()}",
            hint="Repair the file, or set PIP_INDEX_URL or --index-url.",
        ) from error
    return found


def _value(configuration: "Configuration", key: str) -> str | None:
    from pip._internal.exceptions import ConfigurationError

    try:
        return str(configuration.get_value(key)) or None
    except ConfigurationError:
        return None  # pip's way to say that nobody set it


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    """Return where pip looks on Linux (its user guide, "Configuration files"), the strongest last."""
    home = Path(environ.get("HOME") or "~").expanduser()
    config = environ.get("XDG_CONFIG_HOME") or home / ".config"
    everywhere = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    user = [home / ".pip" / "pip.conf", Path(config, "pip", "pip.conf")]
    return [
        *(Path(folder, "pip", "pip.conf") for folder in reversed(everywhere) if folder),
        Path("/etc/pip.conf"),
        *([] if named and Path(named).exists() else user),
        Path(sys.prefix, "pip.conf"),
        *([Path(named)] if named else []),
    ]


def _names_an_index(file: Path) -> bool:
    return _INDEX_KEY.search(_content(file)) is not None


def _content(file: Path) -> bytes:
    """Return a file's content; nothing where it can't be read."""
    try:
        return read_given(file)
    except OSError:
        return b""


def _checked(value: str, where: str) -> str:
    address = _NAMED.sub("", value.strip(), count=1).rstrip("/")
    if address.startswith("/"):
        return Path(address).as_uri()
    try:
        parts = urlsplit(address)
        sound = bool(parts.hostname) and parts.port != 0 if parts.scheme != "file" else bool(parts.path)
    except ValueError:
        sound = False
    if not sound or parts.scheme not in ("http", "https", "file"):
        raise ConfigError(
            f"{where} names an index that is not an address: {display_url(address)}",
            hint="Give the address of a simple API, such as https://mirror.example/simple.",
        )
    return address
