"""Write `reference/settings.md` from the table of settings and the commands themselves.

python docs/generate_settings.py            # writes the file
python docs/generate_settings.py --check    # status 1 where the file is not up to date
"""

import json
import sys
from pathlib import Path
from textwrap import fill

import click

from tf_tester.cli.main import main as tf_tester
from tf_tester.core.config.settings import TABLE, Setting

FILE = Path(__file__).parent / "reference" / "settings.md"

INTRODUCTION = """\
# Settings

<!-- Made by docs/generate_settings.py from the program itself; changes here are lost. -->

Every setting has a variable and a name in configuration files, and, where a command takes it, a flag. The sources, each
overruling those before:

1. the defaults below,
2. the user's file, on Linux `~/.config/tf-tester/config.toml`,
3. the project's file: the nearest `tf-tester.toml` at or above the current folder, or `[tool.tf-tester]` in
   `pyproject.toml`; the search ends at the repository's root,
4. variables of the environment that start with `TF_TESTER_`; an empty one counts as not set,
5. flags.

A later source replaces the whole value of an earlier one; lists are not joined. A misspelt name, in a file or a
variable, and a value of the wrong kind are errors (exit code 2). A relative path in a file means a path beside that
file. `tf-tester config` shows what is set, and where.

The kinds of values:

- **switch**: `true` or `false` in files, `1`, `yes`, `on`, `0`, `no` or `off` in variables; as a flag `--name` or
  `--no-name`;
- **list**: an array in files; in variables commas between the elements (spaces for `extra-index-url` and `find-links`);
  as a flag repeatable, names also with commas;
- **table**: a table in files, or an array such as `["NAME=VALUE"]`, in which a name of `env` may stand alone; in
  variables `NAME=VALUE` with commas between them, names alone first; as a flag repeatable;
- **duration**: weeks, days, hours, minutes and seconds such as `2w`, `14d`, `36h`, `1h30m`, `90s`; in files quoted;
- **size**: of memory `512M`, `2G` (powers of 1,024); of the store `20GB` (powers of 1,000; `20GiB` of 1,024); in files
  quoted.
"""


NO_SETTINGS = (
    "These options say what one command is to do: what it reads, which file it writes, between which versions it "
    "searches, or that it deletes. Set for good they would do that each time and unseen, in a folder where nobody "
    "meant it. What `serve` and `sync` are to do for good stands in the unit or job that starts them, and else in a "
    "line of a script. `--json` and formats are for whoever reads that one output."
)


def page() -> str:
    """The whole file."""
    used = commands_by_setting()
    sections = (section(setting, used.get(setting.field, [])) for setting in TABLE)
    return "\n".join([INTRODUCTION, *sections, no_settings()])


def no_settings() -> str:
    """Tell what can't be set for good."""
    lines = [
        "## What is no setting",
        "",
        fill(NO_SETTINGS, 118, break_long_words=False, break_on_hyphens=False),
        "",
        "| command | options |",
        "|---|---|",
    ]
    fields = {setting.field for setting in TABLE}
    for name, command in all_commands(tf_tester, ""):
        own = [
            parameter.opts[-1]
            for parameter in command.params
            if isinstance(parameter, click.Option) and parameter.name not in (*fields, "help", "version")
        ]
        if own:
            lines.append(f"| `{name}` | {', '.join(f'`{one}`' for one in own)} |")
    return "\n".join(lines) + "\n"


def all_commands(group: click.Group, before: str) -> list[tuple[str, click.Command]]:
    """Return all commands by what is typed, those of groups behind them."""
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not command.hidden:
            found.append((before + name, command))
        if isinstance(command, click.Group):
            found += all_commands(command, f"{before}{name} ")
    return found


def section(setting: Setting, commands: list[str]) -> str:
    """One setting."""
    lines = [
        f"## {setting.name}",
        "",
        fill(setting.help, 118, break_long_words=False, break_on_hyphens=False),
        "",
        f"- flag: {flag(setting) if commands else 'none'}",
        f"- variable: `{setting.variable}`",
        f"- default: {default(setting)}",
    ]
    if setting.kind != "value":
        lines.append(f"- kind: {setting.kind}")
    if commands:
        lines.append(f"- for: {', '.join(f'`{command}`' for command in commands)}")
    return "\n".join(lines) + "\n"


def flag(setting: Setting) -> str:
    """How it is written on the command line."""
    if setting.kind == "switch":
        return f"`{setting.flag}`, `--no-{setting.name}`"
    value = "|".join(setting.choices) or setting.metavar
    short = f", `{setting.short}`" if setting.short else ""
    return f"`{setting.flag} {value}`{short}"


def default(setting: Setting) -> str:
    """What holds where nobody says anything."""
    if setting.default_text:
        return setting.default_text
    if setting.default is None or setting.default in ([], {}):
        return "none"
    return f"`{json.dumps(setting.default)}`"


def commands_by_setting() -> dict[str, list[str]]:
    """The commands that have a flag for each setting, by the setting's field."""
    context = click.Context(tf_tester)
    found: dict[str, list[str]] = {}
    for name in tf_tester.list_commands(context):
        command = tf_tester.get_command(context, name)
        for parameter in command.params if command else ():
            if isinstance(parameter, click.Option):
                found.setdefault(str(parameter.name), []).append(name)
    return found


if __name__ == "__main__":
    made = page()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if FILE.exists() and FILE.read_text("utf-8") == made else f"{FILE} is not up to date")
    FILE.write_text(made, "utf-8")
