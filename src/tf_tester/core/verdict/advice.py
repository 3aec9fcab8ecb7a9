"""What to run next, judged from what a run came to."""

import re
import shlex
from collections.abc import Iterator

from msgspec import Struct

from tf_tester.core.outcome.failures import differences
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.bisect import was_refused
from tf_tester.core.verdict.missing import lacking
from tf_tester.core.verdict.verdicts import findings
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import Outcome

_COMMAND = re.compile(r"`((?:uv python install|tf-tester) [\w .@+=-]+)`")
"""Commands in a hint; others are not repeated as advice, wherever a hint may come from."""
_MOST_INSTALLS = 3
_WITH_WHY = {"test": "the same command with --why", "bisect": "`tf-tester test --why`, of one of these versions,"}
"""How to ask more after each command; blame is that question itself."""


class Advice(Struct, frozen=True):
    """One thing to do."""

    command: str
    """What to type; empty where it is the same command again."""
    purpose: str


def advice(report: RunReport, *, default_package: str = "") -> tuple[Advice, ...]:
    """Return what to run next, the most useful first; nothing where everything passed.

    `default_package` is the one that commands mean when none is named.
    """
    return tuple(_advice(report, default_package))


def _advice(report: RunReport, default_package: str) -> Iterator[Advice]:
    outcomes = {report.result(cell).outcome for cell in report.cells}
    if _was_offline(report):
        yield Advice("", "the same command once without --offline brings what is missing, as `tf-tester download` does")
    elif report.interrupted or Outcome.DOWNLOAD_FAILED in outcomes:
        yield Advice("", "the same command again goes on; what was downloaded is kept")
    for sentence in lacking(report):
        yield Advice("", sentence)
    failed = [cell for cell in report.cells if report.result(cell).outcome.is_failure_of_the_test]
    looked_into = [cell for cell in failed if not was_refused(report.result(cell))]
    if looked_into and (command := shell_command(looked_into[0], report, default_package)):
        yield Advice(command, "look around in that environment")
    kinds = [one for one in differences(report)[0] if one.row is None or not one.row.could_not_begin]
    if report.command in _WITH_WHY and not all(one.enough for one in findings(kinds, report)):
        yield Advice("", f"{_WITH_WHY[report.command]} runs more cells to find out what is to blame")
    yield from _pythons(report)
    if Outcome.NO_WHEEL in outcomes:
        package = report.cells[0].package
        name = "" if package == default_package else f" {_quoted(package)}"
        yield Advice(f"tf-tester versions{name}", "which versions have wheels for which Python")


def _was_offline(report: RunReport) -> bool:
    """Return whether cells lack what only --offline kept from being fetched."""
    results = [report.result(cell) for cell in report.cells]
    return any(one.outcome is Outcome.DOWNLOAD_FAILED and "--offline" in one.summary + one.hint for one in results)


def _pythons(report: RunReport) -> Iterator[Advice]:
    """Yield how to get the Pythons that were missing: the commands that the refusals name."""
    refused = [report.result(cell) for cell in report.cells]
    hints = [result.hint for result in refused if result.outcome is Outcome.NO_PYTHON]
    commands = list(dict.fromkeys(command for hint in hints for command in _COMMAND.findall(hint)))
    for command in commands[:_MOST_INSTALLS]:
        yield Advice(command, "install the Python that was missing")
    if hints and not commands:
        yield Advice("tf-tester doctor", "which Pythons were found, and how to get more")


def shell_command(cell: Cell, report: RunReport, default_package: str = "") -> str:
    """Return the command that opens a cell's environment; empty where no command makes the same one."""
    words = ["tf-tester", "shell", _quoted(cell.version)]
    if cell.package != default_package:
        words += ["--package", _quoted(cell.package)]
    if _pythons_were_chosen(report, cell):
        words += ["--python", _quoted(cell.python)]
    trial = report.request.get("trial") or {}
    if trial.get("project"):
        extras = ",".join(map(str, trial.get("extras") or ()))
        words += ["--project", _quoted(f"{trial['project']}[{extras}]" if extras else str(trial["project"]))]
    words += [_quoted(str(word)) for word in trial.get("given") or ()]
    if locks := report.request.get("locks"):
        return " ".join([*words, *(f"--locked {_quoted(str(lock))}" for lock in locks)])
    if cell.resolution is Resolution.LOCK or _has_newer(cell, report):
        return ""
    if cell.resolution is not Resolution.ERA:
        words += ["--resolve", str(cell.resolution)]
    words += [f"--group {_quoted(str(group))}" for group in trial.get("groups") or ()]
    listed = trial.get("listed") or ()
    words += [f"--requirements {_quoted(str(file))}" for file in trial.get("files") or ()]
    besides = (one.text for one in cell.besides)
    for requirement in (*besides, *(trial.get("requirements") or ()), *(trial.get("direct") or ())):
        if requirement not in listed:
            words += ["--with", _quoted(str(requirement))]
    return " ".join(words)


def _has_newer(cell: Cell, report: RunReport) -> bool:
    """Return whether a search has put a dependency into a cell that is newer than its era, which no command does."""
    lock, names = report.locks.get(cell.name), {one.name for one in cell.besides}
    if lock is None or lock.cutoff is None:
        return False
    times = (pin.upload_time for pin in lock.pins if pin.name in names)
    return any(time is not None and time > lock.cutoff for time in times)


def _pythons_were_chosen(report: RunReport, cell: Cell) -> bool:
    """Return whether the command alone might mean another Python than the cell's."""
    selection = report.request.get("selection")
    if isinstance(selection, dict) and selection.get("pythons"):
        return True
    return len({other.python for other in report.cells if other.version == cell.version}) > 1


def _quoted(text: str) -> str:
    return shlex.quote(text)
