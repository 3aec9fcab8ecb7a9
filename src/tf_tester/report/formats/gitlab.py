"""GitLab's code quality report: a JSON array, shown in a merge request beside the lines that it changes."""

from typing import Any

from tf_tester.core.outcome.report import RunReport
from tf_tester.report.formats import Rendering
from tf_tester.report.formats.findings import Shown, findings
from tf_tester.report.record import encode


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the JSON, on one line: what shows at a line of the user's; GitLab takes nothing without a file."""
    return (
        encode([_entry(one) for one in findings(report, rendering.checkout) if one.place is not None]).decode() + "\n"
    )


def _entry(one: Shown) -> dict[str, Any]:
    assert one.place is not None
    return {
        "description": one.text.replace("\n", " · "),
        "check_name": f"tf-tester/{one.rule}",
        "fingerprint": one.fingerprint,
        "severity": "major" if one.is_failure else "minor",
        "location": {"path": one.place.file, "lines": {"begin": max(one.place.line, 1)}},
    }
