"""`--baseline`: a run is compared with a file of the user's own, or with the record of another run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tf_tester.cli.common.options import Command, GivenPath
from tf_tester.errors import UsageError
from tf_tester.given_files import read_given

if TYPE_CHECKING:
    from tf_tester.core.outcome.baseline import Baseline, Move
    from tf_tester.core.outcome.report import RunReport
    from tf_tester.model.cell import Cell
    from tf_tester.model.outcome import CellResult

_MOST = 50
"""Moves that are told; the others are counted."""


def baseline_option(command: Command) -> Command:
    """Decorate a click command with `--baseline`."""
    return click.option(
        "--baseline",
        "baseline_file",
        type=GivenPath(dir_okay=False),
        metavar="FILE",
        help="Fail only for what has moved since this file was written: regressed, fixed, changed, new, gone. FILE may "
        "be the record of another run, too: then only for what has become worse.",
    )(command)


class BaselineCheck:
    """One run's; the file is read before anything runs."""

    def __init__(self, file: Path, *, update: bool = False, picked: bool = False) -> None:
        """Read the baseline; `picked`: only some tests are to run. Raises `UsageError`, `ConfigError`, `StoreError`."""
        from tf_tester.report.record import begins_as_record

        self._file = file
        self._update = update
        self._picked = picked
        self._is_record = begins_as_record(file)
        if self._is_record and update:
            raise UsageError(
                f"{file} is the record of a run, which --update-baseline would replace.",
                hint="Give --baseline a file of its own.",
            )
        self._unseen: Mapping[str, str] = {}
        """Cells that the record has, and whose run could not see."""
        self._baseline = self._of_record() if self._is_record else self._read()

    def judge(self, cells: "Sequence[Cell]", results: "Mapping[str, CellResult]") -> int:
        """Return the exit code: 0 nothing moved, 1 something did, else that of cells which could not be seen.

        Against a record only what became worse counts: nobody could have entered in it what a change repairs or adds.
        """
        from tf_tester.core.outcome.baseline import NOT_SEEN, MoveKind, is_worse
        from tf_tester.core.outcome.exits import FAILED, code_of_cell, gravest
        from tf_tester.core.outcome.report import RunReport

        report = RunReport(cells=tuple(cells), results=results)
        moved = [] if self._update else self._moves(report)
        codes = [code_of_cell(result) for result in map(report.result, cells) if result.outcome in NOT_SEEN]
        for move in moved:
            if not self._is_record:
                codes.append(0 if move.kind is MoveKind.NOT_SEEN else FAILED)
            elif is_worse(move):
                is_new_cell = move.kind is MoveKind.NEW and not move.test
                codes.append(code_of_cell(results[move.cell]) if is_new_cell else FAILED)
        return gravest(codes)

    def finish(self, report: "RunReport") -> list[str]:
        """Write the file where it is to be, and return what a person should know."""
        from tf_tester.core.outcome.baseline import baseline_of, baseline_text
        from tf_tester.flow.prepare.wheel_folder import folder_errors, write_file

        moved = self._moves(report)
        lines = ["", *self._told(moved)]
        if self._update:
            text = baseline_text(baseline_of(report, earlier=self._baseline, picked=self._picked))
            with folder_errors(self._file.absolute().parent):
                write_file(self._file, text)
            lines.append(f"The baseline {self._file} is written.")
        elif moved and not self._is_record:
            lines.append("If that is as it should be, repeat with --update-baseline.")
        return lines

    def _moves(self, report: "RunReport") -> "Sequence[Move]":
        from tf_tester.core.outcome.baseline import moves

        return moves(self._baseline, report, picked=self._picked, unseen_before=self._unseen)

    def _told(self, moved: "Sequence[Move]") -> list[str]:
        from tf_tester.core.outcome.baseline import is_worse
        from tf_tester.core.text.sizes import count_text

        compared = f"Against {self._file}" + (", of the tests that were picked" if self._picked else "")
        if not moved:
            return [f"{compared}: nothing has moved."]
        worse = f", {sum(map(is_worse, moved))} for the worse: nothing else counts" if self._is_record else ""
        lines = [f"{compared}: {count_text(len(moved), 'result')} moved{worse}"]
        for move in sorted(moved, key=lambda one: self._is_record and not is_worse(one))[:_MOST]:
            name = f"{move.cell}  {move.test}".rstrip()
            change = " → ".join(word for word in (move.before, move.after) if word)
            lines.append(f"  {move.kind:<9}  {name}  {change}".rstrip())
        if len(moved) > _MOST:
            lines.append(f"  and {len(moved) - _MOST} more")
        return lines

    def _of_record(self) -> "Baseline":
        from tf_tester.core.outcome.baseline import baseline_of, unseen
        from tf_tester.report.record import report_of

        report = report_of(self._file)
        self._unseen = unseen(report)
        return baseline_of(report)

    def _read(self) -> "Baseline":
        from tf_tester.core.outcome.baseline import read_baseline

        try:
            text = read_given(self._file).decode()
        except FileNotFoundError:
            if self._update and self._file.absolute().parent.is_dir():
                return {}
            raise UsageError(
                f"There is no baseline {self._file}.",
                hint="Make one with --update-baseline, in a folder that is there.",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"The baseline {self._file} can't be read: {reason}.") from error
        return read_baseline(text, shown=str(self._file))
