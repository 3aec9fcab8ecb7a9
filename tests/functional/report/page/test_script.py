"""The page's script as a text; what it does is tested in tests/browser."""

import re
from importlib.resources import files

from tf_tester.report.formats.page import words
from tf_tester.report.formats.page.heat.words import CHINESE_OF_GRIDS

SCRIPTS = {one.name: one.read_text(encoding="utf-8") for one in files(words.__package__).joinpath("script").iterdir()}


def test_all_that_it_says_is_known_in_chinese() -> None:
    said = {
        word for text in SCRIPTS.values() for word in re.findall(r'\b(?:say|textBlock|choice)\([^"()]*"([^"]*)"', text)
    }
    said |= {word for text in SCRIPTS.values() for word in re.findall(r'^ +\["([^"]+)", ', text, re.MULTILINE)}
    assert {"Traceback", "enter it", "Close", "Nothing matches.", "What saved it"} <= said
    assert said <= words.CHINESE.keys() | CHINESE_OF_GRIDS.keys()


def test_strangers_texts_can_only_become_text() -> None:
    for name, text in SCRIPTS.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            name
        )
        assert not re.search(r"fetch\(|XMLHttpRequest|import\(|sendBeacon|\.src\b|\.href\b", text), name


def test_nothing_in_it_ends_its_element() -> None:
    assert not any(re.search(r"</|<!--", text) for text in SCRIPTS.values())
