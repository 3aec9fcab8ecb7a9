from pathlib import Path

import pytest
from packaging.tags import sys_tags

from tf_tester.core.select.tags import accepts_python, best_wheel, compatible_tags
from tf_tester.env.host import of_width
from tf_tester.model.artifact import Artifact
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform

PLATFORM_TAGS = ["linux_x86_64", "manylinux_2_36_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]
"""Of a 64-bit Linux."""


def interpreter(
    version: str = "3.8.18", *, abi: str = "", implementation: str = "cpython", bits: int = 64
) -> Interpreter:
    digits = "".join(version.split(".")[:2])
    return Interpreter(
        Path("/python"),
        version,
        implementation,
        abi or f"cp{digits}",
        bits,
        f"cpython-{digits}",
        platform=Platform(tags=of_width(PLATFORM_TAGS, bits), bits=bits),
    )


def wheel(tag: str, *, requires_python: str | None = None, build: str = "") -> Artifact:
    name = f"tensorflow-2.4.0-{build}{tag}.whl"
    return Artifact(name, "tensorflow", "2.4.0", f"https://host/{name}", requires_python=requires_python)


def test_the_wheel_of_the_interpreters_own_version_is_taken() -> None:
    page = [wheel(f"cp{v}-cp{v}-manylinux2014_x86_64") for v in ("36", "37", "38", "39")]
    assert best_wheel(page, interpreter()) == page[2]


def test_no_wheel_fits_where_only_other_pythons_have_one() -> None:
    assert best_wheel([wheel("cp36-cp36m-manylinux2014_x86_64")], interpreter()) is None


def test_a_sdist_is_no_wheel() -> None:
    assert best_wheel([Artifact("tensorflow-2.4.0.tar.gz", "tensorflow", "2.4.0", "")], interpreter()) is None


def test_the_m_of_old_abis_is_needed() -> None:
    page = [wheel("cp37-cp37m-manylinux2014_x86_64")]
    assert best_wheel(page, interpreter("3.7.16", abi="cp37m")) == page[0]
    assert best_wheel(page, interpreter("3.7.16", abi="cp37dm")) is None


def test_a_stable_abi_wheel_of_an_older_python_fits() -> None:
    page = [wheel("cp36-abi3-manylinux2014_x86_64")]
    assert best_wheel(page, interpreter()) == page[0]


def test_a_free_threaded_build_takes_its_own_wheels_and_no_stable_abi() -> None:
    threaded = interpreter("3.13.1", abi="cp313t")
    own = wheel("cp313-cp313t-manylinux2014_x86_64")
    ordinary = wheel("cp313-cp313-manylinux2014_x86_64")
    assert best_wheel([own, ordinary], threaded) == own
    assert best_wheel([ordinary, wheel("cp36-abi3-manylinux2014_x86_64")], threaded) is None


def test_a_debug_build_takes_ordinary_wheels_since_3_8() -> None:
    page = [wheel("cp38-cp38-manylinux2014_x86_64")]
    assert best_wheel(page, interpreter(abi="cp38d")) == page[0]


def test_pypy_takes_its_own_and_pure_wheels() -> None:
    pypy = interpreter("3.10.14", abi="pypy310_pp73", implementation="pypy")
    own, pure = wheel("pp310-pypy310_pp73-manylinux2014_x86_64"), wheel("py3-none-any")
    assert best_wheel([pure, own], pypy) == own
    assert best_wheel([pure, wheel("cp310-cp310-manylinux2014_x86_64")], pypy) == pure


def test_a_32_bit_python_on_a_64_bit_machine_takes_32_bit_wheels() -> None:
    page = [wheel("cp38-cp38-manylinux2014_x86_64"), wheel("cp38-cp38-manylinux2014_i686")]
    assert best_wheel(page, interpreter(bits=32)) == page[1]
    assert best_wheel(page, interpreter()) == page[0]


def test_a_platform_of_which_no_tags_are_known_takes_wheels_for_any_alone() -> None:
    python = Interpreter(Path("/python"), "3.8.18", "cpython", "cp38", 64, "cpython-38")
    page = [wheel(f"cp38-cp38-{tag.platform}") for tag in sys_tags() if tag.platform != "any"]
    assert best_wheel(page, python) is None
    assert best_wheel([*page, pure := wheel("py3-none-any")], python) == pure


def test_requires_python_is_honoured_for_each_file() -> None:
    page = [
        wheel("cp38-cp38-manylinux2014_x86_64", requires_python=">=3.9"),
        wheel("py3-none-any", requires_python=">=3"),
    ]
    assert best_wheel(page, interpreter()) == page[1]


@pytest.mark.parametrize("nonsense", [">=3,", "python 3", "≥3.6", ">=3.6.*"])
def test_an_unreadable_requires_python_takes_every_python(nonsense: str) -> None:
    assert accepts_python(nonsense, "3.8.18")


def test_a_release_candidate_counts_as_its_release() -> None:
    assert accepts_python(">=3.14", "3.14.0rc2")


def test_the_highest_build_tag_wins_by_number() -> None:
    page = [wheel("py3-none-any", build=build) for build in ("2-", "10-", "")]
    assert best_wheel(page, interpreter()) == page[1]


def test_tags_are_best_first() -> None:
    found = compatible_tags(interpreter())
    assert found[0] == "cp38-cp38-linux_x86_64"
    assert found.index("cp38-abi3-manylinux2014_x86_64") < found.index("cp37-abi3-manylinux2014_x86_64")
    assert found[-1] == "py30-none-any"
