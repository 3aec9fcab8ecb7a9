"""The only module that knows every adapter: settings to services."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import Enum, auto
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tf_tester import __version__
from tf_tester.core.config.settings import Settings, limits
from tf_tester.core.fetch.retention import ItemKind, StoredItem
from tf_tester.core.text.timed_names import RANDOM_BYTES, name_after
from tf_tester.env.disk import DiskEnvironments, Placement
from tf_tester.env.installer import PythonInstaller
from tf_tester.env.interpreters import FoundInterpreters, NoMemory
from tf_tester.env.overlay import OverlayEnvironments
from tf_tester.env.overlay_plans import PLACE, Plans
from tf_tester.errors import IsolationUnavailable
from tf_tester.execute.groups import ControlGroups
from tf_tester.execute.local import LocalExecutor
from tf_tester.execute.machine import machine_class, memory, total_memory, usable_cores
from tf_tester.execute.probe import abilities, store_facts, uv_version
from tf_tester.flow.prepare.services import Execution, History, Packages, Provisioning, RunContext, Services, Storage
from tf_tester.index.configured import configured_indexes
from tf_tester.index.mirror_files import known_mirrors
from tf_tester.model.host.abilities import Isolation, IsolationKind
from tf_tester.model.request import ScratchPlace
from tf_tester.ports.environment import Environments
from tf_tester.ports.execute import Sandbox, Starter
from tf_tester.ports.index import GetPage
from tf_tester.ports.tell import Tell
from tf_tester.resolve.builder import Builder
from tf_tester.resolve.confinement import Confinement
from tf_tester.resolve.direct import DirectAccess, DirectWheels
from tf_tester.resolve.indexed_uv import IndexedUv
from tf_tester.resolve.loopback import LoopbackIndex
from tf_tester.resolve.metadata import MetadataReader
from tf_tester.resolve.resolver import EarlierLocks, KnownSources, UvResolver
from tf_tester.resolve.uv import Uv
from tf_tester.sandbox.mounting import EnvironmentView
from tf_tester.sandbox.namespace import NamespaceSandbox
from tf_tester.sandbox.none import NoSandbox
from tf_tester.sandbox.server import LaunchServer
from tf_tester.store.blobs import BlobStore
from tf_tester.store.digests import StatusDigests
from tf_tester.store.folder import StoreFolder, store_errors, translate
from tf_tester.store.inventory import Inventory
from tf_tester.store.layers import LayerStore
from tf_tester.store.leases import Leases
from tf_tester.store.ledger import Ledger, LedgerMemos
from tf_tester.store.memos.cells import CellDurations, CellPeaks, CellResults
from tf_tester.store.memos.packages import KeptDownloads, KeptLocks, wheel_memos
from tf_tester.store.memos.table import BUILT, FAILED, FILE_DIGESTS, INTERPRETER, SURFACE
from tf_tester.store.removal import remove_tree
from tf_tester.store.verifying import LayerChecks
from tf_tester.transfer.client import Client
from tf_tester.transfer.settings import ClientSettings
from tf_tester.wiring.frameworks import framework_of, known_failures, known_sdists, placeholders, same_modules
from tf_tester.wiring.network import USER_AGENT, NetworkAccess, network, now
from tf_tester.wiring.store import keep_to_size, open_ledger

if TYPE_CHECKING:
    from tf_tester.flow.host.doctor import Machine

TOOL = f"tf-tester {__version__}"


class Purpose(Enum):
    """What environments are made for."""

    TEST = auto()
    SHELL = auto()


@contextmanager
def services(
    settings: Settings,
    tell: Callable[[Path], Tell],
    *,
    environ: Mapping[str, str],
    purpose: Purpose | None = None,
    hosts: Sequence[str] | None = None,
    fresh: bool = False,
    dry_run: bool = False,
) -> Iterator[Services]:
    """Yield one run's world; what is opened here is closed in reverse order.

    The sandbox is the one that the purpose asks for, and environments go with it. `hosts`: the only ones that are asked
    besides those of indexes and mirrors; None: all. `fresh`: of the index no page of some minutes ago is good enough.
    `dry_run`: the store gets pages and metadata alone of what is asked for, if there is a way, and nothing leaves it.

    `tell` gets the run's folder and gives the listener. Raises `StoreError`, `UsageError` for an unknown mirror.
    """
    StoreFolder(settings.store).open()
    run_id = new_run_id(settings)
    run_folder = StoreFolder(settings.store).runs / run_id
    hear = tell(run_folder)
    folder = StoreFolder(settings.store, tell=hear)
    with ExitStack() as stack:
        kept = replace(settings, store_size=None) if dry_run else settings
        base = _opened(kept, environ, folder, stack, hear, early=purpose is not None)
        fetching = network(settings, base.ledger, base.blobs, hear, environ, hosts=hosts, fresh=fresh)
        stack.callback(fetching.client.close)
        metadata = MetadataReader(wheel_memos(base.ledger), base.blobs, fetching.transfer, brings_small=not dry_run)
        uv = Uv(base.workplace / "uv")
        stack.enter_context(uv.remembering(folder.interpreters))
        groups = ControlGroups()
        executor = LocalExecutor(groups, base.launchers)
        stack.callback(executor.close)
        # Of its own: the other one has launchers ready for the programs that are expected there.
        builds = LocalExecutor(groups, base.launchers)
        sandbox, refusal = _for(purpose, settings, base.workplace, base.launchers)
        layers = _layers(base, linked=not isinstance(sandbox, NoSandbox | NamespaceSandbox | EnvironmentView))
        stack.callback(layers.close)

        def stop() -> None:
            uv.stop()
            layers.stop()
            executor.stop()
            builds.stop()
            fetching.client.close()

        yield Services(
            packages=_packages(settings, fetching, metadata),
            storage=_storage(base, layers),
            provisioning=_provisioning(base, fetching, metadata, uv, builds, sandbox, stack),
            execution=_execution(settings, executor, sandbox, refusal),
            history=_history(settings, base.ledger, sandbox),
            run=RunContext(
                id=run_id,
                started=now().isoformat(),
                tool=TOOL,
                folder=run_folder,
                workplace=base.workplace,
                environ=environ,
                monotonic=time.monotonic,
                tell=hear,
                stop=stop,
            ),
        )


class _Base(Struct, frozen=True):
    """What is open before anything is built on it."""

    settings: Settings
    environ: Mapping[str, str]
    folder: StoreFolder
    workplace: Path
    launchers: LaunchServer
    ledger: Ledger
    leases: Leases
    blobs: BlobStore
    tell: Tell


def _opened(
    settings: Settings, environ: Mapping[str, str], folder: StoreFolder, stack: ExitStack, tell: Tell, *, early: bool
) -> _Base:
    """Return what is open now; `stack` closes it. `early`: the launch server begins to start up."""
    if settings.store_size is not None:
        stack.callback(keep_to_size, settings)  # the last thing: when nothing is held any more
    workplace = stack.enter_context(folder.workplace())
    launchers = LaunchServer()
    stack.callback(launchers.close)
    if early and sys.platform == "linux":
        launchers.begin()  # it starts up while we go on
    ledger = open_ledger(folder)
    stack.callback(ledger.close)
    leases = Leases(folder, workplace)
    blobs = BlobStore(folder, ledger, leases, tell=tell)
    return _Base(settings, environ, folder, workplace, launchers, ledger, leases, blobs, tell)


def _layers(base: _Base, *, linked: bool) -> LayerStore:
    return LayerStore(
        base.folder,
        base.workplace,
        cpus=usable_cores(),
        compiler=_harness("compile_layer.py"),
        leases=base.leases,
        seen_at=PLACE,
        checks=lambda go_on: LayerChecks(base.ledger, go_on, time.time, linked=linked),
    )


def _storage(base: _Base, layers: LayerStore) -> Storage:
    inventory = Inventory(base.folder, base.ledger)
    return Storage(
        root=base.folder.root,
        blobs=base.blobs,
        layers=layers,
        evictable=_EvictableStore(inventory, base.leases, layers, base.workplace),
        file_digests=StatusDigests(LedgerMemos(base.ledger, FILE_DIGESTS), time.time_ns),
        remove_tree=remove_tree,
    )


def _execution(settings: Settings, executor: LocalExecutor, sandbox: Sandbox, refusal: str) -> Execution:
    return Execution(
        executor=executor,
        sandbox=sandbox,
        sandbox_refusal=refusal,
        network=settings.network or isinstance(sandbox, NoSandbox),
        limits=limits(settings, memory=total_memory()),
        limits_asked=limits(settings, memory=None),
        machine=machine_class,
        memory=_MachineMemory(executor),
        harness=_harness("run.py"),
    )


def _packages(settings: Settings, fetching: NetworkAccess, metadata: MetadataReader) -> Packages:
    return Packages(
        index=fetching.index,
        list_pages=fetching.list_pages,
        doubt=fetching.doubt,
        fetcher=fetching.transfer,
        metadata=metadata.read,
        metadata_digest=metadata.digest,
        entry_points=metadata.entry_points,
        compare=fetching.compare,
        source_histories=fetching.source_histories,
        project_list=fetching.project_list,
        framework=framework_of(settings.package),
        same_modules=same_modules(),
        known_failures=known_failures,
        placeholders=placeholders(),
    )


def _provisioning(
    base: _Base,
    fetching: NetworkAccess,
    metadata: MetadataReader,
    uv: Uv,
    builds: LocalExecutor,
    sandbox: Sandbox,
    stack: ExitStack,
) -> Provisioning:
    settings, workplace = base.settings, base.workplace
    loopback = LoopbackIndex(fetching.index, fetching.transfer)
    stack.callback(loopback.close)
    indexed = IndexedUv(uv, loopback, metadata, workplace)
    builder = Builder(
        indexed,
        memory=LedgerMemos(base.ledger, BUILT),
        blobs=base.blobs,
        fetcher=fetching.transfer,
        confinement=Confinement(
            builds,
            sandbox=cache(lambda: _build_sandbox(settings, workplace, base.launchers)),
            limits=limits(settings, memory=total_memory()),
            timeout=settings.timeout.total_seconds(),
            network=settings.build_network,
            tell=base.tell,
        ),
        exclusive=base.folder.exclusive,
        remove_tree=remove_tree,
    )
    pythons = interpreters(settings, base.ledger, uv, base.environ)
    resolver = UvResolver(
        indexed,
        index=fetching.index,
        authority=fetching.identity,
        builder=builder,
        earlier=EarlierLocks(
            KeptLocks(base.ledger),
            base.blobs,
            now,
            offline=settings.offline,
            refresh=settings.refresh,
            doubt=fetching.doubt,
        ),
        sources=KnownSources(known_sdists(), placeholders()),
        interpreters=lambda: pythons.find()[0],
    )
    direct = DirectWheels(
        builder,
        metadata,
        memory=LedgerMemos(base.ledger, BUILT),
        blobs=base.blobs,
        access=DirectAccess(fetching.client.download, base.environ, settings.offline),
    )
    return Provisioning(pythons, resolver, builder, direct, _environments(base, uv, sandbox))


def _environments(base: _Base, uv: Uv, sandbox: Sandbox) -> Environments:
    folder, workplace = base.folder, base.workplace
    on_disk = DiskEnvironments(
        workplace,
        folder.kept,
        placement=Placement.COPY if isinstance(sandbox, NoSandbox) else Placement.LINK,
        uv=lambda: uv.path,
        uv_cache=uv.cache,
        remove_tree=remove_tree,
        translate=lambda error: translate(error, folder.root),
    )
    if not isinstance(sandbox, NamespaceSandbox | EnvironmentView):
        return on_disk
    return OverlayEnvironments(
        Plans(folder.plans, workplace, exclusive=folder.exclusive),
        on_disk,
        translate=lambda error: translate(error, folder.root),
    )


def _history(settings: Settings, ledger: Ledger, sandbox: Sandbox) -> History:
    return History(
        results=None if _varies(settings, sandbox) else CellResults(ledger, now),
        surfaces=LedgerMemos(ledger, SURFACE),
        peaks=CellPeaks(ledger),
        durations=CellDurations(ledger),
        failures=LedgerMemos(ledger, FAILED),
        downloads=KeptDownloads(ledger),
    )


def for_package(world: Services, package: str) -> Services:
    """Return the same world for another package under test."""
    return replace(world, packages=replace(world.packages, framework=framework_of(package)))


@contextmanager
def machine(settings: Settings, *, environ: Mapping[str, str], private: Path | None = None) -> "Iterator[Machine]":
    """Yield what the doctor asks; nothing is opened before it is asked for, and the store isn't made.

    `private`: a folder of private projects, besides those that the store knows of.
    """
    from tf_tester.flow.host.doctor import Machine
    from tf_tester.wiring.damage import private_damage, store_damage

    who = cache(lambda: configured_indexes(settings, environ, known_mirrors()))
    with ExitStack() as stack:
        uv = Uv(Path())  # only asked where it is

        def get() -> GetPage:
            client = Client(
                ClientSettings(
                    environ=environ,
                    identities=(who().authority,),
                    offline=settings.offline,
                    user_agent=USER_AGENT,
                )
            )
            return stack.enter_context(client)

        yield Machine(
            tool=TOOL,
            python=f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})",
            uv=lambda: (uv.path, uv_version(uv.path)),
            interpreters=FoundInterpreters((), NoMemory(), PythonInstaller(lambda: uv.path), environ).find,
            store=lambda: store_facts(settings.store),
            damage=lambda: store_damage(settings.store),
            private=lambda: private_damage(settings.store, private),
            cores=usable_cores,
            jobs=settings.jobs,
            memory=memory,
            offline=settings.offline,
            authority=lambda: who().authority,
            get=get,
            mirrors=lambda: [(mirror.name, mirror.url) for mirror in who().mirrors],
            isolation=lambda: _isolation(settings),
            abilities=lambda: abilities(settings.store),
            monotonic=time.monotonic,
        )


def _isolation(settings: Settings) -> Isolation:
    """Return the isolation in use. Raises `IsolationUnavailable` where the settings ask for one that can't be had."""
    with tempfile.TemporaryDirectory(prefix="tf-tester-") as place, closing(LaunchServer()) as launchers:
        sandbox, refusal = _sandbox(settings, Path(place), launchers)
    group = ControlGroups().make(limits(settings, memory=total_memory()))
    group.remove()
    return Isolation(sandbox.name, sandbox.gaps, refusal, tuple(sorted(group.held)))


