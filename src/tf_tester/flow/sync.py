"""Fill a mirror, and keep it as its upstream is.

Promise: what the mirror lists is in the store, verified. One file or project that can't be had costs no other one; a
run that ends in the middle has done a part of the work, and the next one does the rest. Nothing vanishes because the
upstream could not be asked, nor much of it because the upstream says so.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tf_tester.core.closure import Closure, Demand, Rules, merged
from tf_tester.core.simple import render_json
from tf_tester.core.wheel_rules import BadWheel
from tf_tester.errors import CellRefused, IndexUnreachable, TfTesterError, UnknownProject
from tf_tester.flow.pools import interruptible
from tf_tester.flow.services import Services
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.ports import HeldProject, Mirror, MirrorHead

_FILES_AT_ONCE = 6
_PAGES_AT_ONCE = 12
"""Questions to one index at a time: what a browser and a half would ask."""


_A_QUESTION = 400
"""Bytes of a page that hasn't changed, there and back: a list that has more than those of all is no gain."""
_A_PAGE = 16_384


@dataclass(frozen=True, slots=True)
class Errand:
    """What a mirror is to hold, and how far a sync may go."""

    mirror: str
    """Its name."""
    roots: tuple[Demand, ...]
    rules: Rules
    wanted: str
    """Digest of all that says what it is to hold: while it stays, only the upstream can have changed."""
    most: int | None = None
    """Bytes to be brought in one run; None: as many as there are."""
    max_deletions: int = 100
    allow_deletions: bool = False
    dry_run: bool = False
    upstream: str = ""
    """Address of the index that it is a mirror of, without credentials; empty where there are several."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Something that the mirror should hold and doesn't."""

    what: str
    """A file name, or a project."""
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one project."""

    project: str
    added: tuple[str, ...] = ()
    """Names of files, sorted."""
    removed: tuple[str, ...] = ()
    """Likewise."""


@dataclass(slots=True)
class SyncReport:
    """How a sync ended."""

    mirror: str
    began: str
    """RFC 3339, UTC."""
    seconds: float = 0.0
    projects: int = 0
    """That the mirror holds now."""
    files: int = 0
    size: int = 0
    """Bytes of them."""
    asked: int = 0
    """Pages that the upstream was asked for."""
    fetched: int = 0
    """Files that came, or would come."""
    fetched_size: int = 0
    """Bytes of them."""
    changes: list[Change] = field(default_factory=list)
    missing: list[Absent] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    """Files that the upstream doesn't have any more, and that stay because there are too many of them."""
    left: int = 0
    """Files that are left for the next run, because enough was brought in this one."""
    left_size: int = 0
    unmet: list[str] = field(default_factory=list)
    """Requirements of what it holds that nothing in the upstream satisfies."""
    remarks: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not (self.missing or self.held_back)

    @property
    def exit_code(self) -> int:
        return 0 if self.is_whole else 4


@dataclass(slots=True)
class _Plan:
    """What each project is to be."""

    pages: dict[str, ProjectPage]
    wanted: dict[str, dict[str, Artifact]]
    """Files by project and file name."""
    asked: set[str]
    """Projects that are required, whether there is something of them or not."""
    certain: bool
    """All that had to be known for it is known: what isn't in it isn't wanted."""


@dataclass(slots=True)
class Came:
    """What has come over the network, counted while it comes."""

    files: int = 0
    size: int = 0
    """Bytes."""


def sync(errand: Errand, mirror: Mirror, services: Services, now: Callable[[], datetime], came: Came) -> SyncReport:
    """Bring what is missing, then show it; raises `StoreError`. What else fails is in the report."""
    began = services.monotonic()
    report = SyncReport(errand.mirror, now().astimezone(UTC).isoformat(timespec="seconds"))
    head, held = mirror.head(), mirror.projects()
    with interruptible(_PAGES_AT_ONCE, "pages", services.stop) as pool:
        if held:
            services.list_pages(max(_A_PAGE, _A_QUESTION * len(held)))
        pages = _Pages(services, report)
        watched = head.watched if head is not None else {}
        pages.ask([*held, *(root.project for root in errand.roots), *watched], pool)
        same = head is not None and head.complete and head.wanted == errand.wanted and head.held == _digest(held)
        marks = {name: entry.mark for name, entry in held.items()} | dict(watched)
        if same and pages.marks() == marks and _is_whole(held.values(), services):
            plan = None
        else:
            plan = _plan(errand, pages, services, pool, report)
    if plan is not None:
        if not errand.dry_run:
            mirror.put_head(MirrorHead(now(), errand.wanted, complete=False))  # until it is done
        with interruptible(_FILES_AT_ONCE, "files", services.stop) as pool:
            try:
                held = _carry_out(plan, errand, held, mirror, pages, services, pool, report)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    if not errand.dry_run:
        complete = report.is_whole and not report.left and (plan is None or plan.certain)
        if plan is not None:
            watched = {name: mark for name, mark in pages.marks().items() if name in plan.asked and name not in held}
        mirror.put_head(MirrorHead(now(), errand.wanted, complete, watched, _digest(held)))
    sizes = {one.sha256: one.size or 0 for entry in held.values() for one in entry.page.artifacts}
    report.projects, report.files, report.size = len(held), len(sizes), sum(sizes.values())
    if not errand.dry_run:
        report.fetched, report.fetched_size = came.files, came.size
    report.seconds = round(services.monotonic() - began, 3)
    return report


