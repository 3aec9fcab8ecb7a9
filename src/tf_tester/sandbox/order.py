"""What both sandboxes tell the launcher, and how it is started."""

import marshal
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import tf_tester
from tf_tester.errors import IsolationUnavailable
from tf_tester.model.host.limits import Limits
from tf_tester.ports.execute import Command, Starter, Streams

_START = "import sys; sys.path.append(sys.argv.pop(1)); from tf_tester.sandbox.launcher import main; main()"
"""Behind the standard library, so that nothing beside us stands for a part of it."""
SYSTEM = (
    # Programs and libraries; of /etc only what a program needs to find them and to name things.
    "/usr", "/etc/alternatives", "/etc/ca-certificates", "/etc/fonts", "/etc/group", "/etc/hosts", "/etc/ld.so.cache",
    "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf", "/etc/passwd",
    "/etc/protocols", "/etc/services", "/etc/timezone", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/sys/devices/system/cpu", "/sys/devices/system/node",
)  # fmt: skip
NETWORK = ("/etc/resolv.conf",)
ZONE = "/etc/localtime"
"""Mostly a link into /usr, whose end is the name of the zone: that is looked for, too."""
MERGED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
"""Links into /usr on most systems, folders of their own on the others."""
AS_ROOT = ", root"
"""Behind the category of a sandbox: no mode of a file keeps root from reading it."""
_GPUS = ("nvidia*", "dri", "kfd", "dxg")
"""Devices of NVIDIA, of Mesa and Intel, of AMD, and of Windows' Linux."""


def gpu_devices() -> list[str]:
    return [str(device) for name in _GPUS for device in sorted(Path("/dev").glob(name))]


FOLDER = str(Path(tf_tester.__file__).parents[1])
"""From which the launcher imports itself."""


def start(ahead: Mapping[str, object], order: Mapping[str, object], file: Path) -> Command:
    """Return the command that carries out an order, which is kept in a new file until it has been read.

    `ahead`: the part of it that is the same for all programs of a sandbox.
    """
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        marshal.dump({**ahead, **order, "caller": os.getpid()}, stream)
    argv = (sys.executable, "-I", "-S", "-c", _START, FOLDER, str(file))
    return Command(argv, {"PATH": os.defpath}, file.parent, supervised=True, ahead=in_short(ahead))


def in_short(ahead: Mapping[str, object]) -> bytes:
    """Return the same bytes for the same things."""
    return marshal.dumps(dict(ahead), 2)  # later formats depend on who else holds the things


def order_of(command: Command) -> str:
    """Return the file of a command that `start` made."""
    return command.argv[-1]


def program(command: Command, limits: Limits, *, processes: int | None) -> dict[str, object]:
    """Return the part of an order that says what runs."""
    wanted = {"RLIMIT_NOFILE": limits.open_files, "RLIMIT_FSIZE": limits.file_size, "RLIMIT_NPROC": processes}
    return {
        "argv": list(command.argv),
        "env": dict(command.env),
        "cwd": str(command.cwd),
        "umask": command.umask,
        "limits": {"RLIMIT_CORE": 0} | {name: value for name, value in wanted.items() if value is not None},
    }


def try_out(command: Command, starter: Starter) -> None:
    """Run a command that should end well. Raises `IsolationUnavailable` with the system's reason."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8", errors="replace") as stream:
        try:
            launched = starter.start(command, (), Streams(writing, writing))
        except OSError as error:
            raise IsolationUnavailable(
                f"Tests can't be sandboxed here: {error.strerror or error}.", hint="Use --isolation none."
            ) from error
        finally:
            os.close(writing)
        said = stream.read().strip().splitlines()
    end = launched.reap()
    if end.status != 0:
        reason = end.sandbox_error or end.spawn_error or (said[-1] if said else f"status {end.status}")
        raise IsolationUnavailable(
            f"Tests can't be sandboxed here: {reason}.",
            hint="`tf-tester doctor` shows what this system allows; --isolation none runs tests without.",
        )
