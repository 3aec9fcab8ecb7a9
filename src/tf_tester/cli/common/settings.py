"""Where settings are read: the user's file, the project's file, the environment, flags."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_tester.core.config.settings import (
    GivenValue,
    PathBase,
    ResolvedSettings,
    SettingsContext,
    from_environment,
    from_file,
    from_flags,
    settle,
)
from tf_tester.core.text.parsing import parse_toml
from tf_tester.errors import ConfigError
from tf_tester.given_files import read_given

OWN_FILE = "tf-tester.toml"
SHARED_FILE = "pyproject.toml"


def read_settings(
    parameters: Mapping[str, object], *, cwd: Path, environ: Mapping[str, str], user_file: Path | None = None
) -> ResolvedSettings:
    """Return all sources taken together; `parameters` are the command's, by field name.

    `user_file` is the user's configuration, by default where the platform keeps such. Raises `ConfigError`.
    """
    import platformdirs

    from tf_tester.execute.machine import usable_cores

    home = Path(environ.get("HOME") or Path.home())
    if user_file is None:
        user_file = platformdirs.user_config_path("tf-tester", appauthor=False) / "config.toml"
    here = PathBase(cwd, home)
    given: list[GivenValue] = []
    for file in (user_file, project_file(cwd)):
        if file is not None:
            given += from_file(_table(file, cwd) or {}, file, _shown(file, cwd), home)
    given += from_environment(environ, here)
    given += from_flags(parameters, here)
    store = platformdirs.user_cache_path("tf-tester", appauthor=False)
    return settle(given, SettingsContext(store, usable_cores()))


def project_file(cwd: Path) -> Path | None:
    """Return the nearest file above the current folder that has settings; the search ends at a repository's root.

    `tf-tester.toml` comes before `[tool.tf-tester]` in `pyproject.toml`. Raises `ConfigError`.
    """
    for folder in (cwd, *cwd.parents):
        own, shared = folder / OWN_FILE, folder / SHARED_FILE
        if own.is_file():
            return own
        if shared.is_file() and _table(shared, cwd) is not None:
            return shared
        if (folder / ".git").exists():
            return None
    return None


def _table(file: Path, cwd: Path) -> dict[str, Any] | None:
    """Return our table of a file, or None where it has none or there is no such file. Raises `ConfigError`."""
    try:
        text = read_given(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{_shown(file, cwd)} can't be read: {error.strerror}") from error
    if file.name == SHARED_FILE and b"tf-tester" not in text:
        return None  # spares most projects the parsing, and the trouble where it isn't ours
    content = _parsed(text, _shown(file, cwd))
    if file.name != SHARED_FILE:
        if isinstance(content.get("tool"), dict):
            raise ConfigError(
                f"{_shown(file, cwd)}: there is no setting 'tool'",
                hint=f"In {file.name} settings stand at the top, without [tool.tf-tester].",
            )
        return content
    tool = content.get("tool", {})
    table = tool.get("tf-tester") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{_shown(file, cwd)}: [tool.tf-tester] must be a table")
    return table


def _parsed(text: bytes, shown: str) -> dict[str, Any]:
    import tomllib

    try:
        return parse_toml(text)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown}:{line}: not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line = int(place[1]) if place else text.count(b"\n") + 1
        what = str(error)[: place.start()] if place else str(error).removesuffix(" (at end of document)")
        raise ConfigError(f"{shown}:{line}: {what}", hint="This is not TOML; texts need quotes.") from error


def _shown(file: Path, cwd: Path) -> str:
    """Return a file's name as short as it is unmistakable from the current folder."""
    return os.path.relpath(file, cwd) if file.parent in (cwd, *cwd.parents[:2]) else str(file)