class _Pages:
    """The upstream's pages, each asked for once in a run."""

    def __init__(self, services: Services, report: SyncReport) -> None:
        self._index = services.index
        self._report = report
        self.known: dict[str, ProjectPage] = {}
        self.absent: dict[str, UnknownProject] = {}
        """The upstream says that there is none."""
        self.unreachable: dict[str, IndexUnreachable] = {}
        """Nobody knows; where an earlier page is known, it is in `known` all the same."""

    def ask(self, projects: Iterable[str], pool: ThreadPoolExecutor) -> None:
        """All at once; what was asked for already isn't asked for again."""
        done = self.known.keys() | self.absent.keys() | self.unreachable.keys()
        asked = [project for project in dict.fromkeys(projects) if project not in done]
        self._report.asked += len(asked)
        for project, answer in zip(asked, pool.map(self._page, asked), strict=True):
            if isinstance(answer, UnknownProject):
                self.absent[project] = answer
                continue
            if isinstance(answer, IndexUnreachable):
                self.unreachable[project] = answer
                continue
            self.known[project] = answer
            if answer.stale or answer.behind or answer.partial:
                how = "shows an older state than was seen before" if answer.behind else "does not answer"
                self.unreachable[project] = IndexUnreachable(f"the upstream {how}", hint="Sync it again later.")

    def marks(self) -> dict[str, str]:
        """Of all that the upstream has answered for; empty where it has none."""
        answered = {name: mark_of(page) for name, page in self.known.items() if name not in self.unreachable}
        return answered | dict.fromkeys(self.absent, "")

    def _page(self, project: str) -> ProjectPage | UnknownProject | IndexUnreachable:
        try:
            return self._index.page(project)
        except (UnknownProject, IndexUnreachable) as error:
            return error


def _digest(held: Iterable[str]) -> str:
    """Of the names of all projects: one that can't be read any more is missed."""
    return hashlib.blake2b(" ".join(sorted(held)).encode(), digest_size=16).hexdigest()


def _is_whole(held: Iterable[HeldProject], services: Services) -> bool:
    """Whether all that it lists is in the store."""
    return all(
        one.sha256 is not None and services.blobs.find(one.sha256) is not None
        for entry in held
        for one in entry.page.artifacts
    )


def mark_of(page: ProjectPage) -> str:
    """Two pages with one mark say the same."""
    digest = hashlib.blake2b(page.source or render_json(page, lambda artifact: artifact.url), digest_size=16)
    # Where two indexes speak for a project its source is that of one.
    digest.update("".join(f"\n{one.filename} {one.sha256}" for one in page.artifacts).encode())
    return digest.hexdigest()


def _plan(errand: Errand, pages: _Pages, services: Services, pool: ThreadPoolExecutor, report: SyncReport) -> _Plan:
    closure = Closure(errand.rules, errand.roots)
    certain = True
    while True:
        projects, wheels = closure.pages_wanted(), closure.metadata_wanted()
        if not projects and not wheels:
            if not closure.join():
                break
            continue
        pages.ask(projects, pool)
        for project in projects:
            page = pages.known.get(project)
            if page is not None and page.status == "quarantined":
                report.remarks.append(f"{project} is in quarantine at the upstream: nothing of it is kept")
                page = replace(page, artifacts=())
            closure.learn_page(project, page)
        for wheel, metadata in zip(wheels, pool.map(lambda one: _metadata(one, services), wheels), strict=True):
            if isinstance(metadata, TfTesterError):
                certain = False
                report.missing.append(
                    Absent(wheel.filename, f"what it requires can't be read: {metadata}", metadata.hint)
                )
            elif metadata is None:
                report.remarks.append(f"what {wheel.filename} requires can't be read: its METADATA is broken")
            closure.learn_metadata(wheel, metadata if isinstance(metadata, bytes) else None)
    roots = {root.project for root in errand.roots}
    for project, error in sorted(pages.unreachable.items()):
        certain = False
        report.missing.append(Absent(project, str(error), error.hint))
    for project, unknown in sorted(pages.absent.items()):
        if project in roots:
            report.missing.append(Absent(project, str(unknown), unknown.hint))
        elif project in closure.asked:
            report.unmet.append(f"{project}: {unknown}")
    for project, specifiers in sorted(closure.unmet.items()):
        names = [f"{project}{specifier}" for specifier in sorted(specifiers)]
        if any(root.project == project and root.specifier in specifiers for root in errand.roots):
            hint = "`tf-tester versions` lists what there is."
            report.missing += [Absent(name, "no version has a file for it", hint) for name in names]
        else:
            report.unmet += names
    if closure.opaque:
        few = ", ".join(sorted(closure.opaque)[:3])
        report.remarks.append(f"what sources alone require is not known, such as {few} ({len(closure.opaque)})")
    report.remarks += [f"{address} can't be mirrored: it names an address" for address in sorted(closure.addresses)]
    return _Plan(pages.known, closure.chosen, closure.asked, certain)


