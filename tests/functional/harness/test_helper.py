"""`tf_tester_helper`: harmless everywhere, and what it writes is what NumPy reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.functional.harness.bench import HARNESS, Bench

ROOT = HARNESS.parents[2]
MODULE = HARNESS / "provided" / "tf_tester_helper.py"

MARKED = """
    from tf_tester_helper import consumer, producer, record, resaver

    @producer("model.txt")
    def test_save(path):
        with open(path, "w") as file:
            file.write("saved")

    @consumer("other")
    @consumer("model.txt")
    def load(path, producer):
        with open(path) as file:
            record("length", len(file.read()), rtol=1e-5)
        return producer

    @resaver("model.txt", "other")
    def test_convert(path, target):
        raise AssertionError("pytest takes it for a test")
    """


def run_python(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "TF_"))}
    environment = {**kept, "PYTHONPATH": str(MODULE.parent), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_decorated_functions_are_ordinary_functions(python: str, tmp_path: Path) -> None:
    text = """
        from tf_tester_helper import producer, consumer, record, resaver
        def save(path, *, twice=False):
            "Save."
            return path * (1 + twice)
        assert producer("model")(save) is save
        assert save("a", twice=True) == "aa" and save.__name__ == "save" and save.__doc__ == "Save."
        assert save._tf_tester_roles == [("producer", "model")] and save.__test__ is False
        consumer("b.keras")(save)
        assert save._tf_tester_roles == [("producer", "model"), ("consumer", "b.keras")]
        assert resaver("b")(resaver("b", to="c")(save)) is save
        assert save._tf_tester_roles[2:] == [("resaver", ("b", "c")), ("resaver", ("b", "b"))]
        assert record("loss", 0.5, rtol=1e-5, atol=0) is None
        """
    ran = start(python, tmp_path, text)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def start(executable: str, folder: Path, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(textwrap.dedent(text))
    return run_python([executable, "script.py"], folder, **variables)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("producer(save)", "TypeError: @producer is given the product's name: @producer('model')"),
        ("producer('a/b')", "ValueError: a product is named with letters, digits and ._+- (100 at most), not 'a/b'"),
        ("consumer('..')", "ValueError: a product is named with letters, digits and ._+- (100 at most), not '..'"),
        ("consumer('m')(5)", "TypeError: @consumer('m') marks a function, not int"),
        ("resaver('m', 'k')(5)", "TypeError: @resaver('m', 'k') marks a function, not int"),
        ("resaver('m', 5)", "TypeError: @resaver is given the product's name: @resaver('model')"),
        ("resaver('')", "ValueError: a product is named with letters, digits and ._+- (100 at most), not ''"),
        ("record(5, 5)", "TypeError: the name of a value must be a text, not int"),
        ("record(' ', 5)", "ValueError: a value is named with 1 to 200 printable characters, not ' '"),
        ("record('x', 5, rtol='much')", "TypeError: rtol must be a number, not str"),
        ("record('x', 5, atol=-1)", "ValueError: atol must be 0 or more, and finite, not -1"),
        ("record('x', 'text')", "TypeError: numbers can be recorded, and arrays of them, not str"),
        ("record('x', None)", "TypeError: numbers can be recorded, and arrays of them, not NoneType"),
        ("record('x', [1, 'b'])", "TypeError: numbers can be recorded, not str"),
        ("record('x', [[1, 2], [3]])", "ValueError: the rows of a nested list must be equally long"),
        ("record('x', [[1, 2], 3])", "ValueError: the rows of a nested list must be equally long"),
        ("record('x', [1, [2]])", "ValueError: the rows of a nested list must be equally long"),
        ("record('x', 2 ** 64)", "ValueError: a whole number is beyond 64 bits"),
        ("record('x', [0.5, 10 ** 400])", "ValueError: a whole number is beyond what a float can hold"),
        ("record('x', [1j, 10 ** 400])", "ValueError: a whole number is beyond what a float can hold"),
        ("record('x', 5, rtol=10 ** 400)", f"ValueError: rtol must be 0 or more, and finite, not {10**400}"),
    ],
)
def test_arguments_are_checked_although_nobody_listens(edge: str, tmp_path: Path, call: str, error: str) -> None:
    ran = start(edge, tmp_path, f"from tf_tester_helper import *\ndef save(path): pass\n{call}\n")
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (1, error)


NUMBERS: list[tuple[str, str, list[int], str]] = [
    ("5", "<i8", [], "0500000000000000"),
    ("True", "|b1", [], "01"),
    ("-0.5", "<f8", [], "000000000000e0bf"),
    ("1j", "<c16", [], "0000000000000000000000000000f03f"),
    ("[]", "<f8", [0], ""),
    ("[[1, 2], (3, 4)]", "<i8", [2, 2], "".join(f"0{n}00000000000000" for n in (1, 2, 3, 4))),
    ("[1, 0.5]", "<f8", [2], "000000000000f03f000000000000e03f"),
    ("b'ab'", "|u1", [2], "6162"),
    ("array.array('f', [1.0])", "<f4", [1], "0000803f"),
    ("array.array('H', [258])", "<u2", [1], "0201"),
    ("memoryview(array.array('b', [1, 2])).cast('B').cast('B', (2, 1))", "|u1", [2, 1], "0102"),
]


@pytest.mark.parametrize(("value", "dtype", "shape", "content"), NUMBERS, ids=[row[0] for row in NUMBERS])
def test_what_is_recorded_is_a_file_of_numpys_format(
    edge: str, tmp_path: Path, value: str, dtype: str, shape: list[int], content: str
) -> None:
    (tmp_path / "values").mkdir()
    text = f"import array\nfrom tf_tester_helper import record\nrecord('x', {value}, rtol=0.5)\n"
    ran = start(edge, tmp_path, text, TF_TESTER_VALUES=str(tmp_path / "values"))
    assert (ran.returncode, ran.stderr) == (0, "")
    [line] = (tmp_path / "values" / "values.jsonl").read_text().splitlines()
    told = json.loads(line)
    npy = (tmp_path / "values" / told.pop("file")).read_bytes()
    assert told == {"name": "x", "rtol": 0.5, "atol": None}
    assert npy[:8] == b"\x93NUMPY\x01\x00"
    length = int.from_bytes(npy[8:10], "little")
    assert (10 + length) % 64 == 0
    header = eval(npy[10 : 10 + length])
    assert header == {"descr": dtype, "fortran_order": False, "shape": tuple(shape)}
    assert npy[10 + length :].hex() == content


ARRAYS = """
    from tf_tester_helper import record

    class Kind:
        def __init__(self, kind, name, text, order="="):
            self.kind, self.name, self.str, self.byteorder, self.names = kind, name, text, order, None
            self.itemsize = int(text[2:] or 8)
        def newbyteorder(self, order):
            return Kind(self.kind, self.name, self.str.replace(">", "<"), "<")
        def __str__(self):
            return self.name

    class Array:
        "What NumPy's arrays are for the helper."
        shape = (1,)
        def __init__(self, dtype, content):
            self.dtype, self.content = dtype, content
        def __array__(self):
            return self
        def astype(self, dtype):
            if isinstance(dtype, str):
                return Array(Kind(dtype[1], "other", dtype), b"converted!converted!"[: int(dtype[2:])])
            return Array(dtype, self.content[::-1])
        def tobytes(self):
            return self.content

    class Tensor:
        "What PyTorch's are: no array before they are detached."
        def __init__(self):
            self.steps = ["grad", "device"]
        def detach(self):
            self.steps.remove("grad"); return self
        def cpu(self):
            self.steps.remove("device"); return self
        def __array__(self):
            assert not self.steps; return Array(Kind("f", "float32", "<f4"), b"1234")

    record("native", Array(Kind("f", "float32", "<f4"), b"1234"))
    record("big", Array(Kind("f", "float32", ">f4", ">"), b"4321"))
    record("brain", Array(Kind("V", "bfloat16", "<V2"), b"12"))
    record("torch", Tensor())
    record("long", Array(Kind("f", "float128", "<f16"), b"12"))
    record("longer", Array(Kind("c", "complex256", "<c32"), b"12"))
    record("twice", 1)
    record("twice", 2)
    for kind in ("O", "U", "M"):
        try:
            record("objects", Array(Kind(kind, "object", "|" + kind), b"12345678"))
        except TypeError as error:
            assert str(error) == "numbers can be recorded, not an array of object", error
        else:
            raise AssertionError(kind)
    """


def test_arrays_of_libraries_are_recorded_and_objects_are_refused(edge: str, tmp_path: Path) -> None:
    values = tmp_path / "values"
    values.mkdir()
    ran = start(edge, tmp_path, ARRAYS, TF_TESTER_VALUES=str(values))
    assert (ran.returncode, ran.stderr) == (0, "")
    told = [json.loads(line) for line in (values / "values.jsonl").read_text().splitlines()]
    assert [one["name"] for one in told] == ["native", "big", "brain", "torch", "long", "longer", "twice", "twice"]
    files = [(values / one["file"]).read_bytes() for one in told[:6]]
    assert [file[-4:] for file in files] == [b"1234", b"1234", b"conv", b"1234", b"erte", b"nver"]
    assert [file[20:].split(b"'")[1] for file in files] == [b"<f4", b"<f4", b"<f4", b"<f4", b"<f8", b"<c16"]
    assert len(list(values.glob("*.npy"))) == 8


@pytest.mark.whole
def test_pytest_collects_none_of_them(tmp_path: Path) -> None:
    text = textwrap.dedent(MARKED) + "def test_round_trip(tmp_path):\n    test_save(str(tmp_path / 'm'))\n"
    (tmp_path / "test_grid.py").write_text(text + "    assert load(str(tmp_path / 'm'), 'here') == 'here'\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", "test_grid.py"]
    assert run_python(command, tmp_path).stdout.splitlines()[0] == "test_grid.py::test_round_trip"
    assert run_python([*command[:5], "-q", "test_grid.py"], tmp_path).returncode == 0


def test_the_harness_provides_it_last(bench: Bench, python: str) -> None:
    ran = bench.script(python, "import tf_tester_helper as here; print(here.__file__)")
    assert ran.row["status"] == "pass", ran.err
    assert ran.out.strip() == str(bench.harness.parent / "harness" / "provided" / "tf_tester_helper.py")
    bench.write(tf_tester_helper="mine = True\n")
    assert bench.script(python, "import tf_tester_helper as here; assert here.mine").row["status"] == "pass"


def test_the_distribution_has_the_same_module(tmp_path: Path) -> None:
    build = "import hatchling.build as b, sys; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    first = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT / "helper", capture_output=True)
    assert first.returncode == 0, first.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("tf_tester_helper.py") == MODULE.read_bytes()
        [info] = {name.partition("/")[0] for name in archive.namelist() if "/" in name}
    names: dict[str, Any] = {}
    exec(MODULE.read_text(), names)
    assert info == f"tf_tester_helper-{names['__version__']}.dist-info"
    [sdist] = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        packed.extractall(tmp_path, filter="data")
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    again = subprocess.run([sys.executable, "-c", build, str(tmp_path / "again")], cwd=unpacked, capture_output=True)
    assert again.returncode == 0
    with zipfile.ZipFile(tmp_path / "again" / wheel.name) as archive:
        assert archive.read("tf_tester_helper.py") == MODULE.read_bytes()
