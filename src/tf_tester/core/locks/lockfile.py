"""A lock in the formats of others: pip's hashed requirements, and `pylock.toml` (PEP 751).

Both name the authority's own addresses and hashes, never a mirror's: a lock is to mean the same everywhere.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tf_tester.core.select.markers import markers_of
from tf_tester.core.select.tags import best_wheel
from tf_tester.core.text.parsing import parse_requirement, parse_toml
from tf_tester.core.wheel.direct import direct_reference, git_place
from tf_tester.errors import ConfigError
from tf_tester.model.artifact import Artifact, Promise, Promiser
from tf_tester.model.cell import Cell, CellRequirement
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.lock import Pin, Resolution
from tf_tester.model.request import DirectReference

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.pylock import Pylock
    from packaging.requirements import Requirement
    from packaging.specifiers import Specifier

_TABLE = "tf-tester"
"""Of ours in a lock, below `[tool]`."""


class LockOrigin(Struct, frozen=True):
    """What a lock answers; with it the same question can be asked again."""

    cell: Cell
    grace: timedelta = timedelta()
    requirements: tuple[str, ...] = ()
    """Besides the package under test."""
    tools: tuple[str, ...] = ()
    """Requirements of the test runner."""
    allow_build: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    pre: bool = False
    """Whether pre-releases would do of what is installed besides the package under test."""


class LockFormat(StrEnum):
    """What is written beside the wheels of a download, or for a cell."""

    REQUIREMENTS = "requirements"
    PYLOCK = "pylock"
    CONSTRAINTS = "constraints"
    NONE = "none"


def requirements_text(pins: Sequence[Pin], *, header: Sequence[str], sources: bool = False) -> str:
    """Return what `pip install --require-hashes -r` takes.

    `sources`: of what was built here the source distribution's hash.

    >>> pin = Pin("toy", "1.0", "toy-1.0-py3-none-any.whl", "ab12", 5, "https://x/toy")
    >>> print(requirements_text([pin], header=["For it."]))
    # For it.
    toy==1.0 \\
        --hash=sha256:ab12
    <BLANKLINE>
    """
    lines = [f"# {line}" for line in header]
    for pin in pins:
        digest = pin.built_from if pin.built_from and (sources or _is_direct(pin)) else pin.sha256
        # What is in git has no hash: its commit says what it is.
        hashed = "" if pin.url.startswith("git+") else f" \\\n    --hash=sha256:{digest}"
        lines.append(f"{_wanted(pin)}{hashed}")
    return "\n".join(lines) + "\n"


def constraints_text(pins: Sequence[Pin], *, header: Sequence[str]) -> str:
    """Return what `pip install -c` takes: versions alone."""
    return "".join(f"{line}\n" for line in (*(f"# {line}" for line in header), *map(_wanted, pins)))


def _is_direct(pin: Pin) -> bool:
    return pin.promiser is Promiser.REQUIREMENT and bool(pin.url)


def _wanted(pin: Pin) -> str:
    return f"{pin.name} @ {pin.url}" if _is_direct(pin) else f"{pin.name}=={pin.version}"


def pylock_text(pins: Sequence[Pin], *, python: str, created_by: str, origin: LockOrigin | None = None) -> str:
    """Return a lock as PEP 751 has it. `python`: the one that it was made for, such as `3.8`.

    `origin` goes into a table of ours.

    What was built here stands in it as the source distribution that it was built from.
    """
    import tomlkit
    from packaging.pylock import Package, PackageArchive, PackageSdist, PackageVcs, PackageWheel, Pylock
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    def package(pin: Pin) -> Package:
        if _is_direct(pin) and (pin.url.startswith("git+") or pin.built_from):
            return direct(pin)
        source = pin.built_from is not None or not pin.filename.endswith(".whl")
        name = pin.url.rpartition("/")[2] if pin.built_from is not None else pin.filename
        file: dict[str, Any] = {
            "name": name,
            "upload_time": pin.upload_time,
            "url": pin.url,
            "size": None if pin.built_from is not None else pin.size,
            "hashes": {"sha256": pin.built_from or pin.sha256},
        }
        return Package(
            name=canonicalize_name(pin.name),
            version=Version(pin.version),
            sdist=PackageSdist(**file) if source else None,
            wheels=None if source else [PackageWheel(**file)],
        )

    def direct(pin: Pin) -> Package:
        name, version = canonicalize_name(pin.name), Version(pin.version)
        repository, commit, subdirectory = git_place(pin.url)
        within = subdirectory or None
        if pin.url.startswith("git+"):
            vcs = PackageVcs(type="git", url=repository, path=None, commit_id=commit, subdirectory=within)
            return Package(name=name, version=version, vcs=vcs)
        hashes = {"sha256": pin.built_from or pin.sha256}
        archive = PackageArchive(url=pin.url.partition("#")[0], path=None, hashes=hashes, subdirectory=within)
        return Package(name=name, version=version, archive=archive)

    lock = Pylock(
        lock_version=Version("1.0"),
        requires_python=SpecifierSet(f"=={python}.*"),
        created_by=created_by,
        packages=[package(pin) for pin in pins],
        tool={_TABLE: _table(origin)} if origin is not None else None,
    )
    return tomlkit.dumps(lock.to_dict())


def _table(origin: LockOrigin) -> dict[str, Any]:
    cell = origin.cell
    words = {
        "package": cell.package,
        "version": cell.version,
        "python": cell.python,
        "resolution": str(cell.resolution),
    }
    lists = {
        "also": tuple(one.text for one in cell.besides),
        "requirements": origin.requirements,
        "tools": origin.tools,
        "allow-build": origin.allow_build,
        "constraints": origin.constraints,
    }
    rest = {name: list(values) for name, values in lists.items() if values}
    return words | {"grace-seconds": int(origin.grace.total_seconds())} | rest | ({"pre": True} if origin.pre else {})


def origin_of(content: bytes) -> LockOrigin | None:
    """Return what a `pylock.toml` of ours answers; None where it is somebody else's."""
    import tomllib

    try:
        table = parse_toml(content)["tool"][_TABLE]
        return LockOrigin(
            Cell.of(
                str(table["package"]),
                str(table["version"]),
                str(table["python"]),
                Resolution(table["resolution"]),
                besides=tuple(CellRequirement.parse(str(text)) for text in table.get("also", ())),
            ),
            timedelta(seconds=int(table.get("grace-seconds", 0))),
            tuple(map(str, table.get("requirements", ()))),
            tuple(map(str, table.get("tools", ()))),
            tuple(map(str, table.get("allow-build", ()))),
            tuple(map(str, table.get("constraints", ()))),
            table.get("pre", False) is True,
        )
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError):
        return None


