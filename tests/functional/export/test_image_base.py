"""What images are built on: taken where it is whole, refused in a sentence where it isn't."""

import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.functional.export.test_oci_layout import add, layout
from tf_tester.core.image.bases import pythons_in
from tf_tester.core.image.documents import BaseImage, ImagePlatform
from tf_tester.core.image.names import LayoutPlace
from tf_tester.core.image.tar import TarEntry
from tf_tester.errors import UsageError
from tf_tester.export.image_base import FileSystemBase, LayoutBase

HERE = ImagePlatform("amd64", "linux")


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "rootfs"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/python3.11").write_bytes(b"#!/bin/sh\n")
    (root / "usr/bin/python3.11").chmod(0o755)
    (root / "usr/bin/python3").symlink_to("python3.11")
    os.link(root / "usr/bin/python3.11", root / "usr/bin/same")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    return root


def packed(rootfs: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(rootfs, ".")
    return target


def bring(place: Path, target: Path) -> BaseImage:
    folder = layout(target)
    with folder.alone():
        base = FileSystemBase(place).bring(folder, HERE)
        content = gzip.decompress(folder.path(base.layers[0].descriptor).read_bytes())
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == base.layers[0].diff_id
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(target / "seen", filter=lambda member, _: member)
        shutil.move(target / "seen", target.with_name(f"{target.name}-seen"))
    return base


def test_a_folder_is_packed_as_it_is(rootfs: Path, tmp_path: Path) -> None:
    base = bring(rootfs, tmp_path / "a")
    assert [one.path for one in pythons_in(base)] == ["/usr/bin/python3.11"]
    seen = tmp_path / "a-seen"
    assert (seen / "usr/bin/python3").readlink() == Path("python3.11")
    assert (seen / "usr/bin/same").samefile(seen / "usr/bin/python3.11")
    assert (seen / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (seen / "usr/bin/python3.11").stat().st_mtime == int((rootfs / "usr/bin/python3.11").stat().st_mtime)


def test_a_folder_is_packed_to_the_same_bytes_each_time(rootfs: Path, tmp_path: Path) -> None:
    first, second = bring(rootfs, tmp_path / "a"), bring(rootfs, tmp_path / "b")
    assert first.layers == second.layers


def test_sockets_are_left_out_and_pipes_arent_waited_for(rootfs: Path, tmp_path: Path) -> None:
    os.mkfifo(rootfs / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(rootfs)
        listening.bind("socket")
        os.chdir(before)
    base = bring(rootfs, tmp_path / "a")
    assert "pipe" in base.paths
    assert "socket" not in base.paths


def test_what_is_mounted_in_a_folder_is_left_out(rootfs: Path, tmp_path: Path) -> None:
    (rootfs / "proc").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", rootfs / "proc"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (rootfs / "proc/version").write_text("")
        bring(rootfs, tmp_path / "a")
    finally:
        subprocess.run(["umount", rootfs / "proc"], check=True)
    assert list((tmp_path / "a-seen/proc").iterdir()) == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["tar", "gz", "xz"])
def test_a_tar_is_taken_as_it_is(rootfs: Path, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    plain = packed(rootfs, tmp_path / "r.tar").read_bytes()
    (tmp_path / "r").write_bytes(pack(plain))
    base = bring(tmp_path / "r", tmp_path / "a")
    assert base.layers[0].diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert [one.label for one in pythons_in(base)] == ["3.11"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-20_000],
        lambda content: gzip.compress(content)[:-2000],
        lambda content: b"\x1f\x8bnot gzip at all",
        lambda content: lzma.compress(content)[:-100],
        lambda content: b"(\xb5/\xfdnot zstd at all",
        lambda content: b"",
        lambda content: b"\x7fELF" + bytes(5000),
    ],
)
def test_a_damaged_tar_is_a_sentence(rootfs: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    (rootfs / "usr/big").write_bytes(os.urandom(50_000))
    (tmp_path / "r").write_bytes(spoil(packed(rootfs, tmp_path / "r.tar").read_bytes()))
    with pytest.raises(UsageError, match=r"can't be read|is no tar of a root"):
        bring(tmp_path / "r", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_what_is_no_root_file_system_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_text("")
    with pytest.raises(UsageError, match="no usr, bin or lib"):
        bring(tmp_path / "photos", tmp_path / "a")
    with pytest.raises(UsageError, match="can't be read"):
        bring(tmp_path / "nothing", tmp_path / "a")
    with pytest.raises(UsageError, match="is no base"):
        bring(Path("/"), tmp_path / "a")
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "manifest.json").write_text("[]")
    with pytest.raises(UsageError, match="is a saved image"):
        bring(packed(saved, tmp_path / "s.tar"), tmp_path / "a")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = layout(tmp_path / "base")
    with folder.alone():
        add(folder, "debian", (TarEntry.text("usr/bin/python3.11", b""), TarEntry.text("usr/bin/python3.9", b"")))
    return tmp_path / "base"


def build_on(source: Path, target: Path, tag: str = "") -> BaseImage:
    folder = layout(target)
    with folder.alone():
        base = LayoutBase(LayoutPlace(str(source), tag), layout(source)).bring(folder, HERE)
        assert all(folder.holds(one.descriptor) for one in base.layers)
    return base


def edit(source: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Write another manifest and configuration into a folder with one image."""
    index = json.loads((source / "index.json").read_text())
    blobs = source / "blobs/sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    change(manifest, config)
    manifest["config"] |= _written(blobs, config)
    index["manifests"][0] |= _written(blobs, manifest)
    (source / "index.json").write_text(json.dumps(index))


def _written(blobs: Path, document: dict[str, Any]) -> dict[str, Any]:
    content = json.dumps(document).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def test_an_image_is_a_base_with_all_its_layers(source: Path, tmp_path: Path) -> None:
    base = build_on(source, tmp_path / "a", "debian")
    assert base.digest == json.loads((source / "index.json").read_text())["manifests"][0]["digest"]
    assert [one.label for one in pythons_in(base)] == ["3.11", "3.9"]


def test_what_an_upper_layer_hides_isnt_there(source: Path, tmp_path: Path) -> None:
    folder = layout(source)
    with folder.alone():
        descriptor, diff_id = folder.add_layer([TarEntry("usr/bin/.wh.python3.11")])
        folder.show(folder.index().manifests)

    def change(manifest: dict[str, Any], config: dict[str, Any]) -> None:
        kind, digest, size = descriptor.media_type, descriptor.digest, descriptor.size
        manifest["layers"].append({"mediaType": kind, "digest": digest, "size": size})
        config["rootfs"]["diff_ids"].append(diff_id)

    edit(source, change)
    assert [one.label for one in pythons_in(build_on(source, tmp_path / "a"))] == ["3.9"]


def test_an_image_of_dockers_own_kind_is_taken_with_its_layers_named_as_oci_does(source: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], config: dict[str, Any]) -> None:
        manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
        manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
        manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"

    edit(source, change)
    [layer] = build_on(source, tmp_path / "a").layers
    assert layer.descriptor.media_type == "application/vnd.oci.image.layer.v1.tar+gzip"


def test_of_an_index_in_the_index_the_image_of_this_kind_of_machine_is_taken(source: Path, tmp_path: Path) -> None:
    index = json.loads((source / "index.json").read_text())
    [own] = index["manifests"]
    other = own | {"platform": {"architecture": "arm64", "os": "linux"}}
    nested = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [other, own]}
    kind = {"mediaType": "application/vnd.oci.image.index.v1+json"}
    index["manifests"] = [kind | _written(source / "blobs/sha256", nested)]
    (source / "index.json").write_text(json.dumps(index))
    assert build_on(source, tmp_path / "a").digest == own["digest"]


def _foreign(manifest: dict[str, Any], _config: dict[str, Any]) -> None:
    manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def _artifact(manifest: dict[str, Any], _config: dict[str, Any]) -> None:
    manifest["config"]["mediaType"] = "application/vnd.oci.empty.v1+json"


def _fewer(_manifest: dict[str, Any], config: dict[str, Any]) -> None:
    config["rootfs"]["diff_ids"] = []


def _other_tar(_manifest: dict[str, Any], config: dict[str, Any]) -> None:
    config["rootfs"]["diff_ids"] = [f"sha256:{'0' * 64}"]


def _no_digest(manifest: dict[str, Any], _config: dict[str, Any]) -> None:
    manifest["layers"][0]["digest"] = "sha256:../../../../etc/passwd"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_foreign, "which isn't known here"),
        (_artifact, "no image of a system"),
        (_fewer, "don't have the same layers"),
        (_other_tar, "what is unpacked of a layer isn't"),
        (_no_digest, "can't be read"),
    ],
)
def test_an_image_that_contradicts_itself_is_a_sentence(
    source: Path, tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], words: str
) -> None:
    edit(source, change)
    with pytest.raises(UsageError, match=words):
        build_on(source, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("spoil", [lambda content: b"", lambda content: content[:-1] + b"x", None])
def test_a_damaged_or_missing_layer_is_a_sentence(
    source: Path, tmp_path: Path, spoil: Callable[[bytes], bytes] | None
) -> None:
    folder = layout(source)
    base = build_on(source, tmp_path / "a")
    path = folder.path(base.layers[0].descriptor)
    if spoil is None:
        path.unlink()
    else:
        path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UsageError, match=r"isn't what its name says|is missing"):
        build_on(source, tmp_path / "b")


def test_several_images_without_a_tag_are_a_sentence_with_their_names(source: Path, tmp_path: Path) -> None:
    folder = layout(source)
    with folder.alone():
        add(folder, "other", (TarEntry.text("usr/x", b""),))
    with pytest.raises(UsageError, match=r"2 images that could be meant \(debian, other\)"):
        build_on(source, tmp_path / "a")
    with pytest.raises(UsageError, match="0 images that could be meant"):
        build_on(source, tmp_path / "a", "absent")
