"""What a source tree says of how it is built."""

import pytest

from tf_tester.core.wheel.build_system import BuildSystem, build_system, hook_answer
from tf_tester.errors import Malformed


def test_a_tree_that_names_nothing_is_built_by_setuptools() -> None:
    legacy = BuildSystem(("setuptools>=40.8.0",), "setuptools.build_meta:__legacy__", ())
    assert build_system("") == build_system("[project]\nname = 'x'\n") == legacy
    assert build_system("[build-system]\nrequires = ['setuptools', 'wheel']").backend == legacy.backend


def test_a_back_end_may_lie_in_the_tree() -> None:
    said = "[build-system]\nrequires = ['a>=1; extra == \"x\"']\nbuild-backend = 'own:it'\nbackend-path = ['b']\n"
    assert build_system(said) == BuildSystem(('a>=1; extra == "x"',), "own:it", ("b",))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("build-backend = 'x'", "has no requires"),
        ("requires = 'setuptools'", "no list of texts"),
        ("requires = [1]", "no list of texts"),
        ("requires = ['-r/etc/passwd']", "is no requirement"),
        ("requires = ['x @ file:///etc']", "names an address"),
        ("requires = []\nbuild-backend = 1", "is no text"),
        ("requires = []\nbackend-path = 'b'", "no list of texts"),
        ("requires = [", "Unclosed array|Invalid"),
    ],
)
def test_what_cannot_be_understood_is_refused(table: str, reason: str) -> None:
    with pytest.raises((ValueError, Malformed), match=reason):
        build_system(f"[build-system]\n{table}\n")


@pytest.mark.parametrize("said", [{"a": 1}, "a", [None], ["--index-url=x"], ["x @ git+file:///x"]])
def test_what_a_back_end_says_is_not_believed(said: object) -> None:
    with pytest.raises((ValueError, Malformed), match=r"no list|no requirement|names an address"):
        hook_answer(said)
