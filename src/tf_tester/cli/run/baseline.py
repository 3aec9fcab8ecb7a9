"""`--baseline`: a run is compared with a file of the user's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tf_tester.errors import UsageError
from tf_tester.given_files import read_given

if TYPE_CHECKING:
    from tf_tester.core.outcome.baseline import Baseline, Move
    from tf_tester.core.outcome.report import RunReport
    from tf_tester.model.cell import Cell
    from tf_tester.model.outcome import CellResult

_MOST = 50
"""Moves that are told; the others are counted."""


class BaselineCheck:
    """One run's; the file is read before anything runs."""

    def __init__(self, file: Path, *, update: bool, picked: bool = False) -> None:
        """Read the baseline; `picked`: only some tests are to run. Raises `UsageError`, `ConfigError`."""
        self._file = file
        self._update = update
        self._picked = picked
        self._baseline = self._read()

    def judge(self, cells: "Sequence[Cell]", results: "Mapping[str, CellResult]") -> int:
        """Return the exit code: 0 nothing moved, 1 something did, else that of cells which could not be seen."""
        from tf_tester.core.outcome.baseline import NOT_SEEN, MoveKind, moves
        from tf_tester.core.outcome.exits import FAILED, code_of_cell, gravest
        from tf_tester.core.outcome.report import RunReport

        report = RunReport(cells=tuple(cells), results=results)
        moved = [] if self._update else moves(self._baseline, report, picked=self._picked)
        unseen = [code_of_cell(result) for result in map(report.result, cells) if result.outcome in NOT_SEEN]
        return gravest([*unseen, *(FAILED for move in moved if move.kind is not MoveKind.NOT_SEEN)])

    def finish(self, report: "RunReport") -> list[str]:
        """Write the file where it is to be, and return what a person should know."""
        from tf_tester.core.outcome.baseline import baseline_of, baseline_text, moves
        from tf_tester.flow.prepare.wheel_folder import folder_errors, write_file

        moved = moves(self._baseline, report, picked=self._picked)
        lines = ["", *self._told(moved)]
        if self._update:
            text = baseline_text(baseline_of(report, earlier=self._baseline, picked=self._picked))
            with folder_errors(self._file.absolute().parent):
                write_file(self._file, text)
            lines.append(f"The baseline {self._file} is written.")
        elif moved:
            lines.append("If that is as it should be, repeat with --update-baseline.")
        return lines

    def _told(self, moved: "Sequence[Move]") -> list[str]:
        from tf_tester.core.text.sizes import count_text

        compared = f"Against {self._file}" + (", of the tests that were picked" if self._picked else "")
        if not moved:
            return [f"{compared}: nothing has moved."]
        lines = [f"{compared}: {count_text(len(moved), 'result')} moved"]
        for move in moved[:_MOST]:
            name = f"{move.cell}  {move.test}".rstrip()
            change = " → ".join(word for word in (move.before, move.after) if word)
            lines.append(f"  {move.kind:<9}  {name}  {change}".rstrip())
        if len(moved) > _MOST:
            lines.append(f"  and {len(moved) - _MOST} more")
        return lines

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
