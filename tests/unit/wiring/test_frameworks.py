"""Frameworks are data, and a mistake in it is told."""

import re
from datetime import date
from pathlib import Path

import msgspec.structs
import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tf_tester.errors import ConfigError
from tf_tester.model.framework import Framework, Guarantee
from tf_tester.wiring.frameworks import (
    framework_files,
    framework_of,
    known_failures,
    parse_framework,
    placeholders,
    probe_of,
)

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "frameworks.md"
SHIPPED = [pytest.param(file, id=file.name) for file in framework_files()]


@pytest.mark.parametrize("file", SHIPPED)
def test_each_file_describes_a_framework(file: Path) -> None:
    found = parse_framework(file.read_text("utf-8"), file.name)
    assert found.packages
    assert [canonicalize_name(name) for name in found.packages] == list(found.packages)
    assert all(len(Version(series).release) == 2 for series in found.lts)


def test_each_known_failure_can_be_looked_for_and_tried() -> None:
    for one in known_failures():
        assert re.compile(one.text).groups == 0, "alternatives need no group of their own"
        SpecifierSet(one.versions)
        assert one.says.endswith((".", "…")) and one.source.startswith("https://")
        compile(one.example, "example", "exec")
        assert one.project in ("python", *one.tried, *(framework_of(name).packages[0] for name in one.tried))
        assert all(Version(version) for group in (one.tried, one.before or {}) for version in group.values())


def test_each_probe_is_there_and_belongs_to_a_framework() -> None:
    named = {parse_framework(file.read_text("utf-8"), file.name).probe for file in framework_files()}
    there = {path.name for path in probe_of("numpy").parent.glob("test_*.py")}
    assert there == {probe_of("any-other").name, *filter(None, named)}


def test_placeholders_are_named_as_indexes_name_them() -> None:
    for one in placeholders():
        assert [canonicalize_name(one.name), canonicalize_name(one.instead)] == [one.name, one.instead]
        SpecifierSet(one.versions)


def test_a_package_belongs_to_one_framework() -> None:
    packages = [name for file in framework_files() for name in parse_framework(file.read_text(), file.name).packages]
    assert len(packages) == len(set(packages))


def test_a_package_has_what_its_file_says_and_others_the_defaults() -> None:
    assert framework_of("tensorflow-cpu").title == "TensorFlow"
    assert framework_of("torch").memory == 1500 * 1024**2
    assert framework_of("torch-of-another-name") == Framework("torch-of-another-name", ("torch-of-another-name",))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('title = "Flax"', "packages"),
        ('title = "Flax"\npackages = ["flax"]\nimport_name = ["flax"]', "import_name"),
        ('title = "Flax"\npackages = "flax"', "packages"),
        ('title = "Flax"\npackages = ["flax"]\nmemory = "plenty"', "plenty"),
        ("title = Flax", "line 1"),
    ],
    ids=["key missing", "unknown key", "wrong type", "no size", "no TOML"],
)
def test_a_mistake_names_the_file_and_the_place(text: str, part: str) -> None:
    with pytest.raises(ConfigError, match=r"flax\.toml") as raised:
        parse_framework(text, "flax.toml")
    assert part in str(raised.value)


def test_the_page_tells_every_key() -> None:
    parts = PAGE.read_text("utf-8").split("## Guarantees")
    told = [re.findall(r"^\| `(\w+)` ", part, re.MULTILINE) for part in parts]
    assert told == [[field.name for field in msgspec.structs.fields(kind)] for kind in (Framework, Guarantee)]


@pytest.mark.parametrize("file", SHIPPED)
def test_each_guarantee_has_its_source_and_the_day(file: Path) -> None:
    for one in parse_framework(file.read_text("utf-8"), file.name).guarantees:
        assert one.source.startswith("https://")
        assert date(2026, 1, 1) < date.fromisoformat(one.seen)
        assert all("*" in pattern for pattern in one.files)
        for levels in one.levels.values():
            assert list(levels) == sorted(levels, key=Version)
            assert list(levels.values()) == sorted(levels.values())


def test_what_frameworks_promise_is_known() -> None:
    majors = {one.kind: one.majors for one in framework_of("tensorflow").guarantees}
    assert majors == {"SavedModel": 1}
    [window] = framework_of("jax").guarantees
    assert (window.newer_days, window.older_days) == (182, 21)
    for package in ("torch", "scikit-learn"):
        [nothing] = framework_of(package).guarantees
        assert (nothing.majors, nothing.newer_days, nothing.older_days, nothing.levels) == (None, None, None, {})
    [opsets] = framework_of("onnx").guarantees
    assert opsets.levels["onnx"]["1.16"] == 21
