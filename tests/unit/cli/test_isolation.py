"""Which sandbox a run gets: the one asked for, or an error; with `auto` the best, and a word where there is none."""

import sys
from pathlib import Path

import pytest

from tf_tester import wiring
from tf_tester.cli.common.settings import read_settings
from tf_tester.core.config.settings import Settings
from tf_tester.errors import IsolationUnavailable
from tf_tester.sandbox.landlocked import LandlockSandbox
from tf_tester.sandbox.namespace import NamespaceSandbox
from tf_tester.sandbox.server import LaunchServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandboxes are Linux's")


def settings(folder: Path, isolation: str, **given: str) -> Settings:
    words = {"isolation": isolation, **given}
    return read_settings(words, cwd=folder, environ={}, user_file=folder / "none.toml").settings


def refuse(monkeypatch: pytest.MonkeyPatch, kind: type, reason: str) -> None:
    def check(_: object, starter: object) -> None:
        raise IsolationUnavailable(f"Tests can't be sandboxed here: {reason}.")

    monkeypatch.setattr(kind, "check", check)


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, NamespaceSandbox, "new namespaces: Operation not permitted")


@pytest.fixture
def no_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, LandlockSandbox, "Landlock: Function not implemented")


@pytest.fixture
def landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LandlockSandbox, "check", lambda _, starter: None)


@pytest.mark.usefixtures("no_namespaces", "landlock")
def test_auto_takes_landlock_where_namespaces_are_refused(tmp_path: Path) -> None:
    sandbox, refusal = wiring._sandbox(settings(tmp_path, "auto"), tmp_path, LaunchServer())
    assert (sandbox.name, refusal) == ("landlock", "")


@pytest.mark.usefixtures("no_namespaces", "no_landlock")
def test_auto_goes_without_where_both_are_refused_and_says_why(tmp_path: Path) -> None:
    sandbox, refusal = wiring._sandbox(settings(tmp_path, "auto"), tmp_path, LaunchServer())
    assert sandbox.name == "none"
    assert "Operation not permitted" in refusal
    assert "Function not implemented" in refusal


@pytest.mark.usefixtures("no_namespaces", "no_landlock")
@pytest.mark.parametrize("asked", ["namespace", "landlock"])
def test_one_that_was_asked_for_is_never_left_out(tmp_path: Path, asked: str) -> None:
    with pytest.raises(IsolationUnavailable, match="can't be sandboxed here"):
        wiring._sandbox(settings(tmp_path, asked), tmp_path, LaunchServer())


@pytest.mark.usefixtures("no_namespaces", "no_landlock")
def test_none_tries_nothing(tmp_path: Path) -> None:
    sandbox, refusal = wiring._sandbox(settings(tmp_path, "none"), tmp_path, LaunchServer())
    assert (sandbox.name, refusal) == ("none", "")


@pytest.mark.usefixtures("landlock")
def test_a_scratch_in_memory_is_refused_where_there_is_no_namespace_for_it(tmp_path: Path) -> None:
    with pytest.raises(IsolationUnavailable, match="needs --isolation namespace"):
        wiring._sandbox(settings(tmp_path, "landlock", scratch="memory"), tmp_path, LaunchServer())
    with pytest.raises(IsolationUnavailable, match="needs --isolation namespace"):
        wiring._sandbox(settings(tmp_path, "none", scratch="memory"), tmp_path, LaunchServer())
