"""A world without network, store and processes, for tests of the use cases that run cells.

There are three versions of toy, and two of gear, on which it depends: the era of toy has gear 1.0, today has gear 2.0.
What a cell comes to says a function of the test's own.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import tf_tester
from tf_tester.core.fetch.ranking import MirrorComparison
from tf_tester.core.replay.key import MachineClass
from tf_tester.flow.prepare.services import Execution, History, Packages, Provisioning, RunContext, Services, Storage
from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.model.framework import Framework
from tf_tester.model.host.exit import Exit
from tf_tester.model.host.interpreter import BrokenInterpreter, Interpreter
from tf_tester.model.host.layer import Layer, Listing
from tf_tester.model.host.limits import Limits
from tf_tester.model.host.platform import Platform
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.request import DirectReference
from tf_tester.ports.environment import Environment
from tf_tester.ports.execute import Command
from tf_tester.ports.resolve import LocalWheel, Question
from tf_tester.ports.store import FileStatus
from tf_tester.ports.tell import Tell
from tf_tester.sandbox.none import NoSandbox

VERSIONS = ("1.0", "1.1", "1.2")

Behaviour = Callable[[str, str], int]
"""From the versions of toy and gear to the exit status of the command."""


class FakeWorld:
    """Ports by name; a test may put others in their place before it asks for the services."""

    def __init__(self, folder: Path, behaviour: Behaviour, tell: Tell) -> None:
        self.folder = folder
        self.behaviour = behaviour
        self.tell = tell
        self.stopped = 0
        self.pythons: list[Interpreter] = []
        """That are installed besides `python`."""
        self.python = Interpreter(Path("/opt/python/bin/python"), "3.11.4", "cpython", "cp311", 64, "cpython-311")
        self.lock: Callable[[Question], Lock] = self._lock
        self.find_layer: Callable[[str], bool] = lambda _digest: True
        self.fetch: Callable[[Artifact], Path] = lambda artifact: self.folder / artifact.filename
        self.unpack: Callable[[str], None] = lambda _filename: None
        self.make: Callable[[], None] = lambda: None
        self.learn: Callable[[], None] = lambda: None

    def services(self) -> Services:
        return Services(
            packages=Packages(
                doubt=lambda _project: False,
                index=_Index(),
                list_pages=lambda _most: None,
                fetcher=_Fetcher(self),
                metadata=_metadata,
                metadata_digest=lambda _artifact: None,
                entry_points=lambda _artifact: b"",
                compare=_no_mirrors,
                source_histories=tuple,
                framework=Framework("Toy", ("toy",), import_names=("toy",)),
                same_modules=(),
            ),
            storage=Storage(self.folder / "store", _Blobs(), _Layers(self), _Shelves(), _FileDigests(), shutil.rmtree),
            provisioning=Provisioning(
                _Interpreters(self), _Resolver(self), _NoProjects(), _NoProjects(), _Environments(self)
            ),
            execution=Execution(
                executor=_Executor(self),
                sandbox=NoSandbox(),
                sandbox_refusal="",
                network=True,
                limits=Limits(),
                limits_asked=Limits(),
                machine=lambda: MachineClass("linux", "x86_64", "x86-64-v3", "glibc 2.36", "debian 12"),
                memory=_Memory(),
                harness=Path(tf_tester.__file__).with_name("harness") / "run.py",
            ),
            history=History(None, _Nothing(), _Nothing(), _Nothing(self), _Nothing(), _Nothing()),
            run=RunContext(
                id="20260101T000000-0001",
                started="2026-01-01T00:00:00+00:00",
                tool="tf-tester 0",
                folder=self.folder / "run",
                workplace=self.folder / "workplace",
                environ={},
                monotonic=lambda: 0.0,
                tell=self.tell,
                stop=self._stop,
            ),
        )

    def _stop(self) -> None:
        self.stopped += 1

    def _lock(self, question: Question) -> Lock:
        wanted = dict(text.split("==") for text in question.requirements if "==" in text)
        newest = "2.0" if question.resolution is Resolution.LATEST else "1.0"
        capped = any(text.startswith("gear<") for text in question.requirements)
        gear = "1.0" if capped else wanted.get("gear", newest)
        pins = (_pin("gear", gear), _pin("toy", wanted["toy"]))
        return Lock("3.11.4", question.resolution, question.cutoff, pins)


def digest(name: str, version: str) -> str:
    return sha256(f"{name} {version}".encode()).hexdigest()


def _filename(name: str, version: str) -> str:
    return f"{name}-{version}-py3-none-any.whl"


def _pin(name: str, version: str) -> Pin:
    return Pin(
        name, version, _filename(name, version), digest(name, version), 10, f"https://host/{_filename(name, version)}"
    )


def _metadata(artifact: Artifact) -> bytes:
    needs = "Requires-Dist: gear\n" if artifact.project == "toy" else ""
    return f"Metadata-Version: 2.1\nName: {artifact.project}\nVersion: {artifact.version}\n{needs}\n".encode()


def _no_mirrors(artifacts: Sequence[Artifact], names: Sequence[str]) -> MirrorComparison:
    raise NotImplementedError


class _Index:
    def page(self, project: str) -> ProjectPage:
        released = datetime(2023, 9, 1, tzinfo=UTC)
        return ProjectPage(
            project,
            tuple(
                Artifact(
                    filename=_filename(project, version),
                    project=project,
                    version=version,
                    url=f"https://host/{_filename(project, version)}",
                    sha256=digest(project, version),
                    size=10,
                    upload_time=released,
                )
                for version in (VERSIONS if project == "toy" else ("1.0", "2.0"))
            ),
        )


class _FileDigests:
    def of(self, folder: Path, files: Sequence[tuple[str, FileStatus]]) -> list[str]:
        return [digest(path, "") for path, _ in files]


class _Interpreters:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def find(self) -> tuple[Sequence[Interpreter], Sequence[BrokenInterpreter]]:
        return [self._world.python, *self._world.pythons], []

    def probe(self, path: Path) -> Interpreter:
        return self._world.python

    def install(self, python: str) -> Interpreter:
        return self._world.python

    def platform(self) -> Platform:
        return Platform()


class _Resolver:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def lock(self, question: Question) -> tuple[Lock, bool]:
        return self._world.lock(question), True

    def pins(self, artifacts: Sequence[Artifact], interpreter: Interpreter) -> tuple[Pin, ...]:
        return tuple(_pin(artifact.project, artifact.version) for artifact in artifacts)


class _NoProjects:
    def project_wheel(self, folder: Path, interpreter: Interpreter) -> tuple[Pin, bytes]:
        raise NotImplementedError

    def direct_wheel(self, reference: DirectReference, interpreter: Interpreter) -> LocalWheel:
        raise NotImplementedError


class _Fetcher:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def fetch(self, artifact: Artifact) -> Path:
        return self._world.fetch(artifact)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


class _Blobs:
    def find(self, sha256: str) -> Path | None:
        return None

    def holds(self, sha256: str) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


class _Layers:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def find(self, sha256: str, interpreter: Interpreter) -> Layer | None:
        return _layer(_name_of(sha256), sha256) if self._world.find_layer(sha256) else None

    def layer(self, filename: str, sha256: str, wheel: Path, interpreter: Interpreter) -> Layer:
        self._world.unpack(filename)
        return _layer(_name_of(sha256), sha256)

    def examine(self, layers: Sequence[Layer], *, unread_for: float | None = None) -> Callable[[], tuple[str, ...]]:
        return tuple

    def renew(self, sha256s: Sequence[str]) -> None:
        raise AssertionError("nothing is damaged here")


_KNOWN = {
    digest(name, version): (name, version)
    for name, version in [*(("toy", one) for one in VERSIONS), ("gear", "1.0"), ("gear", "2.0")]
}


def _name_of(sha256: str) -> str:
    return _KNOWN[sha256][0]


def _layer(name: str, sha256: str) -> Layer:
    return Layer(sha256, name, Path("/layers") / sha256, Path("/layers") / sha256 / "tree", "lib", lambda: Listing(()))


class _Environments:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def make(
        self, interpreter: Interpreter, layers: Sequence[Layer], *, keep: str | None
    ) -> AbstractContextManager[Environment]:
        return self._made(layers)

    @contextmanager
    def _made(self, layers: Sequence[Layer]) -> Iterator[Environment]:
        self._world.make()
        found = dict(_KNOWN[layer.sha256] for layer in layers)
        folder = self._world.folder / "environments" / f"{found['toy']}-{found['gear']}"
        yield Environment(folder, folder / "bin/python", folder / "bin")


class _Executor:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def expect(self, ahead: bytes, limits: Limits) -> None: ...

    def run(self, command: Command, *, stdout: Path, stderr: Path, **_: Any) -> Exit:
        toy, gear = Path(command.env["VIRTUAL_ENV"]).name.split("-")
        code = self._world.behaviour(toy, gear)
        stdout.write_bytes(b"")
        stderr.write_bytes(b"" if code == 0 else f"AssertionError: {toy} with gear {gear}\n".encode())
        return Exit(code, None, False, 0.0, 0.0, 1024)


class _Memory:
    def available(self) -> int:
        return 10**15

    def resident(self) -> int:
        return 0


class _Shelves:
    def __init__(self) -> None:
        self.discarded: set[str] = set()

    def holds(self, digest: str) -> bool:
        return False

    def discard(self, digests: set[str]) -> None:
        self.discarded |= digests


class _Nothing:
    """Memory of earlier runs, of which there were none."""

    def __init__(self, world: FakeWorld | None = None) -> None:
        self._world = world

    def recall(self, key: str) -> None: ...

    def remember(self, key: str, value: Any) -> None: ...

    def peak(self, package: str) -> None: ...

    def seconds(self, cell: str) -> None: ...

    def learn(self, key: str, value: Any) -> None:
        if self._world is not None:
            self._world.learn()

    def versions(self, package: str) -> tuple[str, ...]:
        return ()

    def add(self, package: str, versions: Any) -> None: ...
