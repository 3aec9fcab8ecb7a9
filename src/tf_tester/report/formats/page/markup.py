"""HTML that can't be broken out of: whatever isn't markup of ours is text."""

from collections.abc import Sequence
from html import escape

from tf_tester.core.text.printable import printable


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Sequence["Child"] | None
_VOID = frozenset({"br", "col", "hr", "input", "link", "meta"})


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return an element; names of attributes may end in `_` (`class_`) and have `_` for `-`.

    Texts and values of attributes are escaped, what is invisible in them is made visible. None and False leave an
    attribute out.

    >>> element("td", "a < b", element("b", 1 and "c"), class_="x", colspan=2)
    '<td class="x" colspan="2">a &lt; b<b>c</b></td>'
    """
    words = [
        f' {name.rstrip("_").replace("_", "-")}="{escape(printable(str(value)))}"'
        if value is not True
        else f" {name.rstrip('_').replace('_', '-')}"
        for name, value in attributes.items()
        if value is not None and value is not False
    ]
    start = f"<{tag}{''.join(words)}>"
    return Markup(start if tag in _VOID else f"{start}{text(children)}</{tag}>")


def text(child: Child) -> Markup:
    """Return a text escaped, markup as it is, and several of them one behind the other."""
    if child is None:
        return Markup("")
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return Markup(escape(printable(child, newlines=True)))
    return Markup("".join(map(text, child)))
