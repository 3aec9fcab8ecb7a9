"""With which cell another one's numbers are compared. Pure."""

from collections.abc import Sequence

from packaging.version import InvalidVersion, Version

from tf_tester.core.wheel.wheel_rules import same_version
from tf_tester.model.cell import Cell


def compared_with(cell: Cell, cells: Sequence[Cell], reference: str = "") -> Cell | None:
    """Return the cell of the reference, else of the next version below; None: there is none.

    It has what the cell has besides, and its Python if one with that has.
    """
    own = _version(cell)
    fitting = [one for one in cells if one.name != cell.name and _besides(one) == _besides(cell)]
    if reference:
        fitting = [one for one in fitting if same_version(one.version, reference)]
        fitting = [] if same_version(cell.version, reference) else fitting
    else:
        fitting = [one for one in fitting if own is not None and (version := _version(one)) and version < own]
    same_python = [one for one in fitting if one.python == cell.python]
    return max(same_python or fitting, key=lambda one: _version(one) or Version("0"), default=None)


def _besides(cell: Cell) -> tuple[object, ...]:
    tested = tuple((one.name, one.extras, one.origin) for one in cell.tested)
    return tested, cell.details, cell.resolution, cell.platform


def _version(cell: Cell) -> Version | None:
    try:
        return Version(cell.version)
    except InvalidVersion:
        return None
