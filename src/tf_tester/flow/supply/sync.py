"""Fill a replica, and keep it as its upstream is.

Promise: what the replica lists is in the store, verified. One file or project that can't be had costs no other one; a
run that ends in the middle has done a part of the work, and the next one does the rest. Nothing vanishes because the
upstream could not be asked, nor much of it because the upstream says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace
from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from tf_tester.core.index.era import files_by_version
from tf_tester.core.index.left_out import without_hash
from tf_tester.core.index.simple import render_json
from tf_tester.core.locks.closure import ReplicaRules, TargetRequirement, merged
from tf_tester.core.text.parsing import parse_requirement
from tf_tester.core.text.sizes import count_text
from tf_tester.core.wheel.requirements import requirements_of
from tf_tester.errors import OWN_FAILURE, BadWheel, CellRefused
from tf_tester.flow.prepare.pools import interruptible
from tf_tester.flow.prepare.services import Services
from tf_tester.flow.supply.received import ReceivedFiles
from tf_tester.flow.supply.sync_plan import Absent, ReplicaPlan, UpstreamPages, mark_of, plan
from tf_tester.flow.supply.telling import brought, expect
from tf_tester.model.artifact import Artifact, ProjectPage, ProjectStatus
from tf_tester.ports.replica import HeldProject, Replica, ReplicaHead, names_digest
from tf_tester.ports.store import Blobs

_FILES_AT_ONCE = 6
_PAGES_AT_ONCE = 12
"""Questions to one index at a time: what a browser and a half would ask."""
_A_QUESTION = 400
"""Bytes of a page that hasn't changed, there and back: a list that has more than those of all is no gain."""
_A_PAGE = 16_384
"""Bytes: a list as long as one page is always worth it."""

FilesByName = Mapping[str, Artifact]
"""By file name."""

_MANY = 4
"""Files of one project of which most may not go at once."""


class SyncRequest(Struct, frozen=True):
    """What a replica is to hold, and how far a sync may go."""

    replica: str
    """Its name."""
    roots: tuple[TargetRequirement, ...]
    rules: ReplicaRules
    wanted: str
    """Digest of all that says what it is to hold: while it stays, only the upstream can have changed."""
    most: int | None = None
    """Bytes to be brought in one run; None: as many as there are."""
    max_deletions: int = 100
    keep_deleted: bool = False
    """What the upstream has no more stays, with what it requires, as long as its project is asked for."""
    allow_deletions: bool = False
    """All that the upstream has no more goes."""
    dry_run: bool = False
    upstream: str = ""
    """Address of the index that it is a replica of, without credentials; empty where there are several."""


class ProjectChange(Struct, frozen=True):
    """What became of one project."""

    project: str
    added: tuple[str, ...] = ()
    """Names of files, sorted."""
    removed: tuple[str, ...] = ()
    """Likewise."""


class KeptProject(Struct, frozen=True):
    """A project of which nothing goes, though the upstream has it no more: a person is to say so."""

    project: str
    files: tuple[str, ...]
    """That the upstream has no more, sorted."""
    reason: str
    """A clause."""


class SyncReport(Struct):
    """How a sync ended."""

    replica: str = field(name="mirror")
    """Its name. In the file it is `mirror`, as replicas were once called."""
    began: str
    """RFC 3339, UTC."""
    seconds: float = 0.0
    projects: int = 0
    """That the replica holds now."""
    files: int = 0
    size: int = 0
    """Bytes of them."""
    asked: int = 0
    """Pages that the upstream was asked for."""
    fetched: int = 0
    """Files that came, or would come."""
    fetched_size: int = 0
    """Bytes of them."""
    changes: list[ProjectChange] = field(default_factory=list)
    missing: list[Absent] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    """Files that the upstream doesn't have any more, and that stay until a person says that it is right."""
    kept: list[KeptProject] = field(default_factory=list)
    """The same by project, with the reasons."""
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
        return 0 if self.is_whole else OWN_FAILURE


