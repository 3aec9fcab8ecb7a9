"""What a project's settings say to pytest, as far as somebody outside of it must know."""

import configparser
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tf_tester.core.text.parsing import parse_toml

FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""Where pytest looks in one folder, in its order; the first that has settings for it counts."""
_ALWAYS = frozenset(FILES[:4])
"""Files that count although they are empty."""


class PytestSettings(Struct, frozen=True):
    """Settings of one project; empty: pytest's own."""

    python_files: tuple[str, ...] = ()
    minversion: str = ""
    """The oldest pytest that does."""
    addopts: tuple[str, ...] = ()
    """Arguments that are always given."""


def settings_in(name: str, text: str) -> PytestSettings | None:
    """Return the settings for pytest in one file, or None where it has none, or can't be read.

    >>> settings_in("setup.cfg", "[tool:pytest]\\npython_files = check_*.py *_spec.py")
    PytestSettings(python_files=('check_*.py', '*_spec.py'), minversion='', addopts=())
    >>> settings_in("tox.ini", "[tox]\\nenvlist = py") is None
    True
    """
    table = _toml_table(name, text) if name.endswith(".toml") else _ini_table(name, text)
    if table is None:
        return None
    oldest = table.get("minversion")
    is_version = isinstance(oldest, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)*", oldest.strip()) is not None
    minversion = str(oldest).strip() if is_version else ""
    return PytestSettings(_words(table.get("python_files")), minversion, _words(table.get("addopts")))


def _toml_table(name: str, text: str) -> Mapping[str, Any] | None:
    import tomllib

    try:
        content: Any = parse_toml(text)
        if name in _ALWAYS:
            found = content.get("pytest", {})
        else:
            tool = content.get("tool", {}).get("pytest", {})
            found = tool.get("ini_options", tool or None)
    except (tomllib.TOMLDecodeError, AttributeError):
        return None
    return found if isinstance(found, Mapping) else None


def _ini_table(name: str, text: str) -> Mapping[str, Any] | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    if parser.has_section(section):
        return dict(parser.items(section))
    return {} if name in _ALWAYS else None


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(map(str, value)) if isinstance(value, list) else ()
