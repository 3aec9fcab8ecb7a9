"""Which pytest a project asks for."""

import pytest

from tf_tester.core.select.pytest_wanted import pytest_wanted


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("pyproject.toml", "[project.optional-dependencies]\ntest = ['pytest[x] >= 6, < 8']", "pytest<8,>=6"),
        ("pyproject.toml", "[dependency-groups]\nDev = [{include-group = 'a'}, 'pytest<9']", "pytest<9"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nminversion = '7.4'", "pytest>=7.4"),
        ("setup.cfg", "[options.extras_require]\ntesting =\n  mock\n  pytest!=8.1.*\n", "pytest!=8.1.*"),
        ("test-requirements.txt", "-r more.txt\nmock\npytest==7.4.4  # old\n", "pytest==7.4.4"),
        (
            "pyproject.toml",
            "[dependency-groups]\ntests = ['pytest<8; python_version < \"3.8\"']",
            'pytest<8; python_version < "3.8"',
        ),
    ],
)
def test_what_a_project_says_of_its_pytest_is_found(name: str, text: str, wanted: str) -> None:
    assert pytest_wanted({name: text}) == (wanted,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[dependency-groups]\ndocs = ['pytest<9']"),
        ("pyproject.toml", "[dependency-groups]\ntest = ['pytest', 'pytest-cov<9', 3]"),
        ("pyproject.toml", "dependency-groups = 3\n[project]\noptional-dependencies = []"),
        ("pyproject.toml", "not toml"),
        ("setup.cfg", "[options]"),
        ("pytest.ini", "[pytest]\nminversion = new; evil"),
        ("other.txt", "pytest<9"),
    ],
)
def test_nothing_else_counts(name: str, text: str) -> None:
    assert pytest_wanted({name: text}) == ()