def new_run_id(settings: Settings) -> str:
    """Return a name that sorts after those of all runs in the store; unique also where machines share it.

    Raises `StoreError` where the store can't be read.
    """
    runs = StoreFolder(settings.store).runs
    with store_errors(settings.store):
        return new_name([run.name for run in runs.iterdir()] if runs.is_dir() else ())


def new_name(existing: Iterable[str]) -> str:
    """Return a name for what is made now, which sorts after all existing ones."""
    return name_after(existing, now(), os.urandom(RANDOM_BYTES))


def interpreters(settings: Settings, ledger: Ledger, uv: Uv, environ: Mapping[str, str]) -> FoundInterpreters:
    """Return the Pythons of this machine."""
    installer = PythonInstaller(
        uv=lambda: uv.path,
        build_mirrors=lambda: [
            mirror.pythons
            for mirror in configured_indexes(settings, environ, known_mirrors()).mirrors
            if mirror.pythons
        ],
    )
    return FoundInterpreters((), LedgerMemos(ledger, INTERPRETER), installer, environ)


def _varies(settings: Settings, sandbox: Sandbox) -> bool:
    """Return whether a result may depend on what nobody knows of."""
    return not settings.cache or settings.network or settings.gpu or isinstance(sandbox, NoSandbox | EnvironmentView)


