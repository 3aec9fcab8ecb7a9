"""Set a mirror in the configuration of other tools for good, take it back, and say what is set."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from tf_tester.core.index.links import display_url
from tf_tester.errors import ConfigError, TfTesterError, UsageError
from tf_tester.export.editing import Values, ini_sections
from tf_tester.export.places import (
    PIP_KEYS,
    ConfigContext,
    ConfigScope,
    ConfigTarget,
    Tool,
    further_variables,
    pip_files,
    target,
    variables,
)
from tf_tester.export.undo import SavedFile, UndoFolder, fingerprint, read_settings, write_atomically


class WantedIndex(Struct, frozen=True):
    """What is to be set."""

    url: str
    """Of the mirror's simple API, without a slash at its end."""
    timeout: int
    """Seconds."""
    trusted_host: bool = False
    """Whether pip is to take anything from that host, whoever answers for it."""
    channels: str | None = None
    """Address of the mirror's copy of conda's channels."""


class FileChange(Struct, frozen=True):
    """What was done to one file."""

    tool: Tool
    scope: ConfigScope
    file: Path
    told: str
    """In a few words."""
    remarks: tuple[str, ...] = ()
    """What a person must know for it to work."""


class FoundSetting(Struct, frozen=True):
    """One setting that is there."""

    tool: Tool
    scope: str
    """Or the name of a variable."""
    file: Path | None
    url: str
    ours: bool = False
    overruled: bool = False
    """Another one is stronger."""
    further: bool = False
    """It is asked besides the others."""


def use(
    tools: Sequence[Tool], scope: ConfigScope, wanted: WantedIndex, around: ConfigContext, undo: UndoFolder
) -> list[FileChange]:
    """Set the mirror for these tools: for all of them or, where one can't be, for none.

    Raises `UsageError`, `ConfigError` for a file that its tool couldn't read, `OurFailure`.
    """
    texts: dict[Path, str] = {}
    plans = [_planned(target(tool, scope, around), wanted, texts) for tool in tools]
    changes = []
    for place, before, text, values in plans:
        after = text.encode()
        told = f"{display_url(_value(place, values))} set"
        if before == after:
            told = f"{display_url(_value(place, values))} was set already"
        else:
            undo.remember(_kept(place, before, after, values, undo.recall(place.file, place.tool)))
            write_atomically(place.file, after)
        changes.append(FileChange(place.tool, scope, place.file, told, tuple(_remarks(place, wanted, around, undo))))
    return changes


def reset(tools: Sequence[Tool], scope: ConfigScope, around: ConfigContext, undo: UndoFolder) -> list[FileChange]:
    """Put back what was there before `use`; tools for which nothing was changed are left out."""
    changed: list[tuple[ConfigTarget, SavedFile]] = []
    for tool in tools:
        with suppress(UsageError):
            place = target(tool, scope, around)
            kept = undo.recall(place.file, tool)
            if kept is not None:
                changed.append((place, kept))
    changes = []
    while changed:
        # Of several in one file the one that was set last goes first: then it comes back byte for byte.
        place, kept = next((one for one in changed if _is_as_left(*one)), changed[0])
        changed.remove((place, kept))
        changes.append(FileChange(place.tool, scope, place.file, _put_back(place, kept)))
        undo.forget(place.file, place.tool)
    return sorted(changes, key=lambda change: tools.index(change.tool))


def _is_as_left(place: ConfigTarget, kept: SavedFile) -> bool:
    content = read_settings(place.file)
    return content is not None and fingerprint(content) == kept.after


def show(around: ConfigContext, undo: UndoFolder) -> list[FoundSetting]:
    """Return what indexes the tools are set to, by tool; for each the strongest first."""
    found: list[FoundSetting] = []
    for tool in Tool:
        here = [
            FoundSetting(tool, name, None, around.environ[name]) for name in variables(tool) if around.environ.get(name)
        ]
        here += _of_pip(around, undo, PIP_KEYS[0]) if tool is Tool.PIP else _of_files(tool, around, undo)
        found += [
            FoundSetting(one.tool, one.scope, one.file, display_url(one.url), one.ours, overruled=number > 0)
            for number, one in enumerate(here)
        ]
        found += _further(tool, around, undo)
    return found


