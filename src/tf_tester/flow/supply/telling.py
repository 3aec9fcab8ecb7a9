"""What commands tell while they go on that run no cells: what they are at, and what is still to come."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tf_tester.model.artifact import Artifact
from tf_tester.model.events import FilesMissing, MissingFile, TaskState
from tf_tester.ports.tell import Tell

ASKING = "asking the index"
RESOLVING = "resolving"
_BRINGING = "bringing"


@contextmanager
def at_work(tell: Tell, doing: str, what: str, of: int = 1) -> Iterator[None]:
    """Tell that something is being done in the block, one of so many such things."""
    tell(TaskState(doing, what, of))
    try:
        yield
    finally:
        tell(TaskState(doing, what, of, is_over=True))


def expect(tell: Tell, artifacts: Iterable[Artifact]) -> None:
    """Tell which files are to come, each of which is then `brought`."""
    for one in artifacts:
        tell(FilesMissing(one.filename, (MissingFile(one.sha256 or "", one.filename, one.size),)))


@contextmanager
def brought(tell: Tell, artifact: Artifact, of: int) -> Iterator[None]:
    """Tell that a file is being brought in the block, and behind it, come or not, that it no longer is."""
    try:
        with at_work(tell, _BRINGING, artifact.filename, of):
            yield
    finally:
        tell(FilesMissing(artifact.filename, ()))
