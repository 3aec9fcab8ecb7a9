"""What a project's files say to pytest."""

import pytest

from tf_tester.core.select.pytest_settings import PytestSettings, settings_in

NAMED = PytestSettings(python_files=("check_*.py", "*_spec.py"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\npython_files = check_*.py *_spec.py"),
        (".pytest.ini", "[pytest]\npython_files =\n  check_*.py\n  *_spec.py"),
        ("tox.ini", "[tox]\n[pytest]\npython_files = check_*.py\n    *_spec.py"),
        ("setup.cfg", "[metadata]\nname = %(x)s\n[tool:pytest]\npython_files = check_*.py *_spec.py"),
        ("pyproject.toml", "[tool.pytest.ini_options]\npython_files = 'check_*.py *_spec.py'"),
        ("pyproject.toml", "[tool.pytest.ini_options]\npython_files = ['check_*.py', '*_spec.py']"),
        ("pyproject.toml", "[tool.pytest]\npython_files = ['check_*.py', '*_spec.py']"),
        ("pytest.toml", "[pytest]\npython_files = ['check_*.py', '*_spec.py']"),
    ],
)
def test_names_of_test_files_are_read_as_pytest_reads_them(name: str, text: str) -> None:
    assert settings_in(name, text) == NAMED


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tox.ini", "[tox]\nenvlist = py"),
        ("setup.cfg", "[pytest]\npython_files = a.py"),
        ("setup.cfg", "no section"),
        ("pyproject.toml", "[tool.ruff]\n"),
        ("pyproject.toml", "[tool.pytest.ini_options"),
        ("pyproject.toml", "tool = 7"),
    ],
)
def test_a_file_that_says_nothing_to_pytest_is_none(name: str, text: str) -> None:
    assert settings_in(name, text) is None


@pytest.mark.parametrize("name", ["pytest.ini", ".pytest.ini", "pytest.toml"])
def test_pytests_own_files_count_although_they_are_empty(name: str) -> None:
    assert settings_in(name, "") == PytestSettings()


def test_other_values_are_not_taken_for_names() -> None:
    assert settings_in("pyproject.toml", "[tool.pytest.ini_options]\npython_files = 7") == PytestSettings()
