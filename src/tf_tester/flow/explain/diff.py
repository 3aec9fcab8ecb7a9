"""What one version of a package has otherwise than another: dependencies, metadata, scripts, sizes, public names."""

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from email.parser import HeaderParser

from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.core.index.era import release_date
from tf_tester.core.text.sizes import count_text
from tf_tester.core.verdict.drift import changes
from tf_tester.core.verdict.version_diff import ComparedFact, VersionDiff, VersionSide
from tf_tester.core.wheel.api_changes import compare
from tf_tester.core.wheel.surface import ModuleSource, Surface, read_surface
from tf_tester.core.wheel.wheel_rules import BROKEN_ARCHIVE, same_version
from tf_tester.errors import BadWheel, InstallFailed, NoPython, NoWheel, TfTesterError, UsageError
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.prepare import Preparation, Preparer
from tf_tester.flow.prepare.select import select_cells
from tf_tester.flow.prepare.services import Services
from tf_tester.model.cell import PlannedCell
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import Outcome
from tf_tester.model.request import Selection, Trial

_LARGEST_SOURCE, _MOST_SOURCE = 8 << 20, 1 << 30
"""Bytes of one module, and of all; what is larger is not read."""
_RULES = 1
"""Part of the key of what was read of a package: raise it when the same wheel must be read anew."""


def diff(selection: Selection, trial: Trial, services: Services, names: tuple[str, str], *, api: bool) -> VersionDiff:
    """Compare two versions. `names`: versions, each with `@era`, `@latest` or `@lowest` if it isn't the selection's.

    Raises `UsageError`, `IndexUnreachable`, what fails when a lock is made or a wheel is brought.
    """
    with interruptible(2, "diff", services.run.stop) as pool:
        cells = [_planned(name, selection, services) for name in names]
        locks = list(pool.map(lambda cell: _locked(cell, selection, trial, services, pool), cells))
    pins = [_own(lock, selection.package) for lock in locks]
    metadata = [_metadata(pin, services) for pin in pins]
    remarks: list[str] = []
    if cells[0].cell.python != cells[1].cell.python:
        remarks.append(
            f"the two are for different Pythons ({cells[0].cell.python} and {cells[1].cell.python}): some dependencies "
            "differ for that alone; --python makes it one"
        )
    surfaces: list[Surface] = []
    if api:
        surfaces = [_surface(lock, pin, services) for lock, pin in zip(locks, pins, strict=True)]
    sides = [
        _side(name, cell, lock, pin, services) for name, cell, lock, pin in zip(names, cells, locks, pins, strict=True)
    ]
    return VersionDiff(
        selection.package,
        (sides[0], sides[1]),
        tuple(change for change in changes(*locks) if change.name != selection.package),
        _requirements(*metadata),
        _fields(*metadata),
        _licences(locks, selection.package, services),
        _scripts(pins, services),
        compare(*surfaces) if surfaces else None,
        tuple(remarks),
    )


def _planned(name: str, selection: Selection, services: Services) -> PlannedCell:
    version, _, how = name.partition("@")
    words = [str(one) for one in Resolution if one is not Resolution.LOCK]
    if how and how not in words:
        raise UsageError(f"{name!r}: {how!r} is not a way to choose dependencies.", hint=f"Give {', '.join(words)}.")
    chosen = replace(
        selection,
        versions=version,
        last=None,
        resolution=Resolution(how) if how else selection.resolution,
    )
    cells = select_cells(chosen, services, installed_only=False).cells
    if len(cells) != 1:
        raise UsageError(
            f"{name!r} means {count_text(len(cells), 'cell', none='no')}; diff compares two single ones.",
            hint="Give one version, and one --python.",
        )
    [planned] = cells
    if planned.interpreter is None:
        assert planned.refusal is not None
        kind = NoWheel if planned.refusal.outcome is Outcome.NO_WHEEL else NoPython
        raise kind(planned.refusal.summary, hint=planned.refusal.hint)
    return planned


def _locked(
    planned: PlannedCell, selection: Selection, trial: Trial, services: Services, pool: ThreadPoolExecutor
) -> Lock:
    assert planned.interpreter is not None
    page = services.packages.index.page(selection.package)
    preparer = Preparer(selection, trial, page, services, pool)
    return preparer.locked(Preparation(planned, planned.interpreter))[0]


def _own(lock: Lock, package: str) -> Pin:
    return next(pin for pin in lock.pins if canonicalize_name(pin.name) == package)


def _side(name: str, planned: PlannedCell, lock: Lock, pin: Pin, services: Services) -> VersionSide:
    page = services.packages.index.page(planned.cell.package)
    released = release_date(one for one in page.artifacts if same_version(one.version, pin.version))
    sizes = [one.size for one in lock.pins]
    return VersionSide(
        name,
        pin.version,
        planned.cell.python,
        str(planned.cell.resolution),
        released.date().isoformat() if released else "",
        pin.filename,
        pin.size,
        None if None in sizes else sum(one or 0 for one in sizes),
    )


# -- metadata


def _metadata(pin: Pin, services: Services) -> dict[str, list[str]]:
    """Return fields of METADATA by lower-case name; none where it can't be read."""
    try:
        text = services.packages.metadata(pin.artifact).decode("utf-8", "replace")
    except BadWheel:
        return {}
    found: dict[str, list[str]] = {}
    for name, value in HeaderParser().parsestr(text).items():
        found.setdefault(name.lower(), []).append(" ".join(str(value).split()))
    return found


_FIELDS = ("requires-python", "summary", "home-page", "author", "keywords")


