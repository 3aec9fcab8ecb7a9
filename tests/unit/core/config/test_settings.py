"""What the table of settings makes of what is written in files, variables and flags."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields, replace

from tf_tester.core.config.settings import (
    BY_NAME,
    TABLE,
    PathBase,
    ResolvedSettings,
    Settings,
    SettingsContext,
    from_environment,
    from_file,
    from_flags,
    limits,
    plain,
    settle,
)
from tf_tester.errors import ConfigError
from tf_tester.model.host.limits import Limits
from tf_tester.model.lock import Resolution

HOME = Path("/home/me")
PROJECT = Path("/project")
DEFAULT_LIMITS = {
    "processes": "4096",
    "scratch": "16G",
    "output": "256M",
    "open-files": "4096",
}
HERE = PathBase(Path("/here"), HOME)


def settled(
    *,
    user: Mapping[str, object] | None = None,
    file: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> ResolvedSettings:
    given = [
        *from_file(user or {}, HOME / ".config/config.toml", "config.toml", HOME),
        *from_file(file or {}, PROJECT / "tf-tester.toml", "tf-tester.toml", HOME),
        *from_environment(environ or {}, HERE),
        *from_flags(flags or {}, HERE),
    ]
    return settle(given, SettingsContext(store=Path("/cache"), cpus=6))


def settings(**sources: Any) -> Settings:
    return settled(**sources).settings


def refusal(**sources: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        settled(**sources)
    return caught.value


def test_the_table_and_the_settings_have_the_same_names() -> None:
    assert {setting.field for setting in TABLE} == {field.name for field in fields(Settings)}


def test_every_setting_has_one_sentence_of_help_and_says_what_it_takes() -> None:
    for setting in TABLE:
        assert setting.help.endswith("."), setting.name
        assert setting.kind == "switch" or setting.choices or setting.metavar, setting.name


def test_defaults_hold_where_nobody_says_anything() -> None:
    found = settings()
    assert (found.package, found.versions, found.resolve) == ("tensorflow", None, Resolution.ERA)
    assert (found.grace, found.timeout) == (timedelta(days=14), timedelta(minutes=15))
    assert (found.mirror, found.python, found.env) == (("none",), (), {})
    assert (found.store, found.jobs, found.memory) == (Path("/cache"), 6, None)
    assert not (found.offline or found.keep or found.pre or found.yanked or found.install_python)
    assert (found.scratch, found.limit) == ("disk", DEFAULT_LIMITS)
    assert set(settled().origins.values()) == {"default"}


def test_each_source_overrules_those_before_it() -> None:
    order: dict[str, dict[str, Any]] = {
        "user": {"jobs": 1},
        "file": {"jobs": 2},
        "environ": {"TF_TESTER_JOBS": "3"},
        "flags": {"jobs": "4"},
    }
    sources: dict[str, dict[str, Any]] = {}
    said = []
    for name, value in order.items():
        sources[name] = value
        resolved = settled(**sources)
        said.append((resolved.settings.jobs, resolved.origins["jobs"]))
    assert said == [
        (1, str(HOME / ".config/config.toml")),
        (2, str(PROJECT / "tf-tester.toml")),
        (3, "TF_TESTER_JOBS"),
        (4, "flag --jobs"),
    ]


def test_a_list_is_replaced_not_added_to() -> None:
    found = settings(file={"mirror": ["tuna", "ustc"]}, flags={"mirror": ("aliyun",)})
    assert found.mirror == ("aliyun",)


@pytest.mark.parametrize("absent", [None, (), []])
def test_a_flag_that_was_not_given_leaves_lower_sources_alone(absent: object) -> None:
    given = {"mirror": absent} if absent != [] else {}
    assert settings(file={"mirror": ["tuna"]}, flags=given).mirror == ("tuna",)


def test_an_empty_variable_is_no_setting() -> None:
    assert settled(environ={"TF_TESTER_JOBS": " "}).origins["jobs"] == "default"


def test_a_switch_can_be_turned_off_again() -> None:
    resolved = settled(file={"offline": True}, flags={"offline": False})
    assert resolved.settings.offline is False
    assert resolved.origins["offline"] == "flag --no-offline"


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("package", "torch", "torch"),
        ("versions", "2.4.0,2.8.0", "2.4.0,2.8.0"),
        ("versions", ["2.4.0", "2.8.0"], "2.4.0,2.8.0"),
        ("last", 3, 3),
        ("python", ["3.8", "pypy3.10"], ("3.8", "pypy3.10")),
        ("python", "3.8", ("3.8",)),
        ("python", ["./py/bin/python"], ("/project/py/bin/python",)),
        ("mirror", ["tuna", "https://host/simple"], ("tuna", "https://host/simple")),
        ("mirror", ["~/mirror"], ("/home/me/mirror",)),
        ("resolve", "lowest", Resolution.LOWEST),
        ("grace", "2w", timedelta(weeks=2)),
        ("grace", "0", timedelta()),
        ("timeout", "1h30m", timedelta(minutes=90)),
        ("store", "../store", Path("/project/../store")),
        ("store", "~/store", HOME / "store"),
        ("jobs", "auto", 6),
        ("memory", "2G", 2 * 1024**3),
        ("memory", "1.5GiB", 1536 * 1024**2),
        ("memory", "auto", None),
        ("with", ["numpy<2,>=1.20", "h5py[a,b]"], ("numpy<2,>=1.20", "h5py[a,b]")),
        ("requirements", ["r.txt"], (Path("/project/r.txt"),)),
        ("project", ".", Path("/project/.")),
        ("env", {"A": "1", "B": 2}, {"A": "1", "B": "2"}),
        ("env", ["A=1", "B=x=y"], {"A": "1", "B": "x=y"}),
        ("env", ["A", "B="], {"A": None, "B": ""}),
        ("allow-build", ["absl-py", ":all:"], ("absl-py", ":all:")),
        ("install-python", True, True),
        ("scratch", "memory", "memory"),
        ("limit", {"memory": "4G", "processes": 100}, DEFAULT_LIMITS | {"memory": "4G", "processes": "100"}),
        ("limit", ["memory=none", "output= 1.5GiB "], DEFAULT_LIMITS | {"memory": "none", "output": "1.5GiB"}),
        ("limit", {}, DEFAULT_LIMITS),
    ],
)
def test_files_take_the_types_of_toml(name: str, written: object, value: object) -> None:
    assert getattr(settings(file={name: written}), BY_NAME[name].field) == value


@pytest.mark.parametrize(
    ("variable", "written", "value"),
    [
        ("PYTHON", "3.8, 3.10", ("3.8", "3.10")),
        ("MIRROR", "tuna,./local", ("tuna", "/here/local")),
        ("WITH", "numpy<2,>=1.20, h5py[a,b],six", ("numpy<2,>=1.20", "h5py[a,b]", "six")),
        ("ENV", "A=1,2,B=3", {"A": "1,2", "B": "3"}),
        ("ENV", "A,B, C=1,2", {"A": None, "B": None, "C": "1,2"}),
        ("REQUIREMENTS", "a.txt,/b.txt", (Path("/here/a.txt"), Path("/b.txt"))),
        ("LIMIT", "memory=4G, processes=100", DEFAULT_LIMITS | {"memory": "4G", "processes": "100"}),
        ("LIMIT", "open-files=none", DEFAULT_LIMITS | {"open-files": "none"}),
        ("SCRATCH", "memory", "memory"),
        ("OFFLINE", "yes", True),
        ("OFFLINE", "0", False),
        ("JOBS", "3", 3),
        ("GRACE", "36h", timedelta(hours=36)),
    ],
)
def test_variables_take_texts(variable: str, written: str, value: object) -> None:
    found = settings(environ={f"TF_TESTER_{variable}": written})
    field = BY_NAME[variable.lower().replace("_", "-")].field
    assert getattr(found, field) == value


@pytest.mark.parametrize(
    ("field", "written", "value"),
    [
        ("python", ("3.8,3.9", "3.10"), ("3.8", "3.9", "3.10")),
        ("with_", ("numpy<2,>=1.20",), ("numpy<2,>=1.20",)),
        ("env", ("A=1,B=2",), {"A": "1,B=2"}),
        ("env", ("A=1", "A"), {"A": None}),
        ("requirements", ("a,b.txt",), (Path("/here/a,b.txt"),)),
        (
            "limit",
            ("memory=4G,output=1M", "processes=1"),
            DEFAULT_LIMITS | {"memory": "4G", "output": "1M", "processes": "1"},
        ),
        ("limit", ("processes=1", "processes=2"), DEFAULT_LIMITS | {"processes": "2"}),
    ],
)
def test_flags_are_repeated_and_names_may_be_listed(field: str, written: object, value: object) -> None:
    assert getattr(settings(flags={field: written}), field) == value


@pytest.mark.parametrize(
    ("sources", "message", "hint"),
    [
        (
            {"file": {"time-out": "1h"}},
            "tf-tester.toml: there is no setting 'time-out'",
            "Did you mean 'timeout'?",
        ),
        (
            {"file": {"index_url": "x"}},
            "tf-tester.toml: there is no setting 'index_url'",
            "Did you mean 'index-url'?",
        ),
        (
            {"file": {"qwertz": 1}},
            "tf-tester.toml: there is no setting 'qwertz'",
            "`tf-tester config` lists all settings.",
        ),
        (
            {"environ": {"TF_TESTER_TIME_OUT": "1h"}},
            "the environment sets TF_TESTER_TIME_OUT, which is not a setting",
            "Did you mean TF_TESTER_TIMEOUT?",
        ),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest_one(sources: dict[str, Any], message: str, hint: str) -> None:
    error = refusal(**sources)
    assert (str(error), error.hint) == (message, hint)


def test_the_mark_of_a_cell_is_no_misspelt_setting() -> None:
    assert settings(environ={"TF_TESTER_CELL": "0a1b"}) == settings()


LENGTH = "a duration such as 15m, 36h, 14d or 2w"
LIMITS = "NAME=AMOUNT, NAME being memory, processes, scratch, output, file-size or open-files"
AMOUNT = "a size such as 512M or 2G, or none, after"
NUMBER = "a number from 1 on, or none, after"


@pytest.mark.parametrize(
    ("name", "value", "must_be"),
    [
        ("timeout", 15, f"{LENGTH}, not 15"),
        ("timeout", "15", f"{LENGTH}, not '15'"),
        ("timeout", "0s", f"{LENGTH}, longer than nothing, not '0s'"),
        ("grace", "900000w", "a duration of at most 100 years, not '900000w'"),
        ("python", [3.1], 'text in quotes such as "3.10", not 3.1'),
        ("versions", 2.4, 'versions in quotes such as "2.4.0,2.8.0", not 2.4'),
        ("versions", [], 'versions in quotes such as "2.4.0,2.8.0", not an empty list'),
        ("jobs", True, "a number from 1 on, or auto, not true"),
        ("last", 0, "a number from 1 on, not 0"),
        ("resolve", "newest", "era, latest or lowest, not 'newest'"),
        ("env", {"A": [1]}, "a table of texts, not a table"),
        ("mirror", 3, "a list of texts, not 3"),
        ("offline", 1, "true or false, not 1"),
        ("package", "a b", "a project's name such as tensorflow, not 'a b'"),
        ("with", ["numpy<<2"], "a requirement such as h5py or 'numpy<2', not 'numpy<<2'"),
        ("memory", 2, "a size such as 512M or 2G, or auto, not 2"),
        ("limit", ["memory=lots"], f"{AMOUNT} memory=, not 'memory=lots'"),
        ("limit", ["memory=0G"], f"{AMOUNT} memory=, not 'memory=0G'"),
        ("limit", ["output=4096"], f"{AMOUNT} output=, not 'output=4096'"),
        ("limit", ["processes=0"], f"{NUMBER} processes=, not 'processes=0'"),
        ("limit", ["processes=4G"], f"{NUMBER} processes=, not 'processes=4G'"),
        ("limit", ["open-files=²"], f"{NUMBER} open-files=, not 'open-files=²'"),
        ("limit", ["foo=1"], f"{LIMITS}, not 'foo=1'"),
        ("limit", ["memory"], f"{LIMITS}, not 'memory'"),
        ("limit", ["file_size=1G"], f"{LIMITS}, not 'file_size=1G'"),
        ("limit", {"processes": -1}, f"{NUMBER} processes=, not a table"),
        ("limit", {"memory": True}, "a table of texts, not a table"),
        ("scratch", "ram", "disk or memory, not 'ram'"),
        ("index-url", ["https://me:secret@host/"], "a text, not 'https://***@host/'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(name: str, value: object, must_be: str) -> None:
    assert str(refusal(file={name: value})) == f"tf-tester.toml: '{name}' must be {must_be}"


@pytest.mark.parametrize(
    ("sources", "beginning"),
    [
        ({"environ": {"TF_TESTER_JOBS": "²"}}, "TF_TESTER_JOBS must be a number"),
        ({"flags": {"env": ("A B",)}}, "--env must be NAME=VALUE or NAME, not 'A B'"),
        ({"flags": {"limit": ("memory=lots",)}}, "--limit must be a size such as 512M"),
        ({"environ": {"TF_TESTER_LIMIT": "foo=1"}}, "TF_TESTER_LIMIT must be NAME=AMOUNT, NAME being memory,"),
        ({"user": {"jobs": 0}}, "config.toml: 'jobs' must be a number"),
    ],
)
def test_a_refusal_says_where_the_value_stands(sources: dict[str, Any], beginning: str) -> None:
    assert str(refusal(**sources)).startswith(beginning)


def test_limits_are_bytes_and_numbers() -> None:
    assert limits(settings(), memory=10_000_000_000) == Limits(
        memory=9_000_000_000,
        processes=4096,
        scratch=16 * 1024**3,
        output=256 * 1024**2,
        open_files=4096,
    )


def test_what_follows_from_the_machine_is_no_limit_that_was_asked_for() -> None:
    assert limits(settings(), memory=None) == replace(limits(settings(), memory=1), memory=None)
    given = settings(flags={"limit": ("memory=4G",)})
    assert limits(given, memory=None) == limits(given, memory=1)


def test_one_limit_leaves_the_others_as_they_are() -> None:
    usual = limits(settings(), memory=10_000_000_000)
    given = settings(flags={"limit": ("processes=100", "file-size=1G")})
    assert limits(given, memory=10_000_000_000) == replace(usual, processes=100, file_size=1024**3)


def test_a_given_limit_of_memory_holds_on_any_machine() -> None:
    given = settings(flags={"limit": ("memory=4G",)})
    assert {limits(given, memory=memory).memory for memory in (1, 2**50)} == {4 * 1024**3}


def test_none_is_no_limit() -> None:
    given = settings(flags={"limit": tuple(f"{name}=none" for name in ("memory", *DEFAULT_LIMITS))})
    assert limits(given, memory=10_000_000_000) == Limits()


def test_a_later_source_replaces_all_limits_of_an_earlier_one() -> None:
    given = settings(file={"limit": {"memory": "4G", "output": "1M"}}, environ={"TF_TESTER_LIMIT": "processes=100"})
    assert given.limit == DEFAULT_LIMITS | {"processes": "100"}


def test_an_overruled_value_is_checked_all_the_same() -> None:
    assert "'jobs'" in str(refusal(file={"jobs": -1}, flags={"jobs": "2"}))


def test_credentials_are_never_shown() -> None:
    found = settings(flags={"index_url": "https://me:secret@host/simple", "mirror": ("https://a:b@m/",)})
    assert found.index_url == "https://me:secret@host/simple"
    assert plain(found, BY_NAME["index-url"]) == "https://***@host/simple"
    assert plain(found, BY_NAME["mirror"]) == ["https://***@m/"]
