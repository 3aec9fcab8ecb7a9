"""The picture of a grid: signs, kinds, and neighbours that are the same."""

from collections.abc import Mapping, Sequence

from tf_tester.core.grid.heat_map import field_kinds, folded, heat_maps, served, short_labels
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.events import FieldFinished
from tf_tester.model.field import FieldOutcome
from tf_tester.model.lock import Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow

OK, ERROR, NOT_RUN = FieldOutcome.OK, FieldOutcome.ERROR, FieldOutcome.NOT_RUN
TRACE = """Traceback (most recent call last):
  File "/home/me/grid.py", line 7, in load
    toy.load(path)
  File "/env/lib/python3.11/site-packages/toy.py", line 3, in load
    raise ValueError(path)
ValueError: format 3
"""


def cell(version: str, python: str = "3.11") -> Cell:
    return Cell.of("toy", version, python, Resolution.ERA)


def report_of(cells: Sequence[Cell], came: Mapping[tuple[str, str], tuple[FieldOutcome, str]]) -> RunReport:
    """Return a grid of these cells; `came` by versions."""
    by_version = {one.version: one for one in cells}
    rows: dict[str, list[TestRow]] = {one.name: [] for one in cells}
    fields = []
    for (maker, user), (outcome, summary) in came.items():
        id = f"grid.py::load[m from {maker}]"
        raised = ExceptionFact("ValueError", summary) if outcome is ERROR else None
        bad = TestRow(id, Outcome.FAIL, exception=raised, traceback=TRACE.replace("format 3", summary))
        row = bad if raised else TestRow(id, Outcome.PASS)
        rows[by_version[user].name].append(row)
        tests = () if outcome is NOT_RUN else (id,)
        maker_name, user_name = by_version[maker].name, by_version[user].name
        fields.append(FieldFinished(maker_name, user_name, "m", outcome, tests, summary, raised))
    results = {name: CellResult(name, Outcome.PASS, tests=tuple(own)) for name, own in rows.items()}
    names = [one.name for one in cells]
    request = {"grid": {"producers": names, "consumers": names}, "trial": {"cwd": "/home/me"}}
    return RunReport(request=request, cells=tuple(cells), results=results, fields=tuple(fields))


ONE, TWO, THREE = cell("1.0"), cell("2.0"), cell("3.0")


def test_each_kind_of_failure_has_a_letter_the_most_frequent_first() -> None:
    came = {
        ("1.0", "1.0"): (OK, ""),
        ("1.0", "2.0"): (ERROR, "no attribute"),
        ("2.0", "1.0"): (ERROR, "format 2 is unknown"),
        ("3.0", "1.0"): (ERROR, "format 3 is unknown"),
        ("3.0", "2.0"): (NOT_RUN, "3.0 saved nothing"),
    }
    report = report_of([ONE, TWO, THREE], came)
    kinds = field_kinds(report)
    assert [(kind.sign, kind.headline, len(kind.fields)) for kind in kinds] == [
        ("A", "format 2 is unknown", 2),
        ("B", "no attribute", 1),
        ("-", "3.0 saved nothing", 1),
        ("ok", "", 1),
    ]
    place = kinds[0].place
    assert place is not None
    assert (place.file, place.line, place.text) == ("grid.py", 7, "toy.load(path)")
    [picture] = heat_maps(report, kinds)
    rows = [[picture.sign(maker.name, user.name) for user in (ONE, TWO, THREE)] for maker in (ONE, TWO, THREE)]
    assert rows == [["ok", "B", " "], ["A", " ", " "], ["A", "-", " "]]


def test_more_kinds_than_letters_share_a_sign() -> None:
    cells = [cell(f"{number}.0") for number in range(30)]
    words = "".join(map(chr, range(ord("a"), ord("z") + 1)))
    names = [*words, "aa", "bb", "cc", "dd"]
    report = report_of(cells, {("0.0", one.version): (ERROR, f"no {names[at]}") for at, one in enumerate(cells)})
    signs = [kind.sign for kind in field_kinds(report)]
    assert signs == [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "?", "?", "?", "?"]


def test_neighbours_that_came_to_the_same_are_one_band() -> None:
    came = {(maker, user): (OK if maker <= user else ERROR, "old") for maker in "123" for user in "123"}
    named = {(f"{maker}.0", f"{user}.0"): one for (maker, user), one in came.items()}
    report = report_of([ONE, TWO, THREE], named)
    [picture] = heat_maps(report, field_kinds(report))
    assert picture.bands(picture.consumers, of_consumers=True) == [(ONE.name,), (TWO.name,), (THREE.name,)]
    same = {pair: (OK, "") if pair[0] == "1.0" else (ERROR, "old") for pair in named}
    report = report_of([ONE, TWO, THREE], same)
    [picture] = heat_maps(report, field_kinds(report))
    assert picture.bands(picture.consumers, of_consumers=True) == [(ONE.name, TWO.name, THREE.name)]
    assert picture.bands(picture.producers, of_consumers=False) == [(ONE.name,), (TWO.name, THREE.name)]
    assert folded([], str) == []


def test_who_served_whom_is_told_once_for_producers_with_the_same_consumers() -> None:
    pairs = [("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"), ("c", "y")]
    fields = [FieldFinished(maker, user, "m", OK) for maker, user in pairs]
    assert served(fields) == [(("a", "b"), ("x", "y")), (("c",), ("y",))]


def test_a_version_is_enough_where_it_tells_the_cell() -> None:
    cells = (cell("1.0", "3.10"), cell("1.0", "3.11"), TWO)
    names = [one.name for one in cells]
    labels = short_labels([*names, "gone"], RunReport(cells=cells))
    assert list(labels.values()) == ["1.0 py3.10", "1.0 py3.11", "2.0", "gone"]