def _for(purpose: Purpose | None, settings: Settings, workplace: Path, starter: Starter) -> tuple[Sandbox, str]:
    """Return a sandbox and why it isn't a better one. Raises `IsolationUnavailable`."""
    match purpose:
        case Purpose.TEST:
            return _sandbox(settings, workplace, starter)
        case Purpose.SHELL if sys.platform == "linux" and not settings.keep:
            view = EnvironmentView(workplace)
            try:
                view.check(starter)
            except IsolationUnavailable:
                return NoSandbox(), ""  # a copy is as good, and takes longer
            return view, ""
        case _:
            return NoSandbox(), ""


def _sandbox(settings: Settings, workplace: Path, starter: Starter) -> tuple[Sandbox, str]:
    """Return the sandbox that was asked for, tried once; with `auto` the best that can be had.

    And where that is none, the system's reasons. Raises `IsolationUnavailable` where what was asked for can't be had.
    """
    given = None if settings.isolation == "auto" else IsolationKind(settings.isolation)
    wanted = (IsolationKind.NAMESPACE, IsolationKind.LANDLOCK) if given is None else (given,)
    if settings.scratch is ScratchPlace.MEMORY:
        if given not in (None, IsolationKind.NAMESPACE):
            raise IsolationUnavailable(
                "A scratch in memory needs --isolation namespace.", hint="Use --scratch disk, the default."
            )
        wanted = (IsolationKind.NAMESPACE,)
    if given is IsolationKind.NONE:
        return NoSandbox(), ""
    reasons = []
    for kind in wanted:
        try:
            return _tried(kind, settings, workplace, starter), ""
        except IsolationUnavailable as error:
            if given is not None or settings.scratch is ScratchPlace.MEMORY:
                raise
            reasons.append(str(error))
    return NoSandbox(), " ".join(dict.fromkeys(reasons))