def artifacts_of(content: bytes, interpreter: Interpreter, *, shown: str) -> list[Artifact]:
    """Return the files that a `pylock.toml` has for an interpreter, with the lock's word for their hashes.

    Of a package the best wheel, else its source distribution. Raises `ConfigError` where it is no lock, names
    something else than files with a SHA-256 and an address, or has nothing for that interpreter; `shown`: its name.
    """
    lock = _pylock(content, shown)
    environment = markers_of(interpreter)
    found = []
    for package in lock.packages:
        if package.marker is not None and not _marked(package.marker, environment):
            continue
        if package.vcs is not None or package.archive is not None:
            continue
        name = str(package.name)
        files = [*(package.wheels or ()), *((package.sdist,) if package.sdist else ())]
        offered = []
        for file in files:
            filename = file.name or (file.url or file.path or "").rpartition("/")[2]
            sha256 = file.hashes.get("sha256")
            if file.url is not None and sha256 is not None:
                version = str(package.version or "")
                promise = Promise(Promiser.LOCK, f"lock {shown}")
                offered.append(Artifact(filename, name, version, file.url, sha256.lower(), file.size, promise=promise))
        wheels = [artifact for artifact in offered if artifact.is_wheel]
        chosen = best_wheel(wheels, interpreter) or next((one for one in offered if one.is_sdist), None)
        if chosen is None:
            raise ConfigError(
                f"{shown} has no file of {name} with an address and a SHA-256 that fits Python {interpreter.label}.",
                hint="Name the Python and the platform that the lock was made for with --python and --platform.",
            )
        found.append(chosen)
    return found