def _metadata(artifact: Artifact, services: Services) -> bytes | TfTesterError | None:
    """None: it has none that makes sense."""
    try:
        return services.metadata(artifact)
    except BadWheel:
        return None
    except CellRefused as error:
        return error


def _carry_out(
    plan: _Plan,
    errand: Errand,
    held: dict[str, HeldProject],
    mirror: Mirror,
    pages: _Pages,
    services: Services,
    pool: ThreadPoolExecutor,
    report: SyncReport,
) -> dict[str, HeldProject]:
    """What the mirror holds afterwards. Nothing goes before all has come that can come."""
    stays = _stays(plan, errand, held, report)
    wanted = {name: plan.wanted.get(name, {}) | stays.get(name, {}) for name in {*plan.wanted, *stays}}
    coming = _coming(wanted, errand, services, report)
    if errand.dry_run:
        report.fetched = len(coming)
        report.fetched_size = sum(one.size or 0 for one in coming.values())
        for name in sorted({*wanted, *held}):
            _note_change(name, held.get(name), wanted.get(name, {}).values(), report)
        return held
    futures = {digest: pool.submit(services.fetcher.fetch, one) for digest, one in coming.items()}
    after = dict(held)
    final: dict[str, dict[str, Artifact]] = {}

    def show(name: str, files: Mapping[str, Artifact]) -> None:
        page = plan.pages.get(name) or held[name].page
        least = 0 if name in after else mirror.last_serial(name)
        entry = _entry(page, list(files.values()), after.get(name), errand.upstream, least)
        if entry is not after.get(name):
            after[name] = entry
            mirror.put(entry)

    for name in sorted(wanted):
        final[name] = _there(wanted[name].values(), futures, services, report)
        if final[name].keys() - _files_of(held.get(name)).keys():
            show(name, _listed(held.get(name), plan) | final[name])
    for name, files in _needed_still(final, wanted, plan, errand, held, pages, services, pool).items():
        final[name] = files | final.get(name, {})
    for name in sorted({*final, *held}):
        files = final.get(name, {})
        _note_change(name, held.get(name), files.values(), report)
        if files:
            show(name, files)
        elif name in after:
            mirror.drop(name)
            del after[name]
    return after


def _needed_still(
    final: Mapping[str, Mapping[str, Artifact]],
    wanted: Mapping[str, Mapping[str, Artifact]],
    plan: _Plan,
    errand: Errand,
    held: Mapping[str, HeldProject],
    pages: _Pages,
    services: Services,
    pool: ThreadPoolExecutor,
) -> dict[str, dict[str, Artifact]]:
    """What is held and stays, because what is to replace it has not come: the older files, and what they require."""
    short = [name for name in wanted if name in held and wanted[name].keys() - final[name].keys()]
    older = {name: _listed(held[name], plan) for name in short}
    versions = {(one.project, one.version) for files in older.values() for one in files.values()}
    if not versions:
        return older
    targets = dict.fromkeys(root.target for root in errand.roots)
    roots = [Demand(name, target, f"=={version}") for name, version in sorted(versions) for target in targets]
    unheard = SyncReport(errand.mirror, "")
    required = _plan(replace(errand, roots=(*errand.roots, *roots)), pages, services, pool, unheard).wanted
    needed = {
        name: {file: one for file, one in _listed(entry, plan).items() if file in required.get(name, {})}
        for name, entry in held.items()
    }
    return {name: older.get(name, {}) | needed[name] for name in held if older.get(name) or needed[name]}


def _files_of(held: HeldProject | None) -> dict[str, Artifact]:
    return {one.filename: one for one in held.page.artifacts} if held is not None else {}


def _listed(held: HeldProject | None, plan: _Plan) -> dict[str, Artifact]:
    """What is held and the upstream still has."""
    if held is None:
        return {}
    page = plan.pages.get(held.page.project)
    listed = _names(page.artifacts) if page is not None else set()
    return {one.filename: one for one in held.page.artifacts if (one.filename, one.sha256) in listed}


