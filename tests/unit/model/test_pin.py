"""A pin is a file of an index, and whose word its hash is survives every way that it is kept."""

from datetime import UTC, datetime

import msgspec
import pytest

from tf_tester.model.artifact import Artifact, Promise, Promiser
from tf_tester.model.lock import Pin

SHA256 = "ab" * 32


@pytest.mark.parametrize("promise", [Promise(), *(Promise(by, "somebody") for by in list(Promiser)[1:])])
def test_a_file_is_the_same_after_it_was_kept_as_a_pin(promise: Promise) -> None:
    artifact = Artifact(
        "toy-1.0-py3-none-any.whl",
        "toy",
        "1.0",
        "https://index.example/toy-1.0-py3-none-any.whl",
        sha256=SHA256,
        size=5,
        upload_time=datetime(2024, 1, 1, tzinfo=UTC),
        provenance="https://index.example/provenance",
        promise=promise,
    )
    kept = msgspec.json.encode(Pin.of(artifact, SHA256))
    assert msgspec.json.decode(kept, type=Pin).artifact == artifact


def test_of_a_pin_that_tells_a_name_alone_no_mirror_is_to_hear() -> None:
    """As earlier versions wrote it: it may be of a private index."""
    told = b'{"name":"toy","version":"1.0","filename":"f","sha256":"","size":null,"url":"","promised_by":"https://own"}'
    pin = msgspec.json.decode(told, type=Pin)
    assert pin.artifact.promise == Promise(Promiser.EXTRA_INDEX, "https://own")


def test_a_pin_of_the_authority_is_written_as_before_by_name() -> None:
    told = b'{"name":"toy","version":"1.0","filename":"f","sha256":"","size":null,"url":""}'
    assert msgspec.json.decode(told, type=Pin).artifact.promise == Promise()
