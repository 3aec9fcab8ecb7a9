"""The command line: words in, words out. A command's module is imported when the command is used."""

import errno
import gc
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from tf_tester import __version__
from tf_tester.cli.common.help import CommandGroup
from tf_tester.errors import TfTesterError, exit_code_of

_SECTIONS = {
    # name: module, what it does (here, so that --help imports no command)
    "Test, and find out why": {
        "test": ("tf_tester.cli.run.test", "Run tests against many versions of a package."),
        "bisect": ("tf_tester.cli.explain.bisect", "Find the version with which a test begins to fail."),
        "blame": ("tf_tester.cli.explain.blame", "Find the dependencies that make a test fail."),
        "diff": ("tf_tester.cli.explain.diff", "Tell what differs between two versions, or two records."),
    },
    "Save under one version, load under another": {
        "grid": ("tf_tester.cli.run.grid", "Load under each version what each version has saved."),
        "helper": ("tf_tester.cli.run.helper", "Write the module by which tests mark what saves and loads."),
    },
    "Tell others": {
        "show": ("tf_tester.cli.explain.show", "Print a run again, or any part of it."),
        "report": (
            "tf_tester.cli.explain.report",
            "Write what a run came to, for CI systems and for other people.",
        ),
        "supports": (
            "tf_tester.cli.explain.supports",
            "Tell from a record which versions work, as a range for pyproject.toml.",
        ),
    },
    "In CI": {
        "ci-matrix": ("tf_tester.cli.run.ci_matrix", "Pack the cells of a matrix into the jobs of a CI system."),
        "merge": (
            "tf_tester.cli.explain.merge",
            "Make one record of those of several jobs, and tell which are missing.",
        ),
        "gitlab": (
            "tf_tester.cli.explain.gitlab",
            "Comment in a merge request, and bring the default branch's record.",
        ),
    },
    "Versions and their files": {
        "versions": ("tf_tester.cli.supply.versions", "List what exists: versions, dates, Pythons, sizes."),
        "download": ("tf_tester.cli.supply.download", "Bring the wheels of many versions into a folder."),
        "lock": (
            "tf_tester.cli.supply.lock",
            "Write the exact distributions of each version to files, or check such files.",
        ),
        "image": (
            "tf_tester.cli.supply.image",
            "Make images of environments without a daemon, and bring them to a registry.",
        ),
        "shell": ("tf_tester.cli.run.shell", "Open a shell in the environment of one version."),
    },
    "Mirrors, and an index of your own": {
        "mirrors": ("tf_tester.cli.supply.mirrors", "See and examine mirrors."),
        "serve": ("tf_tester.cli.host.serve", "Serve the store, and what is behind it, as an index."),
        "sync": ("tf_tester.cli.supply.sync", "Fill a replica of chosen projects, and keep it as its upstream is."),
        "publish": ("tf_tester.cli.supply.publish", "Write a replica as files, for a web server or a CDN."),
        "private": ("tf_tester.cli.host.private", "Yank, remove and restore what was uploaded to a server."),
        "token": ("tf_tester.cli.host.token", "Make and revoke tokens for a server that not everybody may use."),
    },
    "This machine": {
        "doctor": ("tf_tester.cli.host.doctor", "See what works on this machine, and what to do about the rest."),
        "cache": ("tf_tester.cli.host.cache", "See, limit, check and carry the store."),
        "config": ("tf_tester.cli.host.config", "Show every setting and where it comes from."),
    },
}
COMMANDS = {name: told for commands in _SECTIONS.values() for name, told in commands.items()}

GARBAGE = 100_000
"""Objects that may be made before garbage is looked for: imports make many and leave none (a tenth of a start)."""


