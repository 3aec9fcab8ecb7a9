"""One column of the matrix."""

from msgspec import Struct

from tf_tester.model.artifact import Artifact
from tf_tester.model.interpreter import Interpreter
from tf_tester.model.lock import Lock, Resolution
from tf_tester.model.outcome import Outcome


class Cell(Struct, frozen=True):
    """One (package version, Python, resolution) to be tested."""

    package: str
    version: str
    python: str
    """The interpreter's label (`3.8`), or `-` where none fits."""
    resolution: Resolution
    also: tuple[str, ...] = ()
    """Requirements that this cell alone has besides, such as `numpy==1.24.0`; of a given lock, what it is called."""

    @property
    def key(self) -> str:
        also = "".join(f"+{one}" for one in self.also)
        return f"{self.package}=={self.version}@py{self.python}@{self.resolution}{also}"


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
