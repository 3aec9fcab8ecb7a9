"""Which pytest a project asks for, in the files where it says what its tests need.

The newest pytest breaks suites that say `pytest<9`: who runs them gets what they say, also without naming an extra.
"""

import configparser
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import InvalidRequirement

from tf_tester.core.select.pytest_settings import FILES, settings_in
from tf_tester.core.text.parsing import parse_requirement, parse_toml

READ = tuple(dict.fromkeys((*FILES, "requirements-test.txt", "test-requirements.txt", "requirements-dev.txt")))
"""Names of files in a project's root folder that say it."""
_FOR_TESTS = frozenset(
    {"test", "tests", "testing", "dev", "develop", "development", "pytest", "check", "checks", "ci", "qa"}
)
"""Names of extras and of dependency groups that are for running tests."""


def pytest_wanted(files: Mapping[str, str]) -> tuple[str, ...]:
    """Return requirements on pytest in a project's files, by name; each holds, so far as its marker does.

    >>> pytest_wanted({"pyproject.toml": '[dependency-groups]\\ntest = ["pytest<9,>=7", "mock"]'})
    ('pytest<9,>=7',)
    >>> pytest_wanted({"pytest.ini": "[pytest]\\nminversion = 6.2", "requirements-test.txt": "pytest~=7.4  # old\\n"})
    ('pytest>=6.2', 'pytest~=7.4')
    """
    found: list[str] = []
    for name in READ:
        text = files.get(name)
        if text is None:
            continue
        settings = settings_in(name, text) if name in FILES else None
        if settings is not None and settings.minversion:
            found.append(f"pytest>={settings.minversion}")
        found += _of_pytest(_lines(name, text))
    return tuple(dict.fromkeys(found))


def _lines(name: str, text: str) -> Sequence[str]:
    if name == "pyproject.toml":
        return list(_in_pyproject(text))
    if name == "setup.cfg":
        return _in_setup_cfg(text)
    return [line.partition(" #")[0] for line in text.splitlines()] if name.endswith(".txt") else ()


def _in_pyproject(text: str) -> Iterator[str]:
    import tomllib

    try:
        content: dict[str, Any] = parse_toml(text)
    except tomllib.TOMLDecodeError:
        return
    project = content.get("project")
    extras = project.get("optional-dependencies") if isinstance(project, dict) else None
    for table in (content.get("dependency-groups"), extras):
        for name, lines in table.items() if isinstance(table, dict) else ():
            if name.lower() in _FOR_TESTS and isinstance(lines, list):
                yield from (line for line in lines if isinstance(line, str))


def _in_setup_cfg(text: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    if not parser.has_section("options.extras_require"):
        return []
    extras = parser.items("options.extras_require")
    return [line for name, lines in extras if name in _FOR_TESTS for line in lines.splitlines()]


def _of_pytest(lines: Sequence[str]) -> Iterator[str]:
    """Yield those that ask for certain versions of pytest, without extras of it."""
    for line in lines:
        try:
            requirement = parse_requirement(line.strip())
        except InvalidRequirement:
            continue
        if requirement.name.lower() == "pytest" and requirement.specifier:
            requirement.extras = set()
            yield str(requirement)