def sync(
    request: SyncRequest, replica: Replica, services: Services, now: Callable[[], datetime], came: ReceivedFiles
) -> SyncReport:
    """Bring what is missing, then show it; raises `StoreError`. What else fails is in the report."""
    began = services.run.monotonic()
    report = SyncReport(request.replica, now().astimezone(UTC).isoformat(timespec="seconds"))
    head, held = replica.head(), replica.projects()
    pages = UpstreamPages(services.packages.index, services.run.tell)
    with interruptible(_PAGES_AT_ONCE, "pages", services.run.stop) as pool:
        if held:
            services.packages.list_pages(max(_A_PAGE, _A_QUESTION * len(held)))
        watched = head.watched if head is not None else {}
        pages.ask([*held, *(root.project for root in request.roots), *watched], pool)
        same = head is not None and head.complete and head.wanted == request.wanted and head.held == names_digest(held)
        marks = {name: entry.mark for name, entry in held.items()} | dict(watched)
        wanted = None
        if not (same and pages.marks() == marks and _is_whole(held.values(), services.storage.blobs)):
            wanted = plan(request.roots, request.rules, pages, services.packages.metadata, pool)
    if wanted is not None:
        report.missing, report.unmet, report.remarks = wanted.missing, wanted.unmet, wanted.remarks
        if not request.dry_run:
            replica.put_head(ReplicaHead(now(), request.wanted, complete=False))  # until it is done
        with interruptible(_FILES_AT_ONCE, "files", services.run.stop) as pool:
            run = _Run(request, held, wanted, pages, replica, services, pool, report)
            try:
                held = run.foresee() if request.dry_run else run.carry_out()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        watched = {name: mark for name, mark in pages.marks().items() if name in wanted.asked and name not in held}
    if not request.dry_run:
        complete = report.is_whole and not report.left and (wanted is None or wanted.certain)
        replica.put_head(ReplicaHead(now(), request.wanted, complete, watched, names_digest(held)))
        report.fetched, report.fetched_size = came.files, came.size
    sizes = {one.sha256: one.size or 0 for entry in held.values() for one in entry.page.artifacts}
    report.projects, report.files, report.size = len(held), len(sizes), sum(sizes.values())
    report.asked = pages.count
    report.seconds = round(services.run.monotonic() - began, 3)
    return report


def _is_whole(held: Iterable[HeldProject], blobs: Blobs) -> bool:
    """Return whether all that it lists is in the store."""
    return all(one.sha256 is not None and blobs.holds(one.sha256) for entry in held for one in entry.page.artifacts)