def direct_of(content: bytes, interpreter: Interpreter, *, shown: str) -> list[DirectReference]:
    """Return what a `pylock.toml` has from git, or as an archive, for an interpreter. Raises as `artifacts_of` does."""
    environment = markers_of(interpreter)
    found = []
    for package in _pylock(content, shown).packages:
        if package.marker is not None and not _marked(package.marker, environment):
            continue
        vcs, archive = package.vcs, package.archive
        if vcs is not None and vcs.type == "git" and vcs.url is not None:
            place = f"git+{vcs.url}@{vcs.commit_id}"
            fragment = f"#subdirectory={vcs.subdirectory}" if vcs.subdirectory else ""
        elif archive is not None and archive.url is not None and "sha256" in archive.hashes:
            place, fragment = archive.url, f"#sha256={archive.hashes['sha256']}"
            fragment += f"&subdirectory={archive.subdirectory}" if archive.subdirectory else ""
        elif vcs is None and archive is None:
            continue
        else:
            raise ConfigError(
                f"{shown} has {package.name} neither from git nor with an address and a SHA-256.",
                hint="Make the lock anew from where it has one.",
            )
        found.append(direct_reference(f"{package.name} @ {place}{fragment}", Path("/")))
    return found


def _marked(marker: "Marker", environment: dict[str, str]) -> bool:
    """Return whether a marker holds when no extra and no group of dependencies is asked for."""
    none: frozenset[str] = frozenset()
    return marker.evaluate({**environment, "extras": none, "dependency_groups": none}, context="lock_file")


def _pylock(content: bytes, shown: str) -> "Pylock":
    import tomllib

    from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError

    try:
        return Pylock.from_dict(parse_toml(content))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, PylockValidationError, PylockUnsupportedVersionError) as error:
        raise ConfigError(f"{shown} is not a lock (PEP 751): {error}") from error


def python_of(content: bytes, *, shown: str) -> str:
    """Return the Python, such as `3.10`, that a `pylock.toml` is for.

    Raises `ConfigError` where it leaves that open.
    """
    specifiers = _pylock(content, shown).requires_python
    versions = [one.version.removesuffix(".*") for one in specifiers or () if one.operator in ("==", "~=", ">=")]
    if len(versions) != 1:
        raise ConfigError(
            f"{shown} doesn't say which Python it is for.", hint='Write requires-python = "==3.10.*" into it.'
        )
    return ".".join(versions[0].split(".")[:2])


def version_in(content: bytes, package: str, *, shown: str) -> str:
    """Return the version of a package in a `pylock.toml`. Raises `ConfigError` where it has none."""
    found = next((one.version for one in _pylock(content, shown).packages if one.name == package), None)
    if found is None:
        raise ConfigError(f"{shown} doesn't have {package}.", hint="Name the package that is tested with --package.")
    return str(found)


class ExactRequirement(Struct, frozen=True):
    """One line of requirements that is exact."""

    name: str
    """Canonical."""
    version: str
    hashes: frozenset[str] = frozenset()
    """SHA-256 of the files that are allowed; empty: all are."""


def exact_requirements(
    text: str, interpreter: Interpreter, *, shown: str
) -> tuple[list[ExactRequirement], tuple[str, ...]]:
    """Return what requirements like those of `pip freeze` name for an interpreter, and remarks on lines that were left
    out.

    Raises `ConfigError` for a requirement that leaves the version open.
    """
    from packaging.requirements import InvalidRequirement
    from packaging.utils import canonicalize_name

    environment = markers_of(interpreter)
    found: list[ExactRequirement] = []
    left_out: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line:
            continue
        words, *hashes = re.split(r"\s--hash[= ]", line)
        try:
            requirement = parse_requirement(words.strip())
        except InvalidRequirement:
            left_out.append(line)
            continue
        if requirement.url is not None:
            left_out.append(line)
            continue
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        exact = [one.version for one in requirement.specifier if one.operator in ("==", "===")]
        if len(exact) != 1 or exact[0].endswith(".*"):
            raise ConfigError(
                f"{shown} is not a lock: {words.strip()!r} doesn't say which version.",
                hint="Give a pylock.toml, or requirements with == everywhere, such as `pip freeze` writes.",
            )
        digests = frozenset(one.strip().partition(":")[2].lower() for one in hashes if one.startswith("sha256:"))
        found.append(ExactRequirement(str(canonicalize_name(requirement.name)), exact[0], digests))
    if not found:
        raise ConfigError(f"{shown} names no distribution.", hint="Give a pylock.toml, or what `pip freeze` writes.")
    return found, tuple(f"{shown}: {line!r} was left out" for line in left_out)


