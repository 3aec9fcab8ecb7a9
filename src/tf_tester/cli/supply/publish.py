"""`tf-tester publish`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.options import EPILOG, GivenPath, options, settings_from
from tf_tester.cli.common.output import say
from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.errors import OWN_FAILURE, UsageError

if TYPE_CHECKING:
    from tf_tester.core.index.replica_tree import Manifest
    from tf_tester.flow.supply.publish import PublishResult
    from tf_tester.ports.publish import Signer

_FILE = GivenPath(dir_okay=False)
_SHOWN = 20
"""Troubles that are told one by one."""


@click.command("publish", epilog=EPILOG, short_help="Write a replica as files, for a web server or a CDN.")
@click.argument("target", metavar="FOLDER|s3://BUCKET/PREFIX")
@options("store")
@click.option("--name", metavar="NAME", help="Which replica of the store.  [default: the only one]")
@click.option("--url", metavar="URL", help="Where the tree will be; with it bandersnatch can mirror it.")
@click.option("--keep", "kept", type=click.IntRange(1), default=3, show_default=True, help="Generations that stay.")
@click.option("--sign", type=_FILE, metavar="KEY", help="Sign the manifest with this Ed25519 key (PEM).")
@click.option("--list", "listing", is_flag=True, help="Only list the generations that are there.")
@click.option(
    "--rollback",
    is_flag=False,
    flag_value="",
    metavar="[ID]",
    help="Only show an earlier generation, the one before or the one named, until the replica has changed.",
)
@click.option("--verify", is_flag=True, help="Only look whether all is as the manifest says.")
@click.option("--deep", is_flag=True, help="With --verify: read every file, too.")
@click.option("--key", type=_FILE, metavar="KEY", help="With --verify: who must have signed it (PEM).")
@click.option(
    "--print",
    "printed",
    type=click.Choice(["nginx", "caddy", "cdn"]),
    help="Only print the configuration that goes with it.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    name: str | None,
    url: str | None,
    kept: int,
    sign: Path | None,
    listing: bool,
    rollback: str | None,
    verify: bool,
    deep: bool,
    key: Path | None,
    printed: str | None,
    **_: Any,
) -> int:
    """Write a replica, which `tf-tester sync` has filled, as files that nginx, Caddy or a CDN serve without us.

    What is new is written beside what is there, then shown at once; earlier generations stay to go back to. Files are
    links to those of the store where they can be. The manifest has the SHA-256 of all.

    \b
    Examples:
      tf-tester publish /srv/mirror
      tf-tester publish /srv/mirror --print nginx
      tf-tester publish /srv/mirror --sign key.pem --url https://mirror.example
      tf-tester publish /srv/mirror --verify --deep --key public.pem
      tf-tester publish /srv/mirror --rollback
      tf-tester publish s3://bucket/prefix --name team
    """
    from tf_tester.flow.supply.publish import generations, publish, roll_back
    from tf_tester.flow.supply.publish import verify as verify_tree
    from tf_tester.wiring.publishing import publishing, target_of

    if sum([listing, rollback is not None, verify, printed is not None]) > 1:
        raise UsageError("--list, --rollback, --verify and --print exclude one another.")
    if (deep or key is not None) and not verify:
        raise UsageError("--deep and --key go with --verify.")
    if printed is not None:
        from tf_tester.export.web_config import web_config

        print(web_config(printed, target if "://" in target else str(Path(target).absolute())), end="")
        return 0
    place = target_of(target)
    if listing:
        say(_row(manifest, shown=shown) for manifest, shown in generations(place))
        return 0
    if rollback is not None:
        return _rolled_back(target, roll_back(place, rollback or None), stays=place.is_left())
    if verify:
        manifest, troubles = verify_tree(place, _key(key), deep=deep)
        return _verified(manifest, troubles, deep=deep, signed=key is not None)
    signer = _key(sign, to_sign=True)
    settings = settings_from(ctx.params).settings
    with publishing(settings, name, os.environ, url=url, keep=kept) as source:
        done = publish(source.request, source.blobs, source.metadata, place, signer, fetch=source.fetch)
    return _published(target, done)


def _rolled_back(target: str, manifest: "Manifest", *, stays: bool) -> int:
    until = ["  It stays so until the replica holds something else than what was gone back from."] if stays else []
    say([f"{target} shows {manifest.generation} of {manifest.created[:10]} now.", *until])
    return 0


def _published(target: str, done: "PublishResult") -> int:
    """Tell what is new and what is missing, and return the exit code."""
    say(_told(target, done))
    if done.missing:
        few = ", ".join(done.missing[:3])
        say(
            [
                f"left out: {count_text(len(done.missing), 'file')} that the store has lost, such as {few}",
                "  Sync the replica.",
            ],
            sys.stderr,
        )
    return OWN_FAILURE if done.missing else 0


def _key(file: Path | None, *, to_sign: bool = False) -> "Signer | None":
    from tf_tester.export.signing import Ed25519Key

    return None if file is None else Ed25519Key(file, to_sign=to_sign)


def _told(target: str, done: "PublishResult") -> list[str]:
    holds = f"{count_text(done.projects, 'project')}, {count_text(done.all_files, 'file')} ({size_text(done.all_size)})"
    if not done.is_new and done.left:
        return [
            f"{target} still shows {done.generation}: what the replica holds was gone back from, with --rollback.",
            f"  It is shown once it has changed, or with `tf-tester publish {target} --rollback {done.left}`.",
        ]
    if not done.is_new:
        again = f"; {count_text(done.files, 'file')} that had been lost or changed are as they should be again"
        return [f"{target}: nothing new; {holds}{again if done.files else ''}."]
    new = f"{count_text(done.pages, 'page')} and {count_text(done.files, 'file')} ({size_text(done.size)}) are new"
    gone = f", {count_text(done.removed, 'file')} went" if done.removed else ""
    over = f" The replica has changed since {done.left}, which was gone back from." if done.left else ""
    again = "; pages that had been lost or changed were written anew" if done.mended else ""
    return [f"{target} shows {done.generation}: {holds}; {new}{gone}{again}.{over}"]


def _row(manifest: "Manifest", *, shown: bool) -> str:
    projects, files = count_text(manifest.projects, "project"), count_text(manifest.distributions, "file")
    holds = f"{projects}, {files} ({size_text(manifest.size)})"
    return f"{manifest.generation}  {manifest.created[:16].replace('T', ' ')}  {holds}{'  shown' if shown else ''}"


def _verified(manifest: "Manifest", troubles: list[str], *, deep: bool, signed: bool) -> int:
    say(troubles[:_SHOWN], sys.stderr)
    if len(troubles) > _SHOWN:
        say([f"and {len(troubles) - _SHOWN} more"], sys.stderr)
    looked = f"{count_text(len(manifest.pages), 'page')} and {count_text(manifest.distributions, 'file')}"
    how = "" if deep else ", files by their size alone (--deep reads them)"
    who = "" if signed else "; the signature was not looked at (--key)"
    if troubles:
        say([f"{manifest.generation}: {count_text(len(troubles), 'fault')} in {looked}."])
        return OWN_FAILURE
    say([f"{manifest.generation}: {looked} are as the manifest says{how}{who}."])
    return 0