class _Run(Struct):
    """What becomes of a plan."""

    request: SyncRequest
    held: dict[str, HeldProject]
    plan: ReplicaPlan
    pages: UpstreamPages
    replica: Replica
    services: Services
    pool: ThreadPoolExecutor
    report: SyncReport
    after: dict[str, HeldProject] = field(default_factory=dict)
    """What the replica holds, as it changes."""

    def foresee(self) -> dict[str, HeldProject]:
        """Return what would come and go, and change nothing."""
        wanted = self._wanted()
        coming = self._coming(wanted)
        self.report.fetched = len(coming)
        self.report.fetched_size = sum(one.size or 0 for one in coming.values())
        for name in sorted({*wanted, *self.held}):
            self._note(name, wanted.get(name, {}))
        return self.held

    def carry_out(self) -> dict[str, HeldProject]:
        """Return what the replica holds afterwards. Nothing goes before all has come that can come."""
        wanted = self._wanted()
        coming = self._coming(wanted)
        expect(self.services.run.tell, coming.values())
        fetched = {digest: self.pool.submit(self._fetch, one, len(coming)) for digest, one in coming.items()}
        self.after = dict(self.held)
        final: dict[str, FilesByName] = {}
        for name in sorted(wanted):
            final[name] = self._there(wanted[name].values(), fetched)
            if final[name].keys() - self._held(name).keys():
                self._show(name, {**self._still(name), **final[name]})
        for name, files in self._needed_still(wanted, final).items():
            final[name] = {**files, **final.get(name, {})}
        for name in sorted({*final, *self.held}):
            files = final.get(name, {})
            self._note(name, files)
            if files:
                self._show(name, files)
            elif name in self.after:
                self.replica.drop(name)
                del self.after[name]
        return self.after

    def _wanted(self) -> dict[str, FilesByName]:
        stays = self._stays()
        names = {*self.plan.wanted, *stays}
        return {name: {**self.plan.wanted.get(name, {}), **stays.get(name, {})} for name in names}

    # -- what is held

    def _held(self, name: str) -> FilesByName:
        entry = self.held.get(name)
        return {one.filename: one for one in entry.page.artifacts} if entry is not None else {}

    def _gone(self, name: str) -> FilesByName:
        """Return what is held and the upstream's page doesn't have, whatever that is worth."""
        page = self.pages.known.get(name)
        listed = _names(page.artifacts) if page is not None else set()
        return {file: one for file, one in self._held(name).items() if (file, one.sha256) not in listed}

    def _still(self, name: str) -> FilesByName:
        """Return what is held, in the store as in the upstream."""
        gone, find = self._gone(name), self.services.storage.blobs.find
        kept = ((file, one) for file, one in self._held(name).items() if file not in gone)
        return {file: one for file, one in kept if one.sha256 is not None and find(one.sha256) is not None}

    def _stays(self) -> dict[str, FilesByName]:
        """Return what is held and isn't wanted, and stays all the same."""
        request, pages, certain = self.request, self.pages, self.plan.certain
        gone = {name: files for name in self.held if (files := self._gone(name))}
        # A page that is known may be an old one; where there is none, all others must be known to say so.
        vanished = {
            name: files
            for name, files in gone.items()
            if name not in pages.unreachable and (name in pages.known or certain)
        }
        kept_on, required = self._kept_on(vanished)
        vanished = {name: files for name, files in vanished.items() if name not in kept_on}
        held_back = self._held_back(vanished)
        self.report.kept = [
            KeptProject(name, tuple(sorted(vanished[name])), reason) for name, reason in sorted(held_back.items())
        ]
        self.report.held_back = sorted(file for one in self.report.kept for file in one.files)
        roots = {root.project for root in request.roots} - kept_on.keys()
        lost = any(name in self.held and name not in pages.known for name in roots)
        if held_back or (lost and not request.allow_deletions):
            certain = False  # with what has vanished all would go that it required
        stays: dict[str, FilesByName] = {}
        for name in self.held:
            # Also where another file has its name now: which of the two is right is for a person to say.
            kept = gone.get(name, {}) if name in held_back or name not in vanished else {}
            is_needed = not certain or name in required
            there = self._held(name).items() if is_needed else ()
            rest = {file: one for file, one in there if file not in gone.get(name, {})}
            if kept or rest:
                stays[name] = {**kept, **rest}
        return stays

    def _kept_on(self, vanished: Mapping[str, FilesByName]) -> tuple[dict[str, FilesByName], set[str]]:
        """Return what stays though the upstream has deleted it, and the projects that this requires.

        That is what belongs to a project that is asked for, or is required by what stays so.
        """
        request = self.request
        if not request.keep_deleted or request.allow_deletions:
            return {}, set()
        pages = self.pages.known
        harmful = {name for name, page in pages.items() if page.status is ProjectStatus.QUARANTINED}
        asked = {*self.plan.asked, *(root.project for root in request.roots)}
        of_asked = {name: files for name, files in vanished.items() if name in asked - harmful}
        required = self._required_by(of_asked) - harmful
        kept_on = {name: files for name, files in vanished.items() if name in of_asked or name in required}
        if kept_on:
            count, names = count_text(sum(map(len, kept_on.values())), "file"), ", ".join(sorted(kept_on))
            self.report.remarks.append(f"kept, though the upstream has deleted it: {count} of {names}")
            # What it has isn't missing.
            self.report.missing = [one for one in self.report.missing if not _has(kept_on, one.what)]
        return kept_on, required

    def _required_by(self, kept_on: Mapping[str, FilesByName]) -> set[str]:
        """Return the projects that are required by what the upstream has deleted, and by these in turn."""
        needed: set[str] = set()
        todo = [one for files in kept_on.values() for one in files.values()]
        while todo:
            wheel = todo.pop()
            try:
                metadata = self.services.packages.metadata(wheel) if wheel.is_wheel else b""
            except (BadWheel, CellRefused):
                continue
            names = {str(canonicalize_name(one.name)) for one in requirements_of(metadata)}
            new = (names & self.held.keys()) - needed
            needed |= new
            todo += [one for name in new for one in self._held(name).values()]
        return needed

    def _held_back(self, vanished: Mapping[str, FilesByName]) -> dict[str, str]:
        """Return the projects of which nothing goes, though the upstream has it no more, and why.

        All, where too many files would go at once; else a project that was asked for by name and has lost all its files
        there, or most of many.
        """
        if self.request.allow_deletions:
            return {}
        named, count = {root.project for root in self.request.roots}, sum(map(len, vanished.values()))
        emptied = {name: self._emptied(name, len(files)) for name, files in vanished.items() if name in named}
        reasons = {name: reason for name, reason in emptied.items() if reason}
        if count <= self.request.max_deletions:
            return reasons
        many = f"{count_text(count, 'file')} would go at once, and max-deletions is {self.request.max_deletions}"
        return {name: reasons.get(name, many) for name in vanished}

    def _emptied(self, name: str, gone: int) -> str:
        """Return what has become of a named project at the upstream that may be a mistake; empty: nothing."""
        page, held = self.pages.known.get(name), len(self._held(name))
        if page is None:
            return "the upstream has no such project any more"
        if page.status is ProjectStatus.QUARANTINED:
            return ""
        if not page.artifacts:
            return "the upstream's page has no files any more"
        return f"the upstream has {gone} of its {held} files no more" if gone >= _MANY and 2 * gone > held else ""

    def _needed_still(
        self, wanted: Mapping[str, FilesByName], final: Mapping[str, FilesByName]
    ) -> dict[str, FilesByName]:
        """Return what stays because what is to replace it has not come: the older files, and what they require."""
        short = [name for name in wanted if name in self.held and wanted[name].keys() - final[name].keys()]
        older = {name: self._still(name) for name in short}
        versions = {(one.project, one.version) for files in older.values() for one in files.values()}
        if not versions:
            return {}
        targets = dict.fromkeys(root.target for root in self.request.roots)
        roots = [
            TargetRequirement(name, target, f"=={version}") for name, version in sorted(versions) for target in targets
        ]
        required = plan(
            (*self.request.roots, *roots), self.request.rules, self.pages, self.services.packages.metadata, self.pool
        ).wanted
        needed: dict[str, FilesByName] = {}
        for name in self.held:
            still = self._still(name)
            needed[name] = older.get(name, {}) or {f: one for f, one in still.items() if f in required.get(name, {})}
        return {name: files for name, files in needed.items() if files}

    # -- what comes

    def _fetch(self, artifact: Artifact, of: int) -> Path:
        with brought(self.services.run.tell, artifact, of):
            return self.services.packages.fetcher.fetch(artifact)

    def _coming(self, wanted: Mapping[str, FilesByName]) -> dict[str, Artifact]:
        """Return what is to be brought in this run, by digest: project by project, so that each is soon whole."""
        coming: dict[str, Artifact] = {}
        total = 0
        for name in sorted(wanted):
            for one in sorted(wanted[name].values(), key=lambda one: (-(one.size or 0), one.filename)):
                if one.sha256 is None or one.sha256 in coming or self.services.storage.blobs.holds(one.sha256):
                    continue
                size = one.size or 0
                if self.request.most is not None and coming and total + size > self.request.most:
                    self.report.left += 1
                    self.report.left_size += size
                    continue
                coming[one.sha256] = one
                total += size
        return coming

    def _there(self, wanted: Iterable[Artifact], fetched: Mapping[str, "Future[Path]"]) -> FilesByName:
        """Return those that are in the store now, with what the store knows of them; the rest is reported."""
        found = {}
        for one in wanted:
            if one.sha256 is None:
                self.report.missing.append(Absent(one.filename, f"it can't be verified: {without_hash(one)}"))
                continue
            try:
                if one.sha256 in fetched:
                    fetched[one.sha256].result()
            except CellRefused as error:
                self.report.missing.append(Absent(one.filename, str(error), error.hint))
                continue
            path = self.services.storage.blobs.find(one.sha256)
            if path is None:
                continue  # left for the next time
            # Of what is in the wheel, whatever the upstream promises: that is what can be handed on.
            digest = self.services.packages.metadata_digest(one) if one.is_wheel else None
            found[one.filename] = replace(one, size=path.stat().st_size, metadata_sha256=digest)
        return found

    # -- what is shown

    def _show(self, name: str, files: FilesByName) -> None:
        page = self.pages.known.get(name) or self.held[name].page
        before = self.after.get(name)
        least = self.replica.last_serial(name) if before is None else 0
        entry = _entry(page, list(files.values()), before, self.request.upstream, least)
        if entry is not before:
            self.after[name] = entry
            self.replica.put(entry)

    def _note(self, name: str, files: FilesByName) -> None:
        old = self._held(name)
        if old.keys() != files.keys():
            added, removed = sorted(files.keys() - old.keys()), sorted(old.keys() - files.keys())
            self.report.changes.append(ProjectChange(name, tuple(added), tuple(removed)))


