"""Markers are those of the Python and the platform that are meant, never of the one that runs this."""

from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment

from tf_tester.core.select.markers import markers_of
from tf_tester.core.select.platforms import platform_named
from tf_tester.env.host import this_platform
from tf_tester.model.host.interpreter import Interpreter
from tf_tester.model.host.platform import Platform

WINDOWS = platform_named("win_amd64")


def python(version: str, platform: Platform, implementation: str = "cpython") -> Interpreter:
    return Interpreter(Path("/python"), version, implementation, "cp38", 64, "cpython-38", platform=platform)


@pytest.mark.parametrize("platform", [WINDOWS, platform_named("macosx_arm64"), this_platform()])
def test_no_marker_is_left_to_the_python_that_evaluates_it(platform: Platform) -> None:
    assert markers_of(python("3.8.18", platform)).keys() == default_environment().keys()


def test_a_pypy_is_no_cpython() -> None:
    marker = Marker("platform_python_implementation == 'PyPy' and implementation_name == 'pypy'")
    assert marker.evaluate({**markers_of(python("3.10.14", WINDOWS, "pypy"))})
    assert not marker.evaluate({**markers_of(python("3.10.14", WINDOWS))})


def test_a_foreign_platform_answers_for_its_system() -> None:
    marker = Marker("sys_platform == 'win32' and platform_machine == 'AMD64' and python_version == '3.8'")
    assert marker.evaluate({**markers_of(python("3.8.18", WINDOWS))})
