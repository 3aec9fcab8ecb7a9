"""Products: taken by content alone, refused where they reach out of themselves, unpacked as they were."""

import errno
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.fakes import MemoryishBlobs
from tf_tester.errors import StoreError
from tf_tester.flow.grid import products
from tf_tester.flow.grid.products import ProductRefused, Products
from tf_tester.flow.taken.values import RecordedPart, take_values
from tf_tester.model.field import Product


def store(place: Path, largest: int = 1 << 20) -> Products:
    """Return the products of a run whose workplace is that place."""
    return Products(MemoryishBlobs(place / "blobs"), place, largest)


def filled(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


FILES = {"model/a": "1", "model/b/c": "2", "model.index": "", "naïve \udcff": "3"}
PATHS = ("model.index", "naïve \udcff", "model/a", "model/b/c")


def test_the_same_content_is_the_same_product_whenever_and_wherever_it_was_made(tmp_path: Path) -> None:
    taken = store(tmp_path)
    first = taken.take(filled(tmp_path / "one", FILES), "model")
    other = filled(tmp_path / "two", dict(reversed(FILES.items())))
    os.utime(other / "model/a", (1, 1))
    (other / "model/a").chmod(0o600)
    assert taken.take(other, "model") == first == Product("model", first.digest, 3, 4, PATHS)
    for change in (
        lambda: (other / "model/a").chmod(0o700),
        lambda: (other / "model/a").write_text("4"),
        lambda: (other / "model/new").mkdir(),
        lambda: (other / "model/b/c").rename(other / "model/c"),
        lambda: (other / "model/link").symlink_to("a"),
    ):
        before = taken.take(other, "model").digest
        change()
        assert taken.take(other, "model").digest != before


def test_what_is_unpacked_is_what_was_left(tmp_path: Path) -> None:
    folder = filled(tmp_path / "one", FILES)
    (folder / "model/empty").mkdir()
    (folder / "model/a").chmod(0o755)
    (folder / "model/link").symlink_to("b/c")
    taken = store(tmp_path)
    product = taken.take(folder, "model")
    place = taken.folder_of(product)
    assert taken.folder_of(product) == place
    taken.unpack(product, tmp_path / "again")
    assert taken.take(tmp_path / "again", "model") == taken.take(place, "model") == product
    assert (place / "model/link").readlink() == Path("b/c")


def test_a_product_that_the_store_has_lost_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no longer in the store"):
        store(tmp_path).unpack(Product("model", "0" * 64, 1, 1), tmp_path / "x")


def test_too_much_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ProductRefused, match=r"it left 1 file of 1\.1 TB: 1\.0 MB are taken at most"):
        store(tmp_path).take(folder, "model")
    monkeypatch.setattr(products, "MOST_FILES", 3)
    with pytest.raises(ProductRefused, match="it left more than 3 files"):
        store(tmp_path).take(filled(tmp_path / "two", FILES), "model")
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("name", "target", "told"),
    [
        ("out", "/etc/passwd", "out is a link that leads out of the product, to /etc/passwd"),
        ("deep/out", "../../x", "deep/out is a link that leads out of the product, to ../../x"),
        ("out", "deep/up/../x", "out is a link that leads out of the product, to deep/up/../x"),
        ("deep/in", "../model.index", ""),
    ],
)
def test_links_must_stay_inside(tmp_path: Path, name: str, target: str, told: str) -> None:
    folder = filled(tmp_path / "one", {"model.index": "x", "deep/file": ""})
    (folder / "deep/up").symlink_to("..")
    (folder / name).symlink_to(target)
    if told:
        with pytest.raises(ProductRefused) as refused:
            store(tmp_path).take(folder, "model")
        assert str(refused.value) == told
    else:
        assert store(tmp_path).take(folder, "model").files == 2


def test_a_link_in_the_place_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    outside = filled(tmp_path / "home", {"m/key": "secret"})
    taken = store(tmp_path / "work")
    (tmp_path / "work/cell").mkdir(parents=True)
    (tmp_path / "work/cell/m").symlink_to(outside / "m")
    (tmp_path / "work/other").symlink_to(outside)
    for folder in ("cell/m", "other/m", "cell/none"):
        with pytest.raises(ProductRefused, match="its folder is gone, or a link to another one"):
            taken.take(tmp_path / "work" / folder, "m")


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    place = os.open(tmp_path / "one", os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=place)
        place, above = os.open("d" * 200, os.O_RDONLY, dir_fd=place), place
        os.close(above)
    os.close(place)
    with pytest.raises(ProductRefused, match=r"^d{200} can't be looked at: File name too long$"):
        store(tmp_path).take(tmp_path / "one", "m")


def test_a_disk_that_is_full_is_no_fault_of_the_producer_s_and_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder, taken = filled(tmp_path / "one", FILES), store(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(tarfile, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            taken.take(folder, "m")
    product = taken.take(folder, "m")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            taken.folder_of(product)
    assert taken.take(taken.folder_of(product), "m") == product


def test_lines_of_recorded_values_are_read_once_whoever_claims_them(tmp_path: Path) -> None:
    folder, work = tmp_path / "work/cell", tmp_path / "work"
    folder.mkdir(parents=True)
    line = json.dumps({"name": "loss", "file": "absent.npy"}) + "\n"
    (folder / "values.jsonl").write_text(line * 4)
    one = len(line)
    parts = [RecordedPart("a", 0, one), *[RecordedPart("b", 0, 1 << 60)] * 9, RecordedPart("c")]
    taken = take_values(folder, "toy==1.0@py3.11@era", parts, MemoryishBlobs(tmp_path / "blobs"), work)
    assert len(taken.remarks) == 4
    (folder / "values.jsonl").write_text(line * 1_000)
    taken = take_values(folder, "toy==1.0@py3.11@era", [RecordedPart("a")], MemoryishBlobs(tmp_path / "blobs"), work)
    assert len(taken.remarks) == 11
    assert taken.remarks[-1] == "left out, too: 990 other recorded values"
