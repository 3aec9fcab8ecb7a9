"""A lock in the formats of others: pip's hashed requirements, and `pylock.toml` (PEP 751).

Both name the authority's own addresses and hashes, never a mirror's: a lock is to mean the same everywhere.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from tf_tester.model.lock import Pin


class LockFormat(StrEnum):
    REQUIREMENTS = "requirements"
    PYLOCK = "pylock"
    NONE = "none"


def requirements_text(pins: Sequence[Pin], *, header: Sequence[str]) -> str:
    """What `pip install --require-hashes -r` takes.

    >>> pin = Pin("toy", "1.0", "toy-1.0-py3-none-any.whl", "ab12", 5, "https://x/toy")
    >>> print(requirements_text([pin], header=["For it."]))
    # For it.
    toy==1.0 \\
        --hash=sha256:ab12
    <BLANKLINE>
    """
    lines = [f"# {line}" for line in header]
    lines += [f"{pin.name}=={pin.version} \\\n    --hash=sha256:{pin.sha256}" for pin in pins]
    return "\n".join(lines) + "\n"


def pylock_text(pins: Sequence[Pin], *, python: str, created_by: str) -> str:
    """PEP 751; `python`: the Python that it was made for, such as `3.8`.

    What was built here stands in it as the source distribution that it was built from.
    """
    import tomlkit
    from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    def package(pin: Pin) -> Package:
        source = pin.built_from is not None or not pin.filename.endswith(".whl")
        name = pin.url.rpartition("/")[2] if pin.built_from is not None else pin.filename
        file: dict[str, Any] = {
            "name": name,
            "upload_time": pin.upload_time,
            "url": pin.url,
            "size": None if pin.built_from is not None else pin.size,
            "hashes": {"sha256": pin.built_from or pin.sha256},
        }
        return Package(
            name=canonicalize_name(pin.name),
            version=Version(pin.version),
            sdist=PackageSdist(**file) if source else None,
            wheels=None if source else [PackageWheel(**file)],
        )

    lock = Pylock(
        lock_version=Version("1.0"),
        requires_python=SpecifierSet(f"=={python}.*"),
        created_by=created_by,
        packages=[package(pin) for pin in pins],
    )
    return tomlkit.dumps(lock.to_dict())
