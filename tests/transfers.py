"""A transfer with a client of its own, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tf_tester.core.fetch.claims import RaceTerms
from tf_tester.ports.fetch import Learn
from tf_tester.ports.store import Blobs
from tf_tester.ports.tell import Tell
from tf_tester.transfer.client import Client
from tf_tester.transfer.fetch import Sources, Transfer, from_authority
from tf_tester.transfer.settings import ClientSettings


@contextmanager
def transferring(
    blobs: Blobs,
    tell: Tell,
    *,
    sources: Sources = from_authority,
    learn: Learn = lambda _use: None,
    terms: RaceTerms | None = None,
    **settings: Any,
) -> Iterator[Transfer]:
    """`settings`: of the client; see `ClientSettings`."""
    with Client(ClientSettings(**settings)) as client:
        yield Transfer(client, blobs, tell, sources=sources, learn=learn, terms=terms)
