"""The recipe by which others' builders make what is the same to whoever runs it. Pure."""

from collections.abc import Sequence

from tf_tester.core.image.documents import PLACE
from tf_tester.core.image.environment import HOME, USER
from tf_tester.core.locks.lockfile import requirements_text
from tf_tester.errors import UsageError
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Lock

_END = "END_OF_LOCK"


def dockerfile(cell: Cell, lock: Lock, *, base: str, mirror: Sequence[str], tool: str) -> str:
    """Return a Dockerfile that needs no other file. `mirror`: lines that set one for the build.

    Raises `UsageError` where something of the lock is to be had on this machine alone.
    """
    local = [pin.name for pin in lock.pins if not pin.url or pin.url.startswith("file:")]
    if local:
        raise UsageError(
            f"{', '.join(local)} is on this machine alone, where no builder finds it.",
            hint="Leave it out, or make the image here with `tf-tester image build`.",
        )
    header = (f"{cell.package} {cell.version} for Python {cell.python}, {cell.resolution}; made by {tool}.",)
    head = f"# {header[0]} Builders: BuildKit (Docker 23 or newer), Buildah 1.33."
    number, _, group = USER.partition(":")
    lines = [
        head,
        f"FROM {base}",
        *mirror,
        f"COPY <<'{_END}' /{PLACE}/requirements.txt",
        *requirements_text(lock.pins, header=header, sources=True).splitlines(),
        _END,
        f"RUN python -m venv --without-pip /{PLACE} \\",
        f"    && pip --python /{PLACE}/bin/python install --no-cache-dir --no-deps{_hashes(lock)} \\",
        f"        -r /{PLACE}/requirements.txt \\",
        f"    && mkdir -m 700 -p /{HOME} && chown {USER} /{HOME}",
        f"ENV PATH=/{PLACE}/bin:$PATH VIRTUAL_ENV=/{PLACE} HOME=/{HOME}",
        f"WORKDIR /{HOME}",
        f"USER {number}:{group}",
        'CMD ["python"]',
    ]
    return "\n".join(lines) + "\n"


def base_for(python: str) -> str:
    """Return the usual image with a Python.

    >>> base_for("3.10"), base_for("3.13t")
    ('python:3.10-slim', 'python:3.13-slim')
    """
    return f"python:{python.rstrip('td')}-slim"


def _hashes(lock: Lock) -> str:
    """Return the flag by which pip takes nothing without its hash; what is in git has none."""
    return "" if any(pin.url.startswith("git+") for pin in lock.pins) else " --require-hashes"
