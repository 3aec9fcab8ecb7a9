"""The page of a run in a real browser: Chromium, where there is one; axe-core, where npm has brought it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.report.test_formats import HOSTILE, REPORT, hostile, rendered
from tf_tester.report.formats import Rendering, renderer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright  # for those alone who run these tests

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    words = [*QUIET, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=words)
        yield opened
        opened.close()


class Reader:
    """Somebody who opens a page, and what happened then."""

    def __init__(self, browser: "Browser", folder: Path, **settings: Any) -> None:
        self.page: Page = browser.new_context(**settings).new_page()
        self.file = folder / "page.html"
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def opens(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")
        self.page.goto(self.file.as_uri())
        assert self.requests == [self.file.as_uri()], "it asks nobody for anything"
        assert self.complaints == []


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
    assert reader.page.evaluate("document.querySelectorAll('script, iframe, img, a, form, object').length") == 1
    for opened in reader.page.locator("summary").all():
        opened.click()
    assert reader.complaints == []


def test_a_script_that_got_in_would_not_run(browser: "Browser", tmp_path: Path) -> None:
    reader = Reader(browser, tmp_path)
    reader.file.write_text(rendered("html").replace("</main>", "<script>document.title = 'owned'</script></main>"))
    reader.page.goto(reader.file.as_uri())
    assert reader.page.title() == "tf-tester: toy"
    assert "Content Security Policy" in reader.complaints[0]


def test_nothing_is_wider_than_a_telephone_and_all_can_be_reached_by_keyboard(
    browser: "Browser", tmp_path: Path
) -> None:
    reader = Reader(browser, tmp_path, viewport={"width": 400, "height": 800})
    reader.opens(rendered("html"))
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 400
    reader.page.keyboard.press("Tab")
    assert reader.page.evaluate("document.activeElement.className") == "wide", "the matrix can be scrolled"
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.press("Enter")
    assert reader.page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert reader.page.evaluate("document.activeElement.parentElement.open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_axe_finds_nothing(browser: "Browser", tmp_path: Path, scheme: Any, locale: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core isn't here: npm install --no-save axe-core")
    reader = Reader(browser, tmp_path, color_scheme=scheme, locale=locale, bypass_csp=True)
    reader.opens(rendered("html"))
    reader.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = reader.page.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
