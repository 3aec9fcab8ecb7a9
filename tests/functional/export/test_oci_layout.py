"""A folder of images is always whole, whatever happens to whoever writes it."""

import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import images
from tf_tester.core.image.documents import (
    Blob,
    Compression,
    Descriptor,
    ImagePlatform,
    ImageUse,
    LayerHistory,
    StackedLayer,
    image_of,
    named,
    with_image,
)
from tf_tester.core.image.tar import TarEntry
from tf_tester.errors import NotAnImage, OurFailure, UsageError
from tf_tester.export.image_layer import pack, tar_of
from tf_tester.export.oci_layout import LayoutFolder

LINUX = ImagePlatform("amd64", "linux")
ENTRIES = (TarEntry.folder("opt/env"), TarEntry.text("opt/env/x.py", b"x = 1\n" * 1000))


def layout(root: Path, compression: Compression = Compression.GZIP) -> LayoutFolder:
    return LayoutFolder(root, lambda _: None, compression)


def add(folder: LayoutFolder, tag: str = "1.0", entries: tuple[TarEntry, ...] = ENTRIES) -> Descriptor:
    """Add an image and show it."""
    descriptor, diff_id = folder.add_layer(entries)
    config, manifest = image_of(LINUX, None, [StackedLayer(descriptor, diff_id, LayerHistory())], ImageUse(), {})
    folder.add(config)
    folder.add(manifest)
    shown = named(manifest.descriptor, tag, LINUX, "cell")
    folder.show(with_image(folder.index().manifests, shown))
    return shown


def state(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} - {".lock"}


@pytest.mark.parametrize("compression", Compression)
def test_others_read_what_was_written(tmp_path: Path, compression: Compression) -> None:
    folder = layout(tmp_path / "images", compression)
    with folder.alone():
        add(folder)
    root = images.unpack(tmp_path / "images", "1.0", tmp_path / "root")
    assert (root / "opt/env/x.py").read_bytes() == b"x = 1\n" * 1000
    assert (root / "opt/env/x.py").stat().st_mtime == 1_577_836_800


@given(st.dictionaries(st.text("ab/", min_size=1).map(lambda text: f"x{text}".strip("/")), st.binary(max_size=600)))
@pytest.mark.parametrize("compression", Compression)
def test_the_same_entries_make_the_same_bytes(compression: Compression, files: dict[str, bytes]) -> None:
    class Sink:
        def __init__(self) -> None:
            self.content = bytearray()

        def write(self, piece: bytes) -> None:
            self.content += piece

    entries = [TarEntry.text(path, content) for path, content in sorted(files.items())]
    once, again = Sink(), Sink()
    told = pack(tar_of(entries), once, compression, lambda: None)
    assert told == pack(iter(list(tar_of(entries))), again, compression, lambda: None)
    assert (once.content, told.size) == (again.content, len(once.content))


def test_images_of_others_and_what_they_wrote_into_the_index_stay(tmp_path: Path) -> None:
    folder = layout(tmp_path)
    with folder.alone():
        add(folder, "theirs")
    index = json.loads((tmp_path / "index.json").read_text())
    index["annotations"] = {"made.by": "them"}
    (tmp_path / "index.json").write_text(json.dumps(index))
    with layout(tmp_path).alone():
        add(layout(tmp_path), "1.0", (TarEntry.text("opt/y.py", b""),))
    assert set(images.manifests(tmp_path)) == {"theirs", "1.0"}
    assert json.loads((tmp_path / "index.json").read_text())["annotations"] == {"made.by": "them"}


@pytest.mark.parametrize("name", ["notes.txt", "blobs", "index.json"])
def test_a_folder_with_something_else_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="something else than images"), layout(tmp_path).alone():
        pass
    assert state(tmp_path) == {name}
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"imageLayoutVersion": "2.0.0"}', '{"imageLayoutVersion": 1}'])
def test_a_damaged_mark_is_a_sentence(tmp_path: Path, content: str) -> None:
    with layout(tmp_path).alone():
        add(layout(tmp_path))
    (tmp_path / "oci-layout").write_text(content)
    before = state(tmp_path)
    with pytest.raises(UsageError, match="damaged folder of images"), layout(tmp_path).alone():
        pass
    assert state(tmp_path) == before


def test_what_is_no_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder"), layout(tmp_path / "file").alone():
        pass
    with pytest.raises(UsageError, match="There is no folder"):
        layout(tmp_path / "nothing").index()


