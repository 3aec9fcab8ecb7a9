"""Help in groups: no option is missing, none stands twice, and what is asked for most comes first."""

import importlib
import re

import click
import pytest
from click.testing import CliRunner

from tf_tester.cli.main import COMMANDS, main
from tf_tester.errors import UsageError


def section(help_text: str, title: str) -> list[str]:
    """The long flags, or commands, that stand under a title."""
    body = re.search(rf"^{re.escape(title)}:\n(.*?)(?:\n\n|\Z)", help_text, re.MULTILINE | re.DOTALL)
    assert body is not None, title
    found = (re.match(r"  (?:-\w, )?(?:--lf, )?([\w-]+)", line) for line in body[1].splitlines())
    return [match[1] for match in found if match is not None]


def titles(help_text: str) -> list[str]:
    return re.findall(r"^(\w[^:\n]*):$", help_text, re.MULTILINE)


def command_of(name: str) -> click.Command:
    command = importlib.import_module(COMMANDS[name][0]).command
    assert isinstance(command, click.Command)
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_stands_in_the_help_once_and_in_a_group(name: str) -> None:
    command = command_of(name)
    text = CliRunner().invoke(main, [name, "--help"], terminal_width=200).output
    text = text[re.search(r"^(?:Most used|Options):$", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    for option in options:
        flag = max(option.opts, key=len)
        assert len(re.findall(rf"^  (?:-\w, |--lf, )*{flag}(?=[ \n])", text, re.MULTILINE)) == 1, flag
    assert "Other options" not in titles(text), "give it a group in cli/common/help.py"
    assert ("Most used" in titles(text)) == (len(options) > 15)


def test_of_test_the_ten_come_first_that_are_asked_for_most() -> None:
    text = CliRunner().invoke(main, ["test", "--help"]).output
    assert titles(text)[0] == "Most used"
    assert section(text, "Most used") == [
        "--package",
        "--versions",
        "--last",
        "--python",
        "--resolve",
        "--with",
        "--requirements",
        "--mirror",
        "--last-failed",
        "--why",
    ]


def test_commands_stand_in_groups_each_once() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    told = [name for title in titles(text) if title != "Options" for name in section(text, title)]
    assert sorted(told) == sorted(COMMANDS)
    assert section(text, titles(text)[1]) == ["test", "bisect", "blame", "diff"]


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["tset", "a.py"], "There is no command tset.", "Did you mean test?"),
        (["Bisec"], "There is no command Bisec.", "Did you mean bisect?"),
        (["mirror", "use"], "There is no command mirror.", "Did you mean mirrors?"),
        (["quite-another"], "There is no command quite-another.", "`tf-tester --help` lists them."),
        (["cache", "cg"], "There is no command cg.", "`tf-tester cache --help` lists them."),
        (["cache", "verfy"], "There is no command verfy.", "Did you mean verify?"),
        (["token", "creat"], "There is no command creat.", "Did you mean create?"),
        (["test", "--vresions", "1"], "There is no option --vresions (did you mean --versions?).", None),
        (["shell", "--no-ofline", "1"], None, "--no-offline"),
    ],
)
def test_a_misspelt_word_is_told_with_the_one_that_was_meant(
    words: list[str], said: str | None, hint: str | None
) -> None:
    ran = CliRunner().invoke(main, words, prog_name="tf-tester")
    if said is None:  # click's own sentence
        assert (ran.exit_code, str(hint) in ran.output) == (2, True)
        return
    assert isinstance(ran.exception, UsageError)
    assert str(ran.exception) == said
    assert hint in (None, ran.exception.hint)
