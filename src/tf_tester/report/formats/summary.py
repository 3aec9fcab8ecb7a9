"""What all reports tell, as JSON: the sentence, the cells, the reasons. `docs/reference/reports.md` has its fields."""

from typing import Any

from tf_tester.core.grid.compatibility import grid_reach, reach_sentence
from tf_tester.core.grid.guarantees import ProductGuarantee, guarantees
from tf_tester.core.outcome.report import RunReport, TransferSource, cell_labels
from tf_tester.core.overview.reasons import Reason, reasons
from tf_tester.core.overview.sentence import sentence
from tf_tester.core.verdict.supports import support
from tf_tester.model.cell import Cell
from tf_tester.report.causes import verdict_lines
from tf_tester.report.formats import Rendering
from tf_tester.report.record import encode


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the JSON, on one line."""
    labels = cell_labels(report.cells)
    supported = support(report)
    why = reasons(report)
    value = {
        "run": report.run_id,
        "started": report.started,
        "tool": report.tool,
        "sentence": sentence(supported, len(why)),
        "exit_code": report.exit_code,
        "interrupted": report.interrupted,
        "wall_s": report.wall_s,
        "received": report.transfers.received,
        "sources": [_source(one) for one in report.transfers.sources],
        "builds": report.builds,
        "packages": supported,
        "cells": [_cell(report, cell, labels[cell.name]) for cell in report.cells],
        "reasons": [_reason(one) for one in why],
        "remarks": report.remarks,
        **({"grid": _grid(report)} if report.fields else {}),
    }
    return encode(value).decode() + "\n"


def _grid(report: RunReport) -> dict[str, Any]:
    reach = grid_reach(report)
    return {
        "sentence": reach_sentence(reach),
        "backward": reach.backward,
        "forward": reach.forward,
        "fields": report.fields,
        "products": report.products,
        "guarantees": [_guarantee(one) for one in guarantees(report)],
        "borders": report.borders,
        "routes": report.routes,
    }


def _guarantee(one: ProductGuarantee) -> dict[str, Any]:
    return {
        "product": one.product,
        "guarantee": one.guarantee,
        "promised": sorted(one.promised),
        "kept": one.kept,
        "breaches": [(field.producer, field.consumer) for field in one.breaches],
    }


def _cell(report: RunReport, cell: Cell, label: str) -> dict[str, Any]:
    result = report.result(cell)
    return {
        "name": cell.name,
        "label": label,
        "package": cell.package,
        "version": cell.version,
        "python": cell.python,
        "resolution": cell.resolution,
        "platform": cell.platform or report.platform,
        "outcome": result.outcome,
        "summary": result.summary,
        "hint": result.hint,
        "replayed": result.replayed,
        "tests": {row.id: row.outcome for row in result.tests},
        "locked": {pin.name: pin.version for pin in lock.pins} if (lock := report.locks.get(cell.name)) else {},
    }


def _source(one: TransferSource) -> dict[str, Any]:
    return {
        "name": one.name,
        "files": one.files,
        "received": one.received,
        "seconds": one.seconds,
        "troubles": [{"filename": trouble.filename, "reason": trouble.reason} for trouble in one.troubles],
    }


def _reason(one: Reason) -> dict[str, Any]:
    found = one.found
    return {
        "headline": one.headline,
        "verdict": found.verdict,
        "told": list(verdict_lines(found)),
        "pins": found.explanation.pins if found.explanation is not None else (),
        "span": found.span,
        "cells": [cell.name for cell in one.cells],
        "tests": one.failure.tests,
        "first_test": one.failure.row.id if one.failure.row is not None else "",
        "place": one.place,
    }
