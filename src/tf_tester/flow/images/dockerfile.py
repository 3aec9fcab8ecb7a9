"""Write down how others' builders make an image, instead of making it."""

from collections.abc import Sequence
from pathlib import Path

from tf_tester.core.image.dockerfile import base_for, dockerfile
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import TfTesterError, UsageError
from tf_tester.flow.images.cells import locked, selected_cells
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.prepare import Preparer
from tf_tester.flow.prepare.services import Services
from tf_tester.model.request import Selection, Trial


def recipe(
    selection: Selection,
    trial: Trial,
    services: Services,
    *,
    locks: Sequence[Path],
    base: str | None,
    mirror: Sequence[str],
) -> str:
    """Return a Dockerfile for the one selected version. `base`: None: the usual one with its Python.

    Raises `UsageError`, what `Preparer.locked` raises.
    """
    selected = selected_cells(selection, services, locks)
    if len(selected.cells) != 1:
        raise UsageError(
            f"The selection means {count_text(len(selected.cells), 'image', none='no')}; a Dockerfile makes one.",
            hint="Give one version and one Python.",
        )
    [planned] = selected.cells
    with interruptible(1, "lock", services.run.stop) as pool:
        found = locked(planned, Preparer(selection, trial, selected.page, services, pool))
    if isinstance(found, TfTesterError):
        raise found
    _, lock = found
    chosen = base or base_for(planned.cell.python)
    return dockerfile(planned.cell, lock, base=chosen, mirror=mirror, tool=services.run.tool)
