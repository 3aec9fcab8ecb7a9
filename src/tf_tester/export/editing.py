"""Settings of other tools inside their own files: read and changed with everything else as it was, comments too.

Each editor knows some keys of one kind of file. What it returns is text that was read again and says what it should;
a file that its tool couldn't read is refused, not repaired.
"""

import configparser
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tf_tester.core.text.parsing import parse_toml
from tf_tester.errors import ConfigError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Values = Mapping[str, str | None]
"""By key; None: not there."""


class Editor(Protocol):
    def read(self, text: str) -> dict[str, str]:
        """Return the values of the keys that it knows. Raises `ConfigError`."""
        ...

    def write(self, text: str, changes: Values) -> str:
        """Return the text with these values; those that are None are taken out. Raises `ConfigError`."""
        ...


class IniEditor:
    """One section of an INI file as pip reads it: keys in any case, `_` as good as `-`, values over several lines."""

    def __init__(self, section: str, keys: Sequence[str]) -> None:
        self._section = section
        self._keys = tuple(keys)

    def read(self, text: str) -> dict[str, str]:
        parser = _parsed_ini(text)
        if not parser.has_section(self._section):
            return {}
        return {key: parser.get(self._section, key) for key in self._keys if parser.has_option(self._section, key)}

    def write(self, text: str, changes: Values) -> str:
        self.read(text)
        newline = "\r\n" if "\r\n" in text else "\n"
        lines = text.splitlines()
        for key, value in changes.items():
            lines = self._with(lines, key, value)
        return newline.join(lines) + newline if lines else ""

    def _with(self, lines: list[str], key: str, value: str | None) -> list[str]:
        begin = next((n for n, line in enumerate(lines) if _section_of(line) == self._section), None)
        if begin is None:
            return lines if value is None else [*lines, *[""] * bool(lines), f"[{self._section}]", f"{key} = {value}"]
        end = next((n for n in range(begin + 1, len(lines)) if _section_of(lines[n]) is not None), len(lines))
        found = next((n for n in range(begin + 1, end) if _key_of(lines[n]) == key), None)
        new = [] if value is None else [f"{key} = {value}"]
        if found is None:
            # Before the blank lines that part it from the next section.
            while end > begin + 1 and not lines[end - 1].strip():
                end -= 1
            return [*lines[:end], *new, *lines[end:]]
        rest = found + 1
        while rest < end and lines[rest][:1] in (" ", "\t") and lines[rest].strip():
            rest += 1
        return [*lines[:found], *new, *lines[rest:]]


def _parsed_ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.optionxform = _ini_key  # type: ignore[method-assign,assignment]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigError(f"it can't be read: {' '.join(str(error).split())}") from error
    return parser


def ini_sections(text: str, key: str) -> dict[str, str]:
    """Return the value of a key by section. Raises `ConfigError`."""
    parser = _parsed_ini(text)
    return {name: parser.get(name, key) for name in parser.sections() if parser.has_option(name, key)}


def _ini_key(name: str) -> str:
    return name.strip().lower().replace("_", "-").removeprefix("--")


def _section_of(line: str) -> str | None:
    match = re.match(r"\[(.+)\]", line)
    return match[1] if match else None


def _key_of(line: str) -> str | None:
    match = re.match(r"([^\s=:#;\[][^=:]*)[=:]", line)
    return _ini_key(match[1]) if match else None


