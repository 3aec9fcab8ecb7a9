"""What the page holds of each cell and test: each thing once, bounded, what fails first."""

import pytest
from msgspec.structs import replace

from tests.functional.report.page.blocks import block, fact, text
from tests.functional.report.test_formats import HOSTILE, REPORT, cell, failure, hostile, rendered, report_of
from tf_tester.core.text.printable import printable
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.report.formats.page import evidence as module
from tf_tester.report.formats.page.data import ranges
from tf_tester.report.formats.page.pool import TextPool

PAGE = rendered("html")


def test_a_failure_has_its_words_its_output_and_its_traceback_with_the_users_own_frames() -> None:
    found, evidence = fact(PAGE, "2.0", "tests/test_a.py::test_a"), block(PAGE, "evidence")
    assert {name: text(evidence, found[name]) for name in ("said", "output", "traceback")} == {
        "said": "TypeError: Gears cannot be created directly.",
        "output": "printed",
        "traceback": (
            'Traceback (most recent call last):\n>  File "tests/test_a.py", line 3, in test_a\n>    spin()\n'
            "TypeError: Gears cannot be created directly."
        ),
    }
    article = block(PAGE, "index")["articles"][found["reason"]]
    assert article["cells"] == [1, 1]
    assert article["verdict"].startswith("framework, ")


def test_what_only_passed_has_no_entry_and_what_warned_or_was_skipped_has_one() -> None:
    passed = report_of({cell("1.0"): CellResult("", Outcome.PASS, tests=(TestRow("a.py::a", Outcome.PASS),))})
    assert block(rendered("html", passed), "evidence")["facts"] == []
    evidence = block(PAGE, "evidence")
    [warned] = fact(PAGE, "1.0", "tests/test_a.py::test_a")["warnings"]
    assert text(evidence, warned) == "DeprecationWarning: toy.turn is deprecated (src/mine.py:12)"
    assert text(evidence, fact(PAGE, "1.0", "tests/test_a.py::TestB::test_c[x-1]")["said"]) == "no GPU"


def test_a_cell_has_its_lock_the_command_that_enters_it_and_why_it_could_not_run() -> None:
    evidence = block(PAGE, "evidence")
    first, stuck = evidence["cells"][0], evidence["cells"][2]
    assert [evidence["pins"][pin] for pin in first["lock"]] == [["toy", "1.0"]]
    assert first["command"] == "tf-tester shell 1.0 --package toy"
    assert text(evidence, stuck["summary"]) == "No wheel fits Python 3.11."
    assert text(evidence, stuck["hint"]) == "Install Python 3.8."


def test_what_many_cells_say_is_in_the_page_once() -> None:
    rows = tuple(
        replace(failure("a.py::a", "wrong"), traceback="\n".join(f"line {n} of it" for n in range(50))) for _ in "a"
    )
    page = rendered(
        "html", report_of({cell(f"{n}.0"): CellResult("", Outcome.FAIL, tests=rows) for n in range(1, 200)})
    )
    assert page.count("line 7 of it") == 2, "in the article of its kind, and in the data"
    assert len(block(page, "evidence")["facts"]) == 1


def test_of_much_that_is_said_each_cell_keeps_its_first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 60_000)
    results = {
        cell(f"{version}.0"): CellResult(
            "",
            Outcome.FAIL,
            tests=(
                TestRow("a.py::loud", Outcome.PASS, stdout="".join(f"{version} {n}\n" for n in range(300))),
                *(
                    replace(failure(f"a.py::test_{test}", "wrong"), stdout=f"{version} {test} {'x' * 900}")
                    for test in range(30)
                ),
            ),
        )
        for version in range(1, 11)
    }
    page = rendered("html", report_of(results))
    evidence = block(page, "evidence")
    assert len("".join(evidence["lines"])) < 60_000
    for version in range(1, 11):
        assert "output" in fact(page, f"{version}.0", "a.py::test_0")
        assert fact(page, f"{version}.0", "a.py::loud") in (None, {"cut": 1})
    assert all(one["left"] or {"cut": 1} in evidence["facts"] for one in evidence["cells"])
    whole = rendered("html", report_of(results)).encode()
    assert len(whole) < 400_000


