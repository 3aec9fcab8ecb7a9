"""What is known of frameworks: data, one file each."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from tf_tester.core.text.parsing import parse_toml
from tf_tester.core.text.units import memory_size
from tf_tester.errors import ConfigError
from tf_tester.model.framework import Framework, KnownFailure, Placeholder

_SDISTS = "sdists.toml"
_SAME_MODULES = "same_modules.toml"
_PLACEHOLDERS = "placeholders.toml"
_KNOWN_FAILURES = "known_failures.toml"
_OTHER = (_SDISTS, _SAME_MODULES, _PLACEHOLDERS, _KNOWN_FAILURES)
"""Files that describe no framework."""


def framework_files() -> list[Traversable]:
    """Return the files of `frameworks/` that describe one framework each, by name."""
    found = files("tf_tester.frameworks").iterdir()
    return sorted((file for file in found if file.name.endswith(".toml") and file.name not in _OTHER), key=str)


def framework_of(package: str) -> Framework:
    """Return what is known of a package's framework; sensible defaults where nothing is."""
    for file in framework_files():
        text = file.read_text("utf-8")
        if f'"{package}"' not in text:
            continue  # spares the parsing
        framework = parse_framework(text, file.name)
        if package in framework.packages:
            return framework
    return Framework(title=package, packages=(package,))


def probe_of(package: str) -> Path:
    """Return the file of tests for whoever has none of his own: its framework's, or one for any package."""
    name = framework_of(package).probe or "test_imports.py"
    return Path(str(files("tf_tester.frameworks").joinpath("probes", name)))


def parse_framework(text: str, name: str) -> Framework:
    """Return the framework that a TOML text describes; `name` is the file's, for errors.

    Raises `ConfigError` for what is no TOML, for a key that isn't a field of `Framework`, and for a wrong type.
    """
    import tomllib

    try:
        table: dict[str, Any] = parse_toml(text)
        return msgspec.convert(table | _memory(table.get("memory")), Framework)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{name}: {error}", hint="docs/reference/frameworks.md tells what a framework's file may hold."
        ) from error


def _memory(given: object) -> dict[str, int]:
    """Return the size in bytes where it is written as text. Raises `msgspec.ValidationError`."""
    if not isinstance(given, str):
        return {}
    try:
        return {"memory": memory_size(given)}
    except ValueError as error:
        raise msgspec.ValidationError(f"{given!r} is not {error} - at `$.memory`") from error


def known_sdists() -> frozenset[str]:
    """Return the names whose source distributions may be built without asking."""
    import tomllib

    return frozenset(tomllib.loads(files("tf_tester.frameworks").joinpath(_SDISTS).read_text("utf-8"))["names"])


def same_modules() -> tuple[frozenset[str], ...]:
    """Return groups of distributions that bring the same modules; canonical names."""

    text = files("tf_tester.frameworks").joinpath(_SAME_MODULES).read_text("utf-8")
    return tuple(frozenset(group) for group in parse_toml(text)["groups"])


def placeholders() -> tuple[Placeholder, ...]:
    """Return the distributions that bring nothing."""

    text = files("tf_tester.frameworks").joinpath(_PLACEHOLDERS).read_text("utf-8")
    return msgspec.convert(parse_toml(text)["placeholders"], tuple[Placeholder, ...])


def known_failures() -> tuple[KnownFailure, ...]:
    """Return the failures that are known; read where one happens, and not before."""
    text = files("tf_tester.frameworks").joinpath(_KNOWN_FAILURES).read_text("utf-8")
    return msgspec.convert(parse_toml(text)["failure"], tuple[KnownFailure, ...])
