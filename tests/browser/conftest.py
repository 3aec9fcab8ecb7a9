"""What all tests in a browser share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.reader import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with chromium() as opened:
        yield opened
