"""What a run is about to do, decided before its first event."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from tf_tester.flow.run.jobs import TrialJob
from tf_tester.model.artifact import ProjectPage
from tf_tester.model.cell import PlannedCell
from tf_tester.model.framework import Guarantee
from tf_tester.model.request import Selection, Trial


class GridPlan(Struct, frozen=True):
    """What of a plan only a grid has."""

    producers: tuple[str, ...]
    """Names of cells, in the order in which they are shown."""
    consumers: tuple[str, ...]
    file: Path | None
    """With the functions that save and load; None: the commands do."""
    save: tuple[str, ...]
    load: tuple[str, ...]
    resave: tuple[str, ...] = ()
    guarantees: tuple[Guarantee, ...] = ()
    """What is promised of what these cells save, as it is known today."""
    released: Mapping[str, str] = {}
    """The day on which the version of each cell came out, where the index tells."""


class RunPlan(Struct, frozen=True):
    """Which cells, and what runs in each."""

    selection: Selection
    trial: Trial
    jobs: tuple[TrialJob, ...]
    """The trial's programs."""
    page: ProjectPage
    """Of the package under test."""
    cells: tuple[PlannedCell, ...]
    """In the order in which they are shown; a search may run others besides."""
    remarks: tuple[str, ...] = ()
    """How the selection was understood."""
    locks: tuple[Path, ...] = ()
    """Given locks: they are the cells, and nothing is added to what they have."""
    command: str = "test"
    """Who asked for it: `test`, `bisect`, `blame` or `grid`."""
    grid: GridPlan | None = None
