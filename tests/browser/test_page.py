"""The page of a run in a real browser: Chromium, where there is one; axe-core, where npm has brought it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.browser.reader import Reader
from tests.functional.report.test_formats import HOSTILE, REPORT, hostile, rendered
from tf_tester.report.formats import Rendering, renderer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PAGE = rendered("html")


@pytest.mark.parametrize(
    ("locale", "asked", "seen", "hidden"),
    [
        ("en-US", "", "What works where", "各版本结果"),
        ("zh-CN", "", "各版本结果", "What works where"),
        ("fr-FR", "", "What works where", "各版本结果"),
        ("en-US", "zh", "各版本结果", "What works where"),
        ("zh-CN", "en", "What works where", "各版本结果"),
    ],
)
def test_it_speaks_its_readers_language(
    browser: "Browser", tmp_path: Path, locale: str, asked: str, seen: str, hidden: str
) -> None:
    reader = Reader(browser, tmp_path, locale=locale)
    reader.opens(renderer("html")(REPORT, Rendering(language=asked)))
    assert reader.page.get_by_text(seen, exact=True).is_visible()
    assert not reader.page.get_by_text(hidden, exact=True).is_visible()
    assert reader.page.evaluate("document.documentElement.lang") == ("zh" if seen.startswith("各") else "en")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_hostile_does_nothing(browser: "Browser", tmp_path: Path, text: str) -> None:
    reader = Reader(browser, tmp_path)
    reader.opens(rendered("html", hostile(text)))
    for opened in reader.page.locator("summary").all():
        opened.click()
    for place in reader.page.locator("#matrix td button").all():
        place.click()
        assert reader.panel.is_visible()
    reader.page.locator("[name=text]").fill(text)
    reader.is_content()
    others = "iframe, img, object, a:not([href^='#why-'])"
    assert reader.page.evaluate(f'document.querySelectorAll("{others}").length') == 0
    assert reader.page.evaluate("document.querySelectorAll('script').length") == 4


@pytest.mark.parametrize("text", [*HOSTILE, "__proto__", "constructor", "%E0%A4%A", "a=b&cell=c"])
def test_a_hostile_address_does_nothing(browser: "Browser", tmp_path: Path, text: str) -> None:
    reader = Reader(browser, tmp_path)
    reader.opens(PAGE)
    word = text.encode("utf-8", "replace").decode()
    names = ("of", "outcome", "python", "resolution", "text", "test", "__proto__")
    for address in (
        word,
        f"cell={quote(word)}",
        "&".join([f"cell={quote('toy==2.0@py3.11@era')}", *(f"{name}={quote(word)}" for name in names)]),
    ):
        reader.page.goto("about:blank")
        reader.requests.clear()
        reader.page.goto(f"{reader.file.as_uri()}#{address}")
        reader.is_content()
    others = "iframe, img, object, a:not([href^='#why-'])"
    assert reader.page.evaluate(f'document.querySelectorAll("{others}").length') == 0


def test_a_script_that_got_in_would_not_run(browser: "Browser", tmp_path: Path) -> None:
    reader = Reader(browser, tmp_path)
    reader.file.write_text(PAGE.replace("</main>", "<script>document.title = 'owned'</script></main>"))
    reader.page.goto(reader.file.as_uri())
    assert reader.page.title() == "tf-tester: toy"
    assert "Content Security Policy" in reader.complaints[0]


def test_nothing_is_wider_than_a_telephone_and_all_can_be_reached_by_keyboard(
    browser: "Browser", tmp_path: Path
) -> None:
    reader = Reader(browser, tmp_path, viewport={"width": 400, "height": 800})
    reader.opens(PAGE)
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 400
    reached: list[str] = []
    while not reached or reached[-1] != "BODY":
        reader.page.keyboard.press("Tab")
        if reader.page.evaluate("document.activeElement.tagName") == "SUMMARY":
            reader.page.keyboard.press("Enter")
            assert reader.page.evaluate("document.activeElement.parentElement.open")
        reached.append(reader.page.evaluate("document.activeElement.tagName"))
    assert reached.count("INPUT") == 8
    assert reached.count("DIV") == 3, "the tables can be scrolled"
    assert reached.count("SUMMARY") == 2
    assert reached.count("BUTTON") == 2, "one of the matrix, and the one that shows all"
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize(
    "address", [{}, {"cell": "toy==2.0@py3.11@era", "of": "tests/test_a.py::test_a"}, {"test": "_a"}]
)
def test_axe_finds_nothing(
    browser: "Browser", tmp_path: Path, scheme: Any, locale: str, address: dict[str, str]
) -> None:
    reader = Reader(browser, tmp_path, color_scheme=scheme, locale=locale, bypass_csp=True)
    reader.opens(PAGE, **address)
    assert reader.panel.count() == ("cell" in address)
    assert reader.violations() == []
