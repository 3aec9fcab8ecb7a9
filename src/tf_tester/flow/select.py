"""From a selection to planned cells."""

from pathlib import Path

from tf_tester.core.choose import Choice, choose, versions_of
from tf_tester.core.matrix import plan, wheels_for_pythons
from tf_tester.errors import NoPython, UsageError
from tf_tester.flow.services import Services
from tf_tester.model.artifact import ProjectPage
from tf_tester.model.cell import PlannedCell
from tf_tester.model.interpreter import Interpreter
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection


def select_cells(selection: Selection, services: Services) -> tuple[ProjectPage, tuple[PlannedCell, ...]]:
    """The page of the package, and a cell for each version and Python asked for.

    Raises `UsageError` for what can't be meant, `IndexUnreachable`.
    """
    page = services.index.page(selection.package)
    choice = Choice(
        text=selection.versions,
        last=selection.last,
        pre=selection.pre,
        yanked=selection.yanked,
        lts=services.framework.lts,
    )
    versions = choose(page, choice)
    interpreters, labels = _interpreters(selection, services)

    def planned() -> tuple[PlannedCell, ...]:
        return plan(
            page,
            versions,
            interpreters,
            pythons=labels,
            resolution=selection.resolution,
            may_build=bool({selection.package, "all"} & selection.allow_build),
        )

    cells = planned()
    if selection.install_python and _install_missing(cells, interpreters, services):
        cells = planned()
    return page, cells


def _interpreters(selection: Selection, services: Services) -> tuple[list[Interpreter], tuple[str, ...]]:
    """Those that may be used, in order of preference, and the labels of those asked for."""
    given: list[Interpreter] = []
    labels: list[str] = []
    for python in selection.pythons:
        if "/" in python or "\\" in python:
            interpreter = services.interpreters.probe(Path(python))
            given.append(interpreter)
            labels.append(interpreter.label)
        elif _is_label(python):
            labels.append(python)
        else:
            raise UsageError(
                f"--python {python!r} is neither a version such as 3.10 nor the path of an executable.",
                hint="Run `tf-tester doctor` to see which Pythons are installed.",
            )
    if labels and len(given) == len(labels):
        return given, tuple(dict.fromkeys(labels))
    found, _ = services.interpreters.find()
    full = {interpreter.version: interpreter for interpreter in found if interpreter.version in labels}
    given.extend(full.values())
    names = (full[label].label if label in full else label for label in labels)
    return [*given, *found], tuple(dict.fromkeys(names))


def _is_label(python: str) -> bool:
    digits = python.rstrip("td").split(".")
    return len(digits) in (2, 3) and all(part.isdigit() for part in digits)


def _install_missing(cells: tuple[PlannedCell, ...], interpreters: list[Interpreter], services: Services) -> bool:
    """Let uv fetch the newest Python that each cell without one could use."""
    installed: set[str] = set()
    for planned in cells:
        if planned.refusal is None or planned.refusal.outcome is not Outcome.NO_PYTHON:
            continue
        wanted = [planned.cell.python]
        if planned.cell.python == "-":
            page = versions_of(services.index.page(planned.cell.package))
            artifacts = next(files for files in page.values() if files[0].version == planned.cell.version)
            wanted = list(reversed(wheels_for_pythons(artifacts)))
        if installed & set(wanted):
            continue
        for label in wanted:
            try:
                interpreters.append(services.interpreters.install(label))
            except NoPython:
                continue  # the cell's own refusal stays, with the command that says why
            installed.add(label)
            break
    return bool(installed)