def test_a_failing_cell_is_compared_with_the_nearest_that_passes() -> None:
    def lock(protobuf: str) -> Lock:
        pins = (Pin("protobuf", protobuf, "p.whl", protobuf, 1, ""), Pin("six", "1.0", "six.whl", "00", 1, ""))
        return Lock("3.11.0", Resolution.ERA, None, pins)

    results = {
        cell("1.0"): CellResult("", Outcome.PASS, tests=(TestRow("a.py::a", Outcome.PASS),)),
        cell("2.0"): CellResult("", Outcome.PASS, tests=(TestRow("a.py::a", Outcome.PASS),)),
        cell("3.0"): CellResult("", Outcome.FAIL, tests=(failure("a.py::a", "wrong"),)),
    }
    locks = {cell(f"{n}.0").name: lock(protobuf) for n, protobuf in ((1, "3.20"), (2, "3.21"), (3, "4.21"))}
    evidence = block(rendered("html", replace(report_of(results), locks=locks)), "evidence")
    assert [one["compared"] for one in evidence["cells"]] == [[], [], [0, 1]]
    own, other = ([evidence["pins"][pin] for pin in evidence["cells"][n]["lock"]] for n in (2, 1))
    assert [one for one in own if one not in other] == [["protobuf", "4.21"]]


def test_times_and_memory_stand_at_the_numbers_of_their_tests() -> None:
    rows = (
        TestRow("a.py::b", Outcome.PASS, wall_s=0.25, cpu_s=0.1, peak_rss_kib=10_000),
        TestRow("a.py::a", Outcome.PASS, wall_s=1.5),
    )
    page = rendered("html", report_of({cell("1.0"): CellResult("", Outcome.PASS, tests=rows)}))
    assert block(page, "index")["tests"] == ["a.py::b", "a.py::a"]
    assert block(page, "measures") == [{"wall": "250,1500", "cpu": "100,", "memory": "10,"}]


@pytest.mark.parametrize("said", HOSTILE)
def test_what_is_hostile_ends_no_block_and_is_in_it_as_people_read_it(said: str) -> None:
    page = rendered("html", hostile(said))
    evidence = block(page, "evidence")
    assert printable(said.split("\n")[0]).rstrip() in {line.rstrip() for line in evidence["lines"]}
    for name in ("index", "evidence", "measures"):
        start = page.index(f'id="{name}">')
        assert "<" not in page[start : page.index("</script>", start)]


def test_what_no_cell_ran_has_data_too() -> None:
    index = block(rendered("html", report_of({cell("1.0"): CellResult("", Outcome.NO_WHEEL, "None fits.")})), "index")
    assert (index["tests"], index["rows"], index["columns"]) == ([], [0], [1])
    assert '<script type="application/json"' not in rendered("html", report_of({}))


def test_a_matrix_too_large_for_a_table_is_whole_in_the_data() -> None:
    def outcome(version: int, test: int) -> Outcome:
        return Outcome.FAIL if (version * version + test * test) % 101 == 1 else Outcome.PASS

    results = {
        cell(f"{version}.0"): CellResult(
            "", Outcome.FAIL, tests=tuple(TestRow(f"a.py::t{test}", outcome(version, test)) for test in range(120))
        )
        for version in range(1, 400)
    }
    page = rendered("html", report_of(results))
    table = page[page.index('<table id="matrix"') : page.index("</table>")]
    index = block(page, "index")
    shown = table.count("<tr>") - 1
    assert shown * len(index["columns"]) <= 3_000
    assert len(index["grid"]) > shown
    assert f"{len(index['grid']) - shown} more rows" in page


def test_a_text_that_has_no_room_is_not_half_in_the_pool() -> None:
    pool = TextPool(100)
    assert pool.number_of("short") == 0
    assert pool.number_of("long " * 30) is None
    assert pool.number_of("short") == 0, "what is there needs no room"
    assert pool.lines == ["short"]


def test_of_a_long_text_the_end_is_kept_and_the_rest_counted() -> None:
    pool = TextPool(100_000)
    assert pool.number_of("\n".join(map(str, range(1_000)))) == 0
    assert pool.texts[0][0] == 600
    assert pool.lines[0] == "600"


def test_numbers_are_told_as_stretches() -> None:
    assert ranges([]) == []
    assert ranges({5, 4, 9, 3}) == [3, 3, 9, 1]


def test_the_report_itself_is_not_changed() -> None:
    assert rendered("html", REPORT) == PAGE
