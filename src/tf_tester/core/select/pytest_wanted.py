"""Which pytest a project asks for, in the files where it says what its tests need.

The newest pytest breaks suites that say `pytest<9`: who runs them gets what they say, also without naming an extra.
"""

import configparser
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

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


def is_test_tool(requirement: str) -> bool:
    """Return whether a requirement is on pytest or a plugin of it, which are of no era.

    >>> [is_test_tool(text) for text in ("PyTest>=9", "pytest_cov", "coverage", "pytester")]
    [True, True, False, False]
    """
    name = _canonical(parse_requirement(requirement).name)
    return name == "pytest" or name.startswith("pytest-")


def any_version(requirement: str) -> str:
    """Return a requirement that every version satisfies.

    >>> any_version("pytest-cov[toml]>=7; python_version > '3'")
    'pytest-cov[toml]; python_version > "3"'
    """
    found = parse_requirement(requirement)
    found.specifier = SpecifierSet()
    return str(found)


def without_test_tools(
    metadata: bytes, extras: Collection[str], markers: Mapping[str, str]
) -> tuple[bytes, tuple[str, ...]]:
    r"""Return METADATA whose extras require no test tools, and those of some `extras` where `markers` hold.

    >>> of_extras = b"Requires-Dist: pytest>=9; extra == 'test'\nRequires-Dist: tool[test]; extra == 'dev'\n"
    >>> without_test_tools(b"Name: tool\n" + of_extras, ["dev"], {})
    (b"Name: tool\nRequires-Dist: tool[test]; extra == 'dev'\n", ('pytest>=9',))
    """
    head, separator, body = metadata.partition(b"\n\n")
    lines = head.split(b"\n")
    of_extras = {line: found for line in lines if (found := _of_an_extra(line)) is not None}
    own = next((_canonical(line[5:].decode().strip()) for line in lines if line.lower().startswith(b"name:")), "")
    asked = set(map(_canonical, extras))

    def held() -> list[Requirement]:
        return [
            one
            for one in of_extras.values()
            if one.marker and any(one.marker.evaluate({**markers, "extra": extra}) for extra in asked)
        ]

    # An extra may stand for others of its project.
    while more := {_canonical(extra) for one in held() if _canonical(one.name) == own for extra in one.extras} - asked:
        asked |= more
    tools = [str(one).partition(";")[0].strip() for one in held() if is_test_tool(one.name)]
    kept = [line for line in lines if line not in of_extras or not is_test_tool(of_extras[line].name)]
    return b"\n".join(kept) + separator + body, tuple(dict.fromkeys(tools))


def _canonical(name: str) -> str:
    return str(canonicalize_name(name))


def _of_an_extra(line: bytes) -> Requirement | None:
    """Return what a line of METADATA requires for an extra alone."""
    key, _, text = line.decode("utf-8", "replace").partition(":")
    if key.strip().lower() != "requires-dist":
        return None
    try:
        found = parse_requirement(text.strip())
    except InvalidRequirement:
        return None
    return found if found.marker is not None and "extra" in str(found.marker) else None


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
