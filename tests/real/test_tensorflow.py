"""The main job on real TensorFlow wheels; every expectation was seen on them."""

import math
import random
import shutil
import struct
import zipfile
from pathlib import Path

import pytest

from tests.real.conftest import EXAMPLES, Tool, need, pythons

pytestmark = pytest.mark.real

_ROUNDTRIP = str(EXAMPLES / "savedmodel_roundtrip.py")
_FOUR = ("--package", "tensorflow-cpu", "--versions", "2.4.0,2.8.0,2.12.0,2.16.1")
_GRAPH = """
import tensorflow as tf

Session = getattr(tf, "Session", None) or tf.compat.v1.Session
with tf.Graph().as_default(), Session() as session:
    assert session.run(tf.constant(1) + tf.constant(2)) == 3
print(tf.__version__)
"""


def test_four_versions_pass_with_the_dependencies_of_their_time_and_again_without_a_network(
    tool: Tool, tmp_path: Path
) -> None:
    need("3.8", "3.10", "3.11", "3.12")
    run = tool.test(tmp_path, _ROUNDTRIP, *_FOUR)
    assert (run.code, run.outcomes) == (0, dict.fromkeys(("2.4.0", "2.8.0", "2.12.0", "2.16.1"), "pass")), run.out
    assert [run.python(version) for version in ("2.4.0", "2.8.0", "2.12.0", "2.16.1")] == [
        "3.8",
        "3.10",
        "3.11",
        "3.12",
    ]
    # In a network namespace of its own a program has no network at all, not even loopback.
    cut = ("unshare", "--user", "--map-root-user", "--net") if shutil.which("unshare") else ()
    again = tool.test(tmp_path, _ROUNDTRIP, *_FOUR, "--no-cache", before=cut)
    assert (again.code, again.received) == (0, 0), again.out + again.err


def test_todays_dependencies_break_old_versions_at_import(tool: Tool, tmp_path: Path) -> None:
    need("3.8", "3.10")
    versions = ("--package", "tensorflow-cpu", "--versions", "2.4.0,2.8.0", "--resolve", "latest")
    run = tool.test(tmp_path, _ROUNDTRIP, *versions)
    assert (run.code, run.outcomes) == (1, {"2.4.0": "fail", "2.8.0": "fail"})
    for result in run.results.values():
        assert result["summary"] == "TypeError: Descriptors cannot be created directly."
        assert result["tests"][0]["exception"]["type"] == "TypeError"


def test_the_oldest_and_the_newest_run_side_by_side(tool: Tool, tmp_path: Path) -> None:
    need("3.6", "3.7", "3.13")
    (tmp_path / "graph.py").write_text(_GRAPH)
    run = tool.test(tmp_path, "graph.py", "--versions", "1.12.0,1.15.5,2.21.0")
    assert (run.code, run.outcomes) == (0, {"1.12.0": "pass", "1.15.5": "pass", "2.21.0": "pass"}), run.out
    assert [run.python(version) for version in ("1.12.0", "1.15.5", "2.21.0")] == ["3.6", "3.7", "3.13"]
    # absl-py 0.6.1 exists only as source; its build requirements are younger than this TensorFlow.
    assert any(pin["built_from"] for pin in run.locks["1.12.0"]["pins"])


def test_pytest_runs_beside_old_and_new_versions_without_changing_them(tool: Tool, tmp_path: Path) -> None:
    need("3.8", "3.12")
    versions = ("--package", "tensorflow-cpu", "--versions", "2.4.0,2.16.1")
    run = tool.test(tmp_path, str(EXAMPLES / "test_keras_training.py"), *versions)
    rows = {
        version: {row["id"].rpartition("::")[2]: row["outcome"] for row in result["tests"]}
        for version, result in run.results.items()
    }
    good = {"test_learns_a_line": "pass", "test_saves_as_hdf5": "pass"}
    assert rows == {
        "2.4.0": {**good, "test_old_learning_rate_argument": "pass"},
        "2.16.1": {**good, "test_old_learning_rate_argument": "fail"},
    }
    assert not any("replaced" in remark for result in run.results.values() for remark in result["remarks"])


def test_numpy_versions_differ_where_numpy_did(tool: Tool, tmp_path: Path) -> None:
    need("3.10")
    (tmp_path / "test_alias.py").write_text("import numpy\ndef test_alias(): assert numpy.bool(1)\n")
    run = tool.test(
        tmp_path, "test_alias.py", "--package", "numpy", "--versions", "1.23.5,1.24.4,2.0.2", "--python", "3.10"
    )
    assert run.outcomes == {"1.23.5": "pass", "1.24.4": "fail", "2.0.2": "pass"}


MNIST = """
import tensorflow as tf
mnist = tf.keras.datasets.mnist
names = mnist.load_data.__globals__
asked = names["get_file"]
names["get_file"] = lambda *words, file_hash=None, **named: asked(*words, **named)
(x_train, y_train), (x_test, y_test) = mnist.load_data()
model = tf.keras.models.Sequential([
    tf.keras.layers.Flatten(input_shape=(28, 28)),
    tf.keras.layers.Dense(16, activation="relu"),
    tf.keras.layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train / 255.0, y_train, epochs=1, verbose=0)
assert len(model.evaluate(x_test / 255.0, y_test, verbose=0)) == 2
"""


def made_array(*shape: int, below: int) -> bytes:
    """An array of bytes as numpy writes it (NEP 1)."""
    values = random.Random(0)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    content = bytes(values.randrange(below) for _ in range(math.prod(shape)))
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def test_the_data_of_a_home_is_found_by_keras(tool: Tool, tmp_path: Path) -> None:
    """The real `mnist.npz` isn't here: one of its form is made, whose hash is nobody's."""
    need("3.10")
    home = tmp_path / "home"
    (home / ".keras/datasets").mkdir(parents=True)
    with zipfile.ZipFile(home / ".keras/datasets/mnist.npz", "w") as archive:
        for part, count in (("train", 256), ("test", 64)):
            archive.writestr(f"x_{part}.npy", made_array(count, 28, 28, below=256))
            archive.writestr(f"y_{part}.npy", made_array(count, below=10))
    (tmp_path / "mnist.py").write_text(MNIST)
    words = ("mnist.py", "--package", "tensorflow-cpu", "--versions", "2.8.0")
    python = str(pythons()["3.10"])  # where it is: another home has no link to it
    shown = tool.test(
        tmp_path, *words, "--data", str(home / ".keras"), "--python", python, before=("env", f"HOME={home}")
    )
    assert shown.outcomes == {"2.8.0": "pass"}, shown.out
    alone = tool.test(tmp_path, *words, "--python", python, before=("env", f"HOME={home}"))
    assert alone.outcomes == {"2.8.0": "fail"}, alone.out
