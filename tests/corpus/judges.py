"""What tf-tester makes of a case: `RIGHT`, or the sentence that it is refused with."""

from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from packaging.version import Version

from tests.corpus import archives, pages, shown, sources, wheels
from tests.corpus.case import RIGHT
from tests.fakes import KeptMemos, MemoryishBlobs
from tf_tester.core.index.left_out import without_hash
from tf_tester.core.index.simple import parse_page
from tf_tester.core.select.choose import Choice, choose, versions_of
from tf_tester.errors import BuildFailed, InstallFailed, TfTesterError
from tf_tester.model.artifact import Artifact
from tf_tester.ports.memory import WheelMemos
from tf_tester.resolve.archives import unpack
from tf_tester.resolve.metadata import MetadataReader, check_shown
from tf_tester.store.unpacking import Destination, Unpacker, Wheel

_UNPACKER = Unpacker(1, lambda: None)


def of_page(case: pages.Page) -> str:
    try:
        page = parse_page(case.body, case.content_type, pages.URL, "toy")
        choose(page, Choice("1.0"))
    except TfTesterError as error:
        return f"{error}"
    [artifact] = versions_of(page)[Version("1.0")]
    if artifact.sha256 is None:
        return without_hash(artifact)
    found = (artifact.filename, artifact.sha256, unquote(artifact.url).replace("copy", "files"))
    return RIGHT if found == (pages.WHEEL, pages.HASH, pages.FILE) else f"another file: {artifact}"


def of_archive(content: bytes) -> str:
    return of_wheel((archives.NAME, content))


def of_wheel(case: tuple[str, bytes]) -> str:
    """Unpack a wheel whose `toy.py` is that of the right one."""
    filename, content = case
    with TemporaryDirectory() as temporary:
        path, layer = Path(temporary, "wheel"), Path(temporary, "layer")
        path.write_bytes(content)
        try:
            unpacking = _UNPACKER.begin(
                Wheel(filename, sha256(content).hexdigest(), path), Destination(layer, layer / "tree", "site")
            )
            unpacking.write(sources=True)
            unpacking.write(sources=False)
            unpacking.conclude()
        except InstallFailed as error:
            outside = [path for path in Path(temporary).iterdir() if path.name not in ("wheel", "layer")]
            return f"something outside: {outside}" if outside else str(error)
        return RIGHT if (layer / "tree/site/toy.py").read_bytes() == wheels.SOURCE else "another file"


def of_source(case: sources.Case) -> str:
    name, content = case
    with TemporaryDirectory() as temporary:
        archive = Path(temporary, name)
        archive.write_bytes(content)
        try:
            folder = unpack(archive, name, Path(temporary, "place"))
        except BuildFailed as error:
            return str(error)
        left = sorted(path.name for path in Path(temporary).iterdir())
        found = [path for path in (folder / "setup.py", folder / "toy-1.0/setup.py") if path.is_file()]
        return RIGHT if left == ["place", name] and found[0].read_bytes() == sources.SOURCE else f"others: {left}"


class _OneWheel:
    """`ports.fetch.Fetcher` of an index with one wheel and a file beside it."""

    def __init__(self, sidecar: shown.Sidecar, folder: Path) -> None:
        self._sidecar = sidecar
        self.wheel = folder / shown.WHEEL

    def metadata(self, artifact: Artifact) -> bytes | None:
        body = self._sidecar.body
        is_promised = body is not None and artifact.metadata_sha256 in ("", sha256(body).hexdigest())
        return body if is_promised else None

    def fetch(self, artifact: Artifact) -> Path:
        self.wheel.write_bytes(shown.CONTENT)
        return self.wheel

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


def of_shown(case: shown.Sidecar) -> str:
    """Read METADATA as a resolver wants it, then bring the wheel."""
    memos = WheelMemos(KeptMemos(), KeptMemos(), KeptMemos())
    artifact = Artifact(
        shown.WHEEL,
        "toy",
        "1.0",
        f"https://index.example/{shown.WHEEL}",
        sha256(shown.CONTENT).hexdigest(),
        len(shown.CONTENT),
        metadata_sha256=case.promised,
    )
    with TemporaryDirectory() as temporary:
        fetcher = _OneWheel(case, Path(temporary))
        reader = MetadataReader(memos, MemoryishBlobs(Path(temporary, "blobs")), fetcher)
        try:
            read = reader.read(artifact)
            check_shown(memos, artifact, fetcher.fetch(artifact))
        except TfTesterError as error:
            told = str(error)
            if isinstance(error, InstallFailed) and reader.read(artifact) != shown.OWN:
                return "its own doesn't count afterwards"
            return told
    return RIGHT if read == shown.OWN else "another METADATA"
