"""What broke, and why, on real wheels; every expectation was seen on them."""

import json
from pathlib import Path

import pytest

from tests.real.conftest import Tool, need

pytestmark = pytest.mark.real


def test_both_culprits_of_an_old_tensorflow_are_named_with_the_pins_that_repair_it(tool: Tool, tmp_path: Path) -> None:
    need("3.10")
    (tmp_path / "check.py").write_text("import tensorflow as tf\nassert float(tf.reduce_sum(tf.ones([2, 2]))) == 4\n")
    words = ("--package", "tensorflow-cpu", "--versions", "2.8.0", "--python", "3.10", "--jobs", "2", "--json")
    run = tool.run(tmp_path, "blame", "check.py", *words)
    assert run.returncode == 0, run.stderr
    explanation = json.loads(run.stdout)
    assert {cause["project"]: (cause["last_good"], cause["first_bad"]) for cause in explanation["causes"]} == {
        "numpy": ("1.26.4", "2.0.0"),
        "protobuf": ("3.20.3", "4.21.1"),
    }
    assert {cause["pin"] for cause in explanation["causes"]} == {"numpy<2", "protobuf<4"}
    assert explanation["verified"]
    assert explanation["verdict"] == "dependency"
    assert explanation["cells"] <= 45, "of more than thirty distributions that differ"


def test_the_version_that_lost_an_alias_is_found_in_seven_cells(tool: Tool, tmp_path: Path) -> None:
    need("3.9", "3.10", "3.11", "3.12")
    (tmp_path / "check.py").write_text("import numpy as np\nnp.zeros(2, dtype=np.object)\n")
    words = ("--package", "numpy", "--good", "1.20.0", "--bad", "1.26.4")
    run = tool.run(tmp_path, "bisect", "check.py", *words)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("numpy 1.24.0 is the first that fails; 1.23.5 passes.\n")


def test_a_script_that_catches_its_own_failure_is_seen_to_say_something_else(tool: Tool, tmp_path: Path) -> None:
    need("3.10")
    (tmp_path / "check.py").write_text(
        "import numpy\n"
        "try:\n    numpy.bool8(1)\n    print('✅', numpy.__version__)\n"
        "except AttributeError as error:\n    print('❌', numpy.__version__, error)\n"
    )
    run = tool.test(tmp_path, "check.py", "--package", "numpy", "--versions", "1.25.2,1.26.4,2.0.2", "--python", "3.10")
    assert run.code == 0
    assert "pass, differs" in run.out
    assert "prints ❌ 2.0.2" in run.out


def test_signatures_are_read_without_importing(tool: Tool, tmp_path: Path) -> None:
    run = tool.run(tmp_path, "diff", "1.23.5", "1.24.0", "--package", "numpy", "--python", "3.10", "--format", "json")
    assert run.returncode == 0, run.stderr
    api = json.loads(run.stdout)["api"]
    assert api["count_before"] > 5_000
    assert "numpy.ma.MaskedArray.mini" in api["gone"]
    assert "numpy.show_runtime" in api["new"]
