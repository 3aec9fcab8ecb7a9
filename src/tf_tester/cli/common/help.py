"""Help in groups, for commands that have more options than anybody reads through."""

from collections.abc import Iterator

import click

_MANY = 15
"""Options that stand in one list. Of more, those asked for most come first, the others by what they are for."""
_MOST_USED = 10
_FIRST = (
    "--good --bad --over --save --load --product --consumers --shards --package --versions --last --python "
    "--resolve --with --requirements --mirror --last-failed --why --platform --dest --format --host --port "
    "--private --uploads --tokens"
)
"""Of these a command's first ten."""
_GROUPS = {
    "Which versions": "--package --versions --last --pre --yanked --locked --platform --over",
    "What is saved and loaded": "--save --load --product --largest-product --consumers --consumer-package",
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
    "What is written and told": "--dest --output --format --shards --durations --lock --from-lock --from-record "
    "--force --check --dry-run --api --all --report --json --baseline "
    "--update-baseline --collect --verbose --quiet --timings --color --log --help",
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