def test_nothing_is_left_where_nothing_came_of_it(tmp_path: Path) -> None:
    folder = layout(tmp_path / "new")
    with pytest.raises(KeyboardInterrupt), folder.alone():
        folder.add_layer(ENTRIES)
        raise KeyboardInterrupt
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyboardInterrupt), layout(tmp_path / "empty").alone():
        raise KeyboardInterrupt
    assert list((tmp_path / "empty").iterdir()) == []


def test_an_image_that_was_shown_stays_and_what_was_written_for_the_next_goes(tmp_path: Path) -> None:
    folder = layout(tmp_path)
    with folder.alone():
        add(folder)
    before = state(tmp_path)
    folder = layout(tmp_path)
    with pytest.raises(KeyboardInterrupt), folder.alone():
        folder.add_layer((TarEntry.text("opt/y.py", b"y"),))
        raise KeyboardInterrupt
    assert state(tmp_path) == before


def test_what_is_written_once_more_stays_with_the_image_that_has_it(tmp_path: Path) -> None:
    folder = layout(tmp_path)
    with folder.alone():
        add(folder)
    before = state(tmp_path)
    for spoil in (False, True):
        folder = layout(tmp_path)
        if spoil:
            for path in (tmp_path / "blobs/sha256").iterdir():
                path.write_bytes(b"rotten")
        with pytest.raises(KeyboardInterrupt), folder.alone():
            folder.add_layer(ENTRIES)
            raise KeyboardInterrupt
        assert state(tmp_path) == before


def test_an_image_that_has_rotted_is_whole_after_it_was_made_again(tmp_path: Path) -> None:
    folder = layout(tmp_path)
    with folder.alone():
        add(folder)
    for path in (tmp_path / "blobs/sha256").iterdir():
        path.write_bytes(b"rotten")
    folder = layout(tmp_path)
    with folder.alone():
        add(folder)
    images.unpack(tmp_path, "1.0", tmp_path / "root")


def test_what_a_killed_process_has_left_is_swept(tmp_path: Path) -> None:
    with layout(tmp_path).alone():
        add(layout(tmp_path))
    (tmp_path / ".part-1-ab").write_bytes(b"half")
    with layout(tmp_path).alone():
        assert not (tmp_path / ".part-1-ab").exists()


def test_two_dont_write_at_once(tmp_path: Path) -> None:
    with layout(tmp_path).alone(), pytest.raises(OurFailure, match="Somebody else"), layout(tmp_path).alone():
        pass


def test_a_writer_ends_at_once_when_it_is_to_stop(tmp_path: Path) -> None:
    folder = layout(tmp_path)

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with folder.alone():
        threading.Timer(0.05, folder.stop).start()
        with pytest.raises(InterruptedError):
            folder.add_tar(endless())
        assert not list(tmp_path.glob(".part-*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = layout(tmp_path)
    opened = Path.open

    def full(self: Path, *words: str, **named: str):  # type: ignore[no-untyped-def]
        return opened(Path("/dev/full") if self.name.startswith(".part-") else self, *words, **named)  # type: ignore[call-overload]

    with folder.alone():
        add(folder)
        before = state(tmp_path)
        monkeypatch.setattr(Path, "open", full)
        with pytest.raises(OurFailure, match=r"The disk of .* is full\."):
            folder.add_layer((TarEntry.text("opt/y.py", os.urandom(1 << 21)),))
        monkeypatch.undo()
    assert state(tmp_path) == before


def test_a_blob_that_rotted_isnt_taken_for_right(tmp_path: Path) -> None:
    folder = layout(tmp_path)
    blob = Blob.of("text/plain", "words")
    with folder.alone():
        add(folder)
        folder.add(blob)
        folder.path(blob.descriptor).write_bytes(b"drows")
        fresh = layout(tmp_path)
        assert not fresh.holds(blob.descriptor)
        with pytest.raises(NotAnImage, match="isn't what its name says"):
            fresh.read(blob.descriptor)


def test_a_copy_that_isnt_what_its_name_says_is_refused(tmp_path: Path) -> None:
    folder = layout(tmp_path)
    with folder.alone():
        with pytest.raises(NotAnImage):
            folder.add_copy(Blob.of("text/plain", "words").descriptor, [b"other"])
        assert not list(tmp_path.rglob("sha256/*"))


def test_a_file_that_changes_while_it_is_packed_is_an_error(tmp_path: Path) -> None:
    folder = layout(tmp_path / "images")
    (tmp_path / "x").write_bytes(b"1234")
    for wrong in (3, 5):
        entry = TarEntry("x", size=wrong, source=str(tmp_path / "x"))
        with folder.alone(), pytest.raises(OSError, match="changed while it was read") as raised:
            folder.add_layer([entry])
        assert raised.value.errno != errno.ENOSPC
