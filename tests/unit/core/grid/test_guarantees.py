"""What is promised of fields, and what breaks it."""

from datetime import date
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.unit.core.grid.test_heat_map import ERROR, OK, cell, report_of
from tf_tester.core.grid.guarantees import guarantees, is_promised, known_guarantees
from tf_tester.core.grid.heat_map import field_kinds, heat_maps
from tf_tester.core.outcome.report import RunReport
from tf_tester.model.cell import Cell
from tf_tester.model.events import ProductLeft
from tf_tester.model.framework import Guarantee
from tf_tester.model.lock import Resolution

NOTHING = Guarantee("file", ("*.txt",), "is promised nothing", "https://toy.example", "2026-12-01", ("toy",), ("toy",))


def toy(version: str, package: str = "toy") -> Cell:
    return Cell.of(package, version, "3.11", Resolution.ERA)


@pytest.mark.parametrize(
    ("saved", "loaded", "promised"),
    [
        ("1.15.5", "1.15.5", True),
        ("2.4.0", "2.16.1", True),
        ("2.16.1", "2.4.0", False),
        ("1.15.5", "2.16.1", True),
        ("0.12.1", "2.4.0", False),
    ],
)
def test_the_same_major_version_and_the_one_before(saved: str, loaded: str, promised: bool) -> None:
    assert is_promised(replace(NOTHING, majors=1), toy(saved), toy(loaded), {}) is promised


@pytest.mark.parametrize(
    ("days", "promised"), [(182, True), (183, False), (-21, True), (-22, False), (0, True), (None, None)]
)
def test_a_window_of_time(days: int | None, promised: bool | None) -> None:
    window = replace(NOTHING, newer_days=182, older_days=21)
    saver, loader = toy("0.4.30"), toy("0.5.0")
    released = {saver.name: date(2024, 7, 1)}
    if days is not None:
        released[loader.name] = date.fromordinal(date(2024, 7, 1).toordinal() + days)
    assert is_promised(window, saver, loader, released) is promised


def test_levels_of_a_format_of_two_packages() -> None:
    levels = {"toy": {"1.16": 21, "1.15": 20}, "runtime": {"1.17": 20}}
    stamped = replace(NOTHING, levels=levels, loaders=("runtime",))
    assert is_promised(stamped, toy("1.15.0"), toy("1.17.3", "runtime"), {}) is True
    assert is_promised(stamped, toy("1.16.2"), toy("1.17.3", "runtime"), {}) is False
    assert is_promised(stamped, toy("1.16.2"), toy("1.99.0", "runtime"), {}) is None


def test_what_promises_nothing_promises_nothing_and_of_other_packages_nothing_is_known() -> None:
    assert is_promised(NOTHING, toy("1.0"), toy("1.0"), {}) is False
    assert is_promised(NOTHING, toy("1.0"), toy("1.1"), {}) is False
    assert is_promised(NOTHING, toy("1.0"), toy("1.0", "other"), {}) is None


def with_guarantees(report: RunReport, told: Any, *paths: str) -> RunReport:
    """Return the report with what is promised in its record, and the paths of its product `m`."""
    grid = {**report.request["grid"], "guarantees": told, "released": {"x": "never"}}
    left = ProductLeft(report.cells[0].name, "t", "m", "d" * 64, 1, 1, paths)
    return replace(report, request={**report.request, "grid": grid}, products=(left,))


MAJORS = msgspec.to_builtins(replace(NOTHING, majors=0))
CELLS = [cell("1.0"), cell("1.1"), cell("2.0")]
CAME = {(a.version, b.version): (OK if b.version != "1.1" else ERROR, "old") for a in CELLS for b in CELLS}


def test_a_breach_is_marked_in_the_picture() -> None:
    report = with_guarantees(report_of(CELLS, CAME), [MAJORS], "m/model.txt")
    [found] = guarantees(report)
    assert (found.product, found.kept, found.across_versions) == ("m", 2, True)
    assert [(one.producer, one.consumer) for one in found.breaches] == [
        (saved.name, CELLS[1].name) for saved in CELLS[:2]
    ]
    [picture] = heat_maps(report, field_kinds(report))
    signs = [[picture.sign(saver.name, loader.name) for loader in CELLS] for saver in CELLS]
    assert signs == [["ok", "A*", "ok"], ["ok", "A*", "ok"], ["ok", "A", "ok"]]
    assert picture.is_promised(CELLS[0].name, CELLS[1].name)
    assert not picture.is_promised(CELLS[1].name, CELLS[0].name)


@pytest.mark.parametrize(
    ("told", "path"),
    [
        ([MAJORS], "model.bin"),
        ([], "model.txt"),
        (None, "model.txt"),
        ("much", "model.txt"),
        ([5, {"kind": 5}], "model.txt"),
        ([{**MAJORS, "savers": ["other"]}], "model.txt"),
    ],
    ids=["of other files", "none", "an older record", "no list", "hostile", "of another package"],
)
def test_nothing_is_drawn_of_what_is_not_known(told: Any, path: str) -> None:
    assert guarantees(with_guarantees(report_of(CELLS, CAME), told, path)) == ()


def test_what_a_later_version_adds_is_passed_over() -> None:
    assert known_guarantees([{**MAJORS, "mood": "good"}]) == (replace(NOTHING, majors=0),)
