"""Every setting once: its name, what it takes, its default and its help; files, environment and flags follow.

Sources come in a fixed order, each overruling those before: defaults, the user's file, the project's file,
the environment, flags. Nothing is guessed: a misspelt name or a value of a wrong type is an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from tf_tester.core.index.links import display_url
from tf_tester.core.text.parsing import parse_requirement
from tf_tester.core.text.units import (
    A_DURATION,
    A_MEMORY_SIZE,
    A_STORE_SIZE,
    duration,
    duration_words,
    memory_size,
    memory_words,
    store_size,
)
from tf_tester.errors import ConfigError
from tf_tester.model.host.abilities import IsolationKind
from tf_tester.model.host.limits import Limit, Limits
from tf_tester.model.lock import Resolution
from tf_tester.model.request import ScratchPlace

PREFIX = "TF_TESTER_"
NOT_SETTINGS = frozenset({"TF_TESTER_CELL"})
"""Variables of ours with that prefix that set nothing: the mark of what runs in a cell."""

RUNNERS = ("auto", "script", "pytest", "unittest")
COLORS = ("auto", "always", "never")
ISOLATIONS = ("auto", *IsolationKind)


class AttestationPolicy(StrEnum):
    """What is asked of signatures of files (PEP 740)."""

    CHECK = "check"
    """Those that there are."""
    REQUIRE = "require"
    OFF = "off"


class Settings(Struct, frozen=True):
    """What a command does, all sources taken together."""

    package: str
    versions: str | None
    python: tuple[str, ...]
    """Versions such as `3.8`, or paths of executables (absolute)."""
    resolve: Resolution
    grace: timedelta
    mirror: tuple[str, ...]
    """Names, addresses or absolute paths; `none` alone for no mirror."""
    trust: tuple[str, ...]
    """As `mirror`."""
    extra_index_url: tuple[str, ...]
    """May hold credentials, too."""
    find_links: tuple[str, ...]
    """Absolute paths of folders and pages, and addresses of pages, which may hold credentials."""
    attestations: AttestationPolicy
    """`check`, `require` or `off`."""
    index_url: str | None
    """May hold credentials: only `core.index.links.display_url` of it may be shown."""
    store: Path
    store_size: int | None
    """Bytes that the store may have after a run; None: as many as there are."""
    store_keep: tuple[str, ...]
    """Versions of the package, or lock files (absolute paths), of which nothing is ever deleted."""
    offline: bool
    refresh: bool
    jobs: int
    timeout: timedelta
    runner: str
    with_: tuple[str, ...]
    """PEP 508 requirements that every cell gets besides."""
    requirements: tuple[Path, ...]
    project: Path | None
    """May end with extras: `/home/me/tool[test]`."""
    group: tuple[str, ...]
    env: Mapping[str, str | None]
    """None: as the caller has it, where it is set."""
    pythonpath: tuple[Path, ...]
    allow_build: tuple[str, ...]
    build_network: bool
    install_python: bool
    isolation: str
    """`auto`, `namespace`, `landlock` or `none`."""
    network: bool
    gpu: bool
    writable: tuple[Path, ...]
    data: tuple[Path, ...]
    visible: tuple[str, ...]
    """Names of files and folders that are hidden otherwise: see `core.replay.hidden`."""
    scratch: ScratchPlace
    """`disk` or `memory`."""
    limit: Mapping[str, str]
    """Amounts by the words of `model.host.limits.Limit`, as they were written; `limits` makes sense of them.

    Without one for memory nine tenths of the machine's are allowed.
    """
    keep: bool
    ephemeral: bool
    pre: bool
    yanked: bool
    last: int | None
    memory: int | None
    """Bytes that one cell is expected to need; None: what is known of the package."""
    color: str
    cache: bool
    timings: bool


class ResolvedSettings(Struct, frozen=True):
    """The settings, and for each name who said so."""

    settings: Settings
    origins: Mapping[str, str]
    """By the setting's name: `default`, `flag --jobs`, `TF_TESTER_JOBS`, or the file's path."""


class PathBase(Struct, frozen=True):
    """What a relative path in a value is relative to."""

    folder: Path
    home: Path

    def path(self, text: str) -> Path:
        """Return the absolute path meant by a text; `~` is the home.

        >>> PathBase(Path("/project"), Path("/home/me")).path("../lib").as_posix()
        '/project/../lib'
        """
        if text == "~" or text.startswith("~/"):
            return self.home / text[2:]
        return self.folder / text


class SettingsContext(Struct, frozen=True):
    """What defaults depend on."""

    store: Path
    cpus: int


Takes = Callable[[object, PathBase], Any]
"""Makes a value of what TOML or a text gave; raises `ValueError` with what it must be."""


class Setting(Struct, frozen=True):
    """One row of the table."""

    name: str
    """As written in files, and after `--`."""
    takes: Takes
    """For one element, where the setting is a list."""
    default: Any
    """As written in a file; `None`: nothing, or computed (`default_text` says it)."""
    help: str
    metavar: str = ""
    default_text: str = ""
    choices: tuple[str, ...] = ()
    kind: Literal["value", "switch", "list", "table"] = "value"
    separator: str = r","
    """How elements are kept apart in an environment variable."""
    completes: Literal["", "path", "mirror"] = ""
    short: str = ""
    """One-letter flag."""

    @property
    def field(self) -> str:
        """The attribute of `Settings`."""
        name = self.name.replace("-", "_")
        return f"{name}_" if name == "with" else name

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        return PREFIX + self.name.replace("-", "_").upper()


class SettingSource(StrEnum):
    """Where values come from: each kind writes them in its own way."""

    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


class GivenValue(Struct, frozen=True):
    """One value that somebody gave."""

    setting: Setting
    value: object
    level: SettingSource
    place: PathBase
    origin: str
    """Who said so, for `ResolvedSettings.origins`."""
    shown: str
    """How an error names the thing: `--jobs`, `TF_TESTER_JOBS`, `tf-tester.toml: 'jobs'`."""


def from_file(table: Mapping[str, object], file: Path, shown: str, home: Path) -> list[GivenValue]:
    """Return what a file's table gives, `shown` being the file's name in errors. Raises `ConfigError`."""
    place = PathBase(file.parent, home)
    given = []
    for key, value in table.items():
        setting = BY_NAME.get(key)
        if setting is None:
            raise _unknown(f"{shown}: there is no setting '{key}'", key.lower().replace("_", "-"), BY_NAME, "'{}'")
        given.append(GivenValue(setting, value, SettingSource.FILE, place, str(file), f"{shown}: '{key}'"))
    return given


def from_environment(environ: Mapping[str, str], place: PathBase) -> list[GivenValue]:
    """Return what `TF_TESTER_…` variables give; an empty one gives nothing. Raises `ConfigError`."""
    given = []
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        setting = BY_VARIABLE.get(variable)
        if setting is None:
            raise _unknown(f"the environment sets {variable}, which is not a setting", variable, BY_VARIABLE, "{}")
        if value.strip():
            given.append(GivenValue(setting, value, SettingSource.ENVIRONMENT, place, variable, variable))
    return given


def from_flags(parameters: Mapping[str, object], place: PathBase) -> list[GivenValue]:
    """Return what flags give, by field name; `None` and `()` are flags that were not given, other names not ours."""
    given = []
    for setting in TABLE:
        value = parameters.get(setting.field)
        if value is not None and value != ():
            flag = f"--no-{setting.name}" if value is False else setting.flag
            given.append(GivenValue(setting, value, SettingSource.FLAG, place, f"flag {flag}", flag))
    return given


def settle(given: Iterable[GivenValue], context: SettingsContext) -> ResolvedSettings:
    """Return the settings that follow, later ones overruling earlier ones. Raises `ConfigError`."""
    nowhere = PathBase(Path("/"), Path("/"))
    values = {s.field: _value(GivenValue(s, s.default, SettingSource.FILE, nowhere, "", s.name)) for s in TABLE}
    origins = {setting.name: "default" for setting in TABLE}
    for one in given:
        values[one.setting.field] = _value(one)
        origins[one.setting.name] = one.origin
    if values["store"] is None:
        values["store"] = context.store
    if values["jobs"] is None:
        values["jobs"] = context.cpus
    values["limit"] = {**_LIMITS, **values["limit"]}
    return ResolvedSettings(Settings(**values), origins)


def plain(settings: Settings, setting: Setting) -> Any:
    """Return a setting's value as JSON and TOML have it, without credentials; what it shows can be given again."""
    return _plain(getattr(settings, setting.field), setting)


