"""What differs between two versions: text and a page."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape as _escape

from tf_tester.core.text.printable import printable
from tf_tester.core.text.sizes import size_text
from tf_tester.core.verdict.drift import DistributionChange, LockChangeKind
from tf_tester.core.verdict.version_diff import ComparedFact, VersionDiff
from tf_tester.core.wheel.api_changes import ApiChanges, Changed

_MOST = 40
"""Names that are told of one kind, unless all are wanted."""
_NONE = "none"
_BESIDES = "Installed besides"
_OPEN = 60
"""Items of a list that is unfolded on a page."""


def escape(text: str) -> str:
    """Escape text for a page: controls and what turns the direction of text are shown, not done."""
    return _escape(printable(text))


def diff_lines(difference: VersionDiff, *, everything: bool = False) -> list[str]:
    """Return the lines for a terminal; of many names the first."""
    before, after = difference.sides
    lines = [f"{difference.package} {before.name} → {after.name}"]
    for name, old, new in _about(difference):
        lines.append(f"  {name:<12} {old}" + (f" → {new}" if new != old else ""))
    for title, items in _sections(difference):
        if items:
            lines += ["", f"{title} ({len(items)})", *(f"  {item}" for item in items)]
    if difference.api is not None:
        lines += ["", *_api_lines(difference.api, everything=everything)]
    lines += [f"  {remark}" for remark in difference.remarks]
    return lines


def diff_page(difference: VersionDiff) -> str:
    """Return one HTML page that needs nothing else."""
    before, after = difference.sides
    title = f"{difference.package} {before.name} → {after.name}"
    parts = [f"<h1>{escape(title)}</h1>", _table(("", before.name, after.name), _about(difference))]
    for name, items in _sections(difference):
        if name == _BESIDES and items:
            rows = ((one.name, one.before or "–", one.after or "–") for one in difference.dependencies)
            parts.append(f"<h2>{name} ({len(items)})</h2>" + _table(("", before.name, after.name), rows))
        elif items:
            parts.append(_folded(f"{name} ({len(items)})", [escape(item) for item in items]))
    if difference.api is not None:
        parts += _api_parts(difference.api)
    parts += [f"<p>{escape(remark)}</p>" for remark in difference.remarks]
    return _PAGE.format(title=escape(title), body="\n".join(parts))


def _about(difference: VersionDiff) -> Iterator[tuple[str, str, str]]:
    before, after = difference.sides
    yield "version", before.version, after.version
    yield "released", before.released or "unknown", after.released or "unknown"
    yield "Python", before.python, after.python
    yield "dependencies", before.resolution, after.resolution
    yield "wheel", _size(before.size), _size(after.size)
    yield "with all", _size(before.with_dependencies), _size(after.with_dependencies)


def _size(size: int | None) -> str:
    return "unknown" if size is None else size_text(size)


def _sections(difference: VersionDiff) -> Iterator[tuple[str, list[str]]]:
    yield _BESIDES, [_change(one) for one in difference.dependencies]
    gone, new = difference.requirements
    yield "Requirements", [*(f"- {text}" for text in gone), *(f"+ {text}" for text in new)]
    yield "Metadata", [_fact(fact) for fact in difference.metadata]
    yield "Licences of dependencies", [_fact(fact) for fact in difference.licences]
    yield "Console scripts", [_fact(fact) for fact in difference.scripts]


def _change(change: DistributionChange) -> str:
    return f"{change.text}  {change.kind}" if change.kind in (LockChangeKind.UP, LockChangeKind.DOWN) else change.text


def _fact(fact: ComparedFact) -> str:
    return f"{fact.name}: {fact.before or _NONE} → {fact.after or _NONE}"


def _api_lines(api: ApiChanges, *, everything: bool) -> Iterator[str]:
    yield f"Public names: {api.count_before} → {api.count_after}"
    breaking, others = _parted(api.changed)
    for title, told in (
        ("Gone", dict.fromkeys(api.gone, "")),
        ("New", dict.fromkeys(api.new, "")),
        ("Changed so that calls may break", {one.name: _told(one) for one in breaking}),
        ("Changed otherwise", {one.name: _told(one) for one in others}),
    ):
        if told:
            yield f"{title} ({len(told)})"
            yield from _some(told, everything=everything)


def _parted(changed: Sequence[Changed]) -> tuple[list[Changed], list[Changed]]:
    return [one for one in changed if one.breaks], [one for one in changed if not one.breaks]


def _told(one: Changed) -> str:
    return "; ".join((*one.breaks, *one.notes))


def _some(told: Mapping[str, str], *, everything: bool) -> Iterator[str]:
    """Yield what is nearest to the top first; names that end alike and of which the same is told are one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in sorted(told, key=lambda name: (name.count("."), name)):
        key = (name, "") if everything else (name.rpartition(".")[2], told[name])
        groups.setdefault(key, []).append(name)
    shown = list(groups.values()) if everything else list(groups.values())[:_MOST]
    for names in shown:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        yield f"  {names[0]}{more}" + (f": {told[names[0]]}" if told[names[0]] else "")
    left = sum(map(len, groups.values())) - sum(map(len, shown))
    if left:
        yield f"  and {left} more (--all)"


# HTML


def _api_parts(api: ApiChanges) -> Iterator[str]:
    yield f"<h2>Public names: {api.count_before} → {api.count_after}</h2>"
    for title, names in (("Gone", api.gone), ("New", api.new)):
        if names:
            yield _folded(f"{title} ({len(names)})", [f"<code>{escape(name)}</code>" for name in names])
    breaking, others = _parted(api.changed)
    for title, changed in (("Changed so that calls may break", breaking), ("Changed otherwise", others)):
        if changed:
            yield _folded(f"{title} ({len(changed)})", [_changed_item(one) for one in changed])


def _changed_item(one: Changed) -> str:
    return (
        f"<code>{escape(one.name)}</code>: {escape(_told(one))}<pre>- {escape(one.before)}\n+ {escape(one.after)}</pre>"
    )


def _folded(title: str, items: Sequence[str]) -> str:
    unfolded = " open" if len(items) <= _OPEN else ""
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f"<details{unfolded}><summary>{escape(title)}</summary><ul>{listed}</ul></details>"


def _table(head: Sequence[str], rows: Iterator[tuple[str, str, str]]) -> str:
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join(
        f"<tr{' class=same' if old == new else ''}>"
        f"<th>{escape(name)}</th><td>{escape(old)}</td><td>{escape(new)}</td></tr>"
        for name, old, new in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
h1 {{ font-size: 1.4rem }} h2 {{ font-size: 1.1rem; margin-top: 2rem }}
table {{ border-collapse: collapse }} td, th {{ text-align: left; padding: .2rem 1rem .2rem 0 }}
tr.same {{ color: #888 }} summary {{ cursor: pointer; font-weight: 600; margin-top: 1rem }}
ul {{ margin: .3rem 0; padding-left: 1.2rem }} code, pre {{ font-family: ui-monospace, monospace; font-size: .9em }}
pre {{ margin: .2rem 0 .6rem; white-space: pre-wrap; color: #555 }}
@media (prefers-color-scheme: dark) {{ body {{ background: #161616; color: #ddd }} pre {{ color: #aaa }} }}
</style></head><body>
{body}
</body></html>
"""
