"""`--mirror auto`: the fastest mirrors, compared once and remembered for some hours."""

import threading
from collections.abc import Callable, Sequence

from msgspec import Struct

from tf_tester.core.fetch.ranking import MirrorComparison
from tf_tester.core.fetch.sourcing import WORTH_A_COMPARISON, told_of
from tf_tester.errors import TfTesterError
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import MirrorsChosen
from tf_tester.model.mirror import Mirror
from tf_tester.ports.memory import Memos
from tf_tester.ports.tell import Tell


class ChoiceMemory(Struct, frozen=True):
    """The choice that is remembered for one authority."""

    memos: Memos[tuple[str, ...]]
    authority: str
    """Its address, without credentials."""

    def recall(self) -> tuple[str, ...] | None:
        return self.memos.recall(self.authority)

    def remember(self, names: tuple[str, ...]) -> None:
        self.memos.remember(self.authority, names)


class FastestMirrors:
    """The choice of one run; callable from any thread."""

    def __init__(
        self,
        mirrors: Callable[[], Sequence[Mirror]],
        compare: Callable[[Sequence[Artifact]], MirrorComparison],
        memory: ChoiceMemory,
        tell: Tell,
    ) -> None:
        """Choose among `mirrors`."""
        self._mirrors = mirrors
        self._compare = compare
        self._memory = memory
        self._tell = tell
        self._lock = threading.Lock()
        self._chosen: tuple[str, ...] | None = None

    def __call__(self, artifact: Artifact) -> list[Mirror]:
        """Return the fastest for a file; none as long as nothing large enough was asked for."""
        with self._lock:
            if self._chosen is None:
                self._chosen = self._memory.recall()
            if self._chosen is None and (artifact.size or 0) >= WORTH_A_COMPARISON:
                self._chosen = self._choice(artifact)
            names = self._chosen or ()
        mirrors = {mirror.name: mirror for mirror in self._mirrors()} if names else {}
        return [mirrors[name] for name in names if name in mirrors]

    def _choice(self, artifact: Artifact) -> tuple[str, ...]:
        if not self._mirrors():
            self._tell(MirrorsChosen((), "none of those that are known is a copy of this index"))
            return ()
        try:
            comparison = self._compare([artifact])
        except TfTesterError as error:
            self._tell(MirrorsChosen((), str(error)))
            return ()
        self._tell(MirrorsChosen(comparison.chosen, told_of(comparison)))
        self._memory.remember(comparison.chosen)
        return comparison.chosen
