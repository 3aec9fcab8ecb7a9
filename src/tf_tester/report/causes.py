"""An explanation in sentences."""

import shlex
from collections.abc import Iterator

from tf_tester.core.text.sizes import count_text
from tf_tester.core.verdict.verdicts import FailureFinding
from tf_tester.model.cause import Cause, Explanation, Verdict
from tf_tester.model.cell import Cell
from tf_tester.model.lock import Resolution


def explanation_lines(explanation: Explanation) -> list[str]:
    """Return what a person needs: because of what, with which pin, and what it took."""
    cell = explanation.cell
    name = f"{cell.package} {cell.version} on Python {cell.python} with {dependencies(cell)}"
    causes = explanation.causes
    if not causes:
        lines = [f"{name} fails, and no cause was found."]
    elif len(causes) == 1:
        lines = [f"{name} fails because of {because(causes[0])}.", *_evidence(causes[0])]
    else:
        lines = [f"{name} fails for {len(causes)} reasons, each enough alone:"]
        for cause in causes:
            lines += [f"- {because(cause)}", *_evidence(cause)]
    if explanation.pins:
        lines.append(pins_line(explanation))
    lines += [f"  {remark}" for remark in explanation.remarks]
    differing = count_text(explanation.differing, "distribution")
    differ = "differs" if explanation.differing == 1 else "differ"
    lines.append(f"{count_text(explanation.cells, 'cell')} for {differing} that {differ}.")
    return lines


def because(cause: Cause) -> str:
    """Return a cause as `protobuf 3.20.3 → 4.21.1`; what is needed besides is named, too."""
    own = next((text for text in cause.changes if text.split(" ")[0] == cause.project), cause.changes[0])
    others = [text for text in cause.changes if text != own]
    told = f"{cause.project} {cause.last_good} → {cause.first_bad}" if cause.first_bad else own
    doubt = "" if cause.exact else " (some of these may be innocent)"
    return told + (f" together with {', '.join(others)}" if others else "") + doubt


def pins_line(explanation: Explanation) -> str:
    """Return what repairs it, and whether that was seen."""
    pins = " and ".join(shlex.quote(pin) for pin in explanation.pins)
    return f"Pin {pins}: {'it passes then.' if explanation.verified else 'not seen to be enough.'}"


def verdict_lines(known: FailureFinding) -> Iterator[str]:
    """Yield `verdict: dependency, protobuf 3.20.3 → 4.21.1`, what repairs it, and where it is seen."""
    explained = known.explanation
    evidence = known.evidence
    if explained is not None and explained.causes:
        evidence = "; and ".join(because(cause) for cause in explained.causes)
    yield f"verdict: {known.verdict}" + (f", {evidence}" if evidence else "")
    if known.note:
        yield known.note
    if explained is not None:
        if explained.pins:
            yield pins_line(explained)
        yield from explained.remarks
        if known.verdict is Verdict.UNKNOWN:
            yield "a version or a lock in the same run with which it passes would tell more"
    if known.span:
        yield f"seen {known.span}"


def dependencies(cell: Cell) -> str:
    """Return `era dependencies`, `those of frozen.txt`."""
    return f"those of {cell.lock_name}" if cell.resolution is Resolution.LOCK else f"{cell.resolution} dependencies"


def _evidence(cause: Cause) -> list[str]:
    return [f"  {cause.summary}"] if cause.summary else []