def locked_requirements(content: bytes, *, shown: str) -> list[tuple["Requirement", frozenset[str]]]:
    """Return what a lock names, whatever it was made for, each with the SHA-256 of its files; none: all of that
    version.

    A `pylock.toml`, a lock of uv, Poetry or PDM, or requirements with `==` everywhere. Raises `ConfigError` where it is
    none of these.
    """
    import tomllib

    try:
        table = parse_toml(content)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        table = {}
    if "lock-version" in table:
        found = list(_of_pylock(_pylock(content, shown)))
    elif isinstance(table.get("package"), list):
        found = list(_of_tools(table["package"]))
    else:
        found = list(_of_requirements(content.decode("utf-8", "replace"), shown))
    if not found:
        raise ConfigError(f"{shown} names no file.", hint="Give a pylock.toml, or requirements with ==.")
    return found


def _of_pylock(lock: "Pylock") -> Iterator[tuple["Requirement", frozenset[str]]]:

    for package in lock.packages:
        files = [*(package.wheels or ()), *((package.sdist,) if package.sdist else ())]
        digests = frozenset(one.hashes["sha256"].lower() for one in files if "sha256" in one.hashes)
        if digests:
            yield parse_requirement(str(package.name)), digests


def _of_tools(packages: list[Any]) -> Iterator[tuple["Requirement", frozenset[str]]]:
    """Yield what tools' locks name: uv has `wheels` and `sdist`, Poetry and PDM have `files`; a hash is `sha256:…` in
    all.
    """
    from packaging.requirements import InvalidRequirement

    for package in packages:
        if not isinstance(package, dict):
            continue
        files = [*package.get("wheels", ()), *package.get("files", ()), package.get("sdist") or {}]
        hashes = (str(one.get("hash", "")) for one in files if isinstance(one, dict))
        digests = frozenset(one[7:].lower() for one in hashes if one.startswith("sha256:"))
        try:
            requirement = parse_requirement(str(package.get("name", "")))
        except InvalidRequirement:
            continue
        if digests:
            yield requirement, digests


def _of_requirements(text: str, shown: str) -> Iterator[tuple["Requirement", frozenset[str]]]:
    from packaging.requirements import InvalidRequirement

    for line in text.replace("\\\n", " ").splitlines():
        words, *hashes = re.split(r"\s--hash[= ]", re.sub(r"(^|\s)#.*", "", line).strip())
        if not words.strip() or words.startswith("-"):
            continue
        try:
            requirement = parse_requirement(words.strip())
        except InvalidRequirement:
            requirement = None
        if requirement is None or not any(_is_exact(one) for one in requirement.specifier):
            raise ConfigError(
                f"{shown} is not a lock: {words.strip()!r} doesn't say which version.",
                hint="Give a pylock.toml, or requirements with == everywhere, such as `pip freeze` writes.",
            )
        yield requirement, frozenset(one.strip()[7:].lower() for one in hashes if one.startswith("sha256:"))


def _is_exact(specifier: "Specifier") -> bool:
    return specifier.operator in ("==", "===") and not specifier.version.endswith(".*")


def digests_of(content: bytes, *, shown: str) -> set[str]:
    """Return every SHA-256 in a `pylock.toml`, or in requirements with hashes.

    Raises `ConfigError` where there is none; `shown`: the file's name.
    """
    text = content.decode("utf-8", "replace").lower()
    found = set(re.findall(r"\bsha256[\"']?\s*[:=]\s*[\"']?([0-9a-f]{64})\b", text))
    if not found:
        raise ConfigError(f"{shown} names no SHA-256.", hint="Give a pylock.toml, or requirements with hashes.")
    return found
