"""`tf-tester mirrors use`, `reset` and `show`: mirrors in the configuration of other tools, for good."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tf_tester.core.text.printable import printable
from tf_tester.errors import UsageError

if TYPE_CHECKING:
    from tf_tester.export.configure import FileChange
    from tf_tester.export.places import ConfigContext, ConfigScope, Tool
    from tf_tester.export.undo import UndoFolder

Function = TypeVar("Function", bound=Callable[..., Any])

_TOOLS = ("pip", "uv", "pdm", "poetry", "conda")
_SCOPES = ("user", "project", "global")
_FORMS = ("dockerfile", "github", "gitlab", "env")
_scope = click.option(
    "--scope", type=click.Choice(_SCOPES), default="user", show_default=True, help="For whom it is set."
)


def _for(default: str) -> Callable[[Function], Function]:
    return click.option(
        "--for",
        "names",
        multiple=True,
        metavar="TOOL",
        help=f"pip, uv, pdm, poetry or conda. Repeatable.  [default: {default}]",
    )


@click.command("use", short_help="Set a mirror for pip, uv and others, for good.")
@click.argument("mirror", metavar="NAME|URL")
@_scope
@_for("pip,uv")
@click.option(
    "--timeout", type=click.IntRange(1, 86_400), default=60, show_default=True, help="Seconds, where they go."
)
@click.option("--trusted-host", is_flag=True, help="Let pip take anything from that host, TLS or not.")
@click.option("--print", "form", type=click.Choice(_FORMS), help="Print lines for another place, and change nothing.")
def use(mirror: str, scope: str, names: tuple[str, ...], timeout: int, trusted_host: bool, form: str | None) -> int:
    """Set a mirror in the configuration of pip, uv and others, for good.

    Everything else in their files stays as it is, comments too; `tf-tester mirrors reset` puts back what was there.

    \b
    Examples:
      tf-tester mirrors use tuna
      tf-tester mirrors use aliyun --for pip,uv,pdm --scope project
      tf-tester mirrors use tuna --print dockerfile
    """
    from tf_tester.export import configure, lines
    from tf_tester.index.mirror_files import known_mirrors

    chosen = known_mirrors().named(mirror)
    if chosen is None:
        raise UsageError("none is not a mirror.", hint="`tf-tester mirrors reset` puts back what was there.")
    if not chosen.url.startswith(("https://", "http://")):
        raise UsageError(
            f"{mirror} is not an address that pip and uv take for good.", hint="Give one that begins with https://."
        )
    if form is not None:
        print("\n".join(lines.lines_for(lines.Form(form), chosen.url, timeout=timeout, apt=chosen.apt)))
        return 0
    wanted = configure.WantedIndex(chosen.url, timeout, trusted_host, chosen.conda)
    around, undo = _here()
    _report(configure.use(_tools(names, "pip,uv"), _scope_of(scope), wanted, around, undo))
    return 0


@click.command("reset", short_help="Put back what `use` has changed.")
@_scope
@_for("all")
def reset(scope: str, names: tuple[str, ...]) -> int:
    """Put back what the files of other tools were before `tf-tester mirrors use`.

    A file that nobody has touched since comes back byte for byte; in others only our own values are put back.
    """
    from tf_tester.export import configure

    around, undo = _here()
    changes = configure.reset(_tools(names, ",".join(_TOOLS)), _scope_of(scope), around, undo)
    if not changes:
        print(f"Nothing was changed by `tf-tester mirrors use` in the scope {scope}.")
    _report(changes)
    return 0


@click.command("show", short_help="See what mirrors pip, uv and others are set to.")
def show() -> int:
    """Show the indexes that other tools are set to, the strongest first.

    A variable overrules files, a project its user, a user the whole machine.
    """
    from tf_tester.export import configure

    found = configure.show(*_here())
    if not found:
        print("No index is set for pip, uv, PDM, Poetry or conda: they use their own defaults.")
    width = max((len(f"{one.tool} {one.scope}") for one in found), default=0)
    for one in found:
        words = [f"{f'{one.tool} {one.scope}':{width}}", one.url]
        words += [str(one.file)] if one.file else []
        words += ["(set by tf-tester)"] if one.ours else []
        words += ["overruled"] if one.overruled else []
        words += ["asked besides"] if one.further else []
        print(printable("  ".join(words)))
    return 0


def _here() -> "tuple[ConfigContext, UndoFolder]":
    import platformdirs

    from tf_tester.export.places import ConfigContext
    from tf_tester.export.undo import UndoFolder

    undo = platformdirs.user_state_path("tf-tester", appauthor=False) / "undo"
    return ConfigContext(os.environ, Path.cwd()), UndoFolder(undo)


def _tools(names: tuple[str, ...], default: str) -> "list[Tool]":
    from tf_tester.export.places import Tool

    words = [word.strip().lower() for name in names or (default,) for word in name.split(",") if word.strip()]
    for word in words:
        if word not in _TOOLS:
            raise UsageError(f"--for {word} is not a tool that is known here.", hint=f"Known are {', '.join(_TOOLS)}.")
    return [Tool(word) for word in dict.fromkeys(words)]


def _scope_of(name: str) -> "ConfigScope":
    from tf_tester.export.places import ConfigScope

    return ConfigScope(name)


def _report(changes: "Sequence[FileChange]") -> None:
    for change in changes:
        print(printable(f"{change.tool}: {change.told}  ({change.file})"))
        for remark in change.remarks:
            print(printable(f"  {remark}"))
