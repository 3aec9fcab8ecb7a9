"""A dry run of any command writes nothing of the user's, and into the store nothing but pages and metadata."""

import hashlib
from pathlib import Path

import click
import pytest

from tests.integration.conftest import User
from tests.simulator import NoRanges, Simulator
from tests.wheels import make_sdist, make_wheel
from tf_tester.cli.main import COMMANDS, main

DATE = "2022-04-01T00:00:00Z"
REPLICA = 'projects = ["toy"]\n'

COMMAND_LINES = {
    ("download",): ("--versions", "1.0,2.0", "--with-deps"),
    ("sync",): ("team.toml",),
    ("cache", "gc"): ("--max-size", "1"),
}
"""The commands that have a dry run, and what is asked of them."""
OF_ITS_OWN = {("image", "push")}
"""It writes to a registry alone, and is tested with one in tests/integration/supply/test_image.py."""
NOTES = ("ledger.sqlite", "interpreters", "tmp", "locks", "CACHEDIR.TAG", "README", ".lock")
"""What a store may write all the same: pages, metadata and locks are in the ledger."""


def state(folder: Path) -> dict[str, str]:
    """Every file and folder, with what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
        if not path.is_symlink()
    }


def of_user(user: User) -> dict[str, str]:
    return {name: told for name, told in state(user.home).items() if not name.startswith("store")}


def of_store(user: User) -> dict[str, str]:
    found = state(user.store) if user.store.exists() else {}
    return {name: told for name, told in found.items() if not any(note in name for note in NOTES) and told != "folder"}


def _dry(command: click.Command, words: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        return set().union(*(_dry(one, (*words, name)) for name, one in found if one is not None))
    return {words} if any("--dry-run" in parameter.opts for parameter in command.params) else set()


def test_each_command_with_a_dry_run_is_tested_here() -> None:
    assert COMMANDS
    assert _dry(main) == set(COMMAND_LINES) | OF_ITS_OWN


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
@pytest.mark.parametrize("had", [False, True], ids=["empty store", "full store"])
def test_a_dry_run_writes_nothing(user: User, index: Simulator, words: tuple[str, ...], had: bool) -> None:
    user.write("team.toml", REPLICA)
    if had:
        assert user.run("sync", "team.toml").code == 0
        assert user.run("download", "--versions", "1.0", "--with-deps", "-d", "elsewhere").code == 0
    index.forget_counts()
    before = of_user(user), of_store(user)
    run = user.run(*words, *COMMAND_LINES[words], "--dry-run", env={"TF_TESTER_STORE_SIZE": "1"})
    assert run.code == 0, run.err
    assert (of_user(user), of_store(user)) == before
    assert "would" in run.out or not had
    whole = [one for one in index.log if one.path.endswith(".whl") and "range" not in one.headers]
    assert whole == [], "no wheel is brought as a whole"


@pytest.mark.parametrize("words", [("download",), ("sync",)], ids=" ".join)
def test_what_has_to_be_brought_all_the_same_is_told(user: User, index: Simulator, words: tuple[str, ...]) -> None:
    user.write("team.toml", REPLICA)
    for filename in ("toy-2.0-py3-none-any.whl", "toy-1.0-py3-none-any.whl", "gear-2.0-py3-none-any.whl"):
        index.fault(filename, NoRanges())
    before = of_user(user)
    run = user.run(*words, *COMMAND_LINES[words], "--dry-run")
    assert run.code == 0, run.err
    assert of_user(user) == before
    assert "Brought into the store, to learn what is required: " in run.out


def test_a_dry_run_builds_only_what_it_must_know(user: User, index: Simulator) -> None:
    index.add_sdist(*make_sdist("built", "1.0"), upload_time="2020-01-01T00:00:00Z")
    index.add_wheel(*make_wheel("user", "1.0", requires=["built"]), upload_time=DATE)
    before = of_user(user)
    words = ("download", "--package", "user", "--versions", "1.0", "--with-deps", "--allow-build", "built", "--dry-run")
    run = user.run(*words)
    assert run.code == 0, run.err
    assert of_user(user) == before
    assert "Brought into the store, to learn what is required: 1 file" in run.out
