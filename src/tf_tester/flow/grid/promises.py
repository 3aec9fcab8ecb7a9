"""What is known of a grid beforehand: what documentations promise, and when its versions came out."""

from collections.abc import Iterable
from datetime import date

from msgspec.structs import replace

from tf_tester.flow.prepare.select import Selected
from tf_tester.model.framework import Framework, Guarantee


def guarantees_of(frameworks: Iterable[Framework]) -> tuple[Guarantee, ...]:
    """Return what their documentations promise, each once, with the distributions that it is about."""
    found: list[Guarantee] = []
    for framework in frameworks:
        for one in framework.guarantees:
            savers, loaders = one.savers or framework.packages, one.loaders or framework.packages
            found.append(replace(one, savers=savers, loaders=loaders))
    return tuple(one for place, one in enumerate(found) if one not in found[:place])


def released(selected: Selected) -> dict[str, str]:
    """Return the day on which the version of each cell came out, as far as the index tells."""
    days: dict[str, date] = {}
    for artifact in selected.page.artifacts:
        if artifact.upload_time is not None:
            day = artifact.upload_time.date()
            days[artifact.version] = min(day, days.get(artifact.version, day))
    cells = (planned.cell for planned in selected.cells)
    return {cell.name: days[cell.version].isoformat() for cell in cells if cell.version in days}
