"""Pack what versions need into one file."""

from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct
from packaging.utils import canonicalize_name

from tf_tester.core.select.choose import Choice, choose
from tf_tester.core.wheel.requirements import requirements_of
from tf_tester.core.wheel.wheel_rules import same_version
from tf_tester.errors import DownloadFailed, StoreError, TfTesterError, UsageError, WrongBytes
from tf_tester.flow.prepare.services import Packages
from tf_tester.flow.prepare.wheel_folder import sweep
from tf_tester.model.lock import Lock, Pin
from tf_tester.ports.memory import Needed
from tf_tester.ports.store import Blobs

_SMALL = 20_000_000
"""Bytes below which a test runner goes into every bundle."""


class BundleSource(Struct, frozen=True):
    """What is packed from."""

    locks: Callable[[], Iterable[tuple[str, Lock]]]
    """Every lock that is remembered, by its key."""
    blobs: Callable[[], dict[str, Path]]
    """Every file, by digest."""
    write: Callable[[Path, Iterable[tuple[str, Path]], Needed | None, str], tuple[int, int]]
    """Into a file: blobs, the answers that are needed (None: all), the tool; bytes, and how many answers."""


class PackedBundle(Struct, frozen=True):
    """What was packed into one file."""

    files: int
    answers: int
    size: int
    """Bytes of the bundle."""


def pack(
    file: Path,
    packages: Packages,
    blobs: Blobs,
    packer: BundleSource,
    *,
    wanted: tuple[str, str | None],
    fetch: bool,
    tool: str,
) -> PackedBundle:
    """Pack everything, or what versions of a package need as far as they were ever resolved here.

    `wanted`: the package, and its versions as `--versions` has them; None: everything. `fetch`: what is needed and
    isn't here any more is brought. What merely has the package among what it needs is left out. Raises `UsageError`
    where they were not, `DownloadFailed` where a file that is wanted is not here any more and can't be fetched,
    `OurFailure`.
    """
    package, versions = wanted
    if versions is None:
        return _written(file, packer.blobs, None, blobs, packer, tool)
    name = str(canonicalize_name(package))
    page = packages.index.page(name)
    chosen_versions = [str(one) for one in choose(page, Choice(versions, lts=packages.framework.lts))]
    locks = [
        (key, lock)
        for key, lock in packer.locks()
        if any(pin.name == name and any(same_version(pin.version, one) for one in chosen_versions) for pin in lock.pins)
        and not _is_needed(name, lock, packages)
    ]
    found = {pin.version for _, lock in locks for pin in lock.pins if pin.name == name}
    missing = [one for one in chosen_versions if not any(same_version(one, version) for version in found)]
    if missing:
        raise UsageError(
            f"What {name} {', '.join(missing)} needs was never resolved here.",
            hint="Test it once, or run `tf-tester download --with-deps`.",
        )
    # The test runner has locks of its own, which name no package: all of them go along, they are small.
    tools = [(key, lock) for key, lock in packer.locks() if not any(pin.name == name for pin in lock.pins)]
    runners = [(key, lock) for key, lock in tools if sum(pin.size or 0 for pin in lock.pins) < _SMALL]
    pins = {pin.sha256: pin for _, lock in (*locks, *runners) for pin in lock.pins}
    own = {pin.sha256 for _, lock in locks for pin in lock.pins}
    needed = Needed(
        locks=frozenset(key for key, _ in (*locks, *runners)),
        digests=frozenset(pins),
        projects=frozenset(pin.name for pin in pins.values()),
    )

    def chosen() -> dict[str, Path]:
        found = ((digest, _blob(pin, packages, blobs, must=digest in own, fetch=fetch)) for digest, pin in pins.items())
        return {digest: path for digest, path in found if path is not None}

    return _written(file, chosen, needed, blobs, packer, tool)


def _written(
    file: Path,
    choose_files: Callable[[], dict[str, Path]],
    needed: Needed | None,
    blobs: Blobs,
    packer: BundleSource,
    tool: str,
) -> PackedBundle:
    """Write what is chosen. What turns out to be damaged is set aside and brought anew, or what is told instead."""
    sweep(file.parent, file.name)
    chosen = choose_files()
    damaged: set[str] = set()
    while True:
        try:
            size, answers = packer.write(file, chosen.items(), needed, tool)
            return PackedBundle(len(chosen), answers, size)
        except WrongBytes as error:
            blobs.is_sound(error.detail)  # sets it aside, and tells
            found = choose_files()
            if error.detail in damaged or error.detail not in found:
                raise StoreError(
                    str(error),
                    hint="It was set aside: repeat this for what is left, or with --versions and --fetch for all.",
                ) from error
            damaged.add(error.detail)
            chosen = found


def _is_needed(name: str, lock: Lock, packages: Packages) -> bool:
    """Tell whether something else in a lock requires a package: then it was made for that."""
    for pin in lock.pins:
        if pin.name == name:
            continue
        try:
            required = requirements_of(packages.metadata(pin.artifact))
        except TfTesterError:
            continue  # it is not known, and nobody is asked
        if any(canonicalize_name(one.name) == name for one in required if "extra" not in str(one.marker or "")):
            return True
    return False


def _blob(pin: Pin, packages: Packages, blobs: Blobs, *, must: bool, fetch: bool) -> Path | None:
    path = blobs.find(pin.sha256)
    if path is not None:
        return path
    if not pin.url or pin.built_from:
        if must:
            raise DownloadFailed(
                f"{pin.filename} was built here and is no longer in the store.", hint="Test that version once more."
            )
        return None
    if not must:
        return None
    if not fetch:
        raise DownloadFailed(
            f"{pin.filename} is here only unpacked, or not any more.", hint="Add --fetch, which brings what is missing."
        )
    return packages.fetcher.fetch(pin.artifact)
