"""What is older than it need be because of something that is there only as source."""

from datetime import UTC, datetime

from tf_tester.core.locks.held_back import held_back
from tf_tester.model.lock import Pin

MARKERS = {"python_version": "3.10", "sys_platform": "linux"}


def pin(name: str, version: str) -> Pin:
    uploaded = datetime(2015, 7, 1, tzinfo=UTC)
    return Pin(name, version, f"{name}-{version}-py3-none-any.whl", "ab" * 32, 10, "", upload_time=uploaded)


def metadata(*requires: str) -> bytes:
    lines = ["Metadata-Version: 2.1", "Name: x", "Version: 1", *(f"Requires-Dist: {one}" for one in requires)]
    return "\n".join(lines).encode()


def test_the_newest_that_was_looked_at_says_why() -> None:
    seen = {
        ("bench", "3.0"): metadata(),
        ("bench", "3.9"): metadata("strange"),
        ("bench", "3.10"): metadata("Strange_One>=1", "gear", "odd; sys_platform == 'win32'", "doc; extra == 'doc'"),
        ("other", "9.0"): metadata("strange-one"),
    }
    [found] = held_back([pin("Bench", "3.0"), pin("gear", "1.0")], seen, {"strange-one", "odd", "doc"}, MARKERS)
    assert found.told == "bench is 3.0 of 2015, because 3.10 requires strange-one"


def test_what_was_left_for_another_reason_is_not_told() -> None:
    seen = {("bench", "3.10"): metadata("gear"), ("bench", "3.9"): metadata("strange"), ("bench", "odd!"): metadata()}
    assert held_back([pin("bench", "3.0")], seen, {"strange"}, MARKERS) == ()
    assert held_back([pin("bench", "3.10")], seen, {"strange"}, MARKERS) == ()