def _build_sandbox(settings: Settings, workplace: Path, starter: Starter) -> Sandbox:
    """Return a sandbox as for tests, but with the network as builds may have it. Raises `IsolationUnavailable`."""
    changed = replace(settings, network=settings.build_network, gpu=False, scratch=ScratchPlace.DISK)
    return _sandbox(changed, workplace, starter)[0]


def _tried(kind: IsolationKind, settings: Settings, workplace: Path, starter: Starter) -> Sandbox:
    """Try a sandbox out. Raises `IsolationUnavailable`."""
    if sys.platform != "linux":
        raise IsolationUnavailable("Tests can only be sandboxed on Linux.", hint="Use --isolation none.")
    allowed = limits(settings, memory=total_memory())
    if kind is IsolationKind.LANDLOCK:
        # Its attribute is read at import: not on other systems.
        from tf_tester.sandbox.landlocked import LandlockSandbox

        locked = LandlockSandbox(workplace, limits=allowed, network=settings.network, gpu=settings.gpu)
        locked.check(starter)
        return locked
    sandbox = NamespaceSandbox(workplace, limits=allowed, network=settings.network, gpu=settings.gpu)
    sandbox.check(starter)
    return sandbox


class _EvictableStore(Struct, frozen=True):
    """What one process may let go of itself."""

    inventory: Inventory
    leases: Leases
    layers: LayerStore
    workplace: Path

    def holds(self, digest: str) -> bool:
        return self.inventory.holds(digest)

    def discard(self, digests: set[str]) -> None:
        self.layers.forget(digests)
        self.leases.let_go(digests)
        self.inventory.evict(
            (StoredItem(kind, digest, 0, now()) for digest in sorted(digests) for kind in ItemKind),
            workplace=self.workplace,
        )


class _MachineMemory:
    def __init__(self, executor: LocalExecutor) -> None:
        self._executor = executor

    def available(self) -> int:
        return memory()[1]

    def resident(self) -> int:
        return self._executor.resident()


def helper_module() -> Path:
    """Return the file of the module that tests mark their functions with."""
    return _harness("provided/tf_tester_helper.py")


def _harness(name: str) -> Path:
    """Return a script of ours that other Pythons run."""
    return Path(str(files("tf_tester").joinpath("harness", name)))
