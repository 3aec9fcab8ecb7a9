"""Flags, made from the table of settings, so that a flag, its help and its variable are written once."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from tf_tester.core.config.settings import BY_NAME, ResolvedSettings, Setting
from tf_tester.core.config.settings import TABLE as TABLE


class GivenPath(click.Path):
    """A path that the user names; an empty word, which would be the current folder, is none."""

    def __init__(self, *, file_okay: bool = True, dir_okay: bool = True, allow_dash: bool = False) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, allow_dash=allow_dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("the path is empty.", param, ctx)
        return super().convert(value, param, ctx)


Command = TypeVar("Command", bound=Callable[..., Any])

EPILOG = (
    "What `tf-tester config` lists can be set for good: in tf-tester.toml, in [tool.tf-tester] of pyproject.toml, or "
    "in a variable such as TF_TESTER_JOBS. Other options say what one command is to do."
)
"""For the end of a command's help."""


def json_option(command: Command) -> Command:
    """Decorate a click command with `--json`, the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def options(*names: str) -> Callable[[Command], Command]:
    """Decorate a click command with these settings' flags, in that order; a flag that isn't given is absent.

    The command's parameters are to be handed to `settings_from` as they are.
    """

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = _option(BY_NAME[name])(command)
        return command

    return decorate


def settings_from(
    parameters: Mapping[str, object], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> ResolvedSettings:
    """Return all sources taken together, the last word being the flags' (`ctx.params`). Raises `ConfigError`."""
    from tf_tester.cli.common.settings import read_settings

    return read_settings(
        parameters, cwd=Path.cwd() if cwd is None else cwd, environ=os.environ if environ is None else environ
    )


def _option(setting: Setting) -> Callable[[Command], Command]:
    flags = [setting.short, setting.flag] if setting.short else [setting.flag]
    if setting.kind == "switch":
        return click.option(f"{setting.flag}/--no-{setting.name}", setting.field, default=None, help=setting.help)
    return click.option(
        *flags,
        setting.field,
        default=None,
        multiple=setting.kind in ("list", "table"),
        metavar="|".join(setting.choices) or setting.metavar,
        help=setting.help + _default(setting),
        shell_complete=_completer(setting),
    )


def _default(setting: Setting) -> str:
    text = setting.default_text or (setting.default if isinstance(setting.default, str) else "")
    return f"  [default: {text}]" if text else ""


def _completer(setting: Setting) -> Callable[[click.Context, click.Parameter, str], Any] | None:
    if setting.completes == "path":
        kind = "dir" if setting.metavar == "FOLDER" else "file"
        return lambda context, parameter, begun: [click.shell_completion.CompletionItem(begun, type=kind)]
    if setting.completes == "mirror":
        return lambda context, parameter, begun: [name for name in _mirror_names() if name.startswith(begun)]
    if setting.choices:
        return lambda context, parameter, begun: [word for word in setting.choices if word.startswith(begun)]
    return None


def _mirror_names() -> list[str]:
    from tf_tester.core.index.mirror_list import AUTO, NO_MIRROR
    from tf_tester.index.mirror_files import known_mirrors

    return [*known_mirrors().mirrors, AUTO, NO_MIRROR]
