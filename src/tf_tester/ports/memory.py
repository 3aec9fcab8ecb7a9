"""What earlier runs left for later ones."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from tf_tester.model.outcome import CellResult

if TYPE_CHECKING:
    from tf_tester.core.surface import Surface


class Peaks(Protocol):
    """What cells of a package needed so far, so that not too many start at once."""

    def peak(self, package: str) -> int | None:
        """Bytes."""
        ...

    def learn(self, package: str, peak: int) -> None: ...


class Durations(Protocol):
    """How long cells ran last time, whatever was tested: so that the longest don't come last."""

    def seconds(self, cell: str) -> float | None: ...

    def learn(self, cell: str, seconds: float) -> None: ...


class Results(Protocol):
    """Results by what they depend on."""

    def recall(self, key: str) -> CellResult | None: ...

    def remember(self, key: str, result: CellResult) -> None:
        """Unless it is distrusted."""
        ...

    def distrust(self, key: str) -> None:
        """With this key a cell has failed: what passes with it is not the same every time."""
        ...


class Surfaces(Protocol):
    """Public names of packages, read once."""

    def recall(self, key: str) -> "Surface | None": ...

    def remember(self, key: str, surface: "Surface") -> None: ...


class Downloads(Protocol):
    """Which versions of a package somebody brought here on purpose."""

    def versions(self, package: str) -> tuple[str, ...]: ...

    def add(self, package: str, versions: Iterable[str]) -> None: ...
