"""One cell of the matrix."""

from collections.abc import Iterable
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from tf_tester.model.artifact import Artifact
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.lock import Lock, Resolution
from tf_tester.model.outcome import Outcome


class CellRequirement(Struct, frozen=True):
    """A distribution that a cell asks for; what that one needs in turn is the resolver's choice."""

    name: str
    """Canonical (PEP 503)."""
    version: str = ""
    """The exact version; empty where `specifier` leaves it open."""
    extras: tuple[str, ...] = ()
    """Canonical, sorted."""
    origin: str = ""
    """The index or variant that it comes from; empty: the authority."""
    specifier: str = ""
    """Version specifiers (PEP 440) such as `<4`, where no exact version is asked for; empty: any version."""
    under_test: bool = False

    @classmethod
    def parse(cls, text: str) -> "CellRequirement":
        """Return what a requirement (PEP 508) without URL and marker asks for, not under test.

        Raises `ValueError` where it is none.

        >>> CellRequirement.parse("NumPy[Dev]==1.24.0").text, CellRequirement.parse("protobuf<4").specifier
        ('numpy[dev]==1.24.0', '<4')
        """
        from packaging.requirements import InvalidRequirement, Requirement  # for few commands alone
        from packaging.utils import canonicalize_name

        try:
            read = Requirement(text)
        except RecursionError:
            raise InvalidRequirement("it is nested too deeply") from None
        exact = [one for one in read.specifier if one.operator == "==" and not one.version.endswith(".*")]
        version = exact[0].version if len(exact) == len(read.specifier) == 1 else ""
        return cls(
            canonicalize_name(read.name),
            version,
            tuple(sorted(map(canonicalize_name, read.extras))),
            specifier="" if version else str(read.specifier),
        )

    @property
    def text(self) -> str:
        """Return the requirement as PEP 508 writes it, which has no place for the origin."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}{f'=={self.version}' if self.version else self.specifier}"

    @property
    def label(self) -> str:
        """Return the text after its origin, as conda writes it: `nightly::torch==2.8.0`."""
        return f"{self.origin}::{self.text}" if self.origin else self.text


class Cell(Struct, frozen=True, dict=True):  # `dict` is where cached properties are kept
    """An ordered set of requirements, a Python, a resolution and a platform: what is run once."""

    requirements: tuple[CellRequirement, ...]
    """At least one of them is under test."""
    python: str
    """The interpreter's label (`3.8`), or `-` where none fits."""
    resolution: Resolution
    platform: str = ""
    """The platform tag of the machine that it is for, such as `win_amd64`; empty: the one that the run is on."""
    lock_name: str = ""
    """What a given lock is called: the name of its file."""
    attempt: str = ""
    """Which of several runs of one cell in one record this is, such as `again`; empty: the first."""

    def __post_init__(self) -> None:
        if not self.tested:
            raise ValueError("no requirement of the cell is under test")

    @classmethod
    def of(
        cls,
        package: str,
        version: str,
        python: str,
        resolution: Resolution,
        *,
        besides: Iterable[CellRequirement] = (),
        platform: str = "",
        lock_name: str = "",
    ) -> "Cell":
        """Return a cell with one requirement under test."""
        tested = CellRequirement(package, version, under_test=True)
        return cls((tested, *besides), python, resolution, platform, lock_name)

    def beside(self, requirements: Iterable[CellRequirement]) -> "Cell":
        """Return the cell with other requirements beside those under test."""
        return replace(self, requirements=(*self.tested, *requirements))

    @cached_property
    def tested(self) -> tuple[CellRequirement, ...]:
        """Return the requirements under test."""
        return tuple(one for one in self.requirements if one.under_test)

    @property
    def besides(self) -> tuple[CellRequirement, ...]:
        """Return the requirements that are not under test, such as `numpy==1.24.0` in a bisection of NumPy."""
        return tuple(one for one in self.requirements if not one.under_test)

    @property
    def package(self) -> str:
        """Return the name of the first requirement under test; today a cell has no other one under test."""
        return self.tested[0].name

    @property
    def version(self) -> str:
        """Return the version of the first requirement under test."""
        return self.tested[0].version

    @property
    def details(self) -> tuple[str, ...]:
        """Return what tells it from cells with the same requirements under test, Python, resolution and platform."""
        words = (*(one.label for one in self.besides), self.lock_name, self.attempt)
        return tuple(word for word in words if word)

    @cached_property
    def name(self) -> str:
        """Return how events, baselines and folders name it, such as `tensorflow==2.8.0@py3.10@era`."""
        tested = ",".join(one.label for one in self.tested)
        platform = f"@{self.platform}" if self.platform else ""
        return f"{tested}@py{self.python}@{self.resolution}{platform}" + "".join(f"+{word}" for word in self.details)


class Refusal(Struct, frozen=True):
    """Why a cell can't run, known before anything is downloaded."""

    outcome: Outcome
    summary: str
    hint: str = ""


class PlannedCell(Struct, frozen=True):
    """A cell with what it takes to run it, or with the reason why it can't be."""

    cell: Cell
    interpreter: Interpreter | None = None
    artifact: Artifact | None = None
    """The wheel of the version under test that fits the interpreter."""
    refusal: Refusal | None = None
    lock: Lock | None = None
    """What it installs, where that isn't to be found out any more."""
