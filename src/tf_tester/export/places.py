"""Where pip, uv, PDM, Poetry and conda keep their settings, and what a mirror is called there.

Taken from their sources (November 2026): pip's `_internal/configuration.py`, uv's `uv-dirs` and `uv-settings`, PDM's
`project/config.py`, Poetry's `locations.py`, conda's `base/constants.py`. Each writes what it would write itself.
"""

import os
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from tf_tester.errors import ConfigError, UsageError
from tf_tester.export.editing import BlockEditor, Editor, IndexEditor, IniEditor, SourceEditor, TomlEditor
from tf_tester.given_files import read_given


class Tool(StrEnum):
    """A program whose mirror can be set."""

    PIP = "pip"
    UV = "uv"
    PDM = "pdm"
    POETRY = "poetry"
    CONDA = "conda"


class ConfigScope(StrEnum):
    """Whom a setting is for."""

    PROJECT = "project"
    USER = "user"
    GLOBAL = "global"


class ConfigContext(Struct, frozen=True):
    """What the places depend on."""

    environ: Mapping[str, str]
    cwd: Path
    platform: str = sys.platform

    @property
    def home(self) -> Path:
        name = "USERPROFILE" if self.platform == "win32" else "HOME"
        return Path(self.environ.get(name) or Path.home())

    @property
    def config(self) -> Path:
        """`$XDG_CONFIG_HOME`; on Windows the roaming folder."""
        if self.platform == "win32":
            return Path(self.environ.get("APPDATA") or self.home / "AppData" / "Roaming")
        return Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")

    @property
    def everywhere(self) -> list[Path]:
        """`$XDG_CONFIG_DIRS`, the most important first."""
        return [Path(part) for part in (self.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep) if part]

    @property
    def program_data(self) -> Path:
        return Path(self.environ.get("PROGRAMDATA") or "C:/ProgramData")


class ConfigTarget(Struct, frozen=True):
    """One file of one tool."""

    tool: Tool
    scope: ConfigScope
    file: Path
    editor: Editor
    key: str
    """Under which the mirror's address stands."""


def target(tool: Tool, scope: ConfigScope, around: ConfigContext) -> ConfigTarget:
    """Return where a tool's index is set in a scope. Raises `UsageError` where it can't be."""
    match tool:
        case Tool.PIP:
            return ConfigTarget(tool, scope, _pip(scope, around), IniEditor("global", PIP_KEYS), "index-url")
        case Tool.UV:
            file = _uv(scope, around)
            prefix = ("tool", "uv") if file.name == "pyproject.toml" else ()
            return ConfigTarget(tool, scope, file, IndexEditor(prefix), "index")
        case Tool.PDM:
            keys = ("pypi.url", "request_timeout")
            return ConfigTarget(tool, scope, _pdm(scope, around), _pdm_editor(keys), "pypi.url")
        case Tool.POETRY if scope is ConfigScope.PROJECT:
            # Other sources of the project's stay.
            return ConfigTarget(tool, scope, _pyproject(around, "Poetry"), SourceEditor("mirror"), "source")
        case Tool.POETRY:
            key = "plugins.pypi_mirror.url"
            return ConfigTarget(tool, scope, _poetry(scope, around), TomlEditor((key,)), key)
        case Tool.CONDA:
            return ConfigTarget(tool, scope, _conda(scope, around), BlockEditor(_CONDA_LINES), "channels")


def _pdm_editor(keys: tuple[str, str]) -> TomlEditor:
    return TomlEditor(keys, numbers=keys[1:], secrets=("pypi.username", "pypi.password"))


PIP_KEYS = ("index-url", "timeout", "trusted-host")
_CONDA_LINES = (
    "show_channel_urls: true",
    "default_channels:",
    "  - {0}/pkgs/main",
    "  - {0}/pkgs/r",
    "  - {0}/pkgs/msys2",
    "custom_channels:",
    "  conda-forge: {0}/cloud",
    "  pytorch: {0}/cloud",
)


