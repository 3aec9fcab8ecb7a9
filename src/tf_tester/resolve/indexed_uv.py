"""uv with the index that it is shown: what resolving and building share."""

from pathlib import Path

from msgspec import Struct

from tf_tester.resolve.loopback import LoopbackIndex
from tf_tester.resolve.metadata import MetadataReader
from tf_tester.resolve.uv import Uv


class IndexedUv(Struct, frozen=True):
    """uv, and all that it takes to show it an index."""

    uv: Uv
    loopback: LoopbackIndex
    """The only index that uv is given; it serves a view for each question."""
    metadata: MetadataReader
    """Reads METADATA of the wheels that a view lists."""
    workplace: Path
    """Folder of this run for constraints, sources and what is built."""