def _entry(
    page: ProjectPage, there: Sequence[Artifact], before: HeldProject | None, upstream: str, least: int
) -> HeldProject:
    """Return what the replica shows of a project; as before where nothing has changed.

    `least`: the serial it had earlier.
    """
    mark = mark_of(page)
    if before is not None and before.mark == mark and _names(before.page.artifacts) == _names(there):
        return before
    # PEP 708: whoever copies an index names it; a copy of a copy hands that name on.
    tracks = page.tracks or ((f"{upstream}/{page.project}/",) if upstream else ())
    shown = replace(merged(page, there), stale=False, behind=False, tracks=tracks)
    if before is not None:
        same = replace(shown, serial=before.page.serial)
        if render_json(same, _address) == render_json(before.page, _address):
            return before if before.mark == mark else replace(before, mark=mark)
    serial = max(page.serial or 0, (least if before is None else before.page.serial or 0) + 1)
    return HeldProject(replace(shown, serial=serial), mark)


def _has(held: Mapping[str, FilesByName], what: str) -> bool:
    """Return whether there is a file of a project, or of what a requirement names."""
    try:
        wanted = parse_requirement(what)
    except InvalidRequirement:
        return False
    files = held.get(str(canonicalize_name(wanted.name)), {}).values()
    versions = [str(version) for version in files_by_version(files)]
    return any(True for _ in wanted.specifier.filter(versions, prereleases=True))


def _names(artifacts: Iterable[Artifact]) -> set[tuple[str, str | None]]:
    return {(one.filename, one.sha256) for one in artifacts}


def _address(artifact: Artifact) -> str:
    return artifact.url
