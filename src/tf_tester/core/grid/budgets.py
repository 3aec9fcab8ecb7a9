"""Budgets: figures of a cell that must not go beyond a bound. Pure."""

import math
import operator
import re
from collections.abc import Sequence

from msgspec import Struct

from tf_tester.core.text.units import memory_size
from tf_tester.errors import UsageError
from tf_tester.model.outcome import Outcome, TestRow

IMPORT_TIME, PEAK_MEMORY = "import_s", "peak_rss"
"""Figures of every cell: seconds of the first import of the package, and bytes."""
MEASURES = ("max_abs", "max_rel", "ulps", "nans")
"""How far a recorded value is from that of the version before, behind its name and a point."""
_WRITTEN = r"\s*(?P<figure>\S(?:.*?\S)?)\s*(?P<operator><=|>=|<|>)\s*(?P<bound>\S+)\s*"
_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_HINT = "Such as 'import_s<5', 'peak_rss<1G', 'accuracy>0.9' or 'logits.max_abs<1e-6'."


class Budget(Struct, frozen=True):
    """One figure and its bound."""

    figure: str
    """`import_s`, `peak_rss`, or the name of a recorded value."""
    measure: str
    """Of a recorded value that is compared with another one: one of `MEASURES`; else empty."""
    operator: str
    bound: float
    written: str
    """The bound, as somebody wrote it."""

    @property
    def name(self) -> str:
        """Return the figure as it is written."""
        return f"{self.figure}.{self.measure}" if self.measure else self.figure

    @property
    def text(self) -> str:
        """Return the whole, without spaces."""
        return f"{self.name}{self.operator}{self.written}"


class Figure(Struct, frozen=True):
    """What a cell has of a figure."""

    number: float | None
    """None: there can be none."""
    test: str = ""
    """The test that has recorded it; empty: it is the cell's."""
    why: str = ""
    """Why there is none, or what the number doesn't tell."""


def parse_budget(text: str) -> Budget:
    """Return what is written. Raises `UsageError`.

    >>> parse_budget("logits.max_abs < 1e-6").text, parse_budget("peak_rss<=1G").bound
    ('logits.max_abs<1e-6', 1073741824.0)
    """
    found = re.fullmatch(_WRITTEN, text)
    if found is None:
        raise UsageError(f"--budget {text!r} compares no figure with a bound by <, <=, > or >=.", hint=_HINT)
    figure, written = found["figure"], found["bound"]
    name, _, measure = figure.rpartition(".")
    if not name or measure not in MEASURES:
        name, measure = figure, ""
    try:
        is_size = name == PEAK_MEMORY and not written.isdigit()
        bound = float(memory_size(written)) if is_size else float(written)
    except ValueError:
        wanted = "a size such as 512M or 2G" if name == PEAK_MEMORY else "a number"
        raise UsageError(f"--budget {text!r}: {written!r} is not {wanted}.", hint=_HINT) from None
    if not math.isfinite(bound):
        raise UsageError(f"--budget {text!r}: the bound must be finite.", hint=_HINT)
    return Budget(name, measure, found["operator"], bound, written)


def check_budget(budget: Budget, figures: Sequence[Figure]) -> TestRow:
    """Return the row of a budget in a cell that has these figures.

    It fails with the first that is beyond the bound; a figure that nothing in the cell has is an error.
    """
    holds = _OPERATORS[budget.operator]
    id = f"budget: {budget.text}"
    for one in figures:
        if one.number is not None and not holds(one.number, budget.bound):
            where = f" in {one.test}" if one.test else ""
            told = one.why or _shown(budget, one.number)
            reason = f"{budget.name} is {told}{where}; the budget is {budget.operator} {budget.written}"
            return TestRow(id, Outcome.FAIL, reason=reason)
    if not figures:
        return TestRow(id, Outcome.ERROR, reason=f"nothing in this cell has the figure {budget.name}")
    missing = next((one for one in figures if one.number is None), None)
    return TestRow(id, Outcome.PASS) if missing is None else TestRow(id, Outcome.SKIP, reason=missing.why)


def _shown(budget: Budget, number: float) -> str:
    if budget.figure == PEAK_MEMORY:
        return f"{number / 1024**2:,.0f}M"
    return f"{number:.6g}"