def _of_files(tool: Tool, around: ConfigContext, undo: UndoFolder) -> Iterator[FoundSetting]:
    """Yield what a tool's files say, the strongest first."""
    for scope in ConfigScope:
        with suppress(TfTesterError):
            place = target(tool, scope, around)
            content = read_settings(place.file)
            url = place.editor.read(_text(place.file, content)).get(place.key) if content else None
            if url:
                yield FoundSetting(tool, scope, place.file, url, ours=undo.recall(place.file, tool) is not None)


def _of_pip(around: ConfigContext, undo: UndoFolder, key: str) -> list[FoundSetting]:
    """Return what pip's files say, the strongest first: a command's own section is stronger than every [global]."""
    own: list[FoundSetting] = []
    others: list[FoundSetting] = []
    for whose, file in reversed(pip_files(around)):
        with suppress(TfTesterError):
            content = read_settings(file)
            for section, value in (ini_sections(_text(file, content), key) if content else {}).items():
                ours = section == "global" and undo.recall(file, Tool.PIP) is not None
                scope = whose if section == "global" else f"{whose} [{section}]"
                found = [FoundSetting(Tool.PIP, scope, file, url, ours) for url in value.split()]
                (others if section == "global" else own).extend(found)
    return [*own, *others]


def _further(tool: Tool, around: ConfigContext, undo: UndoFolder) -> Iterator[FoundSetting]:
    """Yield what is asked besides: there a newer file of the same name may come from."""
    for name in further_variables(tool):
        for url in (around.environ.get(name) or "").split():
            yield FoundSetting(tool, name, None, display_url(url), further=True)
    for one in _of_pip(around, undo, "extra-index-url") if tool is Tool.PIP else ():
        yield FoundSetting(tool, one.scope, one.file, display_url(one.url), further=True)


def _planned(
    place: ConfigTarget, wanted: WantedIndex, texts: dict[Path, str]
) -> tuple[ConfigTarget, bytes | None, str, dict[str, str | None]]:
    """Return what a file has, and what it will have. `texts`: what files will have after those that come before."""
    values = _values(place, wanted)
    before = texts[place.file].encode() if place.file in texts else read_settings(place.file)
    try:
        texts[place.file] = place.editor.write(_text(place.file, before), values)
        return place, before, texts[place.file], values
    except ConfigError as error:
        raise ConfigError(
            f"{place.file}: {error.message}.",
            hint=f"Repair it, or leave {place.tool} out with --for; nothing was changed.",
        ) from error


def _values(place: ConfigTarget, wanted: WantedIndex) -> dict[str, str | None]:
    match place.tool:
        case Tool.PIP:
            host = {"trusted-host": urlsplit(wanted.url).netloc.rpartition("@")[2]} if wanted.trusted_host else {}
            return {"index-url": wanted.url, "timeout": str(wanted.timeout), **host}
        case Tool.PDM if place.scope is not ConfigScope.PROJECT:
            return {"pypi.url": wanted.url, "request_timeout": str(wanted.timeout)}
        case Tool.POETRY:
            return {place.key: f"{wanted.url}/"}
        case Tool.CONDA:
            if wanted.channels is None:
                raise UsageError(
                    "It isn't known where this mirror has conda's channels.",
                    hint="Leave conda out with --for, or choose a mirror that `tf-tester mirrors` says has them.",
                )
            return {place.key: wanted.channels}
        case _:
            return {place.key: wanted.url}


def _kept(
    place: ConfigTarget, before: bytes | None, after: bytes, values: Values, earlier: SavedFile | None
) -> SavedFile:
    """Return how to come back from here; where we have been here before, to what was there before that."""
    current = place.editor.read(_text(place.file, before))
    old = {key: current.get(key) for key in values}
    origin = before
    if earlier is not None and before is None:
        # Somebody has removed it since: what was there before us is known all the same.
        origin = earlier.before
        old |= earlier.old
    elif earlier is not None and before is not None:
        untouched = fingerprint(before) == earlier.after
        ours = {key: value for key, value in earlier.old.items() if untouched or current.get(key) == earlier.new[key]}
        if untouched:
            origin = earlier.before
        elif ours:
            origin = place.editor.write(_text(place.file, before), ours).encode()
        old |= ours
    return SavedFile(str(place.file), place.tool, place.scope, origin, fingerprint(after), old, dict(values))


