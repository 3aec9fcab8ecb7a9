"""JUnit XML as Jenkins' xunit plugin (`junit-10.xsd`), GitLab and junitparser read it: one suite for each cell.

A test's class begins with its cell, as with `pytest --junit-prefix`: GitLab takes tests with one class and name for one
test. What could not be tested is an error, as it is in the exit code.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tf_tester.core.outcome.failures import headline
from tf_tester.core.outcome.report import RunReport, cell_labels
from tf_tester.core.text.places import seen_from
from tf_tester.model.cell import Cell
from tf_tester.model.outcome import CellResult, Outcome, TestRow
from tf_tester.report.formats import Rendering

_NOT_IN_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""What XML 1.0 has no character for (its production 2)."""


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the XML."""
    labels = cell_labels(report.cells)
    top = Element("testsuites", name="tf-tester")
    for cell in report.cells:
        top.append(_suite(report, cell, labels[cell.name]))
    for name in ("tests", "failures", "errors"):
        top.set(name, str(sum(int(suite.get(name, "0")) for suite in top)))
    top.set("time", f"{report.wall_s:.3f}")
    indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(top, encoding="unicode") + "\n"


def _suite(report: RunReport, cell: Cell, label: str) -> Element:
    result = report.result(cell)
    name = label if len(report.packages) > 1 else f"{cell.package} {label}"
    suite = Element("testsuite", name=_text(name))
    properties = SubElement(suite, "properties")
    for key, value in _facts(report, cell, result):
        SubElement(properties, "property", name=key, value=_text(value))
    prefix = re.sub(r"[^\w-]+", "_", name)
    for row in result.tests:
        suite.append(_case(row, prefix, report.here))
    if not result.tests:
        suite.append(_without_tests(result, prefix))
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(row.wall_s or 0.0 for row in result.tests):.3f}")
    if report.started:
        suite.set("timestamp", report.started.removesuffix("Z").partition(".")[0])
    return suite


def _facts(report: RunReport, cell: Cell, result: CellResult) -> Iterator[tuple[str, str]]:
    yield "cell", cell.name
    yield "outcome", result.outcome
    yield "python", cell.python
    yield "resolution", str(cell.resolution)
    if result.replayed:
        yield "replayed", result.replayed
    if (lock := report.locks.get(cell.name)) is not None:
        for pin in lock.pins:
            yield f"version of {pin.name}", pin.version


def _case(row: TestRow, prefix: str, here: str) -> Element:
    *groups, name = row.id.split("::")
    place = ".".join([re.sub(r"\.py$", "", groups[0]).replace("/", "."), *groups[1:]]) if groups else ""
    case = Element("testcase", classname=_text(f"{prefix}.{place}" if place else prefix), name=_text(name))
    case.set("time", f"{row.wall_s or 0.0:.3f}")
    told = headline(row.exception) if row.exception is not None else row.reason
    if row.outcome is Outcome.SKIP:
        SubElement(case, "skipped", message=_text(row.reason))
    elif row.outcome is not Outcome.PASS:
        tag = "failure" if row.outcome is Outcome.FAIL else "error"
        kind = row.exception.type if row.exception is not None else str(row.outcome)
        evidence = SubElement(case, tag, type=_text(kind), message=_text(seen_from(told or row.outcome, here)))
        evidence.text = _text(seen_from("\n".join(filter(None, [row.traceback, *row.remarks])), here))
    for tag, said in (("system-out", row.stdout), ("system-err", row.stderr)):
        if said:
            SubElement(case, tag).text = _text(said)
    return case


def _without_tests(result: CellResult, prefix: str) -> Element:
    """Return what stands for a cell in which nothing was tested, or that has nothing to say of its tests."""
    case = Element("testcase", classname=prefix, name="(the whole cell)", time="0.000")
    if result.outcome is Outcome.SKIP:
        SubElement(case, "skipped", message=_text(result.summary))
    elif result.outcome is not Outcome.PASS:
        told = result.summary or str(result.outcome)
        evidence = SubElement(case, "error", type=str(result.outcome), message=_text(told))
        evidence.text = _text("\n".join(filter(None, [result.hint, result.detail])))
    return case


def _text(text: str) -> str:
    """Return a text with what XML can't hold written as `#x1B`, as pytest's own report has it."""
    return re.sub(_NOT_IN_XML, lambda match: f"#x{ord(match[0]):02X}", text)
