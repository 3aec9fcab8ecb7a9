"""What the command line says of itself: help in groups, and the word that was meant in place of a misspelt one."""

from collections.abc import Iterable, Iterator

import click

from tf_tester.errors import UsageError

_MANY = 15
"""Options that stand in one list. Of more, those asked for most come first, the others by what they are for."""
_MOST_USED = 10
_FIRST = (
    "--good --bad --over --save --load --product --consumers --shards --package --versions --last --python "
    "--resolve --with --requirements --mirror --last-failed --why --platform --dest --format --host --port "
    "--private --uploads --tokens --output --base"
)
"""Of these a command's first ten."""
_GROUPS = {
    "Which versions": "--package --versions --last --pre --yanked --locked --platform --over",
    "What is saved and loaded": "--save --load --resave --product --largest-product --consumers --consumer-package "
    "--fresh --route --why",
    "Python and dependencies": "--python --install-python --resolve --grace --with --requirements --project --group "
    "--with-deps --allow-build --build-network",
    "How tests run": "--probe --jobs --memory --timeout --runner --env --pythonpath --cache --last-failed --exitfirst "
    "--keep --ephemeral --repeat --budget --failure --all-transitions",
    "What tests may reach and use": "--isolation --network --gpu --writable --data --visible --scratch --limit",
    "Where files come from, and where they are kept": "--mirror --trust --index-url --extra-index-url --find-links "
    "--attestations --store --offline --refresh",
    "Who is answered": "--host --port --workers --tls-cert --tls-key --client-ca --tokens --private-tokens "
    "--public-read --rate --trusted-proxy",
    "What is served": "--private --uploads --largest-upload --locks --policy --synced --list-all --redirect "
    "--region-header --allow-host",
    "What is written and told": "--dest --output --base --compression --format --shards --durations --lock "
    "--from-lock --from-record --record --force --check --dry-run --api --all --report --json --baseline "
    "--update-baseline --collect --reference --verbose --quiet --timings --color --log --help",
}


class GroupedCommand(click.Command):
    """A command whose help has its options in groups where they are many."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        told = {_flag(one): record for one in options if (record := one.get_help_record(ctx)) is not None}
        if len(told) - 1 <= _MANY:  # one is --help
            super().format_options(ctx, formatter)
            return
        for title, flags in _grouped(list(told)):
            with formatter.section(title):
                formatter.write_dl([told[flag] for flag in flags])


class CommandGroup(click.Group):
    """A group that names the commands near one that it doesn't have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return what the first word means. Raises `UsageError`."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            near = meant_by(name.lower(), self.list_commands(ctx))
            meant = f"Did you mean {' or '.join(near)}?" if near else f"`{ctx.command_path} --help` lists them."
            raise UsageError(f"There is no command {name}.", hint=meant)
        return super().resolve_command(ctx, args)


def meant_by(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words that a misspelt one may stand for, the nearest first.

    >>> meant_by("tset", ["test", "sync", "lock"]), meant_by("quite", ["test", "sync"])
    (['test'], [])
    """
    from difflib import get_close_matches  # only mistakes need it

    return get_close_matches(word, list(known), n=3, cutoff=0.7)


def _grouped(flags: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield titles with the flags that stand under them, each flag once; what no group has comes last."""
    left = dict.fromkeys(flags)
    groups = {"Most used": [flag for flag in _FIRST.split() if flag in left][:_MOST_USED]}
    groups |= {title: words.split() for title, words in _GROUPS.items()}
    for title, wanted in groups.items():
        found = [flag for flag in wanted if flag in left]
        for flag in found:
            del left[flag]
        if found:
            yield title, found
    if left:
        yield "Other options", list(left)


def _flag(param: click.Option) -> str:
    """Return the longest of an option's names, `--last-failed` of `--lf`; a switch is named by what it turns on."""
    return max(param.opts, key=len)
