"""What differs between all cells that pass and all that fail."""

import pytest

from tf_tester.core.verdict.separation import LockedVersions
from tf_tester.model.lock import Lock, Pin, Resolution


def lock(**versions: str) -> Lock:
    pins = tuple(Pin(name, version, "", f"{name}{version}", 1, "") for name, version in versions.items())
    return Lock("3.10", Resolution.ERA, None, pins)


@pytest.mark.parametrize(
    ("passing", "failing", "found"),
    [
        ([{"a": "1"}, {"a": "2"}], [{"a": "3"}, {"a": "4"}], ["a 2 → 3"]),
        ([{"a": "3"}, {"a": "10"}], [{"a": "2"}], ["a 3 → 2"]),
        ([{"a": "1"}, {"a": "3"}], [{"a": "2"}], []),
        ([{"a": "1"}], [{"a": "1"}, {"a": "2"}], []),
        ([{"a": "1", "b": "1"}, {"a": "2", "b": "1"}], [{"a": "1", "b": "2"}], ["b 1 → 2"]),
        ([{"a": "1"}], [{}], ["a 1 (gone)"]),
        ([{}], [{"a": "1"}, {"a": "2"}], ["a 1 (added)"]),
        ([{}, {"a": "1"}], [{"a": "2"}], ["a 1 → 2"]),
        ([{}, {"a": "1"}], [{}], []),
        ([{"a": "1"}], [{"a": "odd version"}], []),
        ([], [{"a": "1"}], []),
    ],
)
def test_one_border_between_all_that_pass_and_all_that_fail(
    passing: list[dict[str, str]], failing: list[dict[str, str]], found: list[str]
) -> None:
    locks = LockedVersions(lock(**one) for one in (*passing, *failing))
    good, everything = (1 << len(passing)) - 1, (1 << len(passing) + len(failing)) - 1
    changes = locks.separating(good, everything & ~good)
    assert [change.text for change in changes] == found
