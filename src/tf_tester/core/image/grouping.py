"""Which wheels share a layer, and in which order layers lie. Pure.

A layer a wheel, so that images of many versions have in common what is the same in them. Runtimes take about 126 layers
in all (dockerd, by the length of the kernel's mount options): where there would be more, the smallest wheels share one.
"""

from collections.abc import Iterable

from msgspec import Struct

MOST_LAYERS = 100
"""Of an image, the base's included: runtimes want some of their own."""


class LayerGroup(Struct, frozen=True):
    """The wheels of one layer, the one that lies lowest first."""

    digests: tuple[str, ...]


def layer_groups(wheels: Iterable[tuple[str, int]], *, room: int) -> list[LayerGroup]:
    """Return the layers of an environment, the lowest first. `wheels`: digests and sizes in the order of the lock.

    What comes first in a lock lies on top: of two wheels that bring one file the first one's is used, as in every
    environment of ours. With more wheels than `room`, the smallest go together to the bottom.

    >>> [group.digests for group in layer_groups([("a", 3), ("b", 1), ("c", 2)], room=2)]
    [('c', 'b'), ('a',)]
    """
    order = list(dict.fromkeys(wheels))
    alone = {digest for digest, _ in order}
    if len(order) > room:
        largest = sorted(order, key=lambda one: (-one[1], one[0]))[: max(0, room - 1)]
        alone = {digest for digest, _ in largest}
    lowest_first = [digest for digest, _ in reversed(order)]
    together = tuple(digest for digest in lowest_first if digest not in alone)
    single = [LayerGroup((digest,)) for digest in lowest_first if digest in alone]
    return [LayerGroup(together), *single] if together else single
