"""What the store holds; letting go of what nobody used for long; checking it; carrying it elsewhere."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tf_tester.core.fetch.retention import ItemKind, StoredItem, victims
from tf_tester.core.locks.lockfile import digests_of
from tf_tester.core.select.choose import WORDS, Choice, choose
from tf_tester.errors import ConfigError, UsageError
from tf_tester.given_files import read_given
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.lock import Lock
from tf_tester.ports.store import StoreContents

_HALF_DONE = timedelta(days=7)
"""How long what has arrived of a file is kept for a next attempt."""
_LONGEST = 80
"""Characters of a word that is none which are repeated."""
_PLANS = timedelta(days=30)


class StoreMaintenance(Struct, frozen=True):
    """What these use cases need."""

    contents: Callable[[], StoreContents]
    evict: Callable[[Sequence[StoredItem]], tuple[list[StoredItem], list[StoredItem]]]
    """What went, and what stayed because somebody needs it now."""
    sweep_plans: Callable[[datetime], None]
    locks: Callable[[], Iterable[Lock]]
    """Every lock that is remembered."""
    replicated: Callable[[], frozenset[str]]
    """Digests of what replicas list: it is kept."""
    trouble: Callable[[StoredItem], str]
    """Why a blob or layer is not what it should be; empty where it is. A damaged blob is set aside."""
    check_ledger: Callable[[], str]
    """Read all of the ledger, mend it, and return what was wrong; empty: nothing."""
    lts: tuple[str, ...]
    """Series of the package on which people stay."""
    now: Callable[[], datetime]
    cores: int


class StoredVersion(Struct, frozen=True):
    """One version of one project that the store holds."""

    project: str
    version: str
    files: int
    packed: int
    """Bytes of the files as they came."""
    unpacked: int
    """Bytes of their layers."""
    used: datetime

    @property
    def size(self) -> int:
        return self.packed + self.unpacked


class GcResult(Struct, frozen=True):
    """What a clean-up did, or would do."""

    gone: tuple[StoredItem, ...]
    needed: tuple[StoredItem, ...]
    """What should have gone and stayed, because a running job needs it."""
    left: int
    """Bytes in the store afterwards."""

    @property
    def freed(self) -> int:
        return sum(entry.size for entry in self.gone)


class DamagedItem(Struct, frozen=True):
    """A blob or layer that isn't what it should be."""

    entry: StoredItem
    trouble: str


class StoreCheck(Struct, frozen=True):
    """What a check of the store came to."""

    count: int
    """How many were looked at."""
    damaged: tuple[DamagedItem, ...]
    needed: tuple[StoredItem, ...]
    """What of it should have gone and stayed, because a running job needs it."""
    ledger: str = ""
    """What was wrong with the ledger, which is mended."""


def rows(contents: StoreContents) -> list[StoredVersion]:
    """Return rows by project and version, the last used first."""
    together: dict[tuple[str, str], list[StoredItem]] = {}
    for entry in contents.entries:
        if entry.kind is not ItemKind.PARTIAL:
            together.setdefault((entry.project, entry.version), []).append(entry)
    found = [
        StoredVersion(
            project or "(of unknown name)",
            version,
            len({one.digest for one in entries}),
            sum(one.size for one in entries if one.kind is ItemKind.BLOB),
            sum(one.size for one in entries if one.kind is ItemKind.LAYER),
            max(one.used for one in entries),
        )
        for (project, version), entries in together.items()
    ]
    return sorted(found, key=lambda row: (-row.used.timestamp(), row.project, row.version))


