"""What exists of a package: version, date, Pythons on this platform, size, yanked."""

from datetime import datetime

from msgspec import Struct

from tf_tester.core.index.era import release_date
from tf_tester.core.select.choose import Choice, choose, is_yanked, versions_of
from tf_tester.core.select.matrix import wheels_for_pythons
from tf_tester.flow.prepare.select import usable_page
from tf_tester.flow.prepare.services import Packages
from tf_tester.model.request import Selection
from tf_tester.ports.environment import Interpreters


class VersionRow(Struct, frozen=True):
    """What the index has of one version, and where it can run."""

    version: str
    released: datetime | None
    """Earliest upload of its files."""
    pythons: tuple[str, ...]
    """Labels of the Pythons that have a wheel on this platform, oldest first."""
    installed: tuple[str, ...]
    """Those of them that are installed here."""
    size: int | None
    """Bytes of the largest of those wheels."""
    files: int
    yanked: str | None
    """None: no; otherwise the reason, which may be empty."""


def list_versions(selection: Selection, packages: Packages, interpreters: Interpreters) -> tuple[VersionRow, ...]:
    """Return one row a version, oldest first. Raises `UsageError`, `IndexUnreachable`."""
    lts = packages.framework.lts
    choice = Choice(selection.versions, selection.last, selection.pre, selection.yanked, lts, every_variant=True)
    found, _ = interpreters.find()
    platform = interpreters.platform()
    here = {interpreter.label for interpreter in found}
    page, chosen = usable_page(packages, selection.package, lambda page: choose(page, choice))
    known = versions_of(page)
    rows = []
    for version in chosen:
        artifacts = known[version]
        wheels = wheels_for_pythons(artifacts, platform)
        rows.append(
            VersionRow(
                version=artifacts[0].version,
                released=release_date(artifacts),
                pythons=tuple(wheels),
                installed=tuple(label for label in wheels if label in here),
                size=max((wheel.size or 0 for wheel in wheels.values()), default=0) or None,
                files=len(artifacts),
                yanked=next((a.yanked for a in artifacts if a.yanked), "") if is_yanked(artifacts) else None,
            )
        )
    return tuple(rows)
