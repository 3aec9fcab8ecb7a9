"""What a cell gets besides the package under test: requirements, their files, the user's own project."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from tf_tester.cli.common.given_places import check_links, check_project, check_reference
from tf_tester.core.config.settings import Settings
from tf_tester.core.index.links import display_url
from tf_tester.core.select.pytest_wanted import is_test_tool
from tf_tester.core.text.parsing import parse_toml
from tf_tester.core.text.places import seen_from
from tf_tester.core.text.sizes import count_text
from tf_tester.core.wheel.direct import direct_reference, is_direct
from tf_tester.errors import UsageError
from tf_tester.given_files import read_given
from tf_tester.model.request import Trial

if TYPE_CHECKING:
    from tf_tester.core.select.requirements_file import RequestedPackages


def requested(files: tuple[Path, ...], package: str) -> "RequestedPackages":
    """Return what requirements files ask for besides the package under test. Raises `UsageError`."""
    from tf_tester.core.select.requirements_file import RequestedPackages, read_requirements

    cwd = Path.cwd()
    try:
        return read_requirements(files, package, _content, os.environ, cwd=cwd) if files else RequestedPackages()
    except UsageError as error:
        raise UsageError(seen_from(error.message, str(cwd)), hint=error.hint) from error


def with_indexes(settings: Settings) -> Settings:
    """Return settings with the folders, pages and indexes of packages that requirements files name.

    Raises `UsageError`, `ConfigError`.
    """
    from msgspec.structs import replace

    from tf_tester.index.configured import beside

    found = requested(settings.requirements, str(canonicalize_name(settings.package)))
    links = tuple(_link(text, place) for text, place in found.find_links)
    extra = settings.extra_index_url
    if found.extra_indexes:
        # As in pip they come to what is set otherwise.
        extra = (*beside(settings, os.environ)[0], *found.extra_indexes)
    return replace(
        settings,
        find_links=tuple(dict.fromkeys((*settings.find_links, *links))),
        extra_index_url=tuple(dict.fromkeys(extra)),
    )


def index_requirements(settings: Settings) -> tuple[str, ...]:
    """Return what `--with` asks for, of a command that takes from indexes alone. Raises `UsageError`."""
    placed = next((text for text in settings.with_ if is_direct(text)), None)
    if placed is not None:
        raise UsageError(
            f"{display_url(placed)} is an address, and this command takes what indexes have.",
            hint="Name a version, and a folder of wheels with --find-links.",
        )
    return settings.with_


def _link(text: str, place: str) -> str:
    """Return what `--find-links` at a place in a file means: a path from that file, or else from the current folder.

    Raises `UsageError`.
    """
    if "://" in text or text.startswith("file:"):
        return text
    folder = Path(place.rpartition(":")[0]).parent
    path = folder.absolute() / text if (folder / text).exists() else Path.cwd() / text
    check_links(path, place)
    return str(path)


_FROM_PIPES: dict[Path, bytes] = {}
"""What has come out of pipes (`-r <(pip freeze)`): nothing comes a second time."""


def _content(file: Path) -> bytes:
    try:
        if file.is_fifo():
            if file not in _FROM_PIPES:
                _FROM_PIPES[file] = read_given(file)
            return _FROM_PIPES[file]
        return read_given(file)
    except OSError as error:
        raise UsageError(f"The requirements file {file} can't be read: {error.strerror}.") from error


def with_packages(trial: Trial, settings: Settings) -> Trial:
    """Return a trial with everything that is to be installed besides the package under test. Raises `UsageError`."""
    from msgspec.structs import replace

    package = str(canonicalize_name(settings.package))
    found = requested(settings.requirements, package)
    project, extras = _with_extras(settings.project)
    remarks = trial.remarks
    if found.hashes:
        remarks += (f"the hashes in {', '.join(found.sources)} bind what they are of; all else is as its index says",)
    if found.versions:
        place, text = found.versions[0]
        more = f" (and {count_text(len(found.versions) - 1, 'other line')})" if len(found.versions) > 1 else ""
        place = seen_from(place, str(Path.cwd()))
        remarks += (f"{place} asks for {text}{more}: the versions of {package} are those that are tested",)
    now = "is built and installed as it is now, not editable"
    remarks += tuple(f"{seen_from(one, str(Path.cwd()))} {now}" for one in found.editable)
    if found.extra_indexes:
        remarks += (f"requirements files add the index {' and '.join(map(display_url, found.extra_indexes))}",)
    if project is not None:
        check_project(project, "--project")
    named = [text for text in settings.with_ if not is_direct(text)]
    placed = [direct_reference(text, Path.cwd()) for text in settings.with_ if is_direct(text)]
    of_groups = _of_groups(settings.group, project)
    for reference, place in (*((one, "--with") for one in placed), *found.direct_places):
        check_reference(reference, place)
    return replace(
        trial,
        requirements=(*named, *found.requirements, *(text for text in of_groups if not is_test_tool(text))),
        groups=settings.group,
        test_tools=tuple(text for text in of_groups if is_test_tool(text)),
        direct=tuple(dict.fromkeys((*(one for one in placed if one.name != package), *found.direct))),
        pre=found.pre,
        places=(*found.places, *((text, f"the group {' and '.join(settings.group)}") for text in of_groups)),
        files=tuple(file.absolute() for file in settings.requirements),
        constraints=found.constraints,
        hashes=tuple(found.hashes.items()),
        remarks=remarks,
        project=project,
        extras=extras,
    )


def _with_extras(project: Path | None) -> tuple[Path | None, tuple[str, ...]]:
    """Return the folder and the extras of `.[test,docs]`."""
    if project is None:
        return None, ()
    if project.exists():
        return project.resolve(), ()
    match = re.fullmatch(r"(.*?)/?\[([A-Za-z0-9._, -]+)\]", str(project))
    if match is None:
        return project, ()
    return Path(match[1] or ".").resolve(), tuple(word.strip() for word in match[2].split(",") if word.strip())


def _of_groups(groups: tuple[str, ...], project: Path | None) -> tuple[str, ...]:
    """Return the requirements of dependency groups (PEP 735) of a project. Raises `UsageError`."""
    if not groups:
        return ()
    import tomllib

    from packaging.dependency_groups import resolve_dependency_groups

    file = (project or Path.cwd()) / "pyproject.toml"
    try:
        table = parse_toml(read_given(file)).get("dependency-groups", {})
        return tuple(resolve_dependency_groups(table, *groups))
    except OSError as error:
        raise UsageError(
            f"{file} can't be read for --group: {error.strerror}.", hint="Name its folder with --project."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}.") from error
    except (LookupError, ValueError, TypeError, ExceptionGroup) as error:
        known = ", ".join(table) if isinstance(table, dict) and table else "none"
        raise UsageError(
            f"{file} can't give {' and '.join(groups)}: {_first(error)}.", hint=f"Its groups: {known}."
        ) from error


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error.args[0] if error.args else error).rstrip(".")
