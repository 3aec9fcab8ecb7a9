"""Annotations by GitHub's workflow commands: a step may have ten errors and ten warnings, the rest isn't shown."""

from tf_tester.core.outcome.report import RunReport
from tf_tester.report.formats import Rendering
from tf_tester.report.formats.findings import Shown, findings

_MOST = 10


def render(report: RunReport, rendering: Rendering) -> str:
    """Return at most ten workflow commands, those at the user's own lines first; write them to a step's output."""
    found = sorted(
        findings(report, rendering.checkout),
        key=lambda one: (one.place is None or not one.place.line, not one.is_failure),
    )
    return "".join(f"{_command(one)}\n" for one in found[:_MOST])


def _command(one: Shown) -> str:
    words = {"title": one.title}
    if one.place is not None:
        words = {"file": one.place.file, **({"line": str(one.place.line)} if one.place.line else {}), **words}
    told = ",".join(f"{key}={_property(value)}" for key, value in words.items())
    return f"::{'error' if one.is_failure else 'warning'} {told}::{_message(one.text)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
