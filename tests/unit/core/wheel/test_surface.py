"""Public names are read from sources, and what changed of them is told."""

import pytest

from tf_tester.core.wheel.api_changes import compare, signature
from tf_tester.core.wheel.surface import ModuleSource, PublicName, Surface, read_surface


def surface(files: dict[str, str], *, tops: tuple[str, ...] = ("toy",), internal: tuple[str, ...] = ()) -> Surface:
    """Of files by path: `toy/__init__.py`."""
    sources = {}
    for path, text in files.items():
        parts = path.removesuffix(".py").split("/")
        is_package = parts[-1] == "__init__"
        sources[".".join(parts[:-1] if is_package else parts)] = ModuleSource(text, is_package)
    return read_surface(tops, sources.keys(), sources.get, internal=internal)


def test_what_a_module_defines_is_public_but_for_underscores() -> None:
    found = surface({"toy.py": "import os\nx = 1\n_y = 2\ndef f(a, b=1): ...\nclass C:\n  def m(self): ...\n"})
    assert {name: entry.kind for name, entry in found.items()} == {
        "toy": "module",
        "toy.x": "attribute",
        "toy.f": "function",
        "toy.C": "class",
        "toy.C.m": "function",
    }
    assert signature("f", found["toy.f"]) == "f(a, b=1)"


def test_an_init_hands_on_what_it_imports_from_its_own_project() -> None:
    found = surface(
        {
            "toy/__init__.py": (
                "from toy._impl import spin\nfrom .parts import gear as cog\nimport os\nfrom sys import path\n"
            ),
            "toy/_impl.py": "def spin(speed): ...\ndef other(): ...\n",
            "toy/parts.py": "from toy._impl import spin\ndef gear(): ...\n",
        }
    )
    assert set(found) == {"toy", "toy.spin", "toy.cog", "toy.parts", "toy.parts.gear"}
    assert signature("spin", found["toy.spin"]) == "spin(speed)"


def test_all_names_what_else_is_public() -> None:
    found = surface(
        {
            "toy/__init__.py": "from .a import *\nfrom .b import *\n",
            "toy/a.py": "from ._c import hidden\n__all__ = ['hidden', '_odd']\n_odd = 1\nleft = 2\n",
            "toy/_c.py": "def hidden(): ...\n",
            "toy/b.py": (
                "from . import _d\n__all__ = ['one']\n__all__ += _d.__all__\nfrom ._d import *\ndef one(): ...\n"
            ),
            "toy/_d.py": "__all__ = ['two']\ndef two(x): ...\n",
        }
    )
    top = {name for name in found if name.count(".") == 1}
    assert top == {"toy.hidden", "toy._odd", "toy.one", "toy.two", "toy.a", "toy.b"}
    assert found["toy.two"].kind == "function"


def test_modules_that_are_loaded_lazily_and_names_that_are_values_are_followed() -> None:
    found = surface(
        {
            "toy/__init__.py": (
                "from ._lazy import LazyLoader as _LazyLoader\n"
                "_name = 'toys.api'\nkeras = _LazyLoader('keras', globals(), _name)\n"
                "from . import _ops\nadd = _ops.add\n"
            ),
            "toy/_lazy.py": "class LazyLoader: ...\n",
            "toy/_ops.py": "def add(x, y): ...\n",
            "toys/__init__.py": "",
            "toys/api.py": "def fit(n): ...\n",
        }
    )
    assert found["toy.keras"].kind == "module"
    assert signature("fit", found["toy.keras.fit"]) == "fit(n)"
    assert signature("add", found["toy.add"]) == "add(x, y)"


def test_what_is_not_python_is_there_all_the_same() -> None:
    found = surface({"toy/__init__.py": "from toy._native import fast\n"})
    assert found["toy.fast"].kind == "unknown"
    assert compare(found, {**found, "toy.fast": PublicName("function", ())}).changed == ()


