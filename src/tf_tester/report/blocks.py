"""A table of marks, cells or neighbours of them across: cut into as many blocks as the width demands."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from tf_tester.core.outcome.report import RunReport
from tf_tester.core.overview.folding import Column
from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import count_text
from tf_tester.report.lines import Line, Span, Style, TextLayout, columns, line, pad

_GAP = 2
_MOST_BLOCKS = 4
"""Of columns; where more are needed, one line a cell is read more easily."""
_SHORTEST_NAME = 20


class BlockRows(Struct, frozen=True):
    """What stands at the left."""

    names: Sequence[str]
    behind: Sequence[str]
    """Of each name what is never cut off: ` and 3 more`."""
    corner: str = ""
    """What all names have in common."""
    from_the_left: bool = True
    """Of a name that is too long its end is shown: it is what tells tests from each other."""

    def fitted(self, width: int, layout: TextLayout) -> list[str]:
        """Return the names, as wide as that at the most, so that they stay apart."""
        rooms = [width - columns(more) for more in self.behind]
        cut = layout.shorten_left if self.from_the_left else layout.shorten
        told = [cut(name, room) for name, room in zip(self.names, rooms, strict=True)]
        if len(set(told)) < len(set(self.names)):
            told = [_cut_in_the_middle(name, room, layout) for name, room in zip(self.names, rooms, strict=True)]
        return [name + more for name, more in zip(told, self.behind, strict=True)]

    @property
    def longest(self) -> int:
        widths = (columns(name) + columns(more) for name, more in zip(self.names, self.behind, strict=True))
        return max(columns(self.corner), *widths)


def _cut_in_the_middle(name: str, width: int, layout: TextLayout) -> str:
    if columns(name) <= width:
        return name
    left = width // 2
    return layout.shorten(name, left) + layout.shorten_left(name, width - left).removeprefix(layout.ellipsis)


def blocks(
    report: RunReport,
    folded: Sequence[Column],
    rows: BlockRows,
    marks: Callable[[Column], Sequence[Span]],
    layout: TextLayout,
    *,
    whole: bool,
) -> list[Line]:
    """Return the table: a column for each cell where that fits, else for neighbours that came to the same.

    Empty where it would be too many blocks. `marks`: of a column, one for each row; `whole`: nothing is folded.
    """
    alone = tuple(Column((cell,)) for cell in report.cells)
    ways = [(alone, _Heads(report, layout, stacked=False, folded=False))]
    if not whole:
        are_folded = len(folded) < len(alone)
        ways += [
            (tuple(folded), _Heads(report, layout, stacked=stacked, folded=are_folded)) for stacked in (False, True)
        ]
    found: list[list[Line]] = []
    for chosen, heads in ways:
        found = list(_laid_out([_Column.of(heads.of(column), marks(column)) for column in chosen], rows, layout))
        if len(found) == 1:
            break
    if not whole and len(found) > _MOST_BLOCKS:
        return []
    return [spans for number, block in enumerate(found) for spans in ([()] if number else []) + block]


class _Heads(Struct, frozen=True):
    """What stands above columns."""

    report: RunReport
    layout: TextLayout
    stacked: bool
    """The first and the last of what is folded stand one above the other."""
    folded: bool

    def of(self, column: Column) -> list[list[str]]:
        """Return the lines above a column, those of one kind together."""
        first, cells = column.cells[0], self.report.cells
        pythons = [cell.python for cell in column.cells if cell.python != "-"]
        heads = [self._span([cell.version for cell in column.cells])]
        heads.append(self._span(pythons, "py") if pythons else ["-"])
        if len({cell.resolution for cell in cells}) > 1:
            heads.append([str(first.resolution)])
        if len({cell.platform for cell in cells}) > 1:
            heads.append([first.platform])
        if any(cell.details for cell in cells):
            heads.append(list(first.details))
        if len(self.report.packages) > 1:
            heads.insert(0, [first.package])
        if self.folded:
            heads.append([count_text(len(column.cells), "cell")])
        return [[printable(text) for text in kind] for kind in heads]

    def _span(self, words: Sequence[str], begun: str = "") -> list[str]:
        """Return `2.8.0–2.15.1`, or both in a line of their own; of equal words the one."""
        distinct = list(dict.fromkeys(words))
        last = [self.layout.dash + distinct[-1]] if len(distinct) > 1 else []
        both = [begun + distinct[0], *last]
        return both if self.stacked else ["".join(both)]


class _Column(Struct, frozen=True):
    """A column of marks: of one cell, or of neighbours in which all came to the same."""

    heads: Sequence[Sequence[str]]
    marks: Sequence[Span]
    width: int
    """With the space before it."""

    @classmethod
    def of(cls, heads: Sequence[Sequence[str]], marks: Sequence[Span]) -> "_Column":
        texts = [*(text for kind in heads for text in kind), *(mark.text for mark in marks)]
        return cls(heads, marks, max(map(columns, texts), default=0) + _GAP)


def _laid_out(cells: Sequence[_Column], rows: BlockRows, layout: TextLayout) -> Iterator[list[Line]]:
    """Yield the blocks."""
    available = layout.width - sum(column.width for column in cells)
    # One block with short names is read more easily than two with long ones.
    least = max(_SHORTEST_NAME, layout.width // 3)
    width = min(rows.longest, available if available >= _SHORTEST_NAME else least)
    names = rows.fitted(width, layout)
    for part in _packed(cells, layout.width - width):
        block: list[Line] = []
        for kind in range(len(part[0].heads)):
            for number in range(max(len(column.heads[kind]) for column in part)):
                name = "" if block else layout.shorten_left(rows.corner, width)
                told = [(*column.heads[kind][number : number + 1], "")[0] for column in part]
                texts = (_placed(text, column) for text, column in zip(told, part, strict=True))
                block.append(line(Span(pad(name, width) + "".join(texts), Style.FAINT)))
        for place, name in enumerate(names):
            marks = ((column.marks[place], column) for column in part)
            block.append(line(pad(name, width), *(Span(_placed(one.text, column), one.style) for one, column in marks)))
        yield block


def _placed(text: str, column: _Column) -> str:
    return " " * _GAP + pad(text, column.width - _GAP)


def _packed(cells: Sequence[_Column], available: int) -> Iterator[Sequence[_Column]]:
    """Yield the columns, in groups that fit; at least one each."""
    part: list[_Column] = []
    for column in cells:
        if part and sum(other.width for other in part) + column.width > available:
            yield part
            part = []
        part.append(column)
    yield part
