"""From a selection to planned cells."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace
from packaging.version import Version

from tf_tester.core.select.choose import Choice, choose, remarks_on_choice, versions_of
from tf_tester.core.select.matrix import every_python, plan, wheels_for_pythons
from tf_tester.core.select.placeholders import placeholder_version
from tf_tester.core.text.sizes import count_text
from tf_tester.errors import NoPython, UsageError
from tf_tester.flow.prepare.services import Packages, Services
from tf_tester.model.artifact import ProjectPage, ProjectStatus
from tf_tester.model.cell import PlannedCell, Refusal
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection

_T = TypeVar("_T")
_FEW = 3
"""Versions that are tested when nothing was said."""


class Selected(Struct, frozen=True):
    """What a selection means on this machine, today."""

    page: ProjectPage
    cells: tuple[PlannedCell, ...]
    remarks: tuple[str, ...]
    """What a person should know: how versions were chosen, which Pythons are broken, a stale index page."""


def select_cells(
    selection: Selection, services: Services, *, installed_only: bool = True, platform: Platform | None = None
) -> Selected:
    """Return a cell for each version and Python asked for; with Pythons that could be where nothing has to run.

    With a `platform` all of them are such, on a machine of that kind.

    Raises `UsageError` for what can't be meant, `IndexUnreachable`.
    """
    remarks: list[str] = []
    chosen: list[str] = []
    choice = _choice(selection, services, chosen)
    page, versions = usable_page(services.packages, selection.package, lambda page: _versions(page, choice))
    if page.status is not ProjectStatus.ACTIVE:
        remarks.append(f"the index says that {page.project} is {page.status}")
    if page.behind:
        remarks.append(
            f"the index shows an older state of {page.project} than was seen before: newer files may be missing"
        )
    if page.stale:
        remarks.append(f"the index did not answer: what is known of {page.project} is of an earlier day")
    remarks += chosen
    remarks += remarks_on_choice(page, choice.text, versions)
    if platform is not None:
        interpreters: list[Interpreter] = []
        labels = _labels(selection)
    else:
        interpreters, labels = _interpreters(selection, services, remarks)
    target = platform or services.provisioning.interpreters.platform()
    if platform is not None or not installed_only:
        interpreters += every_python(target)

    def planned() -> tuple[PlannedCell, ...]:
        return plan(
            page,
            versions,
            interpreters,
            platform=target,
            pythons=labels,
            resolution=selection.resolution,
            may_build=platform is None and bool({selection.package, "all"} & selection.allow_build),
        )

    cells = planned()
    if selection.install_python and platform is None and _install_missing(cells, interpreters, services):
        cells = planned()
    return Selected(page, _told_of_placeholders(cells, services), tuple(remarks))


def usable_page(packages: Packages, project: str, use: Callable[[ProjectPage], _T]) -> tuple[ProjectPage, _T]:
    """Return the page of a project, and what `use` makes of it.

    A page that an earlier run kept is asked for again where nothing can be made of it, or where it says that there is
    no such project. Raises what `use` raises of the index's page of today, `IndexUnreachable`.
    """
    try:
        page = packages.index.page(project)
        return page, use(page)
    except UsageError:
        if not packages.doubt(project):
            raise
    page = packages.index.page(project)
    return page, use(page)


def _versions(page: ProjectPage, choice: Choice) -> tuple[Version, ...]:
    if page.status is ProjectStatus.QUARANTINED:
        raise UsageError(
            f"{page.project} is in quarantine: its index suspects it of doing harm.",
            hint="Look at its page on the index; nothing of it is fetched before the index lets it go.",
        )
    return choose(page, choice)


def _told_of_placeholders(cells: tuple[PlannedCell, ...], services: Services) -> tuple[PlannedCell, ...]:
    """Return the cells, those that can't run since they bring nothing with that as the reason."""

    def told(planned: PlannedCell) -> PlannedCell:
        cell, known = planned.cell, services.packages.placeholders
        found = None if planned.refusal is None else placeholder_version(cell.package, cell.version, known)
        if found is None:
            return planned
        summary = f"{cell.package} {cell.version} is a placeholder that brings nothing."
        return replace(
            planned, refusal=Refusal(Outcome.NO_WHEEL, summary, f"Test {found.instead}: --package {found.instead}.")
        )

    return tuple(map(told, cells))


def _choice(selection: Selection, services: Services, remarks: list[str]) -> Choice:
    text, last = selection.versions, selection.last
    if not text:
        downloaded = services.history.downloads.versions(selection.package)
        text, last = (",".join(downloaded), None) if downloaded else ("minors", last or _FEW)
        remarks.append(
            f"no --versions: testing {count_text(len(downloaded), 'downloaded version')}"
            if downloaded
            else f"no --versions, and none were downloaded: the newest {last} minor versions"
        )
    return Choice(text, last, selection.pre, selection.yanked, services.packages.framework.lts)


def python_labels(selection: Selection, services: Services) -> tuple[str, ...]:
    """Return the labels (`3.9`) of the Pythons that were asked for. Raises `UsageError`."""
    return _interpreters(selection, services, [])[1]


def _interpreters(
    selection: Selection, services: Services, remarks: list[str]
) -> tuple[list[Interpreter], tuple[str, ...]]:
    """Return those that may be used, in order of preference, and the labels of those asked for."""
    given: list[Interpreter] = []
    labels: list[str] = []
    for python in selection.pythons:
        if "/" in python or "\\" in python:
            interpreter = services.provisioning.interpreters.probe(Path(python))
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
    found, broken = services.provisioning.interpreters.find()
    remarks += [f"{one.path} is skipped: {one.reason}" for one in broken]
    full = {interpreter.version: interpreter for interpreter in found if interpreter.version in labels}
    given.extend(full.values())
    names = (full[label].label if label in full else label for label in labels)
    return [*given, *found], tuple(dict.fromkeys(names))


def _labels(selection: Selection) -> tuple[str, ...]:
    for python in selection.pythons:
        if not _is_label(python):
            raise UsageError(
                f"--python {python!r} is a Python of this machine, and --platform asks for another one.",
                hint="Give its version, such as --python 3.10.",
            )
    return tuple(dict.fromkeys(".".join(python.split(".")[:2]) for python in selection.pythons))


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
            page = versions_of(services.packages.index.page(planned.cell.package))
            artifacts = next(files for files in page.values() if files[0].version == planned.cell.version)
            wanted = list(reversed(wheels_for_pythons(artifacts, services.provisioning.interpreters.platform())))
        if installed & set(wanted):
            continue
        for label in wanted:
            try:
                interpreters.append(services.provisioning.interpreters.install(label))
            except NoPython:
                continue  # the cell's own refusal stays, with the command that says why
            installed.add(label)
            break
    return bool(installed)
