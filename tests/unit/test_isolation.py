"""Which sandbox a run gets: the one asked for, or an error; with `auto` the best, and a word where there is none."""

from pathlib import Path

import pytest

from tf_tester import wiring
from tf_tester.cli.settings import read_settings
from tf_tester.core.settings import Settings
from tf_tester.errors import IsolationUnavailable
from tf_tester.sandbox.namespace import NamespaceSandbox, NoSandbox


def settings(folder: Path, isolation: str) -> Settings:
    return read_settings({"isolation": isolation}, cwd=folder, environ={}, user_file=folder / "none.toml").settings


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_: NamespaceSandbox) -> None:
        raise IsolationUnavailable("Tests can't be sandboxed here: new namespaces: Operation not permitted.")

    monkeypatch.setattr(NamespaceSandbox, "check", check)


@pytest.mark.usefixtures("refused")
def test_auto_goes_without_and_says_why(tmp_path: Path) -> None:
    sandbox, refusal = wiring._sandbox(settings(tmp_path, "auto"), tmp_path, tmp_path)
    assert isinstance(sandbox, NoSandbox)
    assert "Operation not permitted" in refusal


@pytest.mark.usefixtures("refused")
def test_one_that_was_asked_for_is_never_left_out(tmp_path: Path) -> None:
    with pytest.raises(IsolationUnavailable, match="Operation not permitted"):
        wiring._sandbox(settings(tmp_path, "namespace"), tmp_path, tmp_path)


@pytest.mark.usefixtures("refused")
def test_none_tries_nothing(tmp_path: Path) -> None:
    sandbox, refusal = wiring._sandbox(settings(tmp_path, "none"), tmp_path, tmp_path)
    assert (sandbox.name, refusal) == ("none", "")
