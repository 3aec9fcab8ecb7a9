"""What differs between two locks, and which of the differences entail which."""

from collections.abc import Mapping

import pytest

from tf_tester.core.verdict.drift import LockChangeKind, between, changes, entailing, requirers
from tf_tester.model.lock import Lock, Pin, Resolution

LINUX = {"sys_platform": "linux", "python_version": "3.10"}


def lock(**versions: str) -> Lock:
    pins = tuple(
        Pin(name, version, f"{name}-{version}-py3-none-any.whl", f"{name}-{version}", 1, "https://x/")
        for name, version in sorted(versions.items())
    )
    return Lock("3.10.1", Resolution.ERA, None, pins)


def needs(requires: Mapping[str, str], pin: Pin) -> bytes:
    return requires.get(pin.sha256, "").encode()


@pytest.mark.parametrize(
    ("before", "after", "text", "kind"),
    [
        ({"a": "1.9"}, {"a": "1.10"}, "a 1.9 → 1.10", LockChangeKind.UP),
        ({"a": "2.0"}, {"a": "1.0"}, "a 2.0 → 1.0", LockChangeKind.DOWN),
        ({}, {"a": "1.0"}, "a 1.0 (added)", LockChangeKind.ADDED),
        ({"a": "1.0"}, {}, "a 1.0 (gone)", LockChangeKind.REMOVED),
        ({"a": "1.0"}, {"a": "what"}, "a 1.0 → what", LockChangeKind.OTHER),
    ],
)
def test_a_change_is_told_and_has_a_kind(
    before: dict[str, str], after: dict[str, str], text: str, kind: LockChangeKind
) -> None:
    [change] = changes(lock(**before, same="1"), lock(**after, same="1"))
    assert (change.text, change.kind) == (text, kind)


def test_between_two_locks_some_distributions_are_those_of_the_second() -> None:
    mixed = between(lock(a="1", b="1", gone="1"), lock(a="2", b="2", new="1"), ["a", "gone", "new"])
    assert {pin.name: pin.version for pin in mixed.pins} == {"a": "2", "b": "1", "new": "1"}
    assert mixed.resolution is Resolution.LOCK


def test_what_requires_something_new_entails_it() -> None:
    requires = {"a-2": "Requires-Dist: b>=2\n"}
    graph = entailing(lock(a="1", b="1"), lock(a="2", b="2"), lambda pin: needs(requires, pin), LINUX)
    assert graph.closure(frozenset({"a"})) == {"a", "b"}
    assert graph.closure(frozenset({"b"})) == {"b"}


def test_a_change_that_an_old_one_does_not_bear_entails_that_ones_own() -> None:
    requires = {"a-1": "Requires-Dist: b<2\n"}
    graph = entailing(lock(a="1", b="1"), lock(a="2", b="2"), lambda pin: needs(requires, pin), LINUX)
    assert graph.closure(frozenset({"b"})) == {"a", "b"}


def test_a_requirement_of_another_system_entails_nothing() -> None:
    requires = {"a-2": 'Requires-Dist: b>=2; sys_platform == "win32"\n'}
    graph = entailing(lock(a="1", b="1"), lock(a="2", b="2"), lambda pin: needs(requires, pin), LINUX)
    assert graph.closure(frozenset({"a"})) == {"a"}


def test_requirers_are_found_under_any_spelling() -> None:
    requires = {"a-1": "Requires-Dist: B_c\n", "b-1": "Requires-Dist: other\n"}
    assert requirers(lock(a="1", b="1"), "b-c", lambda pin: needs(requires, pin), LINUX) == ("a",)
