"""When two values are the same number, and what is said where they aren't. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from tf_tester.model.events import ValueRecorded
from tf_tester.model.field import ValueDifference

_DEFAULTS = {"f2": (1e-3, 1e-5), "f4": (1.3e-6, 1e-5), "f8": (1e-7, 1e-7), "c8": (1.3e-6, 1e-5), "c16": (1e-7, 1e-7)}
"""Relative and absolute, by type: those of `torch.testing.assert_close` (PyTorch 2.7). Of whole numbers none."""
_LONGEST = 60
_MANY = 1_000_000
"""Units in the last place that are told to the last one."""
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Distance(Struct, frozen=True):
    """How far two arrays of one shape are apart: what a cell that has compared them tells."""

    outside: _Count
    count: _Count
    max_abs: float | None = None
    max_rel: float | None = None
    ulps: Annotated[int, Meta(ge=0)] | None = None
    nans: _Count = 0
    at: tuple[_Count, ...] = ()
    expected: str = ""
    got: str = ""


class Comparison(Struct, frozen=True):
    """Two values of one shape that are to be compared."""

    expected: ValueRecorded
    got: ValueRecorded

    @property
    def tolerance(self) -> tuple[float, float]:
        """Return the relative and the absolute difference that is allowed.

        What the consumer says, else what the producer says, else what the coarser of the two types is good for.
        """
        kinds = [_DEFAULTS.get(one.dtype[1:], (0.0, 0.0)) for one in (self.expected, self.got)]
        rtol, atol = max(kinds)
        given = (self.got, self.expected)
        rtol = next((one.rtol for one in given if one.rtol is not None), rtol)
        return rtol, next((one.atol for one in given if one.atol is not None), atol)


def numbered(values: Iterable[ValueRecorded]) -> dict[str, ValueRecorded]:
    """Return values by name; the second of one name is called `loss#2`.

    >>> list(numbered(ValueRecorded("c", "t", name, "<f8", (), "0") for name in ("loss", "lr", "loss")))
    ['loss', 'lr', 'loss#2']
    """
    found: dict[str, ValueRecorded] = {}
    times: dict[str, int] = {}
    for value in values:
        times[value.name] = number = times.get(value.name, 0) + 1
        found[value.name if number == 1 else f"{value.name}#{number}"] = value
    return found


def to_compare(
    expected: Mapping[str, ValueRecorded], got: Mapping[str, ValueRecorded]
) -> tuple[dict[str, Comparison], dict[str, Comparison]]:
    """Return what of two functions' values isn't the same bit for bit, by name: of one shape, and of different ones."""
    pairs = {name: Comparison(expected[name], value) for name, value in got.items() if name in expected}
    unequal = {name: pair for name, pair in pairs.items() if pair.expected.digest != pair.got.digest}
    alike = {name: pair for name, pair in unequal.items() if pair.expected.shape == pair.got.shape}
    return alike, {name: pair for name, pair in unequal.items() if name not in alike}


def difference(name: str, reference: str, pair: Comparison, distance: Distance | None) -> ValueDifference | None:
    """Return how a value differs by more than is allowed; None: it doesn't. Without a distance the shapes differ."""
    rtol, atol = pair.tolerance
    dtypes = pair.expected.dtype, pair.got.dtype
    if distance is None:
        expected, got = f"of shape {pair.expected.shape}", f"of shape {pair.got.shape}"
        return ValueDifference(name, reference, expected, got, dtypes=dtypes, rtol=rtol, atol=atol)
    if not distance.outside:
        return None
    return ValueDifference(
        name,
        reference,
        distance.expected[:_LONGEST],
        distance.got[:_LONGEST],
        distance.at,
        distance.outside,
        distance.count,
        distance.max_abs,
        distance.max_rel,
        distance.ulps,
        distance.nans,
        dtypes,
        rtol,
        atol,
    )


def words_of_difference(found: ValueDifference) -> str:
    """Return in one line how a value differs, with both numbers.

    >>> words_of_difference(ValueDifference("p", "toy", "0.35", "0.5", (1,), 2, 8, 0.15, 0.4286, 99))
    'p[1] is 0.5, not 0.35; 2 of 8 numbers differ (max abs 0.15, max rel 0.429, 99 ULPs)'
    """
    place = str(list(found.at)) if found.at else ""
    told = f"{found.name}{place} is {found.got}, not {found.expected}"
    if not found.count:
        return told
    figures = [f"max abs {found.max_abs:.3g}"] if found.max_abs is not None else []
    figures += [f"max rel {found.max_rel:.3g}"] if found.max_rel is not None else []
    few = found.ulps is not None and found.ulps < _MANY
    figures += [f"{found.ulps:,} ULPs" if few else f"{found.ulps:.3g} ULPs"] if found.ulps is not None else []
    figures += [f"{found.nans} NaN where the other is none"] if found.nans else []
    many = f"; {found.outside} of {found.count} numbers differ" if found.count > 1 else ""
    return f"{told}{many}" + (f" ({', '.join(figures)})" if figures else "")


def words_of_differences(found: Sequence[ValueDifference]) -> str:
    """Return in one line how some values differ: the first, and how many others do."""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return words_of_difference(found[0]) + more if found else ""
