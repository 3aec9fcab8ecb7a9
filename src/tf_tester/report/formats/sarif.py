"""SARIF 2.1.0 (OASIS): failures and deprecations at the user's files and lines, all cells in one run.

GitHub refuses a file with more than twenty runs or of more than 10 MB packed, and shows 5,000 results of a run.
"""

from typing import Any
from urllib.parse import quote

from tf_tester.core.outcome.report import RunReport
from tf_tester.report.formats import Rendering
from tf_tester.report.formats.findings import Shown, findings
from tf_tester.report.record import encode

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_MOST = 5_000
_LONGEST = 4_000
"""Characters of one message."""


def render(report: RunReport, rendering: Rendering) -> str:
    """Return the JSON, on one line."""
    found = list(findings(report, rendering.checkout))[:_MOST]
    rules = list(dict.fromkeys(one.rule for one in found))
    name, _, version = report.tool.rpartition(" ")
    run = {
        "tool": {
            "driver": {
                "name": name or "tf-tester",
                **({"version": version} if version else {}),
                "rules": [{"id": f"tf-tester/{rule}", "name": rule} for rule in rules],
            }
        },
        "automationDetails": {"id": f"tf-tester/{'+'.join(report.packages)}/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, rules.index(one.rule)) for one in found],
    }
    return encode({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}).decode() + "\n"


def _result(one: Shown, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": f"tf-tester/{one.rule}",
        "ruleIndex": rule,
        "level": "error" if one.is_failure else "warning",
        "message": {"text": one.text[:_LONGEST]},
        "partialFingerprints": {"failure/v1": one.fingerprint},
    }
    if one.place is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(one.place.file), "uriBaseId": "%SRCROOT%"}}
        if one.place.line:
            place["region"] = {"startLine": one.place.line}
        result["locations"] = [{"physicalLocation": place}]
    return result
