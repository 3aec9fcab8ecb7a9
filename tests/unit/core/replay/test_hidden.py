"""What of the user's files isn't shown to a test."""

import pytest

from tf_tester.core.replay.hidden import is_hidden, missed


@pytest.mark.parametrize("name", [".git", ".hg", ".svn", ".tox", ".nox", "node_modules", "__pycache__", ".hypothesis"])
def test_history_environments_and_caches_are_hidden_by_their_names(name: str) -> None:
    assert is_hidden(name, (), ())
    assert not is_hidden(name, (), {name})


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta"])
def test_an_environment_is_hidden_whatever_its_name(mark: str) -> None:
    assert is_hidden("py38", ("bin", mark), ())
    assert not is_hidden("py38", ("bin", mark), {"py38"})


@pytest.mark.parametrize("name", ["src", ".gitignore", ".github", "venv", "git", ".env", "build"])
def test_everything_else_is_shown(name: str) -> None:
    assert not is_hidden(name, ("bin", "lib"), ())


def test_a_failure_that_speaks_of_what_is_hidden() -> None:
    hidden = [".git", ".venv", "__pycache__", ".git"]
    assert missed(hidden, ["fatal: not a git repository (or any of the parent directories): .git"]) == [".git"]
    assert missed(hidden, ["No such file: '/project/.git/HEAD'", "no module in .venv/lib"]) == [".git", ".venv"]
    assert missed(hidden, ["No such file: .gitignore", "x.git", "a/__pycache__/b.pyc"]) == []
