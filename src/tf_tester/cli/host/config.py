"""`tf-tester config`: what is set, and where."""

import json

import click

from tf_tester.cli.common.options import json_option, settings_from
from tf_tester.core.config.settings import TABLE, ResolvedSettings, plain
from tf_tester.core.text.printable import printable


@click.command(name="config", short_help="Show what is set, and where.")
@json_option
def command(as_json: bool) -> None:
    """Show every setting, its value and where it comes from.

    Sources, each overruling those before: defaults, the user's config.toml, the project's tf-tester.toml (or
    [tool.tf-tester] in pyproject.toml), variables such as TF_TESTER_JOBS, flags.
    """
    resolved = settings_from({})
    click.echo(_as_json(resolved) if as_json else _as_table(resolved))


def _as_json(resolved: ResolvedSettings) -> str:
    return json.dumps(
        {
            setting.name: {
                "value": plain(resolved.settings, setting),
                "origin": resolved.origins[setting.name],
            }
            for setting in TABLE
        },
        indent=2,
    )


def _as_table(resolved: ResolvedSettings) -> str:
    rows = [
        (setting.name, _words(plain(resolved.settings, setting)), printable(resolved.origins[setting.name]))
        for setting in TABLE
    ]
    name_width = max(len(name) for name, _, _ in rows)
    # One long value must not push the last column out of sight.
    value_width = max((len(value) for _, value, _ in rows if len(value) <= 40), default=0)
    return "\n".join(f"{name:{name_width}}  {value:{value_width}}  {origin}" for name, value, origin in rows)


def _words(value: object) -> str:
    match value:
        case None:
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case list():
            return printable(", ".join(map(str, value))) or "-"
        case dict():
            return printable(", ".join(f"{name}={part}" for name, part in value.items())) or "-"
        case _:
            return printable(str(value))
