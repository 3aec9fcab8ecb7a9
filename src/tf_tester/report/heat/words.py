"""What a grid comes to besides its picture, in words: guarantees, borders, routes. Pure."""

from collections.abc import Mapping

from tf_tester.core.grid.guarantees import ProductGuarantee
from tf_tester.core.text.sizes import count_text
from tf_tester.model.events import BorderFound, RouteFound
from tf_tester.model.field import FieldOutcome, GridSide


def guarantee_words(one: ProductGuarantee) -> str:
    """Return what is promised, and how much of it is kept.

    The day is that on which the page said so.
    """
    told = f"{one.guarantee.kind} {one.guarantee.told} ({one.guarantee.source}, {one.guarantee.seen})"
    if not one.across_versions:
        return told
    promised = one.kept + len(one.breaches)
    if not promised:
        return f"{told}: nothing that was tried is promised"
    broken = f", broken in {len(one.breaches)}" if one.breaches else ""
    return f"{told}: kept in {one.kept} of {count_text(promised, 'field')}{broken}"


def release_of(one: BorderFound) -> str:
    """Return the release that makes the difference, or those between which it lies.

    Where none was found, it is the two neighbours of the grid.
    """
    if one.trouble:
        return f"{one.neighbours[0]} to {one.neighbours[1]}"
    return f"{one.before} to {one.after}" if one.between else one.after


def border_words(one: BorderFound, labels: Mapping[str, str]) -> str:
    """Return what changes with a release. `labels`: of cells, by name."""
    held = labels.get(one.held, one.held)
    wrong = one.outcome is FieldOutcome.WRONG_NUMBERS
    one_does, they_do = ("gets", "get") if wrong else ("fails", "fail")
    behind = " other numbers from" if wrong else " on"
    others = f"{one.after} and later versions" if one.breaks else f"{one.before} and earlier versions"
    if one.side is GridSide.SAVED:
        since = f"{held} {one_does}{behind} what {others} save"
        since += "" if one.breaks else f", not{behind.replace(' other numbers', '')} what {one.after} does"
    else:
        since = f"{others} {they_do}{behind} what {held} saved" + ("" if one.breaks else f", {one.after} doesn't")
    told = f"{since}: {one.summary}" if one.summary else since
    if one.trouble:
        return f"{told}; which release it is isn't known: {one.trouble}"
    if one.between:
        return f"{told}; {', '.join(one.between)} could not be tried"
    return told


def border_extent(one: BorderFound) -> str:
    """Return how a border was found: `between 1.3.2 and 1.5.2, 3 releases tried, 2 borders`."""
    told = f"between {one.neighbours[0]} and {one.neighbours[1]}"
    told += f", {count_text(one.tried, 'release')} tried" if one.tried else ", which follow one another"
    return told + (f"; the same for {one.fields} pairs of neighbours" if one.fields > 1 else "")


def route_title(one: RouteFound, labels: Mapping[str, str]) -> str:
    """Return from where to where."""
    return f"{labels.get(one.start, one.start)} to {labels.get(one.goal, one.goal)}"


def route_steps(one: RouteFound, labels: Mapping[str, str]) -> str:
    """Return a way step by step: `load in 2.12.0, save as model.keras, load in 2.16.1`; empty where there is none."""
    words = []
    for hop in one.hops:
        words.append(f"load in {labels.get(hop.consumer, hop.consumer)}")
        if hop.saved_as:
            words.append("save it again" if hop.saved_as == hop.product else f"save as {hop.saved_as}")
    return ", ".join(words)


def route_words(one: RouteFound, labels: Mapping[str, str]) -> str:
    """Return a way in one line, with what was verified; or that there is none, and the nearest that there is."""
    steps = route_steps(one, labels)
    if one.arrived:
        checked = f"; {', '.join(one.compared)} as it was saved" if one.compared else "; no numbers were compared"
        return f"{steps} (run from end to end{checked})"
    why = f": {one.summary}" if one.summary else ""
    if not one.hops:
        return f"there is no way{why}; nor is there one to a version nearer to it"
    return f"there is no way{why}; the nearest that it comes to is {_nearest(one, labels)}: {steps}"


def _nearest(one: RouteFound, labels: Mapping[str, str]) -> str:
    return labels.get(one.hops[-1].consumer, one.hops[-1].consumer)
