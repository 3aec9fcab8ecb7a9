"""Reports that a command writes into files: which formats are meant, and where they go."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.cli.common.output import say
from tf_tester.errors import OurFailure, TfTesterError, UsageError

if TYPE_CHECKING:
    from tf_tester.core.outcome.report import RunReport
    from tf_tester.report.formats import Renderer, Rendering

STDOUT = Path("-")
TESTS = (".py", ".ipynb")
"""Suffixes of what nothing is written over."""
_CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Variables in which CI systems tell where the repository is."""


class WantedReport(Struct, frozen=True):
    """A report that is to be written."""

    form: str
    """The name of its format."""
    file: Path
    """`-`: standard output."""


def wanted_reports(words: Iterable[str]) -> tuple[WantedReport, ...]:
    """Return what `--report FORMAT=FILE` or `--report FILE` asks for, checked before anything runs.

    Raises `UsageError` where a format isn't known, or nothing could be written to a file.
    """
    found = tuple(_wanted(text) for text in words)
    for one in found:
        check(one)
    twice = [one.file for number, one in enumerate(found) if one.file in [other.file for other in found[:number]]]
    if twice:
        raise UsageError(f"Two reports are to be written to {twice[0]}.", hint="Give each a file of its own.")
    return found


def check(wanted: WantedReport) -> None:
    """Raise `UsageError` where the format isn't known, or the file is none that could be written."""
    from tf_tester.report.formats import renderer

    renderer(wanted.form)
    if wanted.file == STDOUT:
        return
    folder = wanted.file.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} for the report {wanted.file.name}.", hint="Make it first.")
    if os.path.lexists(wanted.file) and not wanted.file.is_file():
        raise UsageError(f"{wanted.file} is nothing that a report could be written into.", hint="Name a file.")
    if wanted.file.suffix in TESTS and wanted.file.exists():
        raise UsageError(f"A report would be written over {wanted.file}.", hint="Give it a file of its own.")


def write_reports(report: "RunReport", wanted: Sequence[WantedReport], *, rendering: "Rendering | None" = None) -> int:
    """Write all of them, and return the exit code for that; what can't be written is told on standard error.

    One that can't be written doesn't keep the others from it.
    """
    from tf_tester.core.outcome.exits import code_of_errors
    from tf_tester.flow.prepare.wheel_folder import write_file
    from tf_tester.report.formats import Rendering, renderer

    checkout = next(filter(None, map(os.environ.get, _CHECKOUTS)), "")
    asked = replace(rendering or Rendering(), checkout=checkout)
    errors: list[TfTesterError] = []
    for one in wanted:
        try:
            text = _rendered(report, one.form, renderer(one.form), asked)
            if one.file == STDOUT:
                _print(text)
            else:
                write_file(one.file, text)
        except TfTesterError as error:
            errors.append(error)
    for told in errors:
        say([text for text in (f"tf-tester: error: {told}", told.hint) if text], sys.stderr)
    return code_of_errors(errors)


def _rendered(report: "RunReport", form: str, render: "Renderer", rendering: "Rendering") -> str:
    from tf_tester.report.formats import FORMATS

    if form in FORMATS:
        return render(report, rendering)
    try:
        return str(render(report, rendering))
    except Exception as error:
        raise OurFailure(
            f"The report format {form} failed: {type(error).__name__}: {error}.",
            hint="It belongs to another distribution: tell those who make it.",
        ) from error


def _print(text: str) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def _wanted(text: str) -> WantedReport:
    from tf_tester.report.formats import FORMATS, format_of

    form, separator, file = text.partition("=")
    if separator and (form in FORMATS or os.path.sep not in form):
        if not file:
            raise UsageError(f"--report {text} names no file.", hint=f"Say --report {form}=FILE.")
        return WantedReport(form, Path(file))
    if text in FORMATS:
        raise UsageError(f"--report {text} names no file.", hint=f"Say --report {text}=FILE.")
    return WantedReport(format_of(Path(text)), Path(text))