def variables(tool: Tool) -> tuple[str, ...]:
    """Return those that overrule what a tool's files say."""
    match tool:
        case Tool.PIP:
            return ("PIP_INDEX_URL", "PIP_PYPI_URL")
        case Tool.UV:
            return ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
        case Tool.PDM:
            return ("PDM_PYPI_URL",)
        case Tool.POETRY:
            return ("POETRY_PYPI_MIRROR_URL",)
        case Tool.CONDA:
            return ("CONDA_DEFAULT_CHANNELS", "CONDA_CHANNELS")


def further_variables(tool: Tool) -> tuple[str, ...]:
    """Return those that name indexes to be asked besides the one that is set."""
    match tool:
        case Tool.PIP:
            return ("PIP_EXTRA_INDEX_URL",)
        case Tool.UV:
            return ("UV_INDEX", "UV_EXTRA_INDEX_URL")
        case _:
            return ()


def pip_files(around: ConfigContext) -> list[tuple[str, Path]]:
    """Return every file that pip reads for this user, the last one being the strongest: (whose, path)."""
    found = [("global", folder / "pip" / "pip.conf") for folder in reversed(around.everywhere)]
    if around.platform == "win32":
        found = [("global", around.program_data / "pip" / "pip.ini")]
        found += [("user", around.home / "pip" / "pip.ini"), ("user", _pip_user(around))]
    elif around.platform == "darwin":
        found = [("global", Path("/Library/Application Support/pip/pip.conf"))]
        found += [("user", around.home / ".pip" / "pip.conf"), ("user", _pip_user(around))]
    else:
        found += [("global", Path("/etc/pip.conf"))]
        found += [("user", around.home / ".pip" / "pip.conf"), ("user", _pip_user(around))]
    named = around.environ.get("PIP_CONFIG_FILE")
    if named and Path(named).exists():
        found = [(whose, file) for whose, file in found if whose != "user"]
    if folder := _virtual_environment(around):
        found.append(("project", folder / _pip_name(around)))
    if named and Path(named).exists():
        found.append(("PIP_CONFIG_FILE", Path(named)))
    return found


def _pip(scope: ConfigScope, around: ConfigContext) -> Path:
    named = around.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        raise UsageError("PIP_CONFIG_FILE forbids pip to read any file.", hint="Unset it, or use --print env.")
    match scope:
        case ConfigScope.USER:
            # pip doesn't read the user's own file then.
            return Path(named) if named and Path(named).exists() else _pip_user(around)
        case ConfigScope.GLOBAL if around.platform == "win32":
            return around.program_data / "pip" / "pip.ini"
        case ConfigScope.GLOBAL if around.platform == "darwin":
            return Path("/Library/Application Support/pip/pip.conf")
        case ConfigScope.GLOBAL:
            return Path("/etc/pip.conf")
        case ConfigScope.PROJECT:
            folder = _virtual_environment(around)
            if folder is None:
                raise UsageError(
                    "pip has no settings of a project but those of its virtual environment, and there is none here.",
                    hint="Activate it, make one in .venv, or use --scope user.",
                )
            return folder / _pip_name(around)


def _pip_user(around: ConfigContext) -> Path:
    if around.platform == "win32":
        return around.config / "pip" / "pip.ini"
    if around.platform == "darwin":
        # Made by us it would hide the other one.
        library = around.home / "Library" / "Application Support" / "pip"
        return (library if library.is_dir() else around.home / ".config" / "pip") / "pip.conf"
    return around.config / "pip" / "pip.conf"


def _pip_name(around: ConfigContext) -> str:
    return "pip.ini" if around.platform == "win32" else "pip.conf"


def _virtual_environment(around: ConfigContext) -> Path | None:
    active = around.environ.get("VIRTUAL_ENV")
    if active and Path(active).is_dir():
        return Path(active)
    here = around.cwd / ".venv"
    return here if (here / "pyvenv.cfg").is_file() else None


