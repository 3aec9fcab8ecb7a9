"""What mirrors agree on when the authority can't be asked. Pure.

A file counts where mirrors of at least two roots promise the same SHA-256 for it and none promises another one.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.model.artifact import Artifact, ProjectPage, ProjectStatus, Promise, Promiser


class MirrorPage(Struct, frozen=True):
    """One mirror's page of a project."""

    name: str
    root: str
    """Whose copy it is in the end: those of one root count as one."""
    page: ProjectPage


def agreed(project: str, pages: Sequence[MirrorPage]) -> ProjectPage:
    """Return the files that count, in the order of the first page that lists them.

    Of a file's other properties those are taken that somebody tells; yanked is what anybody says is yanked, and a
    project that anybody says is quarantined is. An upload time must be agreed on too, for it decides what belongs to
    an era; where only one tells it, it counts.
    """
    offers: dict[str, list[tuple[MirrorPage, Artifact]]] = {}
    for one in pages:
        for artifact in one.page.artifacts:
            if artifact.sha256 is not None:
                offers.setdefault(artifact.filename, []).append((one, artifact))
    files = [together for same in offers.values() if (together := _together(same)) is not None]
    serials = [one.page.serial for one in pages if one.page.serial is not None]
    statuses = {one.page.status for one in pages}
    worst = next((one for one in ProjectStatus if one in statuses), ProjectStatus.ACTIVE)
    return ProjectPage(project, tuple(files), max(serials, default=None), worst).offered()


def _together(offers: Sequence[tuple[MirrorPage, Artifact]]) -> Artifact | None:
    if len({one.root for one, _ in offers}) < 2 or len({artifact.sha256 for _, artifact in offers}) != 1:
        return None
    sizes = {artifact.size for _, artifact in offers} - {None}
    times = {artifact.upload_time for _, artifact in offers} - {None}
    if len(sizes) > 1:
        return None
    artifacts = [artifact for _, artifact in offers]
    metadata = {one.metadata_sha256 for one in artifacts if one.metadata_sha256}
    yanked = [one.yanked for one in artifacts if one.yanked is not None]
    return replace(
        artifacts[0],
        size=next(iter(sizes), None),
        upload_time=next(iter(times)) if len(times) == 1 else None,
        requires_python=next((one.requires_python for one in artifacts if one.requires_python), None),
        yanked=max(yanked, key=len) if yanked else None,
        metadata_sha256=next(iter(metadata)) if len(metadata) == 1 else None,
        promise=Promise(Promiser.MIRROR, " and ".join(one.name for one, _ in offers)),
    )