class TomlEditor:
    """Texts and whole numbers by dotted keys."""

    def __init__(self, keys: Sequence[str], *, numbers: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
        """Edit these keys. `secrets`: keys that belong to the address of before, with which none is set."""
        self._keys = tuple(keys)
        self._numbers = frozenset(numbers)
        self._secrets = tuple(secrets)

    def read(self, text: str) -> dict[str, str]:
        document = _parsed_toml(text)
        found: dict[str, str] = {}
        for key in self._keys:
            value = _at(document, key)
            if isinstance(value, str | int) and not isinstance(value, bool):
                found[key] = str(value)
        return found

    def write(self, text: str, changes: Values) -> str:
        import tomlkit

        document = _parsed_toml(text)
        if self._secrets and any(value is not None for value in changes.values()):
            kept = [key for key in self._secrets if _at(document, key) is not None]
            if kept:
                raise ConfigError(f"it has {' and '.join(kept)}, which a mirror would get that is put in that place")
        for key, value in changes.items():
            *folders, name = key.split(".")
            table: Any = document
            for folder in folders:
                if folder not in table:
                    if value is None:
                        break
                    table[folder] = tomlkit.table()
                table = table[folder]
            else:
                if value is None:
                    table.pop(name, None)
                else:
                    table[name] = int(value) if key in self._numbers else value
        _prune(document, [key.split(".")[:-1] for key, value in changes.items() if value is None])
        return _checked(self, tomlkit.dumps(document), changes)


def _at(document: Any, key: str) -> Any:
    """Return what stands under a dotted key; None: nothing."""
    for part in key.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


class IndexEditor:
    """uv's default index: the first of its `[[index]]` tables that says `default = true`."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = tuple(prefix)

    def read(self, text: str) -> dict[str, str]:
        default = _default_index(_table_at(_parsed_toml(text), self._prefix))
        return {} if default is None else {"index": str(default["url"])}

    def write(self, text: str, changes: Values) -> str:
        import tomlkit

        document = _parsed_toml(text)
        url = changes["index"]
        table = _table_at(document, self._prefix)
        default = _default_index(table)
        if default is not None and url is not None:
            if more := sorted(set(default) - {"url", "default"}):
                raise ConfigError(
                    f"its default index has {' and '.join(more)} beside its address: whoever gets that place would get "
                    "what is kept for it, a password perhaps"
                )
            default["url"] = url
        elif default is not None:
            tables = table["index"]
            del tables[next(n for n, one in enumerate(tables) if one is default or one == default)]
            if not tables:
                del table["index"]
            _prune(document, [list(self._prefix)])
        elif url is not None:
            table = _table_at(document, self._prefix, make=True)
            fresh = tomlkit.inline_table() if _is_inline(table.get("index")) else tomlkit.table()
            fresh.update({"url": url, "default": True})
            if text.strip() and not _is_inline(table.get("index")):
                fresh.trivia.indent = "\n"  # a blank line before it
            if "index" in table:
                table["index"].append(fresh)
            else:
                tables = tomlkit.aot()
                tables.append(fresh)
                table["index"] = tables
        return _checked(self, tomlkit.dumps(document), changes)


class SourceEditor:
    """A package source of Poetry's, by its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, text: str) -> dict[str, str]:
        for source in _sources(_parsed_toml(text)):
            if source.get("name") == self._name:
                return {"source": str(source.get("url", ""))}
        return {}

    def write(self, text: str, changes: Values) -> str:
        import tomlkit

        document = _parsed_toml(text)
        url = changes["source"]
        sources = _sources(document)
        own = next((number for number, one in enumerate(sources) if one.get("name") == self._name), None)
        if own is not None and url is not None:
            sources[own]["url"] = url
        elif own is not None:
            poetry = _table_at(document, ("tool", "poetry"))
            del poetry["source"][own]
            if not poetry["source"]:
                del poetry["source"]
            _prune(document, [["tool", "poetry"]])
        elif url is not None:
            poetry = _table_at(document, ("tool", "poetry"), make=True)
            fresh = tomlkit.table()
            fresh.update({"name": self._name, "url": url, "priority": "primary"})
            fresh.trivia.indent = "\n" if text.strip() else ""
            if "source" not in poetry:
                poetry["source"] = tomlkit.aot()
            poetry["source"].append(fresh)
        return _checked(self, tomlkit.dumps(document), changes)


class BlockEditor:
    """Lines of ours between two marks, at the end of a YAML file: conda's channels."""

    _BEGIN = "# >>> tf-tester: mirror of the channels >>>"
    _END = "# <<< tf-tester <<<"

    def __init__(self, lines: Sequence[str]) -> None:
        """Take `lines`, with `{}` where the mirror's address belongs."""
        self._lines = tuple(lines)

    def read(self, text: str) -> dict[str, str]:
        lines = text.splitlines()
        if self._BEGIN not in lines:
            return {}
        block = lines[lines.index(self._BEGIN) :]
        address = next((line.partition("from ")[2] for line in block if line.startswith("# from ")), "")
        return {"channels": address}

    def write(self, text: str, changes: Values) -> str:
        newline = "\r\n" if "\r\n" in text else "\n"
        lines = text.splitlines()
        if self._BEGIN in lines:
            begin = lines.index(self._BEGIN)
            end = lines.index(self._END, begin) if self._END in lines[begin:] else len(lines) - 1
            lines = [*lines[:begin], *lines[end + 1 :]]
        address = changes["channels"]
        if address is not None:
            own = [line.format(address) for line in self._lines]
            keys = {line.partition(":")[0] for line in own if line[:1].isalpha()}
            taken = sorted(keys & {line.partition(":")[0] for line in lines if line[:1].isalpha()})
            if taken:
                raise ConfigError(f"it already sets {' and '.join(taken)}, which would be replaced")
            lines += [self._BEGIN, f"# from {address}", *own, self._END]
        return newline.join(lines) + newline if lines else ""


def _parsed_toml(text: str) -> "TOMLDocument":
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"it can't be read: {error}") from error


def _table_at(document: Any, path: Sequence[str], *, make: bool = False) -> Any:
    """Return the table at a path; an empty one where there is none and none is to be made."""
    import tomlkit

    table = document
    for number, part in enumerate(path):
        if part not in table:
            if not make:
                return {}
            # Its parents are no more than the beginning of its name.
            table[part] = tomlkit.table(is_super_table=True)
        table = table[part]
        if not isinstance(table, dict):
            raise ConfigError(f"{'.'.join(path[: number + 1])} is not a table")
    return table


def _default_index(table: Any) -> Any:
    indexes = table.get("index", [])
    if not isinstance(indexes, list):
        raise ConfigError("index is not a list of tables")
    return next((one for one in indexes if isinstance(one, dict) and one.get("default") is True and "url" in one), None)


def _sources(document: Any) -> Any:
    sources = _table_at(document, ("tool", "poetry")).get("source", [])
    if not isinstance(sources, list):
        raise ConfigError("tool.poetry.source is not a list of tables")
    return sources


def _is_inline(value: Any) -> bool:
    from tomlkit.items import Array

    return isinstance(value, Array)


def _prune(document: Any, paths: Sequence[Sequence[str]]) -> None:
    """Take out tables in which nothing is left."""
    for path in paths:
        for length in range(len(path), 0, -1):
            parent = _table_at(document, path[: length - 1])
            if parent.get(path[length - 1]) == {}:
                del parent[path[length - 1]]


def _checked(editor: Editor, text: str, changes: Values) -> str:
    """Check that whoever reads the text finds just these values; return it."""
    import tomllib

    try:
        parse_toml(text)
        found = editor.read(text)
    except (tomllib.TOMLDecodeError, ConfigError) as error:
        raise ConfigError(f"it can't be changed safely ({error})") from error
    if any(found.get(key) != value for key, value in changes.items()):
        raise ConfigError("it can't be changed safely: it would not say what it should")
    return text
