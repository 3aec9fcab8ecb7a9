"""Files and folders that the user names for what is to be installed: what isn't there is told before anything runs."""

from pathlib import Path

from tf_tester.core.index.links import local_path
from tf_tester.core.text.places import seen_from
from tf_tester.core.wheel.direct import PROJECT_FILES, git_place, is_exact
from tf_tester.errors import UsageError
from tf_tester.model.request import DirectKind, DirectReference

_A_PROJECT = "Name a folder with a pyproject.toml or a setup.py."


def check_reference(reference: DirectReference, place: str) -> None:
    """Raise `UsageError` where a requirement names a file, folder or repository that isn't there.

    `place`: who names it, `--with` or such as `r.txt:3`. One with a marker may be for no cell at all.
    """
    path = _local(reference)
    if path is None or reference.marker:
        return
    if reference.kind is DirectKind.FOLDER:
        check_project(path, place)
    elif reference.kind is DirectKind.GIT and not path.is_dir():
        raise _missing("repository", path, place)
    elif reference.kind is not DirectKind.GIT and not path.is_file():
        raise _missing("file", path, place)


def check_project(folder: Path, place: str) -> None:
    """Raise `UsageError` where a folder isn't there, or has no project that can be built."""
    if not folder.is_dir():
        raise _missing("folder", folder, place)
    if not any((folder / name).is_file() for name in PROJECT_FILES):
        raise UsageError(f"{_shown(place)}: {_shown(str(folder))} has no project that can be built.", hint=_A_PROJECT)


def check_links(path: Path, place: str) -> None:
    """Raise `UsageError` where a folder of wheels, or a page, isn't there."""
    if not path.exists():
        raise _missing("file or folder", path, place)


def _local(reference: DirectReference) -> Path | None:
    """Return the path that must be there; None: it is elsewhere, or the store may have it."""
    url = reference.url
    if reference.kind is DirectKind.GIT:
        url, revision, _ = git_place(url)
        if is_exact(revision):
            return None
    return local_path(url) if url.startswith("file:") else None


def _missing(what: str, path: Path, place: str) -> UsageError:
    own = "" if place.startswith("--") else " A path in it begins where you stand, as for pip."
    return UsageError(f"{_shown(place)}: there is no {what} {_shown(str(path))}.", hint=f"Check the name.{own}")


def _shown(text: str) -> str:
    return seen_from(text, str(Path.cwd()))
