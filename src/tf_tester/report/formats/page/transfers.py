"""Where the bytes came from."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tf_tester.core.outcome.report import Transfers, TransferSource
from tf_tester.core.text.sizes import size_text
from tf_tester.model.events import TransferTrouble
from tf_tester.report.formats.page.markup import Markup, element
from tf_tester.report.formats.page.parts import scrolled
from tf_tester.report.formats.page.words import both, counted

_MOST_REASONS = 10
"""Kinds of trouble with one source that are told, the most frequent first; of more, their number."""
_HEADS = ("Source", "Files", "Bytes", "Speed of a file", "Troubles")


def transfers_table(transfers: Transfers) -> list[Markup]:
    """Return the sources with what each brought and what went wrong with it; nothing where nothing was brought."""
    if not transfers.sources:
        return []
    rows = [_row(one) for one in transfers.sources]
    if len(transfers.sources) > 1:
        total = [str(transfers.files), size_text(transfers.received), "", ""]
        rows.append(element("tr", element("th", both("all"), scope="row"), [element("td", one) for one in total]))
    head = element("tr", [element("th", both(one), scope="col") for one in _HEADS])
    return [scrolled(element("table", element("thead", head), element("tbody", rows), class_="sources"))]


def _row(source: TransferSource) -> Markup:
    speed = f"{size_text(source.speed)}/s" if source.speed is not None else "–"
    return element(
        "tr",
        element("th", " + ".join(source.name.split("+")), scope="row"),
        [element("td", one) for one in (str(source.files), size_text(source.received), speed)],
        element("td", [element("div", one) for one in _troubles(source.troubles)] or "–"),
    )


def _troubles(troubles: Sequence[TransferTrouble]) -> Iterator[Markup | str]:
    reasons = Counter(one.reason for one in troubles)
    files = {one.reason: one.filename for one in reversed(troubles)}
    for reason, count in reasons.most_common(_MOST_REASONS):
        yield f"{files[reason]}: {reason}" if count == 1 else f"{count} × {reason} ({files[reason]}, …)"
    if len(reasons) > _MOST_REASONS:
        yield counted(len(reasons) - _MOST_REASONS, "other trouble", "其他问题")
