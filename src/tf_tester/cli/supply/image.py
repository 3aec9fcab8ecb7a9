"""`tf-tester image`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_tester.cli.common.help import GroupedCommand
from tf_tester.cli.common.options import EPILOG, GivenPath, options
from tf_tester.cli.common.output import say
from tf_tester.cli.common.packages import with_indexes, with_packages
from tf_tester.cli.common.selection import (
    FETCHING,
    HOLDING,
    RESOLVING,
    SELECTING,
    listener,
    selection_of,
    settings_with_locks,
)
from tf_tester.core.outcome.exits import code_of_errors
from tf_tester.core.text.sizes import count_text, size_text
from tf_tester.model.request import Trial

if TYPE_CHECKING:
    from tf_tester.core.config.settings import Settings
    from tf_tester.flow.images.build import BuiltImage, UnbuiltImage
    from tf_tester.flow.images.push import Push

_CONTENT = (*SELECTING, *RESOLVING, *HOLDING, "with", "requirements", "project", "group", *FETCHING, "color")
_locked = click.option(
    "--locked",
    "locks",
    multiple=True,
    type=GivenPath(),
    metavar="PATH",
    help="Take what this lock, or the locks in this folder, have, instead of --versions. Repeatable.",
)


@click.group("image", epilog=EPILOG, short_help="Make images of environments, and bring them to a registry.")
def command() -> None:
    """Make images (OCI) of the environments of versions, without a daemon, and bring them to a registry."""


@command.command("build", cls=GroupedCommand, epilog=EPILOG, short_help="Make an image for each version.")
@options(*_CONTENT)
@_locked
@click.option("-o", "--output", "output", required=True, metavar="oci:FOLDER", help="Where the images go.")
@click.option(
    "--base",
    metavar="ROOTFS|oci:FOLDER[:TAG]",
    help="What they are built on: the folder or the tar of a root file system with Python, or an image. Without it "
    "they have no Python: volumes to be mounted.",
)
@click.option(
    "--compression",
    type=click.Choice(["gzip", "zstd", "none"]),
    default="gzip",
    show_default=True,
    help="Of layers; every runtime takes gzip.",
)
@click.option(
    "--record", type=GivenPath(dir_okay=False), metavar="FILE", help="Label the images with what this run has found."
)
@click.option("--force", is_flag=True, help="Replace images of that name that tf-tester has not made.")
@click.pass_context
def build(
    ctx: click.Context,
    /,
    locks: tuple[Path, ...],
    output: str,
    base: str | None,
    compression: str,
    record: Path | None,
    force: bool,
    **_: Any,
) -> int:
    """Make an image for each version, in a folder (OCI image layout), without a daemon and without root.

    A layer a wheel, with its bytecode: what several versions have is there once. The same lock on the same base makes
    the same bytes. The environment is /opt/env; the user is not root.

    \b
    Examples:
      tf-tester image build --versions 2.8.0,2.12.0 --base ./rootfs -o oci:images
      tf-tester image build --locked locks/ --base oci:debian:bookworm --record run.jsonl -o oci:images
      tf-tester image build --package ai-edge-litert --versions latest --base ./rootfs -o oci:edge
      tf-tester image build --versions 2.12.0 -o oci:volumes
    """
    from tf_tester.core.image.documents import Compression
    from tf_tester.core.image.names import layout_place
    from tf_tester.flow.images.build import BuiltImage, ImageOrder, UnbuiltImage
    from tf_tester.flow.images.build import build as build_images
    from tf_tester.report.record import report_of
    from tf_tester.wiring import TOOL, services
    from tf_tester.wiring.images import PACK, base_at, layout_at

    place = layout_place(output)
    settings = with_indexes(settings_with_locks(ctx.params, locks))
    selection = selection_of(settings, versions="" if locks else None)
    trial = with_packages(Trial(), settings)
    order = ImageOrder(
        layout_at(place, Compression(compression)),
        PACK,
        TOOL,
        base_at(base) if base is not None else None,
        locks,
        report_of(record) if record is not None else None,
        force,
    )
    with (
        listener(settings) as show,
        services(settings, lambda _folder: show, environ=os.environ) as world,
    ):
        made = build_images(selection, trial, world, order)
    built = [one for one in made if isinstance(one, BuiltImage)]
    failed = [one for one in made if isinstance(one, UnbuiltImage)]
    say(_told(built, place.folder, record))
    for failure in failed:
        _complain(failure)
    return code_of_errors(failure.error for failure in failed)


def _told(built: "list[BuiltImage]", folder: str, record: Path | None) -> list[str]:
    lines = []
    for one in built:
        verdict = f"; {one.verdict}" if one.verdict else ""
        if record is not None and not one.verdict:
            verdict = "; the run had no cell with these wheels"
        size = f"{count_text(one.layers, 'layer')}, {size_text(one.size)} ({size_text(one.new_size)} new)"
        lines.append(f"{one.tag}  {one.digest[:19]}  {size}{verdict}")
        lines += [f"  {remark}" for remark in one.remarks]
    lines.append(f"{count_text(len(built), 'image')} in {folder}.")
    return lines


def _complain(failure: "UnbuiltImage") -> None:
    error, cell = failure.error, failure.cell
    lines = [f"{cell.package} {cell.version} py{cell.python}: {error}", error.hint, *error.detail.splitlines()]
    say((text if number == 0 else f"  {text}" for number, text in enumerate(lines) if text), sys.stderr)


@command.command("push", epilog=EPILOG, short_help="Bring images to a registry; what it has isn't sent again.")
@click.argument("images", metavar="oci:FOLDER[:TAG]")
@click.argument("target", metavar="HOST/NAME[:TAG]")
@click.option("--mount-from", "source", metavar="NAME", help="Another name there, whose layers are taken over.")
@click.option(
    "--plain-http/--tls",
    "plain",
    default=None,
    help="Without TLS, or with it.  [default: without on this machine alone]",
)
@click.option("--force", is_flag=True, help="Let a tag that leads to another image there lead to this one.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
def push_(images: str, target: str, source: str | None, plain: bool | None, force: bool, dry_run: bool) -> int:
    """Bring images to a registry: all of a folder, or the one of a tag.

    What the registry has isn't sent again; a registry that wants to be left alone for a while is. The passwords of
    `docker login` and `podman login` are used where they stand in a file, and netrc.

    \b
    Examples:
      tf-tester image push oci:images registry.example/team/tf
      tf-tester image push oci:images:2.8.0 registry.example/team/tf:stable --force
    """
    from tf_tester.core.image.names import layout_place, repository, repository_name
    from tf_tester.flow.images.push import PushOrder, push
    from tf_tester.wiring.images import layout_at, registry_at

    place, there = layout_place(images), repository(target)
    also = repository_name(source) if source is not None else ""
    is_plain = there.is_here if plain is None else plain
    with registry_at(there, os.environ, plain=is_plain, also=also) as registry:
        order = PushOrder(layout_at(place), registry, place.tag, there.tag, also, force, dry_run)
        done = push(order)
    say(_pushed(done, there.text, dry_run=dry_run))
    return 0


def _pushed(done: "Push", where: str, *, dry_run: bool) -> list[str]:
    lines = [f"{one.tag}  {one.digest}{'  (was there)' if one.was_there else ''}" for one in done.images]
    sent = f"{count_text(done.sent, 'blob')} ({size_text(done.sent_size)})"
    mounted = f", {done.mounted} taken over from there" if done.mounted else ""
    had = f"{mounted}; it had {done.there}" if done.there else mounted
    if dry_run:
        return [*lines, f"{where}: {sent} would be sent{had}."]
    return [*lines, f"{where}: {count_text(len(done.images), 'image')}; {sent} sent{had}."]


@command.command("dockerfile", cls=GroupedCommand, epilog=EPILOG, short_help="Print how a builder makes the same.")
@options(*_CONTENT)
@_locked
@click.option("--base", metavar="IMAGE", help="What it begins from.  [default: python:X.Y-slim]")
@click.pass_context
def dockerfile(ctx: click.Context, /, locks: tuple[Path, ...], base: str | None, **_: Any) -> int:
    """Print a Dockerfile by which a builder installs what `image build` would pack, from the mirror that is named.

    \b
    Examples:
      tf-tester image dockerfile --versions 2.12.0 --mirror tuna > Dockerfile
      tf-tester image dockerfile --locked locks/pylock.toml
    """
    from tf_tester.flow.images.dockerfile import recipe
    from tf_tester.wiring import services

    settings = with_indexes(settings_with_locks(ctx.params, locks))
    selection = selection_of(settings, versions="" if locks else None)
    trial = with_packages(Trial(), settings)
    mirror = _mirror_lines(settings)
    with listener(settings) as show, services(settings, lambda _folder: show, environ=os.environ) as world:
        text = recipe(selection, trial, world, locks=locks, base=base, mirror=mirror)
    print(text, end="")
    return 0


def _mirror_lines(settings: "Settings") -> list[str]:
    """Return the lines that set the first mirror with an address for a build; none where none is named."""
    from tf_tester.export.lines import Form, lines_for
    from tf_tester.index.mirror_files import known_mirrors

    for name in settings.mirror:
        mirror = known_mirrors().named(name)
        if mirror is not None and mirror.url.startswith(("https://", "http://")):
            return lines_for(Form.DOCKERFILE, mirror.url, timeout=60, apt=mirror.apt)
    return []
