"""One tree of errors, drawn as it is."""

import ast
import builtins
from pathlib import Path

import pytest

import tf_tester
from tf_tester import errors
from tf_tester.errors import TfTesterError

SOURCE = Path(tf_tester.__file__).parent
OF_ONE_PACKAGE = {"transfer/trouble.py": ["Trouble"], "execute/probe_child.py": ["Refused"]}
OF_ONE_PACKAGE |= {"flow/grid/products.py": ["ProductRefused"], "harness/runners/notebook.py": ["NotANotebook"]}
OF_ONE_PACKAGE |= {"export/gitlab.py": ["GitLabRefused"]}
"""The last one and `Refused` are of programs of their own."""


def drawn() -> dict[str, str]:
    """Return the parent of each error by the drawing in the docstring, "" for the root."""
    parents: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.lstrip(" │├└─").split()
        if words and isinstance(getattr(errors, words[0], None), type):
            depth = (len(line) - len(line.lstrip(" │├└─")) - 4) // 4
            del branch[depth:]
            parents[words[0]] = branch[-1] if branch else ""
            branch.append(words[0])
    return parents


def test_the_drawing_is_the_tree() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    actual = {one.__name__: one.__bases__[0].__name__ for one in classes}
    assert drawn() == actual | {"TfTesterError": ""}


def test_no_error_that_others_meet_is_outside_the_tree() -> None:
    known = {name for name, one in vars(builtins).items() if isinstance(one, type) and issubclass(one, BaseException)}
    known |= {one.__name__ for one in vars(errors).values() if isinstance(one, type)}
    found: dict[str, list[str]] = {}
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if bases & known:
                    found.setdefault(file.relative_to(SOURCE).as_posix(), []).append(node.name)
    del found["errors.py"]
    assert found == OF_ONE_PACKAGE


@pytest.mark.parametrize("name", sorted(drawn()))
def test_an_error_says_what_happened_and_what_to_do(name: str) -> None:
    error = getattr(errors, name)("It broke.")
    assert isinstance(error, TfTesterError)
    assert (str(error), error.hint, error.detail, error.exit_code in (2, 3, 4)) == ("It broke.", "", "", True)