def flags_again(resolved: ResolvedSettings, names: Iterable[str]) -> tuple[str, ...]:
    """Return the flags that give some settings once more, of those that flags gave, without credentials.

    What files and variables say holds for the next command anyway.
    """
    return tuple(
        word
        for setting in map(BY_NAME.__getitem__, names)
        if resolved.origins[setting.name].startswith("flag ")
        for word in _flag_words(setting, plain(resolved.settings, setting))
    )


def _flag_words(setting: Setting, value: Any) -> tuple[str, ...]:
    match value:
        case bool():
            return (setting.flag if value else f"--no-{setting.name}",)
        case list():
            return tuple(word for part in value for word in (setting.flag, str(part)))
        case _:
            return setting.flag, str(value)


def limits(settings: Settings, *, memory: int | None) -> Limits:
    """Return the limits of a cell.

    `memory`: bytes that the machine has, of which a cell may use nine tenths unless the settings limit it otherwise;
    None: only the settings limit its memory.
    """
    amounts: dict[str, int | None] = {} if memory is None else {Limit.MEMORY: memory * 9 // 10}
    amounts |= {name: _amount(Limit(name), text) for name, text in settings.limit.items()}
    return Limits(**{name.replace("-", "_"): amount for name, amount in amounts.items()})


_PROJECT = r"(?ai)[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?"
_ASSIGNMENT = r"(?s)([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?"
_LIMIT = r"([a-z-]+)=(.*)"
_LIMITS = {
    str(Limit.PROCESSES): "4096",
    str(Limit.SCRATCH): "16G",
    str(Limit.OUTPUT): "256M",
    str(Limit.OPEN_FILES): "4096",
}
_DEFAULT_LIMITS = "memory: nine tenths of the machine's; " + ", ".join(f"{one}={text}" for one, text in _LIMITS.items())
_BETWEEN_REQUIREMENTS = r",\s*(?=[A-Za-z])(?![^\[]*\])"
"""A comma before a name; one before an operator or within an extra's brackets belongs to the requirement."""
_BETWEEN_ASSIGNMENTS = r",\s*(?=[A-Za-z_][A-Za-z0-9_]*=)"


def _text(value: object, place: PathBase) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("a text")
    return value.strip()


def _project_name(value: object, place: PathBase) -> str:
    if not isinstance(value, str) or not re.fullmatch(_PROJECT, value.strip()):
        raise ValueError("a project's name such as tensorflow")
    return value.strip()


def _buildable(value: object, place: PathBase) -> str:
    return ":all:" if value == ":all:" else _project_name(value, place)


def _versions(value: object, place: PathBase) -> str | None:
    if value is None:
        return None
    parts = value if isinstance(value, list) else [value]
    words = [part.strip() for part in parts if isinstance(part, str)]
    if not words or len(words) < len(parts) or not all(words):
        raise ValueError('versions in quotes such as "2.4.0,2.8.0"')
    return ",".join(words)


def _word_or_path(value: object, place: PathBase) -> str:
    if isinstance(value, int | float):
        raise ValueError('text in quotes such as "3.10"')
    word = _text(value, place)
    return str(place.path(word)) if word.startswith((".", "/", "~")) else word


def _path(value: object, place: PathBase) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("a path")
    return place.path(value)


def _place(value: object, place: PathBase) -> str:
    text = _text(value, place)
    return text if "://" in text or text.startswith("file:") else str(place.path(text))


def _file_name(value: object, place: PathBase) -> str:
    if not isinstance(value, str) or not value or value in (".", "..") or not {"/", "\0"}.isdisjoint(value):
        raise ValueError("the name of a file or folder such as .git")
    return value


def _switch(value: object, place: PathBase) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _count(value: object, place: PathBase) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip(), re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 10**9:
        raise ValueError("a number from 1 on")
    return value


def _jobs(value: object, place: PathBase) -> int | None:
    if isinstance(value, str) and value.strip() == "auto":
        return None
    try:
        return _count(value, place)
    except ValueError:
        raise ValueError("a number from 1 on, or auto") from None


def _duration(value: object, place: PathBase) -> timedelta:
    if not isinstance(value, str):
        raise ValueError(A_DURATION)
    return duration(value)


def _some_time(value: object, place: PathBase) -> timedelta:
    length = _duration(value, place)
    if not length:
        raise ValueError(f"{A_DURATION}, longer than nothing")
    return length


def _memory(value: object, place: PathBase) -> int | None:
    if not isinstance(value, str):
        raise ValueError(A_MEMORY_SIZE)
    return None if value.strip() == "auto" else memory_size(value)


def _store_size(value: object, place: PathBase) -> int | None:
    if not isinstance(value, str):
        raise ValueError(A_STORE_SIZE)
    return None if value.strip() == "none" else store_size(value)


def _kept(value: object, place: PathBase) -> str:
    if isinstance(value, int | float):
        raise ValueError('text in quotes such as "2.8"')
    word = _text(value, place)
    return str(place.path(word)) if word.endswith(".toml") or word.startswith((".", "/", "~")) else word


def _requirement(value: object, place: PathBase) -> str:
    from packaging.requirements import InvalidRequirement

    from tf_tester.core.wheel.direct import direct_reference, is_direct

    text = _text(value, place)
    if is_direct(text):
        return direct_reference(text, place.folder).text
    try:
        parse_requirement(text)
    except InvalidRequirement:
        raise ValueError("a requirement such as h5py or 'numpy<2'") from None
    return text


def _assignment(value: object, place: PathBase) -> tuple[str, str | None]:
    match = re.fullmatch(_ASSIGNMENT, value) if isinstance(value, str) and "\0" not in value else None
    if match is None:
        raise ValueError("NAME=VALUE or NAME")
    return match[1], match[2]


def _limit(value: object, place: PathBase) -> tuple[str, str]:
    match = re.fullmatch(_LIMIT, value.strip()) if isinstance(value, str) else None
    if match is None or match[1] not in tuple(Limit):
        raise ValueError(f"NAME=AMOUNT, NAME being {', '.join(tuple(Limit)[:-1])} or {tuple(Limit)[-1]}")
    try:
        _amount(Limit(match[1]), match[2])
    except ValueError:
        right = "a number from 1 on" if Limit(match[1]).counts else "a size such as 512M or 2G"
        raise ValueError(f"{right}, or none, after {match[1]}=") from None
    return match[1], match[2].strip()


def _amount(limit: Limit, text: str) -> int | None:
    """Return the number that a limit's text means. Raises `ValueError`."""
    if text.strip() == "none":
        return None
    if not limit.counts:
        return memory_size(text)
    if not re.fullmatch(r"[1-9]\d{0,8}", text.strip(), re.ASCII):
        raise ValueError
    return int(text)


def _one_of(*choices: str) -> Takes:
    def take(value: object, place: PathBase) -> str:
        if not isinstance(value, str) or value.strip() not in choices:
            raise ValueError(f"{', '.join(choices[:-1])} or {choices[-1]}")
        return value.strip()

    return take


def _member_of(kind: type[StrEnum]) -> Takes:
    word = _one_of(*kind)

    def take(value: object, place: PathBase) -> StrEnum:
        return kind(word(value, place))

    return take


_RESOLUTIONS = tuple(one for one in Resolution if one is not Resolution.LOCK)


def _resolution(value: object, place: PathBase) -> Resolution:
    return Resolution(_one_of(*_RESOLUTIONS)(value, place))


def _index_url(value: object, place: PathBase) -> str | None:
    return None if value is None else _text(value, place)


TABLE: tuple[Setting, ...] = (
    Setting("package", _project_name, "tensorflow", "The package under test.", "NAME"),
    Setting(
        "versions",
        _versions,
        None,
        "Its versions: a list, a range such as '>=2.4,<2.9', or minors, majors, lts, all, latest.",
        "VERSIONS",
    ),
    Setting("last", _count, None, "Of these versions, test only the newest N.", "N"),
    Setting("pre", _switch, False, "Include pre-releases.", kind="switch"),
    Setting("yanked", _switch, False, "Include withdrawn (yanked) versions.", kind="switch"),
    Setting(
        "python",
        _word_or_path,
        [],
        "Test each version with this Python, a version or a path, not with the newest that fits. Repeatable.",
        "VERSION|PATH",
        kind="list",
        short="-p",
    ),
    Setting(
        "install-python",
        _switch,
        False,
        "Let uv download a Python that a version needs and this machine lacks.",
        kind="switch",
    ),
    Setting(
        "resolve",
        _resolution,
        "era",
        "Which dependencies: as of the version's release, the latest or the lowest possible.",
        choices=_RESOLUTIONS,
    ),
    Setting(
        "grace",
        _duration,
        "14d",
        "How long after a version's release its dependencies may have been published; up to 14d, their new major "
        "releases only 2d.",
        "DURATION",
    ),
    Setting(
        "with",
        _requirement,
        [],
        "Also install this, in every cell. Repeatable.",
        "REQUIREMENT",
        kind="list",
        separator=_BETWEEN_REQUIREMENTS,
    ),
    Setting(
        "requirements",
        _path,
        [],
        "Also install what this requirements file lists, in every cell. Repeatable.",
        "FILE",
        kind="list",
        completes="path",
        short="-r",
    ),
    Setting(
        "project",
        _path,
        None,
        "Also install the project in this folder, with extras as in '.[test]'.",
        "FOLDER",
        completes="path",
    ),
    Setting(
        "group",
        _text,
        [],
        "Also install this dependency group of the project. Repeatable.",
        "NAME",
        kind="list",
    ),
    Setting(
        "allow-build",
        _buildable,
        [],
        "Allow building this project (or :all:) from source, which runs its code. Repeatable.",
        "NAME",
        kind="list",
    ),
    Setting("build-network", _switch, False, "Let sandboxed builds use the network.", kind="switch"),
    Setting(
        "mirror",
        _word_or_path,
        ["none"],
        "Where bytes may come from: a mirror's name or address, auto for the fastest, or none. Repeatable.",
        "NAME|URL",
        kind="list",
        completes="mirror",
    ),
    Setting(
        "trust",
        _word_or_path,
        [],
        "Trust this mirror's hashes alone when the authority can't be reached. Repeatable.",
        "NAME|URL",
        kind="list",
        completes="mirror",
    ),
    Setting(
        "index-url",
        _index_url,
        None,
        "The index whose hashes are trusted.",
        "URL",
        default_text="what uv or pip is configured for",
    ),
    Setting(
        "extra-index-url",
        _index_url,
        [],
        "An index of projects of your own: asked first, and alone for what it has. Repeatable.",
        "URL",
        kind="list",
        separator=r"\s",
        default_text="what uv or pip is configured for",
    ),
    Setting(
        "find-links",
        _place,
        [],
        "A folder of wheels, or a page that links to some: asked first, and alone for what it has. Repeatable.",
        "FOLDER|URL",
        kind="list",
        separator=r"\s",
        completes="path",
        short="-f",
    ),
    Setting(
        "attestations",
        _member_of(AttestationPolicy),
        "check",
        "Signatures of files (PEP 740): check those that there are, if that extra is installed, or require one.",
        choices=tuple(AttestationPolicy),
    ),
    Setting("offline", _switch, False, "Use nothing but what the store has.", kind="switch"),
    Setting(
        "refresh",
        _switch,
        False,
        "Ask for index pages, and resolve dependencies, anew: whatever earlier runs kept of them.",
        kind="switch",
    ),
    Setting(
        "store",
        _path,
        None,
        "Where downloads, environments and records are kept.",
        "FOLDER",
        default_text="the user's cache folder",
        completes="path",
    ),
    Setting(
        "store-size",
        _store_size,
        "none",
        "How large the store may be; after a run the least recently used files are deleted.",
        "SIZE|none",
    ),
    Setting(
        "store-keep",
        _kept,
        [],
        "Never delete these: versions of the package, or lock files. Repeatable.",
        "VERSIONS|LOCK",
        kind="list",
    ),
    Setting("jobs", _jobs, "auto", "How many cells run at once; auto: one for each core.", "N|auto", short="-j"),
    Setting(
        "memory",
        _memory,
        "auto",
        "What one cell is expected to need; auto: what is known of it.",
        "SIZE|auto",
    ),
    Setting("timeout", _some_time, "15m", "How long one cell, or one build, may run.", "DURATION"),
    Setting("runner", _one_of(*RUNNERS), "auto", "Who runs the test; auto goes by its name.", choices=RUNNERS),
    Setting(
        "env",
        _assignment,
        {},
        "Set a variable for the test; NAME alone: as you have it. Repeatable.",
        "NAME[=VALUE]",
        kind="table",
        separator=_BETWEEN_ASSIGNMENTS,
    ),
    Setting(
        "pythonpath",
        _path,
        [],
        "A folder that the test may import from. Repeatable.",
        "FOLDER",
        kind="list",
        completes="path",
    ),
    Setting(
        "isolation",
        _one_of(*ISOLATIONS),
        "auto",
        "How tests are kept from everything else; auto: the first of the others that this system allows.",
        choices=ISOLATIONS,
    ),
    Setting("network", _switch, False, "Let sandboxed tests use the network.", kind="switch"),
    Setting("gpu", _switch, False, "Let sandboxed tests use the GPUs of this machine.", kind="switch"),
    Setting(
        "writable",
        _path,
        [],
        "Let sandboxed tests change this file or folder. Repeatable.",
        "PATH",
        kind="list",
        completes="path",
    ),
    Setting(
        "data",
        _path,
        [],
        "Show sandboxed tests this file or folder, such as ~/.keras; what they change vanishes. Repeatable.",
        "PATH",
        kind="list",
        completes="path",
    ),
    Setting(
        "visible",
        _file_name,
        [],
        "Show sandboxed tests what is hidden otherwise, such as .git or .venv; such cells always run. Repeatable.",
        "NAME",
        kind="list",
    ),
    Setting(
        "scratch",
        _member_of(ScratchPlace),
        "disk",
        "Where to put what a sandboxed test writes.",
        choices=tuple(ScratchPlace),
    ),
    Setting(
        "limit",
        _limit,
        {},
        "Limit what a cell or build may use: memory, processes, scratch, output, file-size or open-files. Repeatable.",
        "NAME=AMOUNT",
        kind="table",
        default_text=_DEFAULT_LIMITS,
    ),
    Setting("keep", _switch, False, "Keep the environments, to look at afterwards.", kind="switch"),
    Setting(
        "ephemeral",
        _switch,
        False,
        "Test one version after another, and delete what each has brought before the next.",
        kind="switch",
    ),
    Setting(
        "cache",
        _switch,
        True,
        "Reuse an earlier pass when nothing has changed since: lock, files, Python, sandbox.",
        kind="switch",
    ),
    Setting("timings", _switch, False, "Show where the time went.", kind="switch"),
    Setting("color", _one_of(*COLORS), "auto", "When to use colors.", choices=COLORS),
)
"""All settings, in the order in which they are shown."""

BY_NAME = {setting.name: setting for setting in TABLE}
BY_VARIABLE = {setting.variable: setting for setting in TABLE}


def _value(given: GivenValue) -> Any:
    setting = given.setting
    try:
        match setting.kind:
            case "value" | "switch":
                return setting.takes(given.value, given.place)
            case "list":
                return tuple(setting.takes(element, given.place) for element in _elements(given))
            case "table":
                return dict(setting.takes(element, given.place) for element in _elements(given))
    except ValueError as error:
        raise ConfigError(f"{given.shown} must be {error}, not {_quoted(given.value)}") from None


def _elements(given: GivenValue) -> list[object]:
    """Return the elements of a list or table, in whichever way they are written."""
    value = given.value
    separator = given.setting.separator
    if given.level is SettingSource.ENVIRONMENT:
        parts = re.split(separator, str(value))
        if given.setting.kind == "table":  # a value has commas of its own, a name hasn't
            parts = [name for part in parts for name in ([part] if "=" in part else part.split(","))]
        return [part for part in parts if part.strip()]
    if given.level is SettingSource.FLAG and isinstance(value, tuple | list):
        # Names may be listed in one flag too; a requirement, path or assignment has commas of its own.
        if separator != "," or given.setting.completes == "path":
            return list(value)
        return [part for text in value for part in str(text).split(",") if part.strip()]
    if isinstance(value, dict) and given.setting.kind == "table":
        return [f"{key}={_scalar(part)}" for key, part in value.items()]
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [value]
    raise ValueError("a table of texts" if given.setting.kind == "table" else "a list of texts")


def _scalar(value: object) -> str:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise ValueError("a table of texts")


def _unknown(message: str, key: str, known: Iterable[str], form: str) -> ConfigError:
    from difflib import get_close_matches

    near = get_close_matches(key, known, n=1)
    if near:
        return ConfigError(message, hint=f"Did you mean {form.format(near[0])}?")
    return ConfigError(message, hint="`tf-tester config` lists all settings.")


def _quoted(value: object) -> str:
    """Return a value as its author wrote it, shortened, without credentials."""
    if isinstance(value, str):
        text = f"'{display_url(value)}'"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, tuple | list):
        text = ", ".join(_quoted(part) for part in value) or "an empty list"
    elif isinstance(value, dict):
        return "a table"
    else:
        text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _plain(value: Any, setting: Setting) -> Any:
    match value:
        case timedelta():
            return duration_words(value)
        case Path() | StrEnum():
            return str(value)
        case str():
            return display_url(value)
        case tuple():
            return [_plain(part, setting) for part in value]
        case dict() if None in value.values():
            return [name if part is None else f"{name}={display_url(part)}" for name, part in value.items()]
        case dict():
            return {name: display_url(part) for name, part in value.items()}
        case int() if setting.name == "memory":
            return memory_words(value)
        case int() if setting.name == "store-size":
            return f"{value}B"
        case None if setting.name == "memory":
            return "auto"
        case None if setting.name == "store-size":
            return "none"
        case _:
            return value
