"""Tests for whoever has none of his own."""

import pytest

from tests.integration.conftest import User
from tests.simulator import Simulator
from tests.wheels import make_wheel


@pytest.fixture
def prober(user: User, index: Simulator, with_pytest: None) -> User:
    """Somebody with an index on which a package has one good version, and two with a mistake each."""
    for version, files in {
        "1.0": {"odd_one/__init__.py": "__version__ = '1.0'", "beside.py": "", "tests/__init__.py": "1 / 0"},
        "1.1": {"odd_one/__init__.py": "__version__ = '1.1'", "beside.py": "import lost"},
        "1.2": {"odd_one/__init__.py": "__version__ = '1.1'", "beside.py": ""},
    }.items():
        index.add_wheel(*make_wheel("odd-one", version, files=files))
    return user


def test_of_an_unknown_package_all_modules_are_imported(prober: User) -> None:
    run = prober.run("test", "--probe", "--package", "odd.one", "--versions", "1.0,1.1,1.2")
    assert run.code == 1, run.err
    rows = {
        version: {row["id"]: row["outcome"] for row in result["tests"]} for version, result in run.results().items()
    }
    imports = ("test_import[beside]", "test_import[odd_one]", "test_its_version_is_that_of_its_metadata")
    wanted = {"1.0": "pass pass pass", "1.1": "fail pass pass", "1.2": "pass pass fail"}
    assert rows == {
        version: {f"test_imports.py::{name}": came for name, came in zip(imports, outcomes.split(), strict=True)}
        for version, outcomes in wanted.items()
    }
    assert "--probe runs test_imports.py of tf-tester" in run.out


def test_nothing_of_the_working_folder_is_seen(prober: User) -> None:
    prober.write("conftest.py", "raise SystemExit('mine')")
    prober.write("pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    run = prober.run("test", "--probe", "--package", "odd-one", "--versions", "1.0", "--", "-k", "beside")
    assert run.code == 0, run.out + run.err
    assert [row["id"] for row in run.results()["1.0"]["tests"]] == ["test_imports.py::test_import[beside]"]


@pytest.mark.parametrize("words", [("check.py",), ("--", "python", "-c", "1")])
def test_other_tests_beside_it_are_refused(prober: User, words: tuple[str, ...]) -> None:
    prober.write("check.py", "")
    run = prober.run("test", "--probe", "--package", "odd-one", *words)
    assert run.code == 2
    assert "--probe brings tests of its own. Leave out --probe, or the other tests." in run.err.replace("\n", " ")