def _uv(scope: ConfigScope, around: ConfigContext) -> Path:
    if around.environ.get("UV_NO_CONFIG"):
        raise UsageError("UV_NO_CONFIG forbids uv to read any file.", hint="Unset it, or use --print env.")
    match scope:
        case ConfigScope.USER:
            named = around.environ.get("UV_CONFIG_FILE")
            return Path(named) if named else around.config / "uv" / "uv.toml"
        case ConfigScope.GLOBAL if around.platform == "win32":
            return around.program_data / "uv" / "uv.toml"
        case ConfigScope.GLOBAL:
            # uv reads the first of these alone.
            places = [folder / "uv" / "uv.toml" for folder in around.everywhere]
            return next((file for file in places if file.is_file()), Path("/etc/uv/uv.toml"))
        case ConfigScope.PROJECT:
            return _uv_project(around)


def _uv_project(around: ConfigContext) -> Path:
    """Return the file of a project.

    A `uv.toml` hides all of `[tool.uv]` beside it, so none is made where there is a pyproject.toml.
    """
    nearest = None
    for folder in (around.cwd, *around.cwd.parents):
        own, shared = folder / "uv.toml", folder / "pyproject.toml"
        if own.is_file():
            return own
        if shared.is_file():
            nearest = nearest or shared
            if re.search(rb"^\s*\[+\s*tool\s*\.\s*uv\b", _bytes(shared), re.MULTILINE):
                return shared
    return nearest or around.cwd / "uv.toml"


def _pdm(scope: ConfigScope, around: ConfigContext) -> Path:
    match scope:
        case ConfigScope.PROJECT:
            return _pyproject(around, "PDM").with_name("pdm.toml")
        case ConfigScope.USER if named := around.environ.get("PDM_CONFIG_FILE"):
            return Path(named)
        case ConfigScope.USER if around.platform == "win32":
            local = around.environ.get("LOCALAPPDATA") or around.home / "AppData" / "Local"
            return Path(local, "pdm", "pdm", "config.toml")
        case ConfigScope.USER if around.platform == "darwin":
            return around.home / "Library" / "Application Support" / "pdm" / "config.toml"
        case ConfigScope.USER:
            return around.config / "pdm" / "config.toml"
        case ConfigScope.GLOBAL if around.platform == "win32":
            return around.program_data / "pdm" / "pdm" / "config.toml"
        case ConfigScope.GLOBAL if around.platform == "darwin":
            return Path("/Library/Application Support/pdm/config.toml")
        case _:
            return around.everywhere[0] / "pdm" / "config.toml"


def _poetry(scope: ConfigScope, around: ConfigContext) -> Path:
    if scope is ConfigScope.GLOBAL:
        raise UsageError("Poetry has no settings for all users.", hint="Use --scope user or --scope project.")
    if named := around.environ.get("POETRY_CONFIG_DIR"):
        return Path(named, "config.toml")
    if around.platform == "darwin":
        return around.home / "Library" / "Application Support" / "pypoetry" / "config.toml"
    return around.config / "pypoetry" / "config.toml"


def _conda(scope: ConfigScope, around: ConfigContext) -> Path:
    match scope:
        case ConfigScope.USER:
            return around.home / ".condarc"
        case ConfigScope.GLOBAL if around.platform == "win32":
            return around.program_data / "conda" / ".condarc"
        case ConfigScope.GLOBAL:
            return Path("/etc/conda/.condarc")
        case ConfigScope.PROJECT:
            prefix = around.environ.get("CONDA_PREFIX")
            if not prefix:
                raise UsageError(
                    "conda has no settings of a project but those of its environment, and none is active.",
                    hint="Activate it, or use --scope user.",
                )
            return Path(prefix, ".condarc")


def _pyproject(around: ConfigContext, whose: str) -> Path:
    for folder in (around.cwd, *around.cwd.parents):
        if (folder / "pyproject.toml").is_file():
            return folder / "pyproject.toml"
    raise UsageError(
        f"There is no pyproject.toml here or above, so {whose} has no project here.", hint="Use --scope user."
    )


def _bytes(file: Path) -> bytes:
    try:
        return read_given(file)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
