"""What an image of an environment has besides wheels: how it is found and run, and what tells of it. Pure."""

import hashlib
from collections.abc import Sequence

from msgspec import Struct

from tf_tester.core.image.bases import BasePython
from tf_tester.core.image.documents import PLACE, ImageUse
from tf_tester.core.image.sbom import bill_of_materials
from tf_tester.core.image.tar import TarEntry
from tf_tester.core.locks.lockfile import pylock_text
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Lock, Pin

USER = "65532:65532"
"""Numbers, as Kubernetes wants them for `runAsNonRoot`; 65532 is `nonroot` of the distroless images."""
HOME = "home/nonroot"
"""Of that user."""
_TOLD = f"{PLACE}/share/tf-tester"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class EnvironmentTold(Struct, frozen=True):
    """What an image tells of its environment."""

    lock: bytes
    """`pylock.toml`."""
    bill: bytes
    """CycloneDX."""


def told_of(cell: Cell, lock: Lock, *, tool: str) -> EnvironmentTold:
    """Return what tells of an environment; what was built here of a folder is in the bill of materials alone."""
    python = ".".join(lock.python.split(".")[:2])
    pins = [pin for pin in lock.pins if pin.url]
    text = pylock_text(pins, python=python, created_by=tool)
    return EnvironmentTold(text.encode(), bill_of_materials(cell, lock.pins, tool=tool))


def own_files(told: EnvironmentTold, python: BasePython | None) -> list[TarEntry]:
    """Return what lies in the uppermost layer whatever the wheels are.

    `python`: of the base, as a virtual environment names it; None: there is no base.
    """
    found = [TarEntry.text(f"{_TOLD}/pylock.toml", told.lock), TarEntry.text(f"{_TOLD}/sbom.cdx.json", told.bill)]
    if python is None:
        return found
    folder, _, name = python.path.rpartition("/")
    config = f"home = {folder}\ninclude-system-site-packages = false\nversion = {python.label.rstrip('t')}\n"
    number, _, group = USER.partition(":")
    return [
        *found,
        TarEntry.text(f"{PLACE}/pyvenv.cfg", config.encode()),
        TarEntry.symlink(f"{PLACE}/bin/python", python.path),
        *(TarEntry.symlink(f"{PLACE}/bin/{one}", "python") for one in dict.fromkeys(("python3", name))),
        TarEntry.folder(HOME, mode=0o700, owner=(int(number), int(group))),
    ]


def use_of(cell: Cell, lock: Lock, told: EnvironmentTold, *, verdict: str, has_base: bool) -> ImageUse:
    """Return how the image is run, and its labels; these are short: containerd takes none above 4,096 bytes.

    `verdict`: what a run has found of just this lock; empty: none has.
    """
    labels = {
        "org.opencontainers.image.title": cell.package,
        "org.opencontainers.image.version": cell.version,
        "tf-tester.cell": cell.name,
        "tf-tester.python": lock.python,
        "tf-tester.lock": f"/{_TOLD}/pylock.toml {_digest(told.lock)}",
        "tf-tester.sbom": f"/{_TOLD}/sbom.cdx.json {_digest(told.bill)}",
        **({"tf-tester.verdict": verdict} if verdict else {}),
    }
    created = max((pin.upload_time for pin in lock.pins if pin.upload_time is not None), default=None)
    env = {"PATH": f"/{PLACE}/bin:{_SYSTEM_PATH}", "VIRTUAL_ENV": f"/{PLACE}", "HOME": f"/{HOME}", "USER": "nonroot"}
    return ImageUse(
        env=tuple(env.items()) if has_base else (),
        user=USER,
        folder=f"/{HOME}" if has_base else "",
        command=("python",) if has_base else (),
        labels=labels,
        created="" if created is None else f"{created:%Y-%m-%dT%H:%M:%SZ}",
    )


def verdict_of(report: RunReport, cell: Cell, pins: Sequence[Pin]) -> str:
    """Return what a run's cell came to that had just these wheels, besides its test runner's; empty: it had none such.

    The same version with other dependencies is another environment.
    """
    wheels = {pin.sha256 for pin in pins}
    for other in report.cells:
        is_same = (other.package, other.version, other.python) == (cell.package, cell.version, cell.python)
        lock, result = report.locks.get(other.name), report.results.get(other.name)
        if is_same and lock and result and wheels <= {pin.sha256 for pin in lock.pins}:
            return str(result.outcome)
    return ""


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
