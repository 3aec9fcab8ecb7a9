"""Our reader of wheels against PyPA's, and against damage."""

import io
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import installer
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from tests.wheels import make_wheel
from tf_tester.errors import InstallFailed
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.store.folder import StoreFolder
from tf_tester.store.layers import LayerStore

PYTHON = Interpreter(Path(sys.executable), "3.8.18", "cpython", "cp38", 64, "cpython-38")
"""Not started: these wheels have nothing to compile."""

Tree = dict[str, bytes]

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy."""


class Reader:
    """Ours, in a store of its own."""

    def __init__(self, root: Path, workplace: Path) -> None:
        self._root = root
        folder = StoreFolder(root)
        self._layers = LayerStore(folder, workplace, cpus=1, compiler=Path("none"))

    def tree(self, filename: str, content: bytes) -> Tree:
        """Every file with its contents. Raises `InstallFailed`."""
        wheel = self._root / "wheel"
        wheel.write_bytes(content)
        layer = self._layers.layer(filename, sha256(content).hexdigest(), wheel, PYTHON)
        found = files_below(layer.folder)
        lists = ("layer.json", "files.json", f"{PYTHON.cache_tag}/bytecode.json")
        assert sorted(found) == sorted(
            [*lists, *(layer.path(n).relative_to(layer.folder).as_posix() for n in layer.files)]
        )
        return {name: layer.path(name).read_bytes() for name in layer.files}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = StoreFolder(tmp_path_factory.mktemp("store"))
    folder.open()
    with folder.workplace() as workplace:
        yield Reader(folder.root, workplace)


def files_below(folder: Path) -> Tree:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def installed_by_pypa(filename: str, content: bytes) -> Tree:
    with TemporaryDirectory() as temporary, zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.filename = filename  # `WheelFile` looks there
        places = {"purelib": "site", "platlib": "site", "scripts": "bin", "data": "data", "headers": "data/include"}
        target = SchemeDictionaryDestination(
            {scheme: str(Path(temporary, place)) for scheme, place in places.items()}, sys.executable, "posix"
        )
        source = WheelFile(archive)
        source.validate_record(validate_contents=True)
        installer.install(source, target, additional_metadata={})
        return files_below(Path(temporary))


# A comma or a quote in a name is left to the unit tests of RECORD: `make_wheel` writes a plain one.
segments = (
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn"), exclude_characters='/\\:,"'), min_size=1, max_size=20)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: text.strip(".") and not text.endswith((".py", ".pyc", ".dist-info", ".data")))
)
folders = st.sampled_from(
    ["", "toy/", "toy/sub/", "toy-1.0.data/data/", "toy-1.0.data/purelib/", "toy-1.0.data/headers/"]
)
names = st.builds(str.__add__, folders, st.lists(segments, min_size=1, max_size=3).map("/".join))
trees = st.dictionaries(names, st.binary(max_size=40), max_size=6)


@settings(unhurried)
@given(trees)
def test_we_read_what_pypas_reader_reads(reader: Reader, files: dict[str, bytes]) -> None:
    filename, content = make_wheel("toy", "1.0", files=files)
    places = [name.replace("toy-1.0.data/purelib/", "").casefold() for name in files]
    # One place for two files, and a file as a folder, are refused; what a file system makes of cases is its matter.
    assume(len(set(places)) == len(places))
    assume(not any(one.startswith(f"{other}/") for one in places for other in places))
    ours, theirs = reader.tree(filename, content), installed_by_pypa(filename, content)
    record = "site/toy-1.0.dist-info/RECORD"
    assert ours.pop(record).startswith(next(iter([*files, "toy-1.0.dist-info/METADATA"])).encode())
    del theirs[record]  # rewritten by the installer
    assert ours == theirs


FILENAME, GOOD = make_wheel(
    "toy",
    "1.0",
    files={
        "toy/data.txt": "some words, some words, some words\n" * 20,
        "toy/noise.bin": sha256(b"noise").digest() * 3,
        "toy-1.0.data/scripts/toy-run": "#!python\nprint('toy')\n",
        "toy-1.0.data/data/share/toy.txt": "shared",
    },
    entry_points={"toy": "toy:main"},
)
with zipfile.ZipFile(io.BytesIO(GOOD)) as _archive:
    MEMBERS = [
        (member.header_offset + 30 + len(member.filename), member.compress_size) for member in _archive.infolist()
    ]


def accepted(reader: Reader, content: bytes) -> Tree | None:
    try:
        return reader.tree(FILENAME, content)
    except InstallFailed as error:
        assert error.message.startswith(f"{FILENAME} is not a correct wheel: ")
        return None


@unhurried
@given(st.sampled_from(MEMBERS), st.integers(0), st.integers(1, 255))
def test_a_flipped_byte_in_the_data_is_refused(reader: Reader, member: tuple[int, int], place: int, mask: int) -> None:
    start, size = member
    at = start + place % size
    damaged = GOOD[:at] + bytes([GOOD[at] ^ mask]) + GOOD[at + 1 :]
    # Harmless is only what a decompressor does not look at.
    assert accepted(reader, damaged) in (None, reader.tree(FILENAME, GOOD))


@unhurried
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_flipped_byte_anywhere_never_gives_another_tree(reader: Reader, at: int, mask: int) -> None:
    damaged = GOOD[:at] + bytes([GOOD[at] ^ mask]) + GOOD[at + 1 :]
    assert accepted(reader, damaged) in (None, reader.tree(FILENAME, GOOD))


@unhurried
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 40), st.binary(max_size=40))
def test_a_changed_piece_never_gives_another_tree(reader: Reader, at: int, length: int, piece: bytes) -> None:
    damaged = GOOD[:at] + piece + GOOD[at + length :]
    assert accepted(reader, damaged) in (None, reader.tree(FILENAME, GOOD))
