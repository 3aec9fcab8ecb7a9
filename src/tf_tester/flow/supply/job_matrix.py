"""The jobs of a CI system for a selection: pages of the index are all that it takes."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.core.select.sharding import MatrixJob, shards
from tf_tester.errors import UsageError
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.model.cell import PlannedCell
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection


class PlannedJobs(Struct, frozen=True):
    """What a selection means as jobs."""

    jobs: tuple[MatrixJob, ...]
    cells: int
    known: int
    """Cells of which it is known how long they take."""
    remarks: tuple[str, ...]
    """What a person should know of how cells were chosen."""


def plan_jobs(selection: Selection, services: Services, seconds: Mapping[str, float], most: int) -> PlannedJobs:
    """Return at most `most` jobs. Nothing is installed and no wheel is brought for it.

    `seconds`: how long cells took, by their names. Raises `UsageError`, `IndexUnreachable`.
    """
    own = next((python for python in selection.pythons if "/" in python or "\\" in python), None)
    if own is not None:
        raise UsageError(
            f"--python {own!r} is a Python of this machine, and jobs run on others.",
            hint="Give its version, such as --python 3.10.",
        )
    asked = replace(selection, install_python=False)
    chosen = select_cells(asked, services)
    cells = chosen.cells
    if selection.install_python:
        # As a run does: what none of the installed ones can run gets one that there could be.
        others = select_cells(asked, services, installed_only=False).cells
        cells = tuple(other if _lacks_python(cell) else cell for cell, other in zip(cells, others, strict=True))
    known = sum(planned.cell.name in seconds for planned in cells)
    return PlannedJobs(shards(cells, selection.pythons, seconds, most), len(cells), known, chosen.remarks)


def _lacks_python(planned: PlannedCell) -> bool:
    """Tell whether a Python is all that a cell lacks."""
    return planned.refusal is not None and planned.refusal.outcome is Outcome.NO_PYTHON
