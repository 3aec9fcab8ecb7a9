"""The harness calls what is marked: producers in one process, a consumer for the one product that there is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.harness.bench import Bench, Ran

GRID = """
    from tf_tester_helper import consumer, producer

    class Model:
        pass

    @producer("a.txt")
    def save(path):
        print("saving")
        open(path, "w").close()

    @producer("b")
    def fails(path):
        raise OSError("full")

    @producer("c")
    def skips(path):
        import unittest
        raise unittest.SkipTest("later")

    @producer("d")
    @consumer("d")
    def both(path):
        import pickle
        with open(path, "wb") as file:
            pickle.dump(Model(), file)

    @consumer("a.txt")
    def load(path, producer):
        with open(path) as file:
            print(producer, file.read())

    @consumer("a.txt")
    def check(path, *, strict=True):
        assert not strict, "strict"

    again = save
    """


def saved(bench: Bench, python: str, text: str = GRID, **order: Any) -> Ran:
    place = bench.folder.parent / "products"
    place.mkdir(exist_ok=True)
    return bench.write(grid=text).run(python, "product", "grid.py", role="producer", place=str(place), **order)


def test_every_producer_is_called_once_with_a_path_of_its_own(bench: Bench, python: str) -> None:
    ran = saved(bench, python)
    assert ran.exit_code == 1
    assert ran.statuses == {
        "grid.py::save": "pass",
        "grid.py::fails": "fail",
        "grid.py::skips": "skip",
        "grid.py::both": "pass",
    }
    assert ran.rows["grid.py::save"]["stdout"] == "saving\n"
    assert ran.rows["grid.py::fails"]["exception"]["type"] == "OSError"
    assert "harness" not in ran.rows["grid.py::fails"]["traceback"]
    told = [(event["id"], event["name"]) for event in ran.events if event["event"] == "product"]
    assert told == [
        (f"grid.py::{row}", name)
        for row, name in zip(["save", "fails", "skips", "both"], ["a.txt", *"bcd"], strict=True)
    ]
    products = bench.folder.parent / "products"
    assert sorted(str(path.relative_to(products)) for path in products.rglob("*")) == [
        *("a.txt", "a.txt/a.txt", "b", "c", "d", "d/d")
    ]


def test_consumers_of_the_product_are_called_and_no_others(bench: Bench, python: str) -> None:
    place = bench.folder.parent / "given"
    place.mkdir()
    (place / "a.txt").write_text("content")
    order: dict[str, Any] = {
        "role": "consumer",
        "place": str(place),
        "product": "a.txt",
        "producer": "toy==1.0",
        "label": "[a from 1]",
    }
    ran = bench.write(grid=GRID).run(python, "product", "grid.py", **order)
    assert ran.statuses == {"grid.py::load[a from 1]": "pass", "grid.py::check[a from 1]": "fail"}
    assert ran.rows["grid.py::load[a from 1]"]["stdout"] == "toy==1.0 content\n"
    assert ran.rows["grid.py::check[a from 1]"]["exception"]["message"] == "strict"
    nobody = bench.run(python, "product", "grid.py", **{**order, "product": "zzz"})
    assert (nobody.exit_code, nobody.row["status"]) == (5, "empty")
    assert nobody.row["reason"] == "nothing in it loads 'zzz' (@consumer('zzz') of tf_tester_helper marks what does)"


def test_two_producers_of_one_name_and_what_ran_before(bench: Bench, edge: str) -> None:
    text = GRID.replace('@producer("b")', '@producer("a.txt")')
    ran = saved(bench, edge, text, deselect=["grid.py::both"])
    assert set(ran.rows) == {"grid.py::save", "grid.py::fails", "grid.py::skips"}
    message = ran.rows["grid.py::fails"]["exception"]["message"]
    assert message == "two functions of this file save a product 'a.txt'"


@pytest.mark.parametrize("text", ["import nothing_like_it", "raise SystemExit(3)", "def broken(:"])
def test_a_file_that_cannot_be_imported_is_an_error(bench: Bench, edge: str, text: str) -> None:
    ran = saved(bench, edge, text)
    assert (ran.exit_code, ran.row["id"], ran.row["status"]) == (1, "grid.py", "error")


STRANGE = """
    import functools

    from tf_tester_helper import producer

    class Lazy:
        def __getattr__(self, name):
            raise RuntimeError("too early for " + name)

    class Proxy(Lazy):
        def __call__(self):
            pass

    lazy, proxy = Lazy(), Proxy()
    save = producer("m")(functools.partial(open, mode="w"))
    """


def test_what_raises_when_it_is_looked_at_is_not_marked_and_a_marked_one_needs_no_name(bench: Bench, edge: str) -> None:
    assert saved(bench, edge, STRANGE).statuses == {"grid.py::partial": "pass"}


RESAVING = """
    from tf_tester_helper import producer, resaver

    @producer("a.txt")
    def save(path):
        open(path, "w").close()

    @resaver("a.txt")
    @resaver("a.txt", "b.txt")
    def convert(path, target):
        print("converting")
        with open(path) as old, open(target, "w") as new:
            new.write(old.read().upper())
    """


def test_a_resaver_is_called_with_both_paths(bench: Bench, python: str) -> None:
    place, target = bench.folder.parent / "given", bench.folder.parent / "anew"
    place.mkdir()
    target.mkdir()
    (place / "a.txt").write_text("content")
    order: dict[str, Any] = {"role": "resaver", "place": str(place), "product": "a.txt", "producer": "toy==1.0"}
    order |= {"target": str(target), "saved_as": "b.txt", "label": "[a as b]"}
    ran = bench.write(grid=RESAVING).run(python, "product", "grid.py", **order)
    assert ran.statuses == {"grid.py::convert[a as b]": "pass"}
    assert (target / "b.txt").read_text() == "CONTENT"
    nobody = bench.run(python, "product", "grid.py", **{**order, "saved_as": "c"})
    assert nobody.row["reason"] == (
        "nothing in it saves 'a.txt' anew as 'c' (@resaver('a.txt', 'c') of tf_tester_helper marks what does)"
    )


def test_producers_tell_what_can_be_saved_anew(bench: Bench, edge: str) -> None:
    ran = saved(bench, edge, RESAVING)
    assert ran.statuses == {"grid.py::save": "pass"}
    told = [(event["name"], event["to"]) for event in ran.events if event["event"] == "resaver"]
    assert told == [("a.txt", "b.txt"), ("a.txt", "a.txt")]