def _stays(
    plan: _Plan, errand: Errand, held: Mapping[str, HeldProject], report: SyncReport
) -> dict[str, dict[str, Artifact]]:
    """What is held and isn't wanted, and stays all the same."""
    gone_of: dict[str, dict[str, Artifact]] = {}
    certain = plan.certain
    for name, entry in held.items():
        page = plan.pages.get(name)
        listed = _names(page.artifacts) if page is not None else set()
        gone = {one.filename: one for one in entry.page.artifacts if (one.filename, one.sha256) not in listed}
        if gone:
            gone_of[name] = gone
    said = {
        name
        for name in gone_of
        if (page := plan.pages.get(name)) is None or not (page.stale or page.behind or page.partial)
    }
    vanished = {name: gone_of[name] for name in said if name in plan.pages or plan.certain}
    braked = sum(map(len, vanished.values())) > errand.max_deletions and not errand.allow_deletions
    if braked:
        report.held_back += sorted(file for gone in vanished.values() for file in gone)
    lost = any(root.project in held and root.project not in plan.pages for root in errand.roots)
    if braked or (lost and not errand.allow_deletions):
        certain = False  # with what has vanished all would go that it required
    stays: dict[str, dict[str, Artifact]] = {}
    for name, entry in held.items():
        gone = gone_of.get(name, {})
        # Also where another file has its name now: which of the two is right is for a person to say.
        if gone and (braked or name not in vanished):
            stays[name] = gone
        if not certain:
            rest = {one.filename: one for one in entry.page.artifacts if one.filename not in gone}
            stays[name] = stays.get(name, {}) | rest
    return stays


def _coming(
    wanted: Mapping[str, Mapping[str, Artifact]], errand: Errand, services: Services, report: SyncReport
) -> dict[str, Artifact]:
    """What is to be brought in this run, by digest: project by project, so that each is soon whole."""
    coming: dict[str, Artifact] = {}
    total = 0
    for name in sorted(wanted):
        for one in sorted(wanted[name].values(), key=lambda one: (-(one.size or 0), one.filename)):
            if one.sha256 is None or one.sha256 in coming or services.blobs.find(one.sha256) is not None:
                continue
            size = one.size or 0
            if errand.most is not None and coming and total + size > errand.most:
                report.left += 1
                report.left_size += size
                continue
            coming[one.sha256] = one
            total += size
    return coming


def _there(
    wanted: Iterable[Artifact], futures: Mapping[str, "Future[Path]"], services: Services, report: SyncReport
) -> dict[str, Artifact]:
    """Those that are in the store now, with what the store knows of them; the rest is reported."""
    found = {}
    for one in wanted:
        if one.sha256 is None:
            reason = "the upstream promises no SHA-256 for it, so that it can't be verified"
            report.missing.append(Absent(one.filename, reason))
            continue
        future = futures.get(one.sha256)
        try:
            if future is not None:
                future.result()
        except CellRefused as error:
            report.missing.append(Absent(one.filename, str(error), error.hint))
            continue
        path = services.blobs.find(one.sha256)
        if path is None:
            continue  # left for the next time
        # Of what is in the wheel, whatever the upstream promises: that is what can be handed on.
        digest = services.metadata_digest(one) if one.is_wheel else None
        found[one.filename] = replace(one, size=path.stat().st_size, metadata_sha256=digest)
    return found


def _entry(
    page: ProjectPage, there: Sequence[Artifact], before: HeldProject | None, upstream: str, least: int
) -> HeldProject:
    """What the mirror shows of a project; as before where nothing has changed. `least`: the serial it had earlier."""
    mark = mark_of(page)
    if before is not None and before.mark == mark and _names(before.page.artifacts) == _names(there):
        return before
    # PEP 708: whoever mirrors says whom, and who is mirrored by a mirror has said it.
    tracks = page.tracks or ((f"{upstream}/{page.project}/",) if upstream else ())
    shown = replace(merged(page, there), stale=False, behind=False, tracks=tracks)
    if before is not None:
        same = replace(shown, serial=before.page.serial)
        if render_json(same, _address) == render_json(before.page, _address):
            return before if before.mark == mark else replace(before, mark=mark)
    serial = max(page.serial or 0, (least if before is None else before.page.serial or 0) + 1)
    return HeldProject(replace(shown, serial=serial), mark)


def _names(artifacts: Iterable[Artifact]) -> set[tuple[str, str | None]]:
    return {(one.filename, one.sha256) for one in artifacts}


def _address(artifact: Artifact) -> str:
    return artifact.url


def _note_change(project: str, before: HeldProject | None, after: Iterable[Artifact], report: SyncReport) -> None:
    old = {one.filename for one in before.page.artifacts} if before is not None else set()
    new = {one.filename for one in after}
    if old != new:
        report.changes.append(Change(project, tuple(sorted(new - old)), tuple(sorted(old - new))))
