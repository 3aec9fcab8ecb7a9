"""From a planned cell to an environment: lock, fetch, unpack, make."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor as Pool
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from tf_tester.core.index.era import majors_until, release_date
from tf_tester.core.outcome.owners import YOURS, InstalledFiles
from tf_tester.core.select.markers import markers_of
from tf_tester.core.select.placeholders import placeholder_asked
from tf_tester.core.select.pytest_wanted import any_version, without_test_tools
from tf_tester.core.text.parsing import parse_requirement
from tf_tester.core.wheel.unsatisfied import is_demanded
from tf_tester.core.wheel.wheel_rules import extras_of, same_version, without_requirement
from tf_tester.errors import BuildFailed, DownloadFailed, InstallFailed, Unresolvable
from tf_tester.flow.prepare.services import Services
from tf_tester.model.artifact import ProjectPage
from tf_tester.model.cell import PlannedCell
from tf_tester.model.events import CellStep, FilesMissing, MissingFile
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.layer import Layer
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.request import Selection, Trial
from tf_tester.ports.environment import Environment
from tf_tester.ports.resolve import LocalWheel, Question

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_TODAY = timedelta(hours=1)
"""How long today's dependencies count as today's."""
_TOOL = timedelta(days=30)
"""How long the test runner stays the same, so that a run tomorrow is the run of today."""


class Preparation(Struct):
    """One cell on its way; phases and remarks gather here."""

    planned: PlannedCell
    interpreter: Interpreter
    lock: Lock | None = None
    grace: timedelta | None = None
    """Another one than the request's, for its dependencies."""
    step: CellStep = CellStep.RESOLVING
    """What is being done; where it has failed, what was."""
    phases: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    failed: tuple[str, ...] = ()
    """Ids of the tests that failed before, where only these are to run."""
    import_names: tuple[str, ...] = ()
    """Of the package under test, at the top."""
    brings_programs: bool = False
    """Whether the package under test has programs, which run without an import."""
    project_names: tuple[str, ...] = ()
    """Likewise of the user's own project."""
    installed: tuple[InstalledFiles, ...] = ()
    damaged: Callable[[], tuple[str, ...]] = tuple
    """Waits until its layers were looked at, and gives the digests of those that aren't what was unpacked."""
    reread: Callable[[float], tuple[str, ...]] = lambda _unread_for: ()
    """Reads those of its layers that nobody has read for so many seconds, and gives the same."""


class LockPolicy(Struct, frozen=True):
    """What is in locks besides what was asked for, and where they may come from."""

    tools: tuple[str, ...] = ()
    """Requirements of the test runner, such as `pytest`."""
    preferred: tuple[str, ...] = ()
    """What the project's own files ask of it (`pytest<9`); where that can't be had, any is taken."""
    only_given: bool = False
    """To a given lock nothing is added, whatever the test runner needs."""
    anew: bool = False
    """No lock of an earlier run is good enough."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the tools as they are asked for first."""
        return (*self.tools, *self.preferred_tools)

    @property
    def preferred_tools(self) -> tuple[str, ...]:
        """Return what the project's own files ask of the tools that there are."""
        return self.preferred if "pytest" in self.tools else ()


_AS_ASKED = LockPolicy()


