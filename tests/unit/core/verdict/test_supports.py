"""From a record to a range of versions."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest
from packaging.specifiers import SpecifierSet

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.supports import SupportedVersions, support
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.report.supports import badge_svg, markdown_lines, text_lines

LETTERS = {
    "P": Outcome.PASS,
    "F": Outcome.FAIL,
    "S": Outcome.SKIP,
    "-": Outcome.NO_PYTHON,
    "C": Outcome.CRASH,
    "E": Outcome.EMPTY,
}


def of_locks(rows: Sequence[tuple[str, str]]) -> SupportedVersions:
    """Rows of version and letter, each from a lock of its own and all on one Python."""
    cells = [
        Cell.of("toy", version, "3.10", Resolution.LOCK, lock_name=f"lock{number}")
        for number, (version, _) in enumerate(rows)
    ]
    results = {cell.name: CellResult(cell.name, LETTERS[letter]) for cell, (_, letter) in zip(cells, rows, strict=True)}
    [found] = support(RunReport(cells=tuple(cells), results=results))
    return found


def of(rows: Sequence[tuple[str, str, str]], package: str = "toy") -> SupportedVersions:
    """Rows of version, Python and letter."""
    cells = {Cell.of(package, version, python, Resolution.ERA): LETTERS[letter] for version, python, letter in rows}
    results = {cell.name: CellResult(cell.name, outcome) for cell, outcome in cells.items()}
    [found] = support(RunReport(cells=tuple(cells), results=results))
    return found


@pytest.mark.parametrize(
    ("line", "specifier"),
    [
        ("PPP", ">=1.0.0"),
        ("FPP", ">=2.0.0"),
        ("PPF", ">=1.0.0,<3"),
        ("FPPF", ">=2.0.0,<4"),
        ("PFP", ">=3.0.0"),
        ("PPFFP", ">=5.0.0"),
        ("PFPFP", ">=5.0.0"),
        ("FPFPF", ">=4.0.0,<5"),
        ("P-P", ">=1.0.0"),
        ("PC", ">=1.0.0,<2"),
        ("FF", ""),
        ("SS", ""),
        ("EE", ""),
        ("PEP", ">=1.0.0"),
        ("--", ""),
    ],
)
def test_the_range_is_the_newest_stretch_that_works(line: str, specifier: str) -> None:
    found = of([(f"{number}.0.0", "3.10", letter) for number, letter in enumerate(line, 1)])
    assert found.specifier == specifier
    allowed = SpecifierSet(found.specifier)
    for number, letter in enumerate(line, 1):
        if specifier and letter in "FC":
            assert f"{number}.0.0" not in allowed, "nothing that fails is promised"


def test_a_version_works_if_it_passes_wherever_it_ran() -> None:
    found = of([("1.0", "3.8", "P"), ("1.0", "3.10", "F"), ("1.1", "3.8", "P"), ("1.1", "3.10", "-")])
    assert found.versions == {"1.0": "partly", "1.1": "yes"}
    assert found.specifier == ">=1.1"


@pytest.mark.parametrize(
    ("letters", "works", "shown"),
    [
        ("EF", "no", "fail"),
        ("FE", "no", "fail"),
        ("FC", "no", "crash"),
        ("CF", "no", "crash"),
        ("PF", "partly", "fail"),
        ("P-", "yes", "pass"),
        ("-P", "yes", "pass"),
        ("-E", "unknown", "empty"),
        ("S-", "unknown", "skip"),
        ("SP", "yes", "pass"),
        ("--", "unknown", "no-python"),
    ],
)
def test_several_locks_of_one_version_and_python_hide_nothing(letters: str, works: str, shown: str) -> None:
    found = of_locks([("1.0", letter) for letter in letters])
    assert found.versions == {"1.0": works}
    assert found.outcomes == {"1.0": {"py3.10": shown}}


def test_a_lock_that_passes_counts_beside_one_that_tests_nothing() -> None:
    assert of_locks([("1.0", "E"), ("1.0", "P")]).versions == {"1.0": "yes"}
    assert of_locks([("1.0", "E"), ("1.0", "P"), ("1.0", "F")]).versions == {"1.0": "partly"}


def test_a_pass_that_never_imported_the_package_says_nothing_of_it() -> None:
    cells = {Cell.of("toy", version, "3.10", Resolution.ERA): version != "2.0" for version in ("1.0", "2.0", "3.0")}
    results = {one.name: CellResult(one.name, Outcome.PASS, unused=unused) for one, unused in cells.items()}
    [found] = support(RunReport(cells=tuple(cells), results=results))
    assert found.versions == {"1.0": "unknown", "2.0": "yes", "3.0": "unknown"}
    assert found.specifier == ">=2.0"
    assert "nothing has imported it in 1.0, 3.0: a pass there says nothing of it" in found.remarks
    assert not found.is_unknown
    [alone] = support(RunReport(cells=tuple(cells)[:1], results=results))
    assert (alone.specifier, alone.is_unknown) == ("", True)


def of_command(command: list[str], **said: str) -> SupportedVersions:
    """A command that left with 0 in each cell, by what it printed."""
    cells = {
        Cell.of("toy", f"{number}.0", "3.10", Resolution.ERA): text for number, text in enumerate(said.values(), 1)
    }
    rows = {one.name: (TestRow("x", Outcome.PASS, stdout=text),) for one, text in cells.items()}
    results = {name: CellResult(name, Outcome.PASS, tests=tests) for name, tests in rows.items()}
    [found] = support(RunReport(cells=tuple(cells), results=results, request={"trial": {"command": command}}))
    return found


def test_a_command_that_ran_no_tests_says_nothing_of_the_package() -> None:
    found = of_command(["pytest", "t x"], one="== 1 skipped in 0.01s ==", two="== 2 passed, 1 skipped in 0.01s ==")
    assert found.versions == {"1.0": "unknown", "2.0": "yes"}
    assert found.specifier == ">=2.0"
    assert found.remarks[-2:] == (
        "the command ran no tests with 1.0: that it left with 0 says nothing of it",
        "a command was judged, by its exit status alone: pytest 't x'",
    )
    assert of_command(["python", "-m", "unittest"], one="Ran 0 tests in 0.000s\n\nOK\n").is_unknown


def test_that_a_command_was_judged_by_its_exit_status_alone_is_said() -> None:
    found = of_command(["python", "-c", "import toy"], one="")
    assert found.specifier == ">=1.0"
    assert found.remarks[-1] == "a command was judged, by its exit status alone: python -c 'import toy'"


def test_a_command_that_never_imported_the_package_is_no_evidence() -> None:
    one = Cell.of("toy", "1.0", "3.10", Resolution.ERA)
    result = CellResult(one.name, Outcome.PASS, tests=(TestRow("true", Outcome.PASS),), unused=True)
    request = {"trial": {"command": ["true"]}}
    [found] = support(RunReport(cells=(one,), results={one.name: result}, request=request))
    assert found.is_unknown
    assert found.remarks == ("nothing has imported it in 1.0: a pass there says nothing of it",)


def test_the_bound_is_as_short_as_it_can_be() -> None:
    assert of([("2.8.4", "3.10", "P"), ("2.9.0", "3.10", "F")]).specifier == ">=2.8.4,<2.9"
    assert of([("1.10", "3.10", "P"), ("1.9", "3.10", "F")]).specifier == ">=1.10", "versions, not words"


def test_what_the_range_leaves_open_is_said() -> None:
    found = of(
        [("1.0", "3.8", "P"), ("1.1", "3.8", "F"), ("1.2", "3.8", "F"), ("1.3", "3.8", "P"), ("1.4", "3.8", "-")]
    )
    assert found.remarks == (
        "1.3 is the newest that was tested",
        "1.0 work, too, but not those after them",
        "nothing is known of 1.4",
    )


def test_a_table_and_a_badge() -> None:
    found = of([("1.0", "3.8", "P"), ("1.0", "3.10", "F"), ("1.1", "3.10", "P"), ("1.1", "3.8", "-")])
    assert markdown_lines(found) == [
        "| toy | py3.8 | py3.10 |",
        "|---|---|---|",
        "| 1.1 | – | ✓ |",
        "| 1.0 | ✓ | fail |",
    ]
    assert text_lines(found)[0] == "toy>=1.1"
    root = ET.fromstring(badge_svg(found))
    assert root.attrib["aria-label"] == "toy: ≥ 1.1"
    assert ET.fromstring(badge_svg(of([("1", "3.8", "F")]))).attrib["aria-label"] == "toy: none"
    between = of([("1.0", "3.8", "P"), ("1.1", "3.8", "P"), ("2.0", "3.8", "F")], package="a<b")
    assert ET.fromstring(badge_svg(between)).attrib["aria-label"] == "a<b: 1.0 – 1.1"


def test_one_bad_release_of_a_series_is_left_out() -> None:
    rows = [(f"2.8.{number}", "3.10", letter) for number, letter in enumerate("PFPFP")]
    assert of(rows).specifier == ">=2.8.0,!=2.8.1,!=2.8.3"
    assert of([("2.8.0", "3.10", "P"), ("2.9.0", "3.10", "F"), ("2.9.1", "3.10", "P")]).specifier == ">=2.9.1"


def test_local_versions_are_no_bounds() -> None:
    found = of([("1.13.0+cpu", "3.10", "P"), ("2.0.0+cu118", "3.10", "F")])
    assert found.specifier == ">=1.13.0,<2"
    SpecifierSet(found.specifier)
    assert of([("1.0", "3.10", "P"), ("1.0.post1+x", "3.10", "F")]).specifier == ">=1.0,<1.0.post1"
