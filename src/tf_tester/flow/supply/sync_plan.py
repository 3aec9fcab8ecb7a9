"""What a replica is to hold: asked of its upstream, and nothing brought yet."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from msgspec import Struct, field

from tf_tester.core.index.simple import render_json
from tf_tester.core.locks.closure import Closure, ReplicaRules, TargetRequirement
from tf_tester.errors import BadWheel, CellRefused, IndexUnreachable, TfTesterError, UnknownProject
from tf_tester.flow.supply.telling import ASKING, at_work
from tf_tester.model.artifact import Artifact, ProjectPage, ProjectStatus
from tf_tester.ports.index import Index
from tf_tester.ports.tell import Tell

_GONE = "Where it is gone for good, take it out of the replica's file."


class Absent(Struct, frozen=True):
    """Something that the replica should hold and doesn't."""

    what: str
    """A file name, or a project."""
    reason: str
    hint: str = ""


class ReplicaPlan(Struct):
    """What each project is to be."""

    wanted: dict[str, dict[str, Artifact]]
    """Files by project and file name."""
    asked: set[str]
    """Projects that are required, whether there is something of them or not."""
    certain: bool = True
    """All that had to be known for it is known: what isn't in it isn't wanted."""
    missing: list[Absent] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)
    """Requirements of what is wanted that nothing in the upstream satisfies."""
    remarks: list[str] = field(default_factory=list)


class UpstreamPages:
    """The upstream's pages, each asked for once in a run."""

    def __init__(self, index: Index, tell: Tell) -> None:
        self.tell = tell
        self._index = index
        self.known: dict[str, ProjectPage] = {}
        self.absent: dict[str, UnknownProject] = {}
        """The upstream says that there is none."""
        self.unreachable: dict[str, IndexUnreachable] = {}
        """Nobody knows; where an earlier page is known, it is in `known` all the same."""

    @property
    def count(self) -> int:
        """How many were asked for."""
        return len(self.known.keys() | self.absent.keys() | self.unreachable.keys())

    def ask(self, projects: Iterable[str], pool: ThreadPoolExecutor) -> None:
        """Ask for all pages at once; what was asked for already isn't asked for again."""
        done = self.known.keys() | self.absent.keys() | self.unreachable.keys()
        asked = [project for project in dict.fromkeys(projects) if project not in done]
        page = partial(self._page, len(done) + len(asked))
        for project, answer in zip(asked, pool.map(page, asked), strict=True):
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
        """Return marks of all pages that the upstream has answered with; empty where it has none."""
        answered = {name: mark_of(page) for name, page in self.known.items() if name not in self.unreachable}
        return answered | dict.fromkeys(self.absent, "")

    def _page(self, of: int, project: str) -> ProjectPage | UnknownProject | IndexUnreachable:
        try:
            with at_work(self.tell, ASKING, project, of):
                return self._index.page(project)
        except (UnknownProject, IndexUnreachable) as error:
            return error


def mark_of(page: ProjectPage) -> str:
    """Return a mark: two pages with one mark have the same content."""
    digest = hashlib.blake2b(page.source or render_json(page, lambda artifact: artifact.url), digest_size=16)
    # Where two indexes speak for a project its source is that of one.
    digest.update("".join(f"\n{one.filename} {one.sha256}" for one in page.artifacts).encode())
    return digest.hexdigest()


def plan(
    roots: Sequence[TargetRequirement],
    rules: ReplicaRules,
    pages: UpstreamPages,
    metadata: Callable[[Artifact], bytes],
    pool: ThreadPoolExecutor,
) -> ReplicaPlan:
    """Return what the roots mean and require. `metadata`: of a wheel; raises as `Packages.metadata` does."""
    closure = Closure(rules, roots)
    found = ReplicaPlan(closure.chosen, set())
    seen = 0
    while True:
        projects, wheels = closure.pages_wanted(), closure.metadata_wanted()
        if not projects and not wheels:
            if not closure.join():
                break
            continue
        pages.ask(projects, pool)
        for project in projects:
            page = pages.known.get(project)
            if page is not None and page.status is ProjectStatus.QUARANTINED:
                found.remarks.append(f"{project} is in quarantine at the upstream: nothing of it is kept")
            closure.learn_page(project, page)
        seen += len(wheels)
        read = partial(_read, metadata, pages.tell, seen)
        for wheel, answer in zip(wheels, pool.map(read, wheels), strict=True):
            if isinstance(answer, TfTesterError):
                found.certain = False
                reason = f"what it requires can't be read: {answer}"
                found.missing.append(Absent(wheel.filename, reason, answer.hint))
            elif answer is None:
                found.remarks.append(f"what {wheel.filename} requires can't be read: its METADATA is broken")
            closure.learn_metadata(wheel, answer if isinstance(answer, bytes) else None)
    found.asked = closure.asked
    _tell_of_projects(found, pages, roots)
    _tell_of_requirements(found, closure, roots, pages)
    return found


def _read(
    metadata: Callable[[Artifact], bytes], tell: Tell, of: int, artifact: Artifact
) -> bytes | TfTesterError | None:
    """Read METADATA; None: the wheel has none that makes sense."""
    try:
        with at_work(tell, "reading what wheels require", artifact.filename, of):
            return metadata(artifact)
    except BadWheel:
        return None
    except CellRefused as error:
        return error


def _tell_of_projects(found: ReplicaPlan, pages: UpstreamPages, roots: Sequence[TargetRequirement]) -> None:
    named = {root.project for root in roots}
    for project, error in sorted(pages.unreachable.items()):
        found.certain = False
        found.missing.append(Absent(project, str(error), error.hint))
    for project, unknown in sorted(pages.absent.items()):
        if project in named:
            found.missing.append(Absent(project, str(unknown), f"{unknown.hint} {_GONE}".lstrip()))
        elif project in found.asked:
            found.unmet.append(f"{project}: {unknown}")


def _tell_of_requirements(
    found: ReplicaPlan, closure: Closure, roots: Sequence[TargetRequirement], pages: UpstreamPages
) -> None:
    named = {(root.project, root.specifier) for root in roots}
    for project, specifiers in sorted(closure.unmet.items()):
        for specifier in sorted(specifiers):
            if (project, specifier) in named:
                reason, hint = _unmet(pages.known.get(project))
                found.missing.append(Absent(f"{project}{specifier}", reason, hint))
            else:
                found.unmet.append(f"{project}{specifier}")
    if closure.opaque:
        few = ", ".join(sorted(closure.opaque)[:3])
        found.remarks.append(f"what sources alone require is not known, such as {few} ({len(closure.opaque)})")
    found.remarks += [f"{address} can't be copied: it names an address" for address in sorted(closure.addresses)]


def _unmet(page: ProjectPage | None) -> tuple[str, str]:
    """Return why nothing satisfies a requirement of a project, and what to do."""
    if page is not None and page.status is ProjectStatus.QUARANTINED:
        return "it is in quarantine at the upstream", "Wait until that is over, or take it out of the replica's file."
    if page is not None and not page.artifacts:
        return "the upstream's page has no files", f"Sync it again later. {_GONE}"
    return "no version has a file for it", "`tf-tester versions` lists what there is."
