"""The mirrors that are known by name, with what is remembered of them and what their operators say."""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from tf_tester.core.index.feeds import FeedReport
from tf_tester.errors import IndexUnreachable
from tf_tester.ports.index import GetPage


class MirrorRow(Struct, frozen=True):
    """A mirror that we know by name."""

    name: str
    operator: str
    region: str
    copies: str | None
    """Name of the mirror that it is filled from."""
    notes: str
    right: int
    """Files that it helped to bring since it was last wrong."""
    speed: float | None
    """Bytes per second, of late."""
    cooldown_until: datetime | None
    feed: FeedReport | None = None
    """What its own operator says of it."""


def read_feeds(urls: Sequence[str], get: GetPage, learn: Callable[[bytes], int]) -> None:
    """Hand over the first feed that answers and can be read. Raises `IndexUnreachable` where none does."""
    troubles = []
    for url in urls:
        try:
            response = get.get_page(url, accept="application/json", etag=None)
            if response.status == 200:
                learn(response.body)
                return
            troubles.append(f"{url}: status {response.status}")
        except IndexUnreachable as error:
            troubles.append(f"{url}: {error.message}")
        except ValueError as error:
            troubles.append(f"{url}: not a feed ({error})")
    raise IndexUnreachable(
        "No feed of MirrorZ answers, so what mirrors say of themselves stays as it was.",
        hint="Repeat without --refresh, or name another feed in mirrors.toml.",
        detail="\n".join(troubles),
    )
