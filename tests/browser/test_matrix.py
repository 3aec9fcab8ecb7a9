"""What a reader of a page does with its matrix: opens cells, narrows it, sends the address to somebody."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.browser.reader import Reader
from tests.functional.report.page.blocks import block
from tests.functional.report.test_formats import cell, failure, rendered, report_of
from tf_tester.core.outcome.report import RunReport
from tf_tester.core.verdict.drift import changes
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, Outcome, TestRow, WarningFact
from tf_tester.report.formats import Rendering, renderer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PYTHONS = {"1.0": "3.8", "1.1": "3.9", "1.2": "3.10", "2.0": "3.11", "2.1": "3.11", "3.0": "3.12"}
CELLS = {version: cell(version, python) for version, python in PYTHONS.items()}
WARNING = WarningFact("DeprecationWarning", "turn is old", "src/mine.py", 12, 3)
PROTOBUF = {"1.0": "3.19.6", "1.1": "3.20.0", "1.2": "3.20.3", "2.0": "4.21.1", "2.1": "4.22.0", "3.0": ""}


def lock(version: str) -> Lock:
    pins = [Pin("six", "1.16.0", "six.whl", "0" * 64 if version < "2" else "1" * 64, 1, "")]
    pins += [Pin("toy", version, "toy.whl", version, 1, "")]
    if PROTOBUF[version]:
        pins += [Pin("protobuf", PROTOBUF[version], "protobuf.whl", PROTOBUF[version], 1, "")]
    return Lock("3.11.4", Resolution.ERA, None, tuple(pins))


def result(version: str) -> CellResult:
    if version == "3.0":
        return CellResult("", Outcome.NO_WHEEL, "No wheel fits Python 3.12.", "Install Python 3.11.")
    broken = version.startswith("2.")
    spins = failure("tests/test_a.py::test_spin", "Gears cannot be created directly.")
    rows = (
        replace(spins, stdout="spinning\n", stderr="careful\n", cpu_s=0.1, peak_rss_kib=300_000, remarks=("slow disk",))
        if broken
        else TestRow("tests/test_a.py::test_spin", Outcome.PASS, wall_s=0.042, warnings=(WARNING,)),
        TestRow("tests/test_a.py::test_stop", Outcome.PASS, wall_s=2.5),
        TestRow("tests/test_b.py::test_turn", Outcome.PASS),
    )
    return CellResult(
        "",
        Outcome.FAIL if broken else Outcome.PASS,
        "TypeError" if broken else "",
        tests=rows,
        phases={"resolve": 0.5, "run": 3.0},
        import_s=1.25,
        peak_rss_kib=400_000,
        remarks=("numpy is older than asked for",),
        evidence="/store/runs/1/cells/it's",
    )


REPORT = replace(
    report_of({one: result(version) for version, one in CELLS.items()}),
    locks={one.name: lock(version) for version, one in CELLS.items()},
)
PAGE = rendered("html", REPORT)
FAILING = {"cell": CELLS["2.0"].name, "of": "tests/test_a.py::test_spin"}
WHOLE = [
    ["Tests", "1.0 – 1.2", "2.0 – 2.1", "3.0"],
    ["tests/test_a.py::test_spin", "✓ pass", "✗ fail", "no-wheel"],
    ["2 tests", "✓ pass", "✓ pass", "no-wheel"],
]


@pytest.fixture
def reader(browser: "Browser", tmp_path: Path) -> Reader:
    return Reader(browser, tmp_path)


def facts(reader: Reader) -> dict[str, str]:
    names, values = reader.panel.locator("dt").all_inner_texts(), reader.panel.locator("dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def test_a_click_opens_all_that_is_known_of_a_cell(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.get_by_role("button", name="✗ fail").click()
    assert reader.panel.locator("h2").inner_text() == "2.0 py3.11 fail"
    assert reader.address == FAILING
    told = facts(reader)
    assert told["said"] == "TypeError"
    assert reader.panel.locator("strong").inner_text() == "TypeError: Gears cannot be created directly."
    assert told["took"] == "250 ms · 100 ms of the processor · 307 MB"
    assert told["enter it"] == "tf-tester shell 2.0 --package toy"
    assert told["time"] == "resolve 500 ms · run 3.0 s"
    assert (told["import"], told["memory"], told["Python"]) == ("1.3 s", "410 MB", "3.11.4")
    assert told["folder"] == "/store/runs/1/cells/it's"
    remarks = reader.panel.locator("dt:text-is('remark') + dd").all_inner_texts()
    assert remarks == ["slow disk", "numpy is older than asked for"]
    assert told["all of it"] == (
        "tf-tester show 20261201-1 --cell toy==2.0@py3.11@era --test tests/test_a.py::test_spin"
    )
    assert reader.panel.locator("mark").all_inner_texts() == [
        '  File "tests/test_a.py", line 3, in test_a',
        "    spin()",
    ]
    texts = dict(zip(reader.panel.locator("summary").all_inner_texts(), reader.panel.locator("pre").all(), strict=True))
    assert list(texts) == ["Traceback", "Output", "Standard error", "What is installed (3)"]
    assert texts["Output"].inner_text().strip() == "spinning"
    assert (texts["Standard error"].text_content() or "").strip() == "careful"
    assert texts["What is installed (3)"].text_content() == "six 1.16.0\ntoy 2.0\nprotobuf 4.21.1"
    reader.is_content()


def test_its_dependencies_are_compared_with_the_nearest_cell_that_passes(reader: Reader) -> None:
    reader.opens(PAGE, **FAILING)
    assert reader.panel.locator("thead th").all_inner_texts() == ["Distribution", "1.2 py3.10", "2.0 py3.11"]
    assert reader.panel.locator("h3").all_inner_texts()[0] == "Different from 1.2 py3.10, which passes"
    rows = [row.locator("th, td").all_inner_texts() for row in reader.panel.locator("tbody tr").all()]
    assert rows == [
        ["protobuf", "3.20.3", "4.21.1"],
        ["six", "1.16.0", "1.16.0 (another file)"],
        ["toy", "1.2", "2.0"],
    ]
    assert [one.name for one in changes(lock("1.2"), lock("2.0"))] == [row[0] for row in rows]


def test_of_a_folded_column_and_row_the_cells_and_tests_can_be_chosen(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.locator("#matrix tbody tr:nth-child(2) td").first.locator("button").click()
    cells, tests = (
        reader.panel.get_by_role("combobox", name="Cell", exact=True),
        reader.panel.get_by_role("combobox", name="Test", exact=True),
    )
    assert cells.locator("option").all_inner_texts() == ["1.0 py3.8", "1.1 py3.9", "1.2 py3.10"]
    assert tests.locator("option").all_inner_texts() == ["tests/test_a.py::test_stop", "tests/test_b.py::test_turn"]
    assert facts(reader)["took"] == "2.5 s"
    cells.select_option("1.1 py3.9")
    reader.panel.get_by_role("combobox", name="Test", exact=True).select_option("tests/test_b.py::test_turn")
    assert reader.panel.locator("h2").inner_text() == "1.1 py3.9 pass"
    assert reader.address == {"cell": CELLS["1.1"].name, "of": "tests/test_b.py::test_turn"}
    assert "took" not in facts(reader)


def test_a_cell_that_could_not_run_and_a_test_that_warned_tell_so(reader: Reader) -> None:
    reader.opens(PAGE, cell=CELLS["3.0"].name, of="tests/test_a.py::test_spin")
    assert facts(reader)["said"] == "No wheel fits Python 3.12."
    assert facts(reader)["hint"] == "Install Python 3.11."
    reader.opens(PAGE, cell=CELLS["1.0"].name, of="tests/test_a.py::test_spin")
    assert reader.panel.locator("li").all_inner_texts() == ["DeprecationWarning: turn is old (src/mine.py:12) × 3"]


def test_the_keyboard_goes_through_the_matrix_opens_and_closes(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.locator("#matrix button[tabindex='0']").focus()
    for key in ("ArrowLeft", "ArrowRight", "ArrowDown", "End", "Home", "ArrowUp", "End", "ArrowLeft", "Enter"):
        reader.page.keyboard.press(key)
    assert reader.panel.locator("h2").inner_text() == "2.0 py3.11 fail"
    assert reader.page.evaluate("document.activeElement.tagName") == "H2"
    reader.page.keyboard.press("Escape")
    assert not reader.panel.is_visible()
    assert reader.address == {}
    assert reader.page.evaluate("document.activeElement.textContent") == "✗ fail"
    assert reader.page.locator("#matrix button[tabindex='0']").count() == 1


def test_the_browsers_back_and_forward_close_and_open(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.get_by_role("button", name="✗ fail").click()
    reader.page.go_back()
    assert not reader.panel.is_visible()
    reader.page.go_forward()
    assert reader.panel.is_visible()
    reader.panel.get_by_role("button", name="Close").click()
    assert not reader.panel.is_visible()


def test_the_verdict_leads_to_its_article(reader: Reader) -> None:
    reader.opens(PAGE, **FAILING)
    reader.panel.get_by_role("button", name="Why it fails").click()
    assert reader.page.evaluate("document.activeElement.querySelector('h3').textContent").startswith("TypeError")


@pytest.mark.parametrize(
    ("asked", "matrix", "reasons"),
    [
        ({"outcome": "fail"}, [["Tests", "2.0 – 2.1"], WHOLE[1][::2]], 1),
        ({"outcome": "fail,no-wheel"}, [WHOLE[0][::1][:1] + WHOLE[0][2:], *([r[0], *r[2:]] for r in WHOLE[1:])], 2),
        ({"python": "3.9"}, [["Tests", "1.1"], *(row[:2] for row in WHOLE[1:])], 0),
        ({"test": "TEST_B"}, [WHOLE[0], ["1 of 2 tests", *WHOLE[2][1:]]], 0),
        ({"text": "gears CANNOT"}, [["Tests", "2.0 – 2.1"], WHOLE[1][::2]], 1),
        ({"text": "2.1 py"}, [["Tests", "2.1"], *(row[::2] for row in WHOLE[1:])], 1),
        ({"text": "test_turn"}, [WHOLE[0], ["1 of 2 tests", *WHOLE[2][1:]]], 0),
        ({"text": "No wheel fits"}, [["Tests", "3.0"], *(row[::3] for row in WHOLE[1:])], 1),
        ({"text": "turn is old"}, [["Tests", "1.0 – 1.2"], WHOLE[1][:2]], 0),
        ({"test": "test_spin", "python": "3.11"}, [["Tests", "2.0 – 2.1"], WHOLE[1][::2]], 1),
        ({"test": "nowhere"}, [], 0),
        ({"python": "2.7"}, [], 0),
    ],
)
def test_filters_narrow_the_matrix_and_the_reasons(
    reader: Reader, asked: dict[str, str], matrix: list[list[str]], reasons: int
) -> None:
    reader.opens(PAGE, **asked)
    assert reader.matrix() == matrix
    assert reader.page.locator("article[data-article]:visible").count() == reasons
    told = reader.page.get_by_role("status").inner_text()
    assert told == "Nothing matches." if not matrix and not reasons else told.startswith("Shown: ")
    reader.page.get_by_role("button", name="Show all").click()
    assert reader.matrix() == WHOLE
    assert reader.address == {}
    reader.is_content()


def test_what_is_chosen_and_typed_is_kept_in_the_address(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.get_by_role("checkbox", name="✗ fail").check()
    reader.page.get_by_role("combobox", name="Python", exact=True).select_option("3.11")
    reader.page.get_by_role("searchbox", name="Test", exact=True).fill("spin & [x=1]+é")
    reader.page.get_by_role("searchbox", name="Text", exact=True).fill("a b")
    assert reader.address == {"outcome": "fail", "python": "3.11", "test": "spin & [x=1]+é", "text": "a b"}
    reader.page.reload()
    assert reader.page.get_by_role("checkbox", name="✗ fail").is_checked()
    assert reader.page.get_by_role("combobox", name="Python", exact=True).input_value() == "3.11"
    assert reader.page.get_by_role("searchbox", name="Test", exact=True).input_value() == "spin & [x=1]+é"
    assert reader.page.get_by_role("status").inner_text() == "Nothing matches."
    assert reader.page.get_by_role("searchbox", name="Text", exact=True).input_value() == "a b"


def test_resolutions_are_a_filter_where_there_are_several(reader: Reader) -> None:
    cells = [Cell.of("toy", "1.0", "3.11", one) for one in (Resolution.ERA, Resolution.LATEST)]
    rows = (TestRow("a.py::a", Outcome.PASS),)
    reader.opens(rendered("html", report_of({one: CellResult("", Outcome.PASS, tests=rows) for one in cells})))
    reader.page.get_by_role("combobox", name="Dependencies", exact=True).select_option("latest")
    assert reader.page.locator("#matrix thead th:visible").count() == 2
    assert reader.address == {"resolution": "latest"}


def test_an_address_of_another_report_says_so(reader: Reader) -> None:
    reader.opens(PAGE, cell="toy==9.9@py3.11@era", of="x")
    assert reader.page.get_by_role("status").inner_text() == "This report has no such cell or test."
    assert reader.matrix() == WHOLE


def test_a_row_names_its_tests_when_it_is_opened_those_alone_that_are_meant(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.locator("#matrix summary").click()
    names = reader.page.locator("#matrix details div")
    assert names.all_inner_texts() == ["tests/test_a.py::test_stop", "tests/test_b.py::test_turn"]
    reader.page.get_by_role("searchbox", name="Test", exact=True).fill("stop")
    assert names.all_inner_texts() == ["tests/test_a.py::test_stop"]


def test_in_chinese_what_the_script_says_is_chinese(reader: Reader) -> None:
    reader.opens(renderer("html")(REPORT, Rendering(language="zh")), **FAILING, python="3.11")
    assert "显示：测试 3 / 3，单元 2 / 6" in reader.page.get_by_role("status").inner_text()
    assert reader.panel.get_by_role("button", name="关闭").is_visible()
    assert reader.panel.locator("h3").all_inner_texts()[0] == "与通过的 1.2 py3.10 的差异"


def unfolded() -> RunReport:
    """A run of which no two neighbours came to the same."""

    def outcome(version: int, test: int) -> Outcome:
        return Outcome.FAIL if (version * version + test * test) % 101 == 1 else Outcome.PASS

    return report_of(
        {
            cell(f"{version}.0"): CellResult(
                "",
                Outcome.FAIL,
                tests=tuple(
                    TestRow(f"a.py::t{test}", outcome(version, test), reason=f"r{test}") for test in range(200)
                ),
            )
            for version in range(1, 300)
        }
    )


def test_rows_beyond_what_a_browser_bears_come_when_they_are_asked_for(reader: Reader) -> None:
    page = rendered("html", unfolded())
    reader.opens(page)
    rows = reader.page.locator("#matrix tbody tr:visible")
    all_rows = len(block(page, "index")["grid"])
    assert 10 <= rows.count() < all_rows
    reader.page.locator("#more button").click()
    assert rows.count() == all_rows
    reader.page.get_by_role("searchbox", name="Test", exact=True).fill("t199")
    assert rows.count() == 1
    reader.page.locator("#matrix tbody tr:visible button").first.click()
    assert facts(reader)["all of it"].endswith("--test a.py::t199")
    reader.page.get_by_role("button", name="Show all").click()
    numbers = reader.page.evaluate("[...document.querySelectorAll('#matrix tbody tr')].map(row => row.cells.length)")
    assert set(numbers) == {reader.page.locator("#matrix thead th").count()}
    reader.is_content()


def test_a_page_whose_script_does_not_run_can_be_read(browser: "Browser", tmp_path: Path) -> None:
    reader = Reader(browser, tmp_path, java_script_enabled=False)
    reader.opens(PAGE)
    assert reader.matrix() == WHOLE
    assert reader.page.locator("button:visible, input:visible").count() == 0
    assert reader.page.get_by_text("Where the bytes came from").is_visible()


def causes(reader: Reader) -> list[list[str]]:
    rows = reader.page.locator("#causes tr:visible").all()
    return [[one.inner_text().split("\n")[0] for one in row.locator("th:visible, td:visible").all()] for row in rows]


def test_causes_have_a_table_that_filters_narrow(reader: Reader) -> None:
    reader.opens(PAGE)
    gears, no_wheel = (
        ["TypeError: Gears cannot be created directly.", "✓ pass", "✗ fail", "no-wheel"],
        "no-wheel: No wheel fits Python 3.12.",
    )
    assert causes(reader) == [["Cause", "1.0 – 1.2", "2.0 – 2.1", "3.0"], gears, [no_wheel, "–", "–", "no-wheel"]]
    reader.page.get_by_role("checkbox", name="✗ fail").check()
    assert [row[0] for row in causes(reader)] == ["Cause", gears[0]]
    reader.page.get_by_role("checkbox", name="✗ fail").uncheck()
    reader.page.get_by_role("combobox", name="Python").select_option("3.11")
    assert causes(reader) == [["Cause", "2.0 – 2.1"], [gears[0], "✗ fail"]]
    reader.page.get_by_role("combobox", name="Python").select_option("3.8")
    assert causes(reader) == []
    reader.is_content()


def test_a_cause_leads_to_its_article_and_the_filters_stay(reader: Reader) -> None:
    reader.opens(PAGE, python="3.11")
    reader.page.get_by_role("link", name="TypeError: Gears cannot be created directly.").click()
    assert (
        reader.page.evaluate("document.activeElement.querySelector('h3').textContent")
        == "TypeError: Gears cannot be created directly."
    )
    assert reader.address == {"python": "3.11"}
    reader.is_content()
