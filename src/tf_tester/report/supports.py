"""Which versions work: text, a Markdown table, a badge."""

from collections.abc import Callable
from html import escape

from tf_tester.core.text.printable import printable
from tf_tester.core.verdict.supports import Compatibility, SupportedVersions
from tf_tester.model.outcome import Outcome

_SIGNS = {Outcome.PASS: "✓", Outcome.SKIP: "skip", Outcome.NO_PYTHON: "–", Outcome.NO_WHEEL: "–"}
_COLOURS = {True: "#2e7d32", False: "#8a8a8a"}
_PER_LETTER = 6.6
"""Pixels of a letter of 11 px Verdana, on the average."""


def text_lines(found: SupportedVersions) -> list[str]:
    """Return the requirement, what it leaves open, and every version."""
    if found.is_unknown:
        lines = [f"Nothing is known of any version of {found.package}."]
    elif not found.specifier:
        lines = [f"No version of {found.package} that was tested works."]
    else:
        lines = [f"{found.package}{found.specifier}"]
    lines += [f"  {remark}" for remark in found.remarks]
    widest = max(map(len, found.versions), default=0)
    for version, works in found.versions.items():
        cells = "  ".join(f"{column} {outcome}" for column, outcome in found.outcomes[version].items())
        lines.append(f"  {version:<{widest}}  {works:<7}  {cells}")
    return lines


def specifier_lines(found: SupportedVersions) -> list[str]:
    """Return the requirement alone; nothing where no version works."""
    return [f"{found.package}{found.specifier}"] if found.specifier else []


def markdown_lines(found: SupportedVersions) -> list[str]:
    """Return a table of versions by Pythons, as GitHub shows it."""
    columns = list(dict.fromkeys(column for row in found.outcomes.values() for column in row))
    columns.sort(key=python_order)
    lines = [
        f"| {found.package} | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for version, row in reversed(list(found.outcomes.items())):
        told = (_SIGNS.get(row[column], row[column]) if column in row else "" for column in columns)
        lines.append(f"| {version} | " + " | ".join(told) + " |")
    return lines


FORMATS: dict[str, Callable[[SupportedVersions], list[str]]] = {
    "text": text_lines,
    "specifier": specifier_lines,
    "markdown": markdown_lines,
}
"""What `--format` takes besides JSON; the lines need no escaping, whoever prints them sees to that."""


def badge_svg(found: SupportedVersions) -> str:
    """Return a flat badge, 20 pixels high: the package, and the versions that work."""
    works = [version for version, state in found.versions.items() if state is Compatibility.YES]
    told = f"{works[0]} – {works[-1]}" if len(works) > 1 else works[0] if works else "none"
    if found.specifier and "<" not in found.specifier:
        told = f"≥ {found.specifier.split(',')[0].removeprefix('>=')}"
    left, right = (round(len(word) * _PER_LETTER) + 10 for word in (found.package, told))
    label, value = escape(printable(found.package)), escape(printable(told))
    width = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" '
        f'aria-label="{label}: {value}"><title>{label}: {value}</title>'
        f'<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[bool(works)]}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 10}">{label}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 10}">{value}</text></g></svg>\n'
    )


def python_order(column: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts `py3.8` before `py3.10`."""
    parts = column[2:].replace(" ", ".").split(".")
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
