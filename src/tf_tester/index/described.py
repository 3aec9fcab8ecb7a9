"""An index whose pages also tell the core metadata of wheels that are in the store.

Mirrors and old servers leave it out; with it a resolver reads some kilobytes instead of the wheel (PEP 658).
"""

from collections.abc import Callable

from msgspec.structs import replace

from tf_tester.model.artifact import Artifact, ProjectPage
from tf_tester.ports.index import Index


class DescribedIndex:
    """`ports.Index`."""

    def __init__(self, index: Index, digest: Callable[[Artifact], str | None]) -> None:
        """Wrap an index. `digest`: SHA-256 of a wheel's METADATA where that is in the store, verified."""
        self._index = index
        self._digest = digest
        self._doubted: set[str] = set()
        """SHA-256 of wheels whose METADATA turned out not to be what the index promises."""

    def doubt(self, artifact: Artifact) -> None:
        """Take an index's word for a wheel's METADATA no more: what is in the store counts, else nothing."""
        self._doubted.add(artifact.sha256 or "")

    def page(self, project: str) -> ProjectPage:
        page = self._index.page(project)
        artifacts = tuple(self._described(one) for one in page.artifacts)
        return page if artifacts == page.artifacts else replace(page, artifacts=artifacts)

    def _described(self, artifact: Artifact) -> Artifact:
        if artifact.sha256 is None or not artifact.is_wheel:
            return artifact
        if artifact.metadata_sha256 is not None and artifact.sha256 not in self._doubted:
            return artifact
        digest = self._digest(artifact)
        return artifact if digest == artifact.metadata_sha256 else replace(artifact, metadata_sha256=digest)
