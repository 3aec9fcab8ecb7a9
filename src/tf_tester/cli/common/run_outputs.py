"""`--json` and `--report`: what a run leaves in files of the user's, however it ends."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from msgspec import Struct

from tf_tester.cli.common.options import Command, GivenPath
from tf_tester.cli.common.output import say
from tf_tester.cli.common.reports import STDOUT, TESTS, WantedReport, wanted_reports, write_reports
from tf_tester.cli.common.running import recorded
from tf_tester.cli.common.selection import listener
from tf_tester.errors import TfTesterError, UsageError, exit_code_of

if TYPE_CHECKING:
    from tf_tester.core.config.settings import Settings
    from tf_tester.core.outcome.report import RunReport
    from tf_tester.flow.prepare.services import Services
    from tf_tester.report.words import Detail


def output_options(command: Command) -> Command:
    """Decorate a click command that runs cells with `--json` and `--report`; `outputs_of` makes sense of them."""
    command = click.option(
        "--report",
        "reports",
        multiple=True,
        metavar="FORMAT=FILE",
        help="Write a report, too: junit, markdown, sarif, … as `tf-tester report` has them. Repeatable.",
    )(command)
    return click.option(
        "--json",
        "json_file",
        type=GivenPath(dir_okay=False, allow_dash=True),
        is_flag=False,
        flag_value="-",
        metavar="[FILE]",
        help="Print JSON, a line for each event, and the report on standard error; with FILE write it there.",
    )(command)


class RunOutputs(Struct, frozen=True):
    """Where the record of a run and its reports go."""

    json_file: Path | None
    reports: tuple[WantedReport, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that are written."""
        named = (self.json_file, *(one.file for one in self.reports))
        return tuple(file for file in named if file is not None and file != STDOUT)

    @property
    def stream(self) -> TextIO:
        """Return where people read the report."""
        return sys.stderr if STDOUT in (self.json_file, *(one.file for one in self.reports)) else sys.stdout

    def write(self, record: Path, report: "RunReport") -> int:
        """Write all of it, and return the exit code for that; what can't be written is told on standard error."""
        from tf_tester.core.outcome.exits import gravest

        return gravest([self._copy(record), write_reports(report, self.reports)])

    def _copy(self, record: Path) -> int:
        from tf_tester.flow.prepare.wheel_folder import folder_errors

        if self.json_file is None:
            return 0
        if self.json_file == STDOUT:
            with record.open(encoding="utf-8") as lines:
                shutil.copyfileobj(lines, sys.stdout)
            return 0
        try:
            with folder_errors(self.json_file):
                shutil.copyfile(record, self.json_file)
        except TfTesterError as error:
            _tell(error)
            return exit_code_of(error)
        return 0


def outputs_of(parameters: Mapping[str, Any]) -> RunOutputs:
    """Return what a command's parameters ask for, checked before anything runs. Raises `UsageError`."""
    outputs = RunOutputs(parameters["json_file"], wanted_reports(parameters["reports"]))
    _check_json_file(outputs.json_file)
    if [outputs.json_file, *(one.file for one in outputs.reports)].count(STDOUT) > 1:
        raise UsageError("Two things are to be written to standard output.", hint="Give one of them a file.")
    return outputs


def _check_json_file(file: Path | None) -> None:
    if file is None or file == STDOUT:
        return
    if file.suffix in TESTS and file.exists():
        raise UsageError(f"--json would write the record over {file}.", hint="Give --json behind what is to be run.")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {file.absolute().parent} for --json.", hint="Make it first.")
    if os.path.lexists(file) and not (file.is_file() or file.is_char_device()):
        raise UsageError(f"{file} is nothing that --json could be written into.", hint="Name a file.")


def recorded_run(
    settings: "Settings", outputs: RunOutputs, work: "Callable[[Services], int]", detail: "Detail | None" = None
) -> tuple[int, Path]:
    """Run what `work` does, recorded and shown, and return its exit code and the record.

    Where Ctrl-C or an error ends it once it has begun, what is known by then is written, and the error goes on.
    """
    record: Path | None = None
    try:
        with listener(settings, detail) as show, recorded(settings, show) as world:
            record = world.run.folder / "record.jsonl"
            code = work(world)
    except BaseException:
        if record is not None and record.exists():
            _write_known(record, outputs)
        raise
    return code, record


def _write_known(record: Path, outputs: RunOutputs) -> None:
    from tf_tester.report.record import report_of

    try:
        outputs.write(record, report_of(record))
    except TfTesterError as error:  # what has ended the run is told besides
        _tell(error)


def _tell(error: TfTesterError) -> None:
    say([text for text in (f"tf-tester: error: {error}", error.hint) if text], sys.stderr)