def collect(
    maintenance: StoreMaintenance,
    *,
    most: int | None,
    keep: Sequence[str],
    package: str,
    unused_for: timedelta | None = None,
    dry_run: bool = False,
) -> GcResult:
    """Delete the least recently used until no more than `most` bytes are left (None: of rubbish alone).

    `keep`: versions of `package` as `--versions` takes them, with all that their locks need; or lock files. What a
    running job needs stays, and so does what a replica lists. Raises `UsageError`, `StoreError`.
    """
    contents, now = maintenance.contents(), maintenance.now()
    kept = kept_digests(keep, package, contents.entries, maintenance) | maintenance.replicated()
    rubbish = [entry for entry in contents.entries if entry.kind is ItemKind.PARTIAL and now - entry.used > _HALF_DONE]
    rest = [entry for entry in contents.entries if entry not in rubbish]
    others = contents.runs + contents.kept + contents.others
    before = None if unused_for is None else now - unused_for
    chosen = [*rubbish]
    if most is not None or before is not None:
        chosen += victims(rest, most=1 << 62 if most is None else most, others=others, keep=kept, before=before)
    if dry_run:
        return GcResult(tuple(chosen), (), contents.total - sum(entry.size for entry in chosen))
    gone, needed = maintenance.evict(chosen)
    maintenance.sweep_plans(now - _PLANS)
    return GcResult(tuple(gone), tuple(needed), contents.total - sum(entry.size for entry in gone))


def kept_digests(
    keep: Sequence[str], package: str, entries: Sequence[StoredItem], maintenance: StoreMaintenance
) -> set[str]:
    """Return what is never evicted. Raises `UsageError` for words that mean nothing, and for a lock that is none."""
    found: set[str] = set()
    words = []
    for word in keep:
        if word.endswith(".toml") or "/" in word:
            found |= digests_of(_content(Path(word)), shown=word)
        else:
            words += [part for part in word.split(",") if part.strip()]
    if not words:
        return found
    versions = {version for word in words for version in _held(word.strip(), package, entries, maintenance.lts)}
    found |= {one.digest for one in entries if one.project == package and one.version in versions}
    for lock in maintenance.locks():
        if any(pin.name == package and pin.version in versions for pin in lock.pins):
            found |= {digest for pin in lock.pins for digest in (pin.sha256, pin.built_from) if digest}
    return found


def _content(lock: Path) -> bytes:
    try:
        return read_given(lock)
    except OSError as error:
        raise ConfigError(f"The lock {lock} can't be read: {error.strerror}.") from error


def verify(maintenance: StoreMaintenance, tell: Callable[[DamagedItem], None]) -> StoreCheck:
    """Look at every blob and layer; the damaged ones are taken away, but for layers that a running job needs."""
    ledger = maintenance.check_ledger()
    entries = [entry for entry in maintenance.contents().entries if entry.kind is not ItemKind.PARTIAL]
    damaged: list[DamagedItem] = []
    with ThreadPoolExecutor(maintenance.cores, "verify") as pool:
        try:
            for entry, trouble in zip(entries, pool.map(maintenance.trouble, entries), strict=True):
                if trouble:
                    damaged.append(DamagedItem(entry, trouble))
                    tell(damaged[-1])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _, needed = maintenance.evict([one.entry for one in damaged if one.entry.kind is ItemKind.LAYER])
    return StoreCheck(len(entries), tuple(damaged), tuple(needed), ledger)


def _held(word: str, package: str, entries: Sequence[StoredItem], lts: tuple[str, ...]) -> list[str]:
    """Return the versions in the store that a word of `--versions` means. Raises `UsageError`."""
    held = [one for one in entries if one.project == package and one.filename]
    if word not in WORDS:
        try:
            if word[0] in "<>=!~" or "*" in word:
                wanted = SpecifierSet(word if word[0] in "<>=!~" else f"=={word}")
                return [one.version for one in held if wanted.contains(one.version, prereleases=True)]
            exact = Version(word)
            return [one.version for one in held if Version(one.version) == exact]
        except ValueError:  # `InvalidSpecifier`, `InvalidVersion`, or a number of thousands of digits
            raise UsageError(
                f"--keep {word[:_LONGEST]!r} is neither a version, nor a range, nor a lock file.",
                hint=f"Give versions as --versions takes them, {', '.join(WORDS)}, or the path of a pylock.toml.",
            ) from None
    page = ProjectPage(package, tuple(Artifact(one.filename, package, one.version, "") for one in held))
    if not held:
        return []
    if word == "lts" and not lts:
        raise UsageError(f"Nothing is known about long-supported versions of {package}.", hint="Give versions.")
    spelled = {Version(one.version): one.version for one in held}
    try:
        return [spelled[version] for version in choose(page, Choice(word, pre=True, lts=lts, every_variant=True))]
    except UsageError:
        return []  # none of that kind is here
