"""Numbers over versions, as bars: SVG without a library, with the numbers in it for who can't see bars."""

from collections.abc import Sequence

from tf_tester.report.formats.page.markup import Markup, element

_WIDTH, _HEIGHT, _FOOT = 420, 150, 22


def bars(caption: Markup, labels: Sequence[str], values: Sequence[float | None]) -> Markup:
    """Return a figure, a bar for each label; of a value that isn't known there is none."""
    known = [value for value in values if value is not None]
    top = max(known, default=0.0) or 1.0
    step = _WIDTH / max(len(labels), 1)
    drawn = []
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        if value is None:
            continue
        height = max(value / top * (_HEIGHT - _FOOT - 16), 1.0)
        drawn.append(
            element(
                "rect",
                element("title", f"{label}: {_number(value)}"),
                class_="bar",
                x=f"{number * step + step * 0.1:.1f}",
                y=f"{_HEIGHT - _FOOT - height:.1f}",
                width=f"{step * 0.8:.1f}",
                height=f"{height:.1f}",
            )
        )
    ends = [(0, "start", labels[0]), (_WIDTH, "end", labels[-1])] if labels else []
    told = "; ".join(f"{one}: {_number(value)}" for one, value in zip(labels, values, strict=True) if value is not None)
    picture = element(
        "svg",
        element("line", class_="axis", x1=0, y1=_HEIGHT - _FOOT, x2=_WIDTH, y2=_HEIGHT - _FOOT),
        drawn,
        element("text", _number(top), x=0, y=12),
        [element("text", label, x=x, y=_HEIGHT - 6, text_anchor=anchor) for x, anchor, label in ends],
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=told,
    )
    return element("figure", element("figcaption", caption), picture)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"