def _fields(before: dict[str, list[str]], after: dict[str, list[str]]) -> tuple[ComparedFact, ...]:
    facts = [ComparedFact("licence", _licence(before), _licence(after))]
    facts += [ComparedFact(name, ", ".join(before.get(name, ())), ", ".join(after.get(name, ()))) for name in _FIELDS]
    for name, prefix in (("for Python", "Programming Language :: Python :: 3."), ("status", "Development Status :: ")):
        told = [
            [one.rpartition(" :: ")[2] for one in side.get("classifier", ()) if one.startswith(prefix)]
            for side in (before, after)
        ]
        facts.append(ComparedFact(name, *(", ".join(sorted(one, key=_by_number)) for one in told)))
    return tuple(fact for fact in facts if fact.before != fact.after)


def _by_number(text: str) -> tuple[int, str]:
    """Return a key that sorts `3.9` before `3.10`."""
    return len(text.partition(" ")[0]), text


def _licence(fields: dict[str, list[str]]) -> str:
    """Return the expression (PEP 639), else the classifiers, else what stands in the old field."""
    if expression := fields.get("license-expression"):
        return expression[0]
    prefix = "License :: "
    classified = [
        one.rpartition(" :: ")[2]
        for one in fields.get("classifier", ())
        if one.startswith(prefix) and one != "License :: OSI Approved"
    ]
    text = ", ".join(classified) or next(iter(fields.get("license", ())), "")
    return text if len(text) <= 100 else f"{text[:100]}…"


def _requirements(before: dict[str, list[str]], after: dict[str, list[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    old, new = (set(side.get("requires-dist", ())) for side in (before, after))
    return tuple(sorted(old - new)), tuple(sorted(new - old))


def _licences(locks: Sequence[Lock], package: str, services: Services) -> tuple[ComparedFact, ...]:
    """Return licences of dependencies that are on both sides and changed."""
    sides = [{pin.name: pin for pin in lock.pins} for lock in locks]
    both = [
        name
        for name in sides[0]
        if name in sides[1] and name != package and sides[0][name].sha256 != sides[1][name].sha256
    ]

    def licence(pin: Pin) -> str | None:
        try:
            return _licence(_metadata(pin, services))
        except TfTesterError:
            return None

    with interruptible(8, "licences", services.run.stop) as pool:
        told = list(pool.map(licence, [side[name] for name in both for side in sides]))
    facts = [
        ComparedFact(name, before, after)
        for name, before, after in zip(both, told[::2], told[1::2], strict=True)
        if before is not None and after is not None
    ]
    return tuple(fact for fact in facts if fact.before != fact.after)


# -- what is in the wheel


def _scripts(pins: Sequence[Pin], services: Services) -> tuple[ComparedFact, ...]:
    before, after = (_console_scripts(pin, services) for pin in pins)
    names = sorted(before.keys() | after.keys())
    facts = [ComparedFact(name, before.get(name, ""), after.get(name, "")) for name in names]
    return tuple(fact for fact in facts if fact.before != fact.after)


def _console_scripts(pin: Pin, services: Services) -> dict[str, str]:
    try:
        text = services.packages.entry_points(pin.artifact).decode("utf-8", "replace")
    except BadWheel:
        return {}
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names of scripts, as they are written
    try:
        parser.read_string(text)
        return dict(parser["console_scripts"]) if parser.has_section("console_scripts") else {}
    except ConfigParserError:
        return {}


def _surface(lock: Lock, pin: Pin, services: Services) -> Surface:
    """Read once for a wheel and those whose names it hands on."""
    framework = services.packages.framework
    companions = [one for one in lock.pins if canonicalize_name(one.name) in framework.hands_on]
    wheels = [pin, *companions]
    parts = "\n".join([str(_RULES), *(one.sha256 for one in wheels), *framework.import_names, *framework.internal])
    key = hashlib.sha256(parts.encode()).hexdigest()
    known = services.history.surfaces.recall(key)
    if known is not None:
        return known
    texts: dict[str, ModuleSource] = {}
    tops: list[str] = []
    for one in wheels:
        with _opened(one, services) as wheel:
            try:
                found = dict(_modules(wheel))
            except BROKEN_ARCHIVE as error:
                raise _damaged(one, error) from error
        if one is pin:
            tops = list(framework.import_names) or sorted({name.partition(".")[0] for name in found})
        texts = {**found, **texts}
    surface = read_surface(tops, texts.keys(), texts.get, internal=framework.internal)
    services.history.surfaces.remember(key, surface)
    return surface


def _modules(wheel: zipfile.ZipFile) -> Iterable[tuple[str, ModuleSource]]:
    """Yield Python sources of a wheel by module; a stub stands in where there is nothing else."""
    members = sorted(wheel.infolist(), key=lambda one: one.filename.endswith(".py"))  # the last one counts
    left = _MOST_SOURCE
    for member in members:
        name = member.filename
        parts = name.rpartition(".")[0].split("/")
        if not name.endswith((".py", ".pyi")) or not all(part.isidentifier() for part in parts):
            continue
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        left -= member.file_size
        if module and member.file_size <= _LARGEST_SOURCE and left >= 0:
            yield module, ModuleSource(wheel.read(member).decode("utf-8", "replace"), is_package)


def _opened(pin: Pin, services: Services) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(services.packages.fetcher.fetch(pin.artifact))
    except BROKEN_ARCHIVE as error:
        raise _damaged(pin, error) from error


def _damaged(pin: Pin, error: Exception) -> InstallFailed:
    return InstallFailed(f"{pin.filename} is not an archive that can be read: {error}.")
