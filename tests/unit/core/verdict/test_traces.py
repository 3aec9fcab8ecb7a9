"""Into whose code a failure points."""

import pytest

from tf_tester.core.verdict.traces import PointedAt, pointed_at
from tf_tester.model.outcome import ExceptionFact, Outcome, TestRow

SITE = "/env/lib/python3.10/site-packages"
USER, GEAR, STANDARD = "/home/me/t.py", f"{SITE}/gear/y.py", "/usr/lib/python3.10/json/decoder.py"
OWNERS = {"gear": "gear", "axle": "axle", "mine": ""}


def row(last: str, *files: str, before: str = "") -> TestRow:
    frames = "".join(f'  File "{file}", line 1, in f\n    work()\n' for file in files)
    kind, _, message = last.partition(": ")
    traceback = f"{before}Traceback (most recent call last):\n{frames}{last}\n"
    return TestRow("t", Outcome.FAIL, ExceptionFact(kind, message, files[-1]), traceback=traceback)


def into(name: str, *through: str, lacks: str = "") -> PointedAt:
    return PointedAt(name, bool(lacks), frozenset(through), lacks)


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (row("TypeError: no", USER, GEAR), into("gear")),
        (row("ValueError: no", USER, GEAR, STANDARD), into("gear")),
        (row("TypeError: no", USER, f"{SITE}/axle.py", GEAR), into("gear", "axle")),
        (row("TypeError: no", USER, f"{SITE}/mine/x.py"), None),
        (row("TypeError: no", USER), None),
        (row("TypeError: no", USER, GEAR, USER), None),
        (row("ModuleNotFoundError: No module named 'PIL'", USER), into("pillow", lacks="PIL")),
        (row("ModuleNotFoundError: No module named 'mine.x'", USER), None),
        (row("ImportError: cannot import name 'x' from 'axle' (/p)", USER, GEAR), into("axle", "gear", lacks="axle")),
    ],
)
def test_the_innermost_frame_or_the_name_that_is_lacking_tells(failed: TestRow, expected: PointedAt | None) -> None:
    assert pointed_at(failed, OWNERS) == expected


def test_the_exception_that_is_named_as_the_cause_counts_and_one_that_was_handled_doesnt() -> None:
    first = f'Traceback (most recent call last):\n  File "{SITE}/axle.py", line 1, in f\n    work()\nKeyError: 1\n\n'
    caused = "The above exception was the direct cause of the following exception:\n\n"
    handled = "During handling of the above exception, another exception occurred:\n\n"
    assert pointed_at(row("TypeError: no", USER, GEAR, before=first + caused), OWNERS) == into("axle")
    assert pointed_at(row("TypeError: no", USER, GEAR, before=first + handled), OWNERS) == into("gear")
