"""Images as somebody else reads them: from the specification, by nothing of ours."""

import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def blob(layout: Path, descriptor: dict[str, Any]) -> bytes:
    """A blob, whose size and digest are right."""
    content: bytes = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    assert len(content) == descriptor["size"]
    assert "sha256:" + hashlib.sha256(content).hexdigest() == descriptor["digest"]
    return content


def manifests(layout: Path) -> dict[str, dict[str, Any]]:
    """The manifests of a folder by tag."""
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout / "index.json").read_text())
    assert index["schemaVersion"] == 2
    return {
        one["annotations"]["org.opencontainers.image.ref.name"]: json.loads(blob(layout, one))
        for one in index["manifests"]
    }


def config(layout: Path, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(blob(layout, manifests(layout)[tag]["config"]))
    return found


def tars(layout: Path, tag: str) -> list[bytes]:
    """The layers, the lowest first, each of which is what the configuration says."""
    manifest = manifests(layout)[tag]
    found = [_unpacked(blob(layout, one), one["mediaType"]) for one in manifest["layers"]]
    digests = [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in found]
    assert digests == config(layout, tag)["rootfs"]["diff_ids"]
    return found


def unpack(layout: Path, tag: str, target: Path) -> Path:
    """Apply the layers in their order to an empty folder."""
    target.mkdir()
    for layer in tars(layout, tag):
        _apply(layer, target)
    return target


def _apply(layer: bytes, target: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        members = archive.getmembers()
        for member in members:
            folder, _, name = member.name.rpartition("/")
            if name.startswith(".wh."):
                _remove(target / folder / name.removeprefix(".wh."))
        for member in members:
            path = target / member.name
            if member.name.rpartition("/")[2].startswith(".wh."):
                continue
            for above in reversed(path.relative_to(target).parents):
                if (target / above).is_symlink() or (target / above).is_file():
                    _remove(target / above)
            if os.path.lexists(path) and not (path.is_dir() and member.isdir()):
                _remove(path)
            archive.extract(member, target, filter=lambda one, _: one, numeric_owner=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _unpacked(content: bytes, kind: str) -> bytes:
    match kind.rpartition("+")[2]:
        case "gzip":
            return gzip.decompress(content)
        case "zstd":
            return zstd.decompress(content)
    return content