def test_internal_modules_and_tests_are_no_ones_business() -> None:
    files = {
        "toy/__init__.py": "from toy.python.ops import add\n",
        "toy/python/__init__.py": "",
        "toy/python/ops.py": "def add(x): ...\n",
        "toy/tests/__init__.py": "",
        "toy/tests/test_a.py": "def test(): ...\n",
    }
    assert set(surface(files, internal=("toy.python",))) == {"toy", "toy.add"}


def test_methods_of_base_classes_count() -> None:
    before = {
        "toy.py": "class A:\n  def m(self, x): ...\nclass B(A):\n  def m(self, x): ...\n  def __init__(self, a): ...\n"
    }
    after = {"toy.py": "class A:\n  def m(self, x): ...\n  def __init__(self, a): ...\nclass B(A): ...\n"}
    assert compare(surface(before), surface(after)).gone == ()
    assert compare(surface(before), surface(after)).changed == ()


@pytest.mark.parametrize(
    "text",
    ["def f(:\n", "\x00", "from .nowhere import x\nfrom . import *\n", "from toy import *\n", "x = y\ny = x\nz = z\n"],
)
def test_nonsense_is_no_trap(text: str) -> None:
    surface({"toy/__init__.py": text, "toy/a.py": "from toy import b\n", "toy/b.py": "from toy.a import b\n"})


def test_a_package_that_holds_itself_is_told_once() -> None:
    files = {
        "toy/__init__.py": "from . import compat\n",
        "toy/compat/__init__.py": "import toy\nfrom .. import compat\n",
    }
    assert set(surface(files)) <= {"toy", "toy.compat", "toy.compat.toy", "toy.compat.compat"}


@pytest.mark.parametrize(
    ("before", "after", "breaks", "notes"),
    [
        ("a, b", "a", ["b is gone"], []),
        ("a, b=1", "a, b=2", [], ["b: default 1 → 2"]),
        ("a", "a, b", ["b must be given"], []),
        ("a", "a, b=1", [], ["b=1 is new"]),
        ("a, b=1", "a, b", ["b must be given"], []),
        ("a, b", "b, a", ["another place for a, b"], []),
        ("a, b", "a, *, b", ["b only as a keyword"], []),
        ("a", "a, /", ["a only by position"], []),
        ("a, b", "a, **kwargs", [], ["b is gone, or among **kwargs", "**kwargs is new"]),
        ("*args", "", ["*args is gone"], []),
        ("a, c=1", "a, b=2, c=1", ["another place for c"], ["b=2 is new"]),
    ],
)
def test_what_breaks_calls_is_told_from_what_does_not(
    before: str, after: str, breaks: list[str], notes: list[str]
) -> None:
    [changed] = compare(
        surface({"toy.py": f"def f({before}): ..."}), surface({"toy.py": f"def f({after}): ..."})
    ).changed
    assert (list(changed.breaks), list(changed.notes)) == (breaks, notes)
    assert changed.before == f"f({before})"
    assert changed.after == f"f({after})"


def test_of_what_is_gone_as_a_whole_the_parts_are_not_named() -> None:
    before = surface({"toy.py": "class A:\n  def m(self): ...\nclass B:\n  def n(self): ...\n"})
    after = surface({"toy.py": "class B: ...\nclass C:\n  def o(self): ...\n"})
    found = compare(before, after)
    assert found.gone == ("toy.A", "toy.B.n")
    assert found.new == ("toy.C",)
    assert (found.count_before, found.count_after) == (5, 4)


def test_modules_that_take_everything_from_one_another_end() -> None:
    names = [f"m{number}" for number in range(12)]
    files = {
        f"toy/{name}.py": "".join(f"from .{other} import *\n" for other in names) + f"{name}_x = 1\n" for name in names
    }
    files["toy/__init__.py"] = "from .m0 import *\n"
    assert "toy.m0_x" in surface(files)


def test_a_source_that_the_parser_can_not_take_is_left_out() -> None:
    assert set(surface({"toy/__init__.py": "from . import deep\n", "toy/deep.py": "~" * 100_000 + "1"})) == {
        "toy",
        "toy.deep",
    }
