"""What a source tree says of how it is built: PEP 517 and PEP 518. Pure."""

import tomllib
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from packaging.requirements import InvalidRequirement, Requirement

from tf_tester.errors import Malformed

_SETUPTOOLS = "setuptools>=40.8.0"
"""What PEP 517 has for trees that name nothing: with it came the back end for those."""
_LEGACY = "setuptools.build_meta:__legacy__"


class BuildSystem(Struct, frozen=True):
    """The table `build-system`."""

    requires: tuple[str, ...] = (_SETUPTOOLS,)
    backend: str = _LEGACY
    backend_path: tuple[str, ...] = ()
    """Folders of the tree in which the back end lies, if it is its own."""


def build_system(pyproject: str) -> BuildSystem:
    """Return what a `pyproject.toml` says; empty text: there is none. Raises `ValueError` or `Malformed`.

    >>> build_system("").backend
    'setuptools.build_meta:__legacy__'
    """
    table = tomllib.loads(pyproject).get("build-system")
    if table is None:
        return BuildSystem()
    if not isinstance(table, dict) or "requires" not in table:
        raise ValueError("build-system has no requires (PEP 518)")
    backend = table.get("build-backend", _LEGACY)
    if not isinstance(backend, str) or not backend:
        raise ValueError("build-backend is no text")
    return BuildSystem(
        build_requirements(_texts(table["requires"], "requires")),
        backend,
        _texts(table.get("backend-path", []), "backend-path"),
    )


def build_requirements(texts: Iterable[str]) -> tuple[str, ...]:
    """Return requirements that an index has, as PEP 508 has them. Raises `ValueError` for any other."""
    return tuple(_from_index(text) for text in texts)


def hook_answer(said: object) -> tuple[str, ...]:
    """Return what a back end says that it requires besides. Raises `ValueError` where it says something else."""
    return build_requirements(_texts(said, "get_requires_for_build_wheel"))


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} is no list of texts")
    return tuple(value)


def _from_index(text: str) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise ValueError(f"{text!r} is no requirement") from None
    if requirement.url is not None:
        # What an address has is in no lock, and nothing promises it.
        raise Malformed(
            f"{text!r} names an address, and what a build requires comes from the index",
            hint="It has to be required by name: the index may have it, or a folder of wheels (--find-links).",
        )
    return str(requirement)
