"""Where a mirror keeps a file: looked up by name on the mirror's own page.

Only the name and the address are taken from the mirror; hash, size and everything that decides come from the
authority. A mirror that doesn't answer costs nothing but its help.
"""

from tf_tester.errors import IndexUnreachable, UnknownProject
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferTrouble
from tf_tester.model.source import Source
from tf_tester.ports.index import Index
from tf_tester.ports.tell import Tell


def mirror_source(name: str, mirror: Index, artifact: Artifact, tell: Tell) -> Source | None:
    """Return the mirror's address of a file, or None (told as trouble) where it lacks the file or doesn't answer."""
    try:
        page = mirror.page(artifact.project)
    except UnknownProject:
        reason = f"it has no project named {artifact.project}"
    except IndexUnreachable as error:
        reason = error.message
    else:
        for offered in page.artifacts:
            if offered.filename == artifact.filename:
                return Source(name, offered.url)
        older = ": it shows an older state than was seen before" if page.behind else ""
        reason = f"its page doesn't list the file{older}"
    tell(TransferTrouble(artifact.filename, name, reason))
    return None
