"""What is on the disk of one file, and who brought it."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

EARLIER = "an earlier run"
"""Brought bytes of which it is not known who brought them."""


class Segment(Struct, frozen=True):
    """Bytes that are on the disk."""

    start: int
    end: int
    source: str

    @property
    def size(self) -> int:
        return self.end - self.start


class Segments:
    """Spans that don't overlap, in order; neighbours of one source are one."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._spans: list[Segment] = []
        self.losses = 0
        for segment in segments:
            self.remove(segment.start, segment.end)
            self.add(segment)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._spans)

    @property
    def total(self) -> int:
        return sum(span.size for span in self._spans)

    @property
    def end(self) -> int:
        return self._spans[-1].end if self._spans else 0

    @property
    def frontier(self) -> int:
        position = 0
        for span in self._spans:
            if span.start > position:
                break
            position = span.end
        return position

    def within(self, start: int, end: int) -> list[Segment]:
        return [span for span in self._spans if span.start < end and span.end > start]

    def add(self, new: Segment) -> None:
        """Add a span of which nothing is there yet."""
        if new.size <= 0:
            return
        spans = sorted([*self._spans, new], key=lambda span: span.start)
        joined: list[Segment] = []
        for span in spans:
            last = joined[-1] if joined else None
            if last is not None and last.source == span.source and last.end == span.start:
                joined[-1] = Segment(last.start, span.end, span.source)
            else:
                joined.append(span)
        self._spans = joined

    def remove(self, start: int, end: int) -> None:
        kept: list[Segment] = []
        for span in self._spans:
            if span.end <= start or span.start >= end:
                kept.append(span)
                continue
            if span.start < start:
                kept.append(Segment(span.start, start, span.source))
            if span.end > end:
                kept.append(Segment(end, span.end, span.source))
        self.losses += kept != self._spans
        self._spans = kept

    def clear(self) -> None:
        self.losses += bool(self._spans)
        self._spans = []
