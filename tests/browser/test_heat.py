"""What a reader of a grid's page does: opens fields by click and by keyboard, follows an address, reads Chinese."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.reader import Reader
from tests.functional.report.page.test_heat import PAGE, grid
from tests.unit.core.grid.test_guarantees import CELLS
from tf_tester.report.formats import Rendering, renderer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

FIRST, MIDDLE, LAST = (one.name for one in CELLS)
WRONG = {"product": "m", "saved": FIRST, "loaded": FIRST}


@pytest.fixture
def reader(browser: "Browser", tmp_path: Path) -> Reader:
    return Reader(browser, tmp_path)


def opened(reader: Reader) -> str:
    return reader.page.locator("aside:visible h2").inner_text()


def fact(reader: Reader, name: str) -> str:
    return reader.page.locator(f"aside:visible dt:text-is('{name}') + dd").first.inner_text()


def test_a_click_on_a_field_opens_both_values_the_product_and_the_command(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.get_by_role("button", name="≠*").click()
    assert opened(reader) == "m saved by 1.0, loaded by 1.0 wrong-numbers"
    assert reader.address == WRONG
    assert fact(reader, "said") == "p[1] is 0.5, not 0.35"
    assert fact(reader, "promised") == "yes"
    assert fact(reader, "product") == "1 B"
    assert fact(reader, "files") == "m.txt"
    assert fact(reader, "SHA-256") == "d" * 64
    command = "tf-tester grid grid.py --package toy --versions 1.0 --consumers 1.0"
    assert fact(reader, "try this field again") == command
    rows = [row.locator("th, td").all_inner_texts() for row in reader.page.locator("aside:visible .values tr").all()]
    assert rows[:4] == [
        ["Value", "p[1]"],
        ["as it was saved", "0.35"],
        ["as it was loaded", "0.5"],
        ["max abs", "0.15"],
    ]
    reader.is_content()


def test_an_error_has_its_traceback_and_the_way_to_what_saved_it(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.get_by_role("button", name="✗ A*").first.click()
    assert opened(reader) == "m saved by 1.0, loaded by 1.1 error"
    assert reader.page.locator("aside:visible mark").all_inner_texts() == [
        '  File "grid.py", line 7, in load',
        "    toy.load(path)",
    ]
    reader.page.locator("aside:visible dt:text-is('What saved it') + dd button").click()
    assert reader.address["cell"] == FIRST
    assert reader.page.locator("aside:visible").count() == 1
    assert opened(reader).startswith("1.0 ")
    reader.page.go_back()
    assert opened(reader) == "m saved by 1.0, loaded by 1.1 error"
    assert reader.page.locator("aside:visible").count() == 1
    reader.page.keyboard.press("Escape")
    assert reader.page.locator("aside:visible").count() == 0
    assert reader.address == {}
    assert reader.page.evaluate("document.activeElement.textContent") == "✗ A*"


def test_the_arrow_keys_walk_over_the_fields(reader: Reader) -> None:
    reader.opens(PAGE)
    reader.page.get_by_role("button", name="≠*").focus()
    for key in ("ArrowRight", "ArrowDown", "End", "ArrowDown", "Home"):
        reader.page.keyboard.press(key)
    reader.page.keyboard.press("Enter")
    assert opened(reader) == "m saved by 2.0, loaded by 1.0 ok"
    assert reader.page.locator("table.heat button[tabindex='0']").count() == 1


def test_an_address_opens_its_field_and_a_wrong_one_says_so(reader: Reader) -> None:
    reader.opens(PAGE, product="m", saved=LAST, loaded=MIDDLE)
    assert opened(reader) == "m saved by 2.0, loaded by 1.1 error"
    assert reader.page.locator("table.heat [aria-current]").inner_text() == "✗ A"
    reader.page.goto("about:blank")
    reader.requests.clear()
    reader.opens(PAGE, product="m", saved="</script>", loaded="__proto__")
    assert reader.page.locator("#shown").inner_text() == "This report has no such field."
    assert reader.page.locator("aside:visible").count() == 0


def test_the_matrix_below_opens_as_ever(reader: Reader) -> None:
    reader.opens(PAGE, **WRONG)
    reader.page.locator("#matrix td button").first.click()
    assert reader.page.locator("aside:visible").count() == 1
    assert set(reader.address) == {"cell", "of"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_anybody(browser: "Browser", tmp_path: Path, scheme: str) -> None:
    reader = Reader(browser, tmp_path, color_scheme=scheme, bypass_csp=True)
    reader.opens(PAGE)
    assert reader.violations() == []
    reader.page.get_by_role("button", name="≠*").click()
    assert reader.violations() == []
    reader.page.get_by_role("button", name="✗ A*").first.click()
    assert reader.violations() == []


def test_it_speaks_chinese(browser: "Browser", tmp_path: Path) -> None:
    reader = Reader(browser, tmp_path, locale="zh-CN")
    reader.opens(renderer("html")(grid(), Rendering()))
    assert reader.page.get_by_text("由一个版本保存，由另一个版本加载", exact=True).is_visible()
    reader.page.get_by_role("button", name="≠*").click()
    assert opened(reader) == "m：由 1.0 保存，由 1.0 加载 wrong-numbers"
    assert fact(reader, "保证") == "是"
    assert reader.page.locator("aside:visible .values th").all_inner_texts()[:3] == ["数值", "保存时", "加载后"]
