"""NumPy, old and new, and Python alone tell the same of two recorded values."""

import shutil
from pathlib import Path

import pytest

import tf_tester
from tests.real.conftest import Tool

pytestmark = pytest.mark.real

SCRIPT = """
import itertools
import numpy
import compare_values

NAN, INF = float("nan"), float("inf")
FLOATS = [0.0, -0.0, 1.0, 1.0 + 2.0**-52, 100.0, 101.0, 5e-324, -1e308, 1e308, NAN, INF, -INF]
COMPLEX = [0j, 1 + 2j, 1 + 2.5j, 1.7e308 + 1.7e308j, complex(NAN, 1), complex(INF, 1)]
WHOLE = [0, 5, 6, 2**53, 2**53 + 1, 2**62, 2**62 + 1, 2**63 - 1]
LEAST = [-(2**63), -1]
ROWS = [("<f8", FLOATS), ("<f4", FLOATS), ("<f2", FLOATS), ("<c16", COMPLEX), ("<c8", COMPLEX)]
ROWS += [("<i8", WHOLE + LEAST), ("<u8", WHOLE + [2**64 - 1]), ("|u1", [0, 5, 255]), ("|b1", [True, False])]


def test_all():
    numpy.seterr(all="ignore")
    seen = 0
    for (first, some), (second, others) in itertools.product(ROWS, ROWS):
        pairs = list(itertools.product(some, others))
        for chosen in (pairs, *([pair] for pair in pairs)) if first == second else (pairs,):
            numpy.save("a.npy", numpy.array([a for a, _ in chosen]).astype(first))
            numpy.save("b.npy", numpy.array([b for _, b in chosen]).astype(second))
            for rtol, atol in ((0.0, 0.0), (1e-7, 0.0), (0.01, 1.0), (9.0, 9.0)):
                told = [
                    compare_values._by_numpy(numpy, ["a.npy", "b.npy"], rtol, atol),
                    compare_values._by_python(["a.npy", "b.npy"], rtol, atol),
                ]
                for one in told:  # the last digit of a complex number's size is the processor's
                    one.update({name: format(one[name] or 0.0, ".12g") for name in ("max_abs", "max_rel")})
                assert told[0] == told[1], (first, second, chosen, rtol, atol)
                seen += 1
    assert seen > 1000
"""


def test_numpy_and_python_alone_compare_alike(tool: Tool, tmp_path: Path) -> None:
    shutil.copy(Path(tf_tester.__file__).parent / "harness" / "compare_values.py", tmp_path)
    (tmp_path / "test_alike.py").write_text(SCRIPT)
    run = tool.test(tmp_path, "test_alike.py", "--package", "numpy", "--versions", "1.23.5,2.2.6", "--python", "3.11")
    assert run.outcomes == {"1.23.5": "pass", "2.2.6": "pass"}, run.out
