"""What this machine lets us do, found out by doing it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tf_tester.errors import OurFailure
from tf_tester.model.host.abilities import Ability, StoreFacts

_TIMEOUT_S = 30.0
_PROBE = ".tf-tester-probe-"
"""How begins the name of what is made to try something; the process's number and chance follow."""


def abilities(store: Path) -> list[Ability]:
    """Find out what a sandbox could be made of here; none on systems other than Linux.

    Overlays are tried with lower folders on the store's file system, where layers will be, as far as anything
    can be written there. Raises `OurFailure` where the attempt itself fails.
    """
    if sys.platform != "linux":
        return []
    with _scratch(store) as scratch:
        said = _run([sys.executable, "-I", "-S", str(Path(__file__).with_name("probe_child.py"))], Path(scratch))
    try:
        return [Ability(**entry) for entry in json.loads(said)]
    except (ValueError, TypeError) as error:
        raise OurFailure(f"the sandbox's probe gave no answer: {said[:200]!r}") from error


_NETWORK = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "9p",
        "afs",
        "glusterfs",
        "orangefs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.cephfs",
        "fuse.s3fs",
        "ocfs2",
        "gfs2",
        "wekafs",
    )
)
"""File systems that several machines use at once, as Linux calls them."""


def store_facts(folder: Path) -> StoreFacts:
    """Find out what the store's folder can do; where it isn't there yet, what the nearest folder above it can."""
    folder = folder.absolute()
    exists = folder.is_dir()
    place = _nearest(folder)
    try:
        free = shutil.disk_usage(place).free
        hard_links = _tries_hard_link(place)
    except OSError as error:
        return StoreFacts(folder, exists, problem=f"{place}: {error.strerror}")
    return StoreFacts(folder, exists, free=free, file_system=file_system_of(place, _mounts()), hard_links=hard_links)


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that a folder lies on, from the kernel's list of mounts; empty if unknown.

    >>> line = "36 35 98:0 / /mnt/a\\\\040b rw,noatime - ext4 /dev/sda rw"
    >>> file_system_of(Path("/mnt/a b/c"), line)
    'ext4'
    """
    real = os.path.realpath(folder)
    best, kind = -1, ""
    for line in mounts.splitlines():
        mounted, _, source = line.partition(" - ")
        fields = mounted.split(" ")
        if len(fields) < 5 or not source:
            continue
        point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # of two mounts on one place the later one is seen
            best, kind = len(point), source.split(" ")[0]
    return kind


def is_network_file_system(folder: Path) -> bool:
    """Tell whether other machines may see the same folder; False where that can't be known."""
    return file_system_of(_nearest(folder.absolute()), _mounts()) in _NETWORK


def uv_version(uv: Path) -> str:
    """Return uv's own version, such as `0.9.2`. Raises `OurFailure`."""
    words = _run([str(uv), "--version"], None).split()
    if len(words) < 2 or words[0] != "uv":
        raise OurFailure(f"{uv} is not uv", hint="Reinstall it with `pip install --force-reinstall uv`.")
    return words[1]


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest thing above it that is there."""
    folder = folder.absolute()
    return next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))


def _scratch(store: Path) -> "tempfile.TemporaryDirectory[str]":
    """Return a new folder on the store's disk; where there is no store yet, in the nearest folder above it."""
    place = _nearest(store)
    _sweep(place)
    try:
        return tempfile.TemporaryDirectory(prefix=f"{_PROBE}{os.getpid()}-", dir=place)
    except OSError:
        return tempfile.TemporaryDirectory(prefix="tf-tester-probe-")


def _sweep(place: Path) -> None:
    """Remove what processes left there that were killed while they tried something."""
    from tf_tester.execute.strays import alive

    for left in place.glob(f"{_PROBE}*-*"):
        process = left.name.removeprefix(_PROBE).partition("-")[0]
        if process.isdecimal() and not alive(int(process)):
            with suppress(OSError):
                left.unlink() if left.is_symlink() or left.is_file() else shutil.rmtree(left)


def _tries_hard_link(place: Path) -> bool:
    """Tell whether one can be made there. Raises `OSError` where nothing can be written."""
    _sweep(place)
    first = place / f"{_PROBE}{os.getpid()}-{os.urandom(4).hex()}"
    second = first.with_name(first.name + "-link")
    first.touch(exist_ok=False)
    try:
        os.link(first, second)
        return first.stat().st_nlink == 2
    except OSError:
        return False
    finally:
        for file in (first, second):
            with suppress(OSError):
                file.unlink()


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _run(argv: list[str], cwd: Path | None) -> str:
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise OurFailure(f"{argv[0]} does not start: {error.strerror}") from error
        try:
            code = process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise OurFailure(f"{argv[0]} did not answer within {_TIMEOUT_S:g} s") from error
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
            process.wait()
        output.seek(0)
        said = output.read(100_000).decode(errors="replace")
    if code != 0:
        raise OurFailure(f"{argv[0]} ended with status {code}", detail=said)
    return said
