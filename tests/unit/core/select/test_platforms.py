"""Platforms by name."""

import pytest

from tf_tester.core.select.matrix import hypothetical
from tf_tester.core.select.platforms import platform_named
from tf_tester.core.select.tags import best_wheel
from tf_tester.errors import UsageError
from tf_tester.model.artifact import Artifact


@pytest.mark.parametrize(
    ("name", "fits", "does_not"),
    [
        ("linux_x86_64", "manylinux2014_x86_64", "manylinux_2_31_x86_64"),
        ("linux_x86_64", "manylinux1_x86_64", "manylinux2014_aarch64"),
        ("manylinux2010_x86_64", "manylinux_2_12_x86_64", "manylinux2014_x86_64"),
        ("manylinux_2_35_aarch64", "manylinux_2_34_aarch64", "manylinux_2_36_aarch64"),
        ("musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "manylinux2014_x86_64"),
        ("macosx_arm64", "macosx_11_0_universal2", "macosx_14_0_arm64"),
        ("macosx_14_0_arm64", "macosx_14_0_arm64", "macosx_11_0_x86_64"),
        ("macosx-10.9-x86_64", "macosx_10_9_intel", "macosx_10_15_x86_64"),
        ("win-amd64", "win_amd64", "win32"),
    ],
)
def test_a_platform_takes_the_wheels_that_pip_would_take_there(name: str, fits: str, does_not: str) -> None:
    python = hypothetical((3, 10), platform_named(name))
    wheels = [Artifact(f"toy-1.0-cp310-cp310-{tag}.whl", "toy", "1.0", "https://x/") for tag in (fits, does_not)]
    assert best_wheel(wheels, python) == wheels[0]
    assert best_wheel(wheels[1:], python) is None


@pytest.mark.parametrize("name", ["", "linux", "linux_pdp11", "win64", "macosx_ppc", "manylinux_3_1_x86_64", "any"])
def test_what_is_no_platform_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        platform_named(name)
