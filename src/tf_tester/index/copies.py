"""The mirrors' copies of one authority, as indexes."""

from collections.abc import Callable, Iterable

from tf_tester.core.index.mirror_list import MirrorList
from tf_tester.model.mirror import Mirror
from tf_tester.ports.index import Index, MirrorIndex


class MirrorCopies:
    """One index for each address, made when it is first asked for; callable from any thread."""

    def __init__(self, authority: str, known: MirrorList, at: Callable[[str], Index]) -> None:
        """Take the index of an address from `at`."""
        self._authority = authority
        self._known = known
        self._at = at
        self._made: dict[str, Index] = {}

    def of(self, mirror: Mirror) -> MirrorIndex | None:
        """Return a mirror's copy; None where it has none."""
        url = mirror.beside(self._authority)
        if url is None:
            return None
        index = self._made.get(url)
        if index is None:
            index = self._made.setdefault(url, self._at(url))
        return MirrorIndex(mirror, self._known.root_of(mirror.name), index)

    def of_all(self, mirrors: Iterable[Mirror]) -> list[MirrorIndex]:
        """Return the copies of those that have one."""
        return [copy for mirror in mirrors if (copy := self.of(mirror)) is not None]