def _put_back(place: ConfigTarget, kept: SavedFile) -> str:
    content = read_settings(place.file)
    if content is None:
        if kept.before is None:
            return "the file is gone, as there was none before"
        write_atomically(place.file, kept.before)
        return "the file was gone: it is as it was before"
    if fingerprint(content) == kept.after:
        if kept.before is None:
            Path(os.path.realpath(place.file)).unlink()
            with suppress(OSError):
                place.file.parent.rmdir()  # as far as it was there for this file alone
            return "removed, as there was none before"
        write_atomically(place.file, kept.before)
        return "as it was before"
    current = place.editor.read(_text(place.file, content))
    ours = {key: kept.old[key] for key, value in kept.new.items() if current.get(key) == value}
    if not ours:
        return "left alone: it was changed since, and says something else now"
    write_atomically(place.file, place.editor.write(_text(place.file, content), ours).encode())
    return "changed since: only our values were put back"


def _text(file: Path, content: bytes | None) -> str:
    try:
        # What pip can't read, a byte order mark, isn't written again.
        return (content or b"").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} isn't UTF-8.", hint="Nothing was changed.") from error


def _value(place: ConfigTarget, values: Mapping[str, str | None]) -> str:
    return values[place.key] or ""


# -- what else matters


def _remarks(place: ConfigTarget, wanted: WantedIndex, around: ConfigContext, undo: UndoFolder) -> list[str]:
    remarks = [
        f"{name} is set and overrules it: {display_url(around.environ[name])}"
        for name in variables(place.tool)
        if around.environ.get(name)
    ]
    remarks += [
        f"{display_url(one.url)} is asked, too ({one.file or one.scope}): what it has newer comes from there"
        for one in _further(place.tool, around, undo)
    ]
    match place.tool:
        case Tool.PIP:
            remarks += _about_pip(place, wanted, around)
        case Tool.UV:
            remarks += _about_uv(place, wanted, around)
        case Tool.PDM if place.scope is ConfigScope.PROJECT:
            remarks.append("PDM takes a time-out for the user alone")
        case Tool.POETRY if place.scope is ConfigScope.PROJECT:
            remarks.append("poetry.lock does not fit any more and would name the mirror: run `poetry lock` again")
        case Tool.POETRY:
            remarks.append(
                "Poetry itself knows no mirrors for a user; this is read by a plugin: "
                "`poetry self add poetry-plugin-pypi-mirror`"
            )
        case Tool.CONDA:
            remarks.append("these are conda's channels; for PyPI, conda's environments follow pip")
    return remarks


def _about_pip(place: ConfigTarget, wanted: WantedIndex, around: ConfigContext) -> list[str]:
    remarks = []
    if wanted.trusted_host:
        remarks.append(
            "with trusted-host pip doesn't check who answers for that host: whoever is on the line can give it anything"
        )
    elif wanted.url.startswith("http://"):
        remarks.append("pip leaves out an index without TLS unless its host is trusted: see --trusted-host")
    files = pip_files(around)
    own = [file for _, file in files].index(place.file) if place.file in [file for _, file in files] else len(files)
    for number, (_, file) in enumerate(files):
        with suppress(TfTesterError):
            content = read_settings(file)
            found = ini_sections(_text(file, content), PIP_KEYS[0]) if content else {}
            for section, url in found.items():
                # A command's own section wins over [global], wherever it stands.
                if section != "global" or number > own:
                    remarks.append(f"[{section}] in {file} overrules it: {display_url(url)}")
    return remarks


def _about_uv(place: ConfigTarget, wanted: WantedIndex, around: ConfigContext) -> list[str]:
    remarks = [f"uv takes a time-out from its variable alone: UV_HTTP_TIMEOUT={wanted.timeout}"]
    if place.scope is not ConfigScope.PROJECT:
        with suppress(TfTesterError):
            nearer = target(Tool.UV, ConfigScope.PROJECT, around)
            content = read_settings(nearer.file)
            url = nearer.editor.read(_text(nearer.file, content)).get(nearer.key) if content else None
            if url:
                remarks.append(f"{nearer.file} overrules it: {display_url(url)}")
    if any((folder / "uv.lock").is_file() for folder in (around.cwd, *around.cwd.parents)):
        remarks.append("uv.lock names the index that it was made with: `uv lock` would write the mirror into it")
    return remarks