class _PastClick(Exception):
    """Carries an error past click."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _past_click() -> Iterator[None]:
    """Keep from click what it would end by rules of its own: the one as Ctrl-C, the other as a test that fails."""
    try:
        yield
    except (EOFError, BrokenPipeError) as error:
        raise _PastClick(error) from error


def _refuse_other_bytes(word: str) -> None:
    """Raise `UsageError` for what isn't UTF-8 and no file either: it can't be printed, sent or kept."""
    try:
        word.encode()
    except UnicodeEncodeError:
        if not any(os.path.lexists(part) for part in (word, word.partition("=")[2])):
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")[:_LONGEST_NAME]
            raise click.UsageError(f"{shown} is not text in UTF-8, and no file is called so.") from None


_WRONG_INPUT = 2
_LONGEST_NAME = 60
"""Characters of one that are repeated."""


class _Lazy(CommandGroup):
    """A group whose commands are imported one by one."""

    def make_context(self, *words: Any, **options: Any) -> click.Context:
        with _past_click():
            return super().make_context(*words, **options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for word in args:
            _refuse_other_bytes(word)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _past_click():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, COMMANDS))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, (_, text) in commands.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes, the first that is so: 130 interrupted · 2 usage · 1 a test failed · 4 the network, the disk or "
    "tf-tester failed · 3 not all could run · 0 all passed.",
)
@click.version_option(__version__, prog_name="tf-tester")
def main() -> None:
    """Which versions of a framework does this code work with, what breaks where, and why?"""


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run a command, and end the process with its exit code: the console script."""
    gc.set_threshold(GARBAGE)
    _open_streams()
    code = _flushed(_exit_code(arguments))
    gc.freeze()  # all of it goes now: looking through it for garbage first would take a tenth of a second
    sys.exit(code)


def _open_streams() -> None:
    """Have the three standard streams where the caller has closed one (`>&-`): else the next file takes its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it is a descriptor
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _flushed(code: int) -> int:
    """Write what is left in buffers while a failure of that can still be told; return the exit code."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        return _ended_by(error)
    return code


def _exit_code(arguments: list[str] | None) -> int:
    # A cancelled job and a closed terminal end a run as Ctrl-C does: nothing goes on behind anybody's back.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        code: Any = main.main(args=arguments, prog_name="tf-tester", standalone_mode=False)
    except click.exceptions.Exit as left:
        return left.exit_code
    except click.Abort:
        return _ended_by(KeyboardInterrupt())
    except click.ClickException as error:
        error.show()
        return 2
    except _PastClick as past:
        return _ended_by(past.error)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where our own mistakes end
        return _ended_by(error)
    return code if isinstance(code, int) else 0


def _ended_by(error: BaseException) -> int:
    """Say what has ended the process, and return its exit code."""
    code = exit_code_of(error)
    match error:
        case TfTesterError():
            return _say(f"error: {error}", error.hint, error.detail, code=code)
        case KeyboardInterrupt():
            return _say("interrupted", code=code)
        case BrokenPipeError():
            # Whoever read our output has gone (`| head`): nothing is left to be said to anybody.
            _discard_output(1, 2)
            return code
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            _discard_output(1)
            place = f" ({error.filename})" if error.filename else ""
            return _say(
                f"error: there is no space left on the disk{place}.",
                "Free some, and repeat the command: what was fetched is kept.",
                code=code,
            )
        case OSError(errno=errno.ENAMETOOLONG):
            start = str(error.filename)[:_LONGEST_NAME]
            return _say(
                f"error: a name is longer than this system takes: {start}…", "Give another one.", code=_WRONG_INPUT
            )
        case FileNotFoundError() if _is_nowhere():
            return _say("error: the working folder is gone.", "Change to one that there is.", code=_WRONG_INPUT)
        case _:
            return _own_mistake(error, code)


def _is_nowhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - the question is whether the system can tell
    except OSError:
        return True
    return False


def _discard_output(*descriptors: int) -> None:
    """Write nothing any more: what is left in a buffer would fail once more when Python ends, and change the code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)


def _say(message: str, hint: str = "", detail: str = "", *, code: int) -> int:
    from tf_tester.core.text.printable import printable

    lines = [f"tf-tester: {message}", hint, *detail.splitlines()]
    for line in lines:
        if line:
            print(printable(line), file=sys.stderr)
    return code


def _own_mistake(error: BaseException, code: int) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="tf-tester-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    return _say(
        f"error: something went wrong inside tf-tester ({type(error).__name__}: {error}).",
        f"This is a mistake of ours; please report it with {file.name}.",
        code=code,
    )
