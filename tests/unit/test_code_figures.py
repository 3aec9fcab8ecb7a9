"""The code keeps the bounds of bench/code_figures.py."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = runpy.run_path(str(ROOT / "bench" / "code_figures.py"), run_name="code_figures")

BOUNDS = (
    "long functions",
    "parameters",
    "modules in a folder",
    "class names",
    "docstrings",
    "import cycles",
    "core modules that no test imports",
)


def test_the_code_keeps_every_bound() -> None:
    faults: dict[str, list[str]] = FIGURES["faults"](FIGURES["read_modules"](ROOT / "src"), ROOT)
    assert faults == {bound: [] for bound in BOUNDS}


def package(tmp_path: Path, **modules: str) -> list[object]:
    """Return a package with these modules; `a__b` lies in the folder `a`."""
    for name, text in modules.items():
        path = tmp_path.joinpath("tf_tester", *name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text, "utf-8")
    found: list[object] = FIGURES["read_modules"](tmp_path)
    return found


def test_a_ring_of_imports_is_a_cycle_also_within_functions_and_relative(tmp_path: Path) -> None:
    modules = package(
        tmp_path,
        a__one="from tf_tester.a import two",
        a__two="def late():\n    from .three import x",
        a__three="from tf_tester.a.one import y",
        a__four="import tf_tester.a.one",
    )
    assert FIGURES["cycles"](modules) == [["tf_tester.a.one", "tf_tester.a.three", "tf_tester.a.two"]]


def test_one_class_name_of_two_modules_is_shared_unless_private(tmp_path: Path) -> None:
    modules = package(tmp_path, one="class Row: ...\nclass _Own: ...", two="class Row: ...\nclass _Own: ...")
    assert FIGURES["shared_class_names"](modules) == {"Row": ["one", "two"]}


def test_an_alias_of_a_type_counts_as_a_class(tmp_path: Path) -> None:
    modules = package(
        tmp_path,
        one="class Row: ...\nclass Line: ...\nclass Step: ...\nLIMITS = dict[str, int]()",
        two="Row = tuple[str, int]\nfrom elsewhere import Whatever as Line\nLIMITS = list[int]()",
        three="from elsewhere import Other as Same\nif TYPE_CHECKING:\n    Step = Row | None",
        four="from elsewhere import Other as Same",
    )
    found = FIGURES["shared_class_names"](modules)
    assert found == {"Line": ["one", "elsewhere.Whatever"], "Step": ["one", "three"], "Row": ["one", "two"]}


def test_parameters_are_counted_as_a_caller_passes_them(tmp_path: Path) -> None:
    method = "    def seven(self, a, b, c, *, d, e, f, g): ..."
    static = "    @staticmethod\n    def eight(a, b, c, d, e, f, g, *h): ..."
    modules = package(tmp_path, one=f"class A:\n{method}\n{static}")
    assert [one.node.name for one in FIGURES["wide_functions"](modules)] == ["eight"]


@pytest.mark.parametrize(
    ("text", "has_verb"),
    [
        ("Return the page.", True),
        ("Name the file after its digest.", True),
        ("Name of the file.", False),
        ("What the page says.", False),
        ("Whether it is there.", False),
        ("Returns the page.", False),
        ("The page.", False),
    ],
)
def test_a_docstring_opens_with_an_imperative_verb(text: str, has_verb: bool) -> None:
    assert FIGURES["opens_with_a_verb"](text) == has_verb
