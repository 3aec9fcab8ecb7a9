"""What a cell is, and what it is called."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.outcome.report import cell_labels
from tf_tester.model.cell import Cell, CellRequirement
from tf_tester.model.lock import Resolution

ERA = Resolution.ERA
TOY = CellRequirement("toy", "1.0", under_test=True)

names = st.sampled_from(["toy", "gear", "a", "a-b", "b2"])
versions = st.sampled_from(["1.0", "2.0", "2.1.0rc1", "2.0+cu121"])
requirements = st.builds(
    CellRequirement,
    names,
    versions,
    st.lists(names, max_size=2, unique=True).map(lambda extras: tuple(sorted(extras))),
    st.sampled_from(["", "nightly", "cu121"]),
    under_test=st.booleans(),
)
cells = st.builds(
    lambda tested, besides, python, resolution, platform, lock_name: Cell(
        (*(msgspec.structs.replace(one, under_test=True) for one in tested), *besides),
        python,
        resolution,
        platform,
        lock_name,
    ),
    st.lists(requirements, min_size=1, max_size=3, unique_by=lambda one: one.name),
    st.lists(requirements.map(lambda one: msgspec.structs.replace(one, under_test=False)), max_size=2),
    st.sampled_from(["3.8", "3.13t", "-"]),
    st.sampled_from(Resolution),
    st.sampled_from(["", "win_amd64", "manylinux_2_28_x86_64"]),
    st.sampled_from(["", "frozen.txt"]),
)


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        (Cell.of("tensorflow", "2.8.0", "3.10", ERA), "tensorflow==2.8.0@py3.10@era"),
        (
            Cell.of("toy", "1.0", "3.8", ERA, besides=[CellRequirement("numpy", "1.24.0")]),
            "toy==1.0@py3.8@era+numpy==1.24.0",
        ),
        (
            Cell.of("toy", "1.0", "3.8", ERA, besides=[CellRequirement.parse("protobuf<4")]),
            "toy==1.0@py3.8@era+protobuf<4",
        ),
        (
            Cell.of("toy", "1.0", "3.8", Resolution.LOCK, lock_name="frozen.txt"),
            "toy==1.0@py3.8@lock+frozen.txt",
        ),
        (Cell((TOY,), "3.8", ERA, attempt="again"), "toy==1.0@py3.8@era+again"),
        (Cell.of("toy", "1.0", "3.8", ERA, platform="win_amd64"), "toy==1.0@py3.8@era@win_amd64"),
        (
            Cell(
                (
                    CellRequirement("jax", "0.4.30", ("cuda12", "k8s"), under_test=True),
                    CellRequirement("jaxlib", "0.4.30", origin="nightly", under_test=True),
                    CellRequirement("numpy", "1.24.0"),
                ),
                "3.12",
                ERA,
            ),
            "jax[cuda12,k8s]==0.4.30,nightly::jaxlib==0.4.30@py3.12@era+numpy==1.24.0",
        ),
    ],
)
def test_the_key_is_as_long_as_the_cell_needs(cell: Cell, key: str) -> None:
    assert cell.name == key


@given(st.lists(cells, min_size=2, max_size=2, unique=True))
def test_different_cells_have_different_keys(two: list[Cell]) -> None:
    assert two[0].name != two[1].name


@given(cells)
def test_a_cell_survives_its_json(cell: Cell) -> None:
    assert msgspec.json.decode(msgspec.json.encode(cell), type=Cell) == cell


@given(requirements)
def test_what_a_requirement_says_is_read_again(requirement: CellRequirement) -> None:
    plain = msgspec.structs.replace(requirement, origin="", under_test=False)
    assert CellRequirement.parse(plain.text) == plain


@pytest.mark.parametrize("text", ["", "toy==", "toy 1.0", "-r x"])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        CellRequirement.parse(text)


def test_a_specifier_is_no_version() -> None:
    assert CellRequirement.parse("toy==1.*").specifier == "==1.*"
    assert CellRequirement.parse("toy==1.*").version == ""
    assert CellRequirement.parse("toy>=1,==1.5").version == ""


def test_a_cell_tests_something() -> None:
    with pytest.raises(ValueError, match="under test"):
        Cell((CellRequirement("toy", "1.0"),), "3.8", ERA)
    with pytest.raises(msgspec.ValidationError, match="under test"):
        msgspec.convert({"requirements": [], "python": "3.8", "resolution": "era"}, Cell)


def test_labels_name_what_differs_and_no_more() -> None:
    plain = Cell.of("torch", "2.8.0", "3.12", ERA)
    nightly = Cell((CellRequirement("torch", "2.8.0", origin="nightly", under_test=True),), "3.12", ERA)
    other = Cell.of("torch", "2.9.0", "3.12", ERA)
    assert list(cell_labels([plain, other]).values()) == ["2.8.0 py3.12", "2.9.0 py3.12"]
    assert list(cell_labels([nightly, other]).values()) == ["2.8.0 py3.12", "2.9.0 py3.12"]
    assert list(cell_labels([plain, nightly]).values()) == ["2.8.0 py3.12", "2.8.0 py3.12 nightly::torch==2.8.0"]
    windows = Cell.of("torch", "2.8.0", "3.12", ERA, platform="win_amd64")
    assert list(cell_labels([windows, plain]).values()) == ["2.8.0 py3.12 win_amd64", "2.8.0 py3.12"]
    pair = Cell((TOY, CellRequirement("gear", "2.0", under_test=True)), "3.12", ERA)
    assert list(cell_labels([pair]).values()) == ["1.0 2.0 py3.12"]
    assert next(iter(cell_labels([pair, plain]).values())) == "toy 1.0 gear 2.0 py3.12"
