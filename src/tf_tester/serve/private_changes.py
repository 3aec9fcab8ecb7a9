"""Changes to what is private already: versions are yanked, files removed, and both taken back.

Promise: a name that was taken stays with its bytes, whatever is removed; a server that runs shows a change at once.
"""

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from tf_tester.core.index.told_values import reason
from tf_tester.errors import OurFailure, UsageError
from tf_tester.model.artifact import Artifact
from tf_tester.serve.private import PrivateFolder

_REMOVED = ".removed"


class PrivateState(StrEnum):
    """What is the matter with a private file."""

    SHOWN = "shown"
    YANKED = "yanked"
    """Shown, and taken only by who asks for just that version (PEP 592)."""
    REMOVED = "removed"
    """On no page; it can be restored."""
    DAMAGED = "damaged"
    """Its bytes are others than those that were uploaded: nobody gets them."""
    GONE = "gone"
    """On no page; its bytes aren't there."""


class PrivateFile(Struct, frozen=True):
    """A file whose name is taken."""

    artifact: Artifact
    state: PrivateState


def private_files(private: PrivateFolder, project: str) -> list[PrivateFile]:
    """Return the files of a project (canonical name) in the order in which they came.

    Raises `UsageError`, and `PrivateDamaged` where they can't be told any more.
    """
    page = private.written(project) if project in private.names else None
    if page is None:
        raise UsageError(
            f"There is no private project named {project} in {private.root}.",
            hint=f"There are: {', '.join(private.names) or 'none'}.",
        )
    return [PrivateFile(one, _state(private, one)) for one in page.artifacts]


def damaged(private: PrivateFolder, tell: Callable[[str], None], *, anew: bool = True) -> int:
    """Look at all files that are on a page, `tell` what is damaged, and return how many were looked at.

    A file that was taken away on purpose is no damage. `anew`: each is read; else those that a server would read, and
    nothing is written down of it.
    """
    count = 0
    try:
        projects = private.names
    except OurFailure as error:
        tell(f"{error} {error.hint}")
        projects = sorted(private.there)
    for project in projects:
        try:
            page = private.written(project)
        except OurFailure as error:
            tell(f"{error} {error.hint}")
            continue
        for one in page.artifacts if page is not None else ():
            if not private.file(one).exists():
                continue
            count += 1
            if trouble := private.trouble(one, anew=anew, note=anew):
                tell(f"{private.file(one)} {trouble}")
            elif one.metadata_sha256 is not None:
                try:
                    private.metadata(one)
                except OurFailure as error:
                    tell(str(error))
    return count


def yank(private: PrivateFolder, project: str, which: str, why: str) -> list[str]:
    """Yank a version, or a file by its name, and return the names of the files; raises as `private_files` does."""
    return _change(private, project, which, lambda one: replace(one, yanked=reason(why)))


def remove(private: PrivateFolder, project: str, which: str, *, for_good: bool) -> list[str]:
    """Take files off their page, and return their names. `for_good`: their bytes are deleted, not put aside."""

    def gone(artifact: Artifact) -> Artifact:
        place = private.file(artifact)
        aside = place.parent / _REMOVED / place.name
        if for_good:
            for one in (place, aside):
                one.unlink(missing_ok=True)
        elif place.exists():
            aside.parent.mkdir(exist_ok=True)
            place.replace(aside)
        return artifact

    return _change(private, project, which, gone)


def restore(private: PrivateFolder, project: str, which: str) -> list[str]:
    """Take back that files were yanked or removed, and return their names. Raises `UsageError` where one is gone."""

    def back(artifact: Artifact) -> Artifact:
        place = private.file(artifact)
        with suppress(FileNotFoundError):
            (place.parent / _REMOVED / place.name).replace(place)
        if not place.exists():
            raise UsageError(
                f"The bytes of {artifact.filename} are gone.", hint="Upload the file again: the same bytes are taken."
            )
        return replace(artifact, yanked=None)

    return _change(private, project, which, back)


def forget(private: PrivateFolder, project: str) -> None:
    """Let go of a name (canonical) whose project is gone. Raises `UsageError`."""
    if (private.root / project).exists():
        raise UsageError(
            f"{private.root / project} is there: its name is private.", hint="Move the folder away first, and keep it."
        )
    if not private.known.forget(project):
        raise UsageError(f"{project} was not private.", hint=f"There are: {', '.join(private.names) or 'none'}.")


def _change(private: PrivateFolder, project: str, which: str, change: Callable[[Artifact], Artifact]) -> list[str]:
    files = private_files(private, project)
    try:
        with private.alone(project):
            page = private.written(project)
            assert page is not None
            meant = {one.filename for one in page.artifacts if _is_meant(one, which)}
            if not meant:
                raise UsageError(
                    f"{project} has no version and no file {which}.",
                    hint=f"There are: {', '.join(dict.fromkeys(one.artifact.version for one in files)) or 'none'}.",
                )
            changed = tuple(change(one) if one.filename in meant else one for one in page.artifacts)
            private.write(replace(page, artifacts=changed))
    except OSError as error:
        raise OurFailure(
            f"{private.root / project} can't be changed: {error.strerror}.", hint="Do it as the user who serves it."
        ) from error
    return sorted(meant)


def _is_meant(artifact: Artifact, which: str) -> bool:
    if which in (artifact.filename, artifact.version):
        return True
    try:
        return Version(artifact.version) == Version(which)
    except InvalidVersion:
        return False


def _state(private: PrivateFolder, artifact: Artifact) -> PrivateState:
    place = private.file(artifact)
    if place.exists():
        if private.trouble(artifact):
            return PrivateState.DAMAGED
        return PrivateState.SHOWN if artifact.yanked is None else PrivateState.YANKED
    return PrivateState.REMOVED if (place.parent / _REMOVED / place.name).exists() else PrivateState.GONE
