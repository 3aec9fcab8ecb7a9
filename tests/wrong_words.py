"""Wrong words for every option and argument of every command, made from the command line's own table.

A new command, option or setting is among them without a line here, unless a command needs words to begin at all.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from tf_tester.cli.main import main
from tf_tester.core.config.settings import BY_NAME

NINES = "9" * 5_000
VALUES = {
    "empty": "",
    "a dash": "-",
    "below zero": "-1",
    "a long number": NINES,
    "no number": "nan",
    "beyond all numbers": "1e400",
    "a hundred thousand letters": "a" * 100_000,
    "no UTF-8": "\udcff",
    "from right to left": "\u202eabc",
    "an escape": "\x1b[2J",
    "brackets": "[" * 3_000,
    "commas": ",,,",
    "equals": "=b=c",
    "a wildcard": "**/[",
    "half an address": "http://[::1/",
    "a port beyond all": "http://127.0.0.1:99999/simple",
    "another scheme": "javascript:alert(1)",
    "nothing that is there": "no/such/thing",
    "above": "..",
    "a pipe": "pipe",
    "a device without end": "endless",
    "a folder": "folder",
    "a link in a circle": "circle",
    "TOML nested deeply": "deep.toml",
    "TOML with a long number": "number.toml",
    "zeros": "zeros",
    "what can't be read": "unreadable",
}
"""What a user may give by mistake, by what is wrong with it; the files are those of `prepare`."""

_WORDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("test",): ("check.py", "--versions", "2.0"),
    ("bisect",): ("check.py", "--good", "1.0", "--bad", "2.0"),
    ("blame",): ("check.py", "--good", "1.0", "--bad", "2.0"),
    ("diff",): ("1.0", "2.0"),
    ("lock",): ("check.py", "--versions", "2.0"),
    ("sync",): ("team.toml", "--dry-run"),
    ("publish",): ("out",),
    ("token", "create"): ("me",),
    ("token", "revoke"): ("me",),
    ("download",): ("--versions", "2.0", "--dry-run"),
    ("versions",): (),
    ("shell",): ("2.0",),
    ("mirrors", "use"): ("tuna",),
    ("report",): ("zeros", "--format", "json"),
    ("ci-matrix",): ("--versions", "2.0"),
    ("merge",): ("zeros", "-o", "all.jsonl"),
    ("image", "build"): ("--versions", "2.0", "-o", "oci:out"),
    ("image", "push"): ("oci:folder", "127.0.0.1:1/toy"),
    ("image", "dockerfile"): ("--versions", "2.0"),
    ("cache", "export"): ("bundle.tar", "--versions", "2.0"),
    ("cache", "import"): ("zeros",),
}
"""What commands need besides, arguments first."""


class Invocation(NamedTuple):
    """A command line with one wrong word."""

    command: tuple[str, ...]
    parameter: str
    wrong: str
    """What is wrong, of `VALUES`."""
    words: tuple[str, ...]


def prepare(folder: Path) -> None:
    """Make the files that the words name; all that is named lies in this folder, or is the one above it."""
    (folder / "check.py").write_text("import toy\n")
    (folder / "team.toml").write_text('projects = ["toy"]\n')
    (folder / "deep.toml").write_text("a = " + "[" * 5_000 + "]" * 5_000)
    (folder / "number.toml").write_text(f"a = {NINES}")
    (folder / "zeros").write_bytes(bytes(20_480))
    (folder / "folder/SHA256SUMS").mkdir(parents=True)
    (folder / "circle").symlink_to("circle")
    # By a link: a command that put a file in its place as root would do so for the whole machine.
    (folder / "endless").symlink_to("/dev/zero")
    (folder / "unreadable").write_text("x")
    (folder / "unreadable").chmod(0)
    os.mkfifo(folder / "pipe")


def invocations(*, busy_port: int) -> Iterator[Invocation]:
    """Yield each parameter of each command with each value; a setting with the first command that has it.

    `busy_port`: one that is taken, so that a server whose other options are right ends at once.
    """
    settings = {setting.field for setting in BY_NAME.values()}
    for words, command in _commands(main):
        base = _WORDS.get(words, ("--port", str(busy_port)) if words == ("serve",) else ())
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        for parameter in command.params:
            if parameter.name in settings:
                settings.discard(parameter.name)
            elif parameter.name in {setting.field for setting in BY_NAME.values()}:
                continue  # with an earlier command
            if isinstance(parameter, click.Option) and parameter.is_flag:
                continue
            for wrong, value in VALUES.items():
                yield Invocation(words, parameter.opts[-1], wrong, (*words, *_line(parameter, value, base, arguments)))


def _line(
    parameter: click.Parameter, value: str, base: tuple[str, ...], arguments: list[click.Argument]
) -> tuple[str, ...]:
    if isinstance(parameter, click.Option):
        return (*base, f"{parameter.opts[-1]}={value}")
    place = next(number for number, one in enumerate(arguments) if one is parameter)
    options = base[len(arguments) :]
    return (*options, "--", *base[:place], value, *base[place + 1 : len(arguments)])


def _commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    if command.invoke_without_command:
        yield words, command
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _commands(found, (*words, name))