class Preparer:
    """What all cells of a run share: the page, the pool, the user's own project."""

    def __init__(
        self,
        selection: Selection,
        trial: Trial,
        page: ProjectPage,
        services: Services,
        pool: Pool,
        policy: LockPolicy = _AS_ASKED,
    ) -> None:
        self._selection = selection
        self._trial = trial
        self._page = page
        self._services = services
        self._pool = pool
        self._policy = policy
        self._project_lock = threading.Lock()
        self._allowed: dict[str, tuple[Requirement, ...]] = {}
        """What the user's own project, and what is named by its address, allow of the package under test."""

    def locked(self, preparation: Preparation) -> tuple[Lock, bool]:
        """Return the exact distributions of a cell, its test runner's included, and whether the store knew them."""
        planned, interpreter = preparation.planned, preparation.interpreter
        if planned.lock is not None:
            return self._given(preparation, planned.lock), True
        local = self._local(interpreter)
        requirements = [*(one.text for one in planned.cell.requirements), *self._others(preparation)]
        requirements += [text for _, text in local]
        released = self._released(preparation)
        grace = self._selection.grace if preparation.grace is None else preparation.grace
        lock, known = self._answer(
            Question(
                requirements=tuple(requirements),
                interpreter=interpreter,
                resolution=planned.cell.resolution,
                cutoff=None if released is None else released + grace,
                released=released,
                majors_until=None if released is None else majors_until(released, grace),
                undated=frozenset(one.name for one in planned.cell.besides),
                constraints=self._trial.constraints,
                pre=self._trial.pre,
                local=tuple(one for one, _ in local),
                alike=self._alike,
                good_for=self._good_for(planned.cell.resolution),
                allow_build=self._selection.allow_build,
            )
        )
        preparation.remarks += lock.remarks
        preparation.remarks += self._twice(lock)
        preparation.remarks += self._forbidden(planned.cell.version, interpreter)
        if self._policy.tools or self.test_tools(interpreter):
            tools, tools_known = self._tool_lock(preparation, lock)
            lock, known = _joined(lock, tools, preparation.remarks), known and tools_known
        self._check_hashes(lock)
        preparation.lock = lock
        return lock, known

    def _answer(self, question: Question) -> tuple[Lock, bool]:
        """Return the lock, or raise with the line of the user's file that is not satisfied, where there is one."""
        try:
            return self._services.provisioning.resolver.lock(question)
        except Unresolvable as error:
            told = [f"{place} asks for {text}" for text, place in self._trial.places if is_demanded(text, error.detail)]
            if told:
                error.message = f"{error.message.rstrip('.')}: {' and '.join(told)}."
                error.args = (error.message,)
            raise

    @property
    def _alike(self) -> frozenset[str]:
        """Names of distributions for which the package under test stands: they bring the same modules."""
        package = self._selection.package
        groups = (group for group in self._services.packages.same_modules if package in group)
        return next(groups, frozenset()) - {package}

    def _others(self, preparation: Preparation) -> list[str]:
        """Return what the trial requires, but for what the package under test stands for."""
        kept = []
        for text in self._trial.requirements:
            self._refuse_placeholder(text)
            if _project_of(text) in self._alike:
                preparation.remarks.append(f"{self._selection.package}, which is under test, stands for {text}")
            else:
                kept.append(text)
        return kept

    def _refuse_placeholder(self, text: str) -> None:
        asked = placeholder_asked(text, self._services.packages.placeholders)
        if asked is not None and not {asked.name, "all"} & self._selection.allow_build:
            raise Unresolvable(
                f"{text} is a placeholder that brings nothing.", hint=f"Require {asked.instead}: that is meant."
            )

    def _twice(self, lock: Lock) -> list[str]:
        """Return a remark on each group of distributions in a lock that overwrite one another."""
        names = {str(canonicalize_name(pin.name)) for pin in lock.pins}
        found = (sorted(group & names) for group in self._services.packages.same_modules)
        return [
            f"{' and '.join(some)} bring the same modules: which are imported is chance"
            for some in found
            if len(some) > 1
        ]

    def _is_told(self, clash: str) -> bool:
        """Tell whether a clash is of two of which it was said that they bring the same modules."""
        first, _, rest = clash.partition(" and ")
        names = {first, rest.partition(" both bring ")[0]}
        return any(names <= group for group in self._services.packages.same_modules)

    def _check_hashes(self, lock: Lock) -> None:
        """Refuse a lock with a file that isn't among the hashes of the request."""
        allowed = dict(self._trial.hashes)
        for pin in lock.pins:
            digests = allowed.get(str(canonicalize_name(pin.name)))
            if digests is not None and (pin.built_from or pin.sha256) not in digests:
                raise Unresolvable(
                    f"{pin.filename} has none of the hashes that the requirements give for {pin.name}.",
                    hint="It was changed, or they are of other files: make them anew if you trust the index.",
                    detail=f"its hash: sha256:{pin.built_from or pin.sha256}",
                )

    def requirements(self, preparation: Preparation) -> tuple[str, ...]:
        """Return what the trial and the user's own project require, besides the package and what a cell alone has."""
        project = self._project(preparation.interpreter)
        direct = (one.text for one in self._trial.direct)
        return (*self._trial.requirements, *direct, *(self._needs_of(*project) if project is not None else ()))

    def test_tools(self, interpreter: Interpreter) -> tuple[str, ...]:
        """Return the test runner and plugins that groups and extras of the user's project require on a Python."""
        return (*self._trial.test_tools, *self._project_apart(interpreter)[1])

    def _given(self, preparation: Preparation, lock: Lock) -> Lock:
        """Return a given lock with the user's own project as it is now, and the test runner where it has none."""
        names = {canonicalize_name(pin.name) for pin in lock.pins}
        missing = [text for text in self._policy.tools if _project_of(text) not in names]
        if missing and self._policy.only_given:
            raise Unresolvable(
                f"The lock has no {' and no '.join(missing)}, which these tests need.",
                hint="Make the lock for the tests (`tf-tester lock tests/`), or with --with.",
            )
        if missing:
            tools, _ = self._tool_lock(preparation, lock)
            lock = replace(_joined(lock, tools, preparation.remarks), remarks=lock.remarks)
        project = self._project(preparation.interpreter)
        if project is not None:
            own = canonicalize_name(project[0].name)
            absent = sorted({_project_of(need) for need in self._needs_of(*project)} - names - {own})
            if absent:
                raise Unresolvable(
                    f"The lock has no {' and no '.join(absent)}, which the project requires.",
                    hint="Make the lock with that (`tf-tester lock --with`), or test without a lock.",
                )
            lock = replace(lock, pins=(*(pin for pin in lock.pins if canonicalize_name(pin.name) != own), project[0]))
        preparation.lock = lock
        preparation.remarks += lock.remarks
        return lock

    @contextmanager
    def environment(
        self,
        preparation: Preparation,
        lock: Lock,
        entered: Callable[[CellStep], None],
        *,
        keep: str | None,
        for_a_person: bool = False,
    ) -> Iterator[Environment]:
        """Yield the cell's environment; `entered` is called with each step that is told.

        Whether its layers are what was unpacked is looked at meanwhile (`Preparation.damaged`); before, where the
        environment is to be kept or is `for_a_person`: what happens there isn't repeated.
        """
        clock = self._services.run.monotonic
        started = clock()
        execution = self._services.execution
        if execution.sandbox.ahead is not None:
            execution.executor.expect(execution.sandbox.ahead, execution.limits)
        preparation.step = CellStep.DOWNLOADING
        entered(CellStep.DOWNLOADING)
        storage = self._services.storage
        if keep is not None or for_a_person:
            layers = self.sound_layers(preparation, lock, entered)
        else:
            layers = self._layers(lock, preparation, entered)
            preparation.damaged = storage.layers.examine(layers)
        read = layers
        preparation.reread = lambda unread_for: storage.layers.examine(read, unread_for=unread_for)()
        preparation.phases["layers"] = max(0.0, clock() - started - preparation.phases["download"])
        made = clock()
        preparation.step = CellStep.UNPACKING
        own_layers = [layer for layer in layers if layer.name == preparation.planned.cell.package]
        preparation.import_names = self._services.packages.framework.import_names or own_layers[0].import_names
        preparation.brings_programs = any(layer.brings_programs for layer in own_layers)
        project = self._project(preparation.interpreter)
        own = project[0].sha256 if project is not None else ""
        preparation.project_names = next((layer.import_names for layer in layers if layer.sha256 == own), ())
        preparation.installed = tuple(_installed(layer, own) for layer in layers)
        with self._services.provisioning.environments.make(preparation.interpreter, layers, keep=keep) as environment:
            preparation.phases["environment"] = clock() - made
            preparation.remarks += [one for one in environment.clashes if not self._is_told(one)]
            preparation.step = CellStep.RUNNING
            yield environment
            made = clock()
        preparation.phases["cleanup"] = clock() - made

    def sound_layers(
        self,
        preparation: Preparation,
        lock: Lock,
        entered: Callable[[CellStep], None],
        *,
        unread_for: float | None = None,
    ) -> list[Layer]:
        """Return the layers of a lock, found to be what was unpacked.

        `unread_for`: see `ports.store.Layers.examine`.
        """
        layers = self._layers(lock, preparation, entered)
        if damaged := self._services.storage.layers.examine(layers, unread_for=unread_for)():
            self._services.storage.layers.renew(damaged)
            layers = self._layers(lock, preparation, entered)
        return layers

    def _good_for(self, resolution: Resolution) -> timedelta | None:
        if self._policy.anew:
            return timedelta()
        return None if resolution is Resolution.ERA else _TODAY

    def _released(self, preparation: Preparation) -> datetime | None:
        """Return the day from which the era is counted; None: dependencies are today's, or of no day."""
        cell = preparation.planned.cell
        if cell.resolution is not Resolution.ERA:
            return None
        released = release_date(a for a in self._page.artifacts if same_version(a.version, cell.version))
        if released is None:
            preparation.remarks.append(
                f"the index tells no upload time for {cell.package} {cell.version}: dependencies are today's"
            )
        return released

    def _tool_lock(self, preparation: Preparation, lock: Lock) -> tuple[Lock, bool]:
        """Return the test runner that fits beside the lock; only where none does, one that changes it."""
        of_project = self.test_tools(preparation.interpreter)
        question = Question(
            requirements=(),
            interpreter=preparation.interpreter,
            resolution=Resolution.LATEST,
            cutoff=None,
            local=tuple(one for one, _ in self._local(preparation.interpreter)),
            good_for=timedelta() if self._policy.anew else _TOOL,
            allow_build=self._selection.allow_build,
        )
        under_test = {one.name for one in preparation.planned.cell.requirements}
        pinned = {str(canonicalize_name(pin.name)): f"{pin.name}=={pin.version}" for pin in lock.pins}
        kept = [text for name, text in pinned.items() if name in under_test]

        def answer(requirements: Iterable[str], constraints: Iterable[str]) -> tuple[Lock, bool]:
            # What the user's files say of whatever is installed holds for what the project asks for by name.
            limits = (*constraints, *(self._trial.constraints if of_project else ()))
            asked = replace(question, requirements=(*self._policy.tools, *requirements), constraints=limits)
            return self._services.provisioning.resolver.lock(asked)

        wanted = (*(() if "pytest" in pinned else self._policy.preferred_tools), *of_project)
        if wanted:
            # A group or an extra was asked for: what it says outweighs what else is of the era.
            for constraints in (pinned.values(), kept) if of_project else (pinned.values(),):
                with suppress(Unresolvable):
                    return answer(wanted, constraints)
            asked = " and ".join(dict.fromkeys(text for text in wanted if any_version(text) != text))
            taken = "any version is" if set(map(_project_of, wanted)) != {"pytest"} else "any pytest is"
            if asked:
                preparation.remarks.append(f"the project asks for {asked}: that can't be had here, {taken} taken")
        loose = tuple(map(any_version, of_project))
        try:
            return answer(loose, pinned.values())
        except Unresolvable:
            return answer(loose, kept)

    def _forbidden(self, version: str, interpreter: Interpreter) -> list[str]:
        """Return a remark on each that doesn't allow this version on this Python: it is tested all the same."""
        markers = dict(markers_of(interpreter))
        return [
            f"{name} requires {self._selection.package}{one.specifier}, which {version} isn't: "
            "an installer would refuse it"
            for name, requirements in self._allowed.items()
            for one in requirements
            if (one.marker is None or one.marker.evaluate(markers))
            and not one.specifier.contains(version, prereleases=True)
        ]

    def _project(self, interpreter: Interpreter) -> tuple[Pin, bytes] | None:
        """Return the user's own project as a pin and its METADATA, built once for each Python that needs it.

        Its extras require no test tools: these are resolved by themselves.
        """
        return self._project_apart(interpreter)[0]

    def _project_apart(self, interpreter: Interpreter) -> tuple[tuple[Pin, bytes] | None, tuple[str, ...]]:
        """Return the project without the test tools of its extras, and those of the extras that were asked for."""
        if self._trial.project is None:
            return None, ()
        with self._project_lock:
            pin, metadata = self._services.provisioning.projects.project_wheel(self._trial.project, interpreter)
        apart, tools = without_test_tools(metadata, self._trial.extras, markers_of(interpreter))
        return (pin, apart), tools

    def _local(self, interpreter: Interpreter) -> tuple[tuple[LocalWheel, str], ...]:
        """Return the user's own project and what is named by its address, each with how a cell asks for it.

        None of them asks for a version of the package under test: that is given.
        """
        project = self._project(interpreter)
        return (*((self._own(*project),) if project is not None else ()), *self._direct(interpreter))

    def _direct(self, interpreter: Interpreter) -> Iterator[tuple[LocalWheel, str]]:
        for reference in self._trial.direct:
            if reference.marker and not _holds(reference.marker, interpreter):
                continue
            with self._project_lock:
                found = self._services.provisioning.direct.direct_wheel(reference, interpreter)
            pin = found.pin
            if canonicalize_name(pin.name) == self._selection.package:
                raise Unresolvable(
                    f"{reference.text} is {pin.name} itself, of which the index's versions are under test.",
                    hint="Leave it out, or name another package with --package.",
                )
            self._needs_of(pin, found.metadata)
            extras = f"[{','.join(reference.extras)}]" if reference.extras else ""
            metadata = without_requirement(found.metadata, self._selection.package)
            yield LocalWheel(pin, metadata), f"{pin.name}{extras}=={pin.version}"

    def _own(self, pin: Pin, metadata: bytes) -> tuple[LocalWheel, str]:
        if canonicalize_name(pin.name) == self._selection.package:
            raise Unresolvable(
                f"The project is {pin.name} itself, of which the index's versions are under test.",
                hint="Leave --project out, or name another package with --package.",
            )
        self._needs_of(pin, metadata)  # what it says must be sound: a resolver would pass over it without a word
        known = extras_of(metadata)
        for extra in self._trial.extras:
            if canonicalize_name(extra) not in known:
                has = f"it has {', '.join(sorted(known))}" if known else "it has none"
                raise Unresolvable(f"{pin.name} has no extra {extra}.", hint=f"Check the name: {has}.")
        asked = self._trial.project_requirement(pin.name, pin.version)
        return LocalWheel(pin, without_requirement(metadata, self._selection.package)), asked

    def _needs_of(self, pin: Pin, metadata: bytes) -> list[str]:
        from packaging.metadata import parse_email  # 25 ms, for --project alone
        from packaging.requirements import InvalidRequirement

        raw, _ = parse_email(metadata)
        needs = []
        allowed = []
        for text in raw.get("requires_dist", []):
            try:
                requirement = parse_requirement(text)
            except InvalidRequirement as error:
                raise BuildFailed(f"{pin.name} requires {text!r}, which is not a valid requirement.") from error
            extras = ("", *self._trial.extras)
            if requirement.marker is not None and "extra" in str(requirement.marker):
                environment = [{"extra": canonicalize_name(extra) if extra else ""} for extra in extras]
                if not any(map(requirement.marker.evaluate, environment)):
                    continue
                requirement.marker = None
            # The version under test is given; what the project allows of it is what is being tested.
            if canonicalize_name(requirement.name) == self._selection.package:
                allowed.append(requirement)
            else:
                needs.append(str(requirement))
        self._allowed[pin.name] = tuple(allowed)
        return needs

    def _layers(self, lock: Lock, preparation: Preparation, entered: Callable[[CellStep], None]) -> list[Layer]:
        """Return the layers in the order of the lock; what isn't there is fetched and unpacked, several at once."""
        python = preparation.interpreter
        # Looking for 40 that are there takes 10 ms; handing each to a thread takes three times as long.
        found = {pin: self._services.storage.layers.find(pin.sha256, python) for pin in lock.pins}
        # The largest first: what takes longest to bring and to unpack must not be alone at the end.
        absent = sorted((pin for pin in lock.pins if found[pin] is None), key=lambda pin: -(pin.size or 0))
        self._tell_missing(preparation.planned.cell.name, absent)
        missing = _CountDown(len(absent), lambda: entered(CellStep.UNPACKING))
        coming = {pin: _Coming() for pin in absent}
        work = {pin: self._pool.submit(self._layer, pin, python, coming[pin], missing) for pin in absent}
        for pin, job in work.items():
            try:
                found[pin] = job.result()
            except BaseException:
                preparation.step = coming[pin].step
                raise
        preparation.phases["download"] = max((one.seconds for one in coming.values()), default=0.0)
        return [layer for pin in lock.pins if (layer := found[pin]) is not None]

    def _tell_missing(self, cell: str, absent: Sequence[Pin]) -> None:
        """Tell what has to be brought, for those who watch."""
        blobs = self._services.storage.blobs
        brought = [pin for pin in absent if pin.url and not pin.built_from and blobs.find(pin.sha256) is None]
        files = tuple(MissingFile(pin.sha256, pin.filename, pin.size) for pin in brought)
        if files:
            self._services.run.tell(FilesMissing(cell, files))

    def _layer(self, pin: Pin, interpreter: Interpreter, coming: "_Coming", missing: "_CountDown") -> Layer:
        """Fetch and unpack one wheel."""
        clock = self._services.run.monotonic
        started = clock()
        blob = self._services.storage.blobs.find(pin.sha256) or self._fetched(pin)
        coming.seconds = clock() - started
        coming.step = CellStep.UNPACKING
        missing.one_less()
        storage = self._services.storage
        try:
            return storage.layers.layer(pin.filename, pin.sha256, blob, interpreter)
        except InstallFailed:
            if storage.blobs.is_sound(pin.sha256):
                raise
        # It had been damaged without a trace in its status: that is not its publisher's mistake.
        return storage.layers.layer(pin.filename, pin.sha256, self._fetched(pin), interpreter)

    def _fetched(self, pin: Pin) -> Path:
        if not pin.url or pin.built_from or pin.url.startswith("git+"):
            raise DownloadFailed(
                f"{pin.filename} was built here and is no longer in the store.",
                hint="Repeat the command.",
            )
        return self._services.packages.fetcher.fetch(pin.artifact)


