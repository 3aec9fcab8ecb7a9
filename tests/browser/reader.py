"""A browser, and somebody who opens a page in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules/axe-core/axe.min.js"
QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Start Chromium; without one the test is skipped."""
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
        self.page.on("request", lambda request: self.requests.append(request.url.partition("#")[0]))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def opens(self, text: str, /, **address: str) -> None:
        """Open a page; `address`: what stands behind its `#`."""
        self.file.write_text(text, encoding="utf-8")
        self.page.goto(f"{self.file.as_uri()}#{urlencode(address)}" if address else self.file.as_uri())
        self.is_content()

    def is_content(self) -> None:
        assert set(self.requests) == {self.file.as_uri()}, "it asks nobody for anything"
        assert self.complaints == []

    @property
    def address(self) -> dict[str, str]:
        told = str(self.page.evaluate("location.hash")).removeprefix("#")
        return {name: values[0] for name, values in parse_qs(told, strict_parsing=bool(told)).items()}

    @property
    def panel(self) -> "Locator":
        return self.page.locator("aside")

    def matrix(self) -> list[list[str]]:
        """What is shown of it, the versions first."""
        rows = self.page.locator("#matrix tr:visible").all()
        shown = [[one.inner_text().strip() for one in row.locator("th:visible, td:visible").all()] for row in rows]
        return [[one.split("\n")[0] for one in row] for row in shown]

    def violations(self) -> list[Any]:
        """What axe-core finds; without it the test is skipped."""
        if not AXE.exists():
            pytest.skip("axe-core isn't here: npm install --no-save axe-core")
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run()")
        return [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]]