def _installed(layer: Layer, own: str) -> InstalledFiles:
    """Return whose files are in a layer. Their names are read only where somebody asks for one."""
    owner = YOURS if layer.sha256 == own else layer.name
    return InstalledFiles(owner, layer.import_names, lambda file: f"site/{file}" in layer.files)


class _Coming(Struct):
    """One wheel that wasn't there."""

    step: CellStep = CellStep.DOWNLOADING
    seconds: float = 0.0
    """That fetching it took."""


class _CountDown:
    """Says once that nothing is missing any more."""

    def __init__(self, count: int, done: Callable[[], None]) -> None:
        self._count = count
        self._done = done
        self._lock = threading.Lock()

    def one_less(self) -> None:
        with self._lock:
            self._count -= 1
            last = self._count == 0
        if last:
            self._done()


def _holds(marker: str, interpreter: Interpreter) -> bool:
    from packaging.markers import Marker

    return Marker(marker).evaluate(dict(markers_of(interpreter)))


def _project_of(requirement: str) -> str:

    return str(canonicalize_name(parse_requirement(requirement).name))


def _joined(lock: Lock, tools: Lock, remarks: list[str]) -> Lock:
    """Return the lock with the test runner's pins; remark on what the runner had to change."""
    own = {pin.name: pin for pin in lock.pins}
    for tool in tools.pins:
        pin = own.get(tool.name)
        if pin is not None and not same_version(pin.version, tool.version):
            remarks.append(f"the test runner needs {tool.name} {tool.version}: {pin.version} was replaced")
        own[tool.name] = tool
    return replace(lock, pins=tuple(sorted(own.values(), key=lambda pin: pin.name)))
