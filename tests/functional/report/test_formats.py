"""Each format as those read it that it is for; nothing hostile gets through, and nothing is cut in its middle."""

import hashlib
import html
import json
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import PurePath

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tf_tester.core.outcome.report import RunReport, Transfers, TransferSource
from tf_tester.core.overview.folding import matrix
from tf_tester.core.text.printable import printable
from tf_tester.errors import UsageError
from tf_tester.model.cell import Cell
from tf_tester.model.events import TransferTrouble
from tf_tester.model.lock import Lock, Pin, Resolution
from tf_tester.model.outcome import CellResult, ExceptionFact, Outcome, TestRow, WarningFact
from tf_tester.report.formats import FORMATS, Rendering, format_of, renderer

HERE = "/home/me/lib"
HOSTILE = (
    "</failure><script>alert(1)</script>",
    "]]>",
    "a\x00b\x1b[31m\ufffe\ud800",
    "::error file=x::forged\n::set-output name=a::b",
    "%0A::warning::x",
    "`` ` ``` ````",
    "| a | b |\n|---|",
    "@everyone #1 <!-- -->",
    "<details><summary>",
    "\u202eabc\u2028",
    "[x](javascript:alert(1)) ![i](http://x/y.png)",
    "</code></summary>",
    "~~~\n# heading",
)
"""What strangers may put into names, messages and output."""


def cell(version: str, python: str = "3.11") -> Cell:
    return Cell.of("toy", version, python, Resolution.ERA)


def failure(test: str, message: str, line: int = 3) -> TestRow:
    traceback = (
        f'Traceback (most recent call last):\n  File "{HERE}/tests/test_a.py", line {line}, in test_a\n'
        f"    spin()\nTypeError: {message}\n"
    )
    exception = ExceptionFact("TypeError", message, f"{HERE}/tests/test_a.py", line, "test_a")
    return TestRow(test, Outcome.FAIL, exception=exception, traceback=traceback, wall_s=0.25, stdout="printed\n")


WARNING = WarningFact("DeprecationWarning", "toy.turn is deprecated", f"{HERE}/src/mine.py", 12)
GONE = ExceptionFact("AttributeError", "module 'toy' has no attribute 'turn'", f"{HERE}/src/mine.py", 12, "use")
RESULTS = {
    cell("1.0"): CellResult(
        "",
        Outcome.PASS,
        tests=(
            TestRow("tests/test_a.py::test_a", Outcome.PASS, wall_s=0.5, warnings=(WARNING,)),
            TestRow("tests/test_a.py::TestB::test_c[x-1]", Outcome.SKIP, reason="no GPU"),
        ),
    ),
    cell("2.0"): CellResult(
        "",
        Outcome.CRASH,
        tests=(
            failure("tests/test_a.py::test_a", "Gears cannot be created directly."),
            TestRow("tests/test_a.py::test_d", Outcome.CRASH, reason="died of SIGSEGV"),
            TestRow("tests/test_a.py::test_e", Outcome.FAIL, exception=GONE),
        ),
    ),
    cell("3.0", "-"): CellResult("", Outcome.NO_WHEEL, "No wheel fits Python 3.11.", "Install Python 3.8."),
    cell("4.0"): CellResult("", Outcome.EMPTY, "No tests were found.", tests=()),
}


def report_of(results: dict[Cell, CellResult]) -> RunReport:
    named = {one: replace(result, cell=one.name) for one, result in results.items()}
    pins = (Pin("toy", "1.0", "toy-1.0-py3-none-any.whl", "00", 1, ""),)
    return RunReport(
        run_id="20261201-1",
        started="2026-12-01T10:00:00.123Z",
        tool="tf-tester 0.1.0",
        folder="/store/runs/20261201-1",
        request={"trial": {"cwd": HERE}},
        cells=tuple(named),
        results={one.name: result for one, result in named.items()},
        locks={one.name: Lock("3.11.0", Resolution.ERA, None, pins) for one in named},
        transfers=Transfers((TransferSource("authority", 1, 2_000_000, 0.5),)),
        interrupted=False,
        exit_code=1,
        wall_s=3.5,
    )


REPORT = report_of(RESULTS)


def rendered(form: str, report: RunReport = REPORT, most: int | None = None) -> str:
    return renderer(form)(report, Rendering(most_bytes=most))


def hostile(text: str) -> RunReport:
    """A run in which everything that strangers can name or print is this text."""
    row = failure(f"tests/{text}.py::{text}", text)
    warned = TestRow("a.py::b", Outcome.PASS, warnings=(replace(WARNING, message=f"turn {text}"),))
    report = report_of(
        {
            cell("1.0"): CellResult("", Outcome.PASS, tests=(warned,)),
            cell("2.0"): CellResult("", Outcome.FAIL, tests=(replace(row, stdout=text, stderr=text, reason=text),)),
            cell("2.1"): CellResult("", Outcome.FAIL, tests=(replace(row, exception=None, traceback=text),)),
            cell("3.0"): CellResult("", Outcome.FAIL, tests=(TestRow("a.py::b", Outcome.FAIL, exception=GONE),)),
            cell("4.0"): CellResult("", Outcome.UNRESOLVABLE, text, text, text, remarks=(text,)),
        }
    )
    return replace(report, transfers=Transfers.of([TransferSource(text, 1, 9, 1.0, (TransferTrouble(*[text] * 3),))]))


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_record_gives_the_same_bytes(form: str) -> None:
    assert rendered(form) == rendered(form)
    assert rendered(form, report_of({})) or form == "github", "a run without cells has a report, too"


@pytest.mark.parametrize("form", ["sarif", "ctrf", "gitlab", "json"])
@pytest.mark.parametrize("text", HOSTILE)
def test_json_is_json_whatever_is_in_it(form: str, text: str) -> None:
    json.loads(rendered(form, hostile(text)))


# JUnit


def suites(text: str) -> list[junitparser.TestSuite]:
    return list(junitparser.JUnitXml.fromstring(text.encode()))


def test_junit_has_a_suite_for_each_cell_and_what_was_not_tested_is_an_error() -> None:
    found = suites(rendered("junit"))
    assert [(one.name, one.tests, one.failures, one.errors, one.skipped) for one in found] == [
        ("toy 1.0 py3.11", 2, 0, 0, 1),
        ("toy 2.0 py3.11", 3, 2, 1, 0),
        ("toy 3.0", 1, 0, 1, 0),
        ("toy 4.0 py3.11", 1, 0, 1, 0),
    ]
    cases = {(case.classname, case.name): case for suite in found for case in suite}
    failed = cases["toy_2_0_py3_11.tests.test_a", "test_a"]
    assert failed.time == 0.25
    assert failed.system_out == "printed\n"
    assert failed.result[0].message == "TypeError: Gears cannot be created directly."
    assert 'File "tests/test_a.py", line 3' in failed.result[0].text
    assert cases["toy_1_0_py3_11.tests.test_a.TestB", "test_c[x-1]"].result[0].message == "no GPU"
    assert cases["toy_3_0", "(the whole cell)"].result[0].type == "no-wheel"
    properties = {one.get("name"): one.get("value") for one in ET.fromstring(rendered("junit")).iter("property")}
    assert properties["cell"] == "toy==4.0@py3.11@era"


def test_junit_has_no_two_tests_of_one_name() -> None:
    names = [(case.classname, case.name) for suite in suites(rendered("junit")) for case in suite]
    assert len(names) == len(set(names))


@given(st.text())
def test_junit_is_xml_whatever_a_test_prints(text: str) -> None:
    case = next(iter(suites(rendered("junit", hostile(text)))[1]))
    assert case.result[0].message.startswith("TypeError")


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_holds_what_is_hostile_as_text(text: str) -> None:
    top = ET.fromstring(rendered("junit", hostile(text)))
    assert {one.tag for one in top.iter()} == {
        *("testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "system-out"),
        "system-err",
    }


def test_junit_keeps_to_the_order_and_the_attributes_of_the_schema_of_jenkins() -> None:
    allowed = {
        "testsuites": {"name", "time", "tests", "failures", "errors"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        "testcase": {"name", "time", "classname"},
        "property": {"name", "value"},
        "properties": set(),
        **{tag: {"type", "message"} for tag in ("failure", "error", "skipped")},
        **{tag: set() for tag in ("system-out", "system-err")},
    }
    for one in ET.fromstring(rendered("junit")).iter():
        assert set(one.attrib) <= allowed[one.tag], one.tag
        assert re.fullmatch(r"[0-9]*\.[0-9]{3}", one.get("time", "0.000"))


# Annotations, SARIF, code quality


def test_github_marks_the_users_own_line() -> None:
    lines = rendered("github").splitlines()
    assert (
        "::error file=tests/test_a.py,line=3,title=TypeError%3A Gears cannot be created directly."
        "::TypeError: Gears cannot be created directly.%0A1 test in 1 cell: 2.0 py3.11%0A"
    ) in "\n".join(lines)
    assert any(line.startswith("::warning file=src/mine.py,line=12,title=turn is gone later::") for line in lines)
    assert "line=" not in lines[-1], "what shows at no line of the user's comes last"


@pytest.mark.parametrize("text", HOSTILE)
def test_github_gets_commands_of_ours_alone(text: str) -> None:
    for line in rendered("github", hostile(text)).splitlines():
        assert re.match(r"::(error|warning) ", line), line
        assert line.isprintable()


@pytest.mark.parametrize(
    ("checkout", "file"),
    [("/home/me", "lib/tests/test_a.py"), (HERE, "tests/test_a.py"), ("/srv", "tests/test_a.py")],
)
def test_ci_systems_get_files_as_they_lie_in_the_repository(checkout: str, file: str) -> None:
    told = {form: renderer(form)(REPORT, Rendering(checkout=checkout)) for form in ("github", "gitlab", "sarif")}
    assert f"::error file={file},line=3," in told["github"]
    assert file in {one["location"]["path"] for one in json.loads(told["gitlab"])}
    results = json.loads(told["sarif"])["runs"][0]["results"]
    places = [place["physicalLocation"] for one in results for place in one["locations"]]
    assert file in {place["artifactLocation"]["uri"] for place in places}


def test_github_gets_ten_at_the_most() -> None:
    rows = tuple(failure(f"tests/test_a.py::test_{letter}", f"{letter} is wrong", 7) for letter in "abcdefghijklmnop")
    assert (
        len(rendered("github", report_of({cell("1.0"): CellResult("", Outcome.FAIL, tests=rows)})).splitlines()) == 10
    )


def test_sarif_has_one_run_and_the_places() -> None:
    told = json.loads(rendered("sarif"))
    [run] = told["runs"]
    assert told["version"] == "2.1.0"
    assert run["tool"]["driver"]["name"] == "tf-tester"
    places = {
        (
            one["level"],
            one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            one["locations"][0]["physicalLocation"].get("region", {}).get("startLine"),
        )
        for one in run["results"]
    }
    assert places == {
        ("error", "tests/test_a.py", 3),
        ("error", "tests/test_a.py", None),
        ("error", "src/mine.py", 12),
        ("warning", "src/mine.py", 12),
    }
    for one in run["results"]:
        assert run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == one["ruleId"]
    marks = [one["partialFingerprints"]["failure/v1"] for one in run["results"]]
    assert len(set(marks)) == len(marks)


def test_a_failure_has_the_same_fingerprint_when_its_line_has_moved() -> None:
    def mark(line: int) -> str:
        rows = (failure("tests/test_a.py::test_a", "wrong", line),)
        told = json.loads(rendered("gitlab", report_of({cell("1.0"): CellResult("", Outcome.FAIL, tests=rows)})))
        assert told[0]["location"] == {"path": "tests/test_a.py", "lines": {"begin": line}}
        return str(told[0]["fingerprint"])

    assert mark(3) == mark(40)


def test_gitlab_gets_nothing_without_a_file() -> None:
    rows = (TestRow("make check", Outcome.FAIL, reason="exit status 2"),)
    assert json.loads(rendered("gitlab", report_of({cell("1.0"): CellResult("", Outcome.FAIL, tests=rows)}))) == []


# CTRF, JSON


def test_ctrf_counts_what_it_lists() -> None:
    results = json.loads(rendered("ctrf"))["results"]
    statuses = [one["status"] for one in results["tests"]]
    assert statuses == ["passed", "skipped", "failed", "failed", "failed", "other", "other"]
    summary = results["summary"]
    assert {name: summary[name] for name in ("tests", "passed", "failed", "skipped", "other", "pending")} == {
        "tests": 7,
        "passed": 1,
        "failed": 3,
        "skipped": 1,
        "other": 2,
        "pending": 0,
    }
    assert summary["stop"] - summary["start"] == 3500
    assert results["tests"][2]["filePath"] == "tests/test_a.py"
    assert results["tests"][2]["line"] == 3
    assert results["tests"][5]["message"] == "No wheel fits Python 3.11.\nInstall Python 3.8."


def test_json_tells_what_all_tell() -> None:
    told = json.loads(rendered("json"))
    assert told["sentence"] == ("toy works with 1.0; fails with 2.0 (3 reasons); was not tested with 3.0 to 4.0.")
    assert [one["outcome"] for one in told["cells"]] == ["pass", "crash", "no-wheel", "empty"]
    assert told["sources"] == [{"name": "authority", "files": 1, "received": 2_000_000, "seconds": 0.5, "troubles": []}]
    assert {one["headline"]: one["place"] for one in told["reasons"]}[
        "TypeError: Gears cannot be created directly."
    ] == {
        "file": "tests/test_a.py",
        "line": 3,
        "text": "spin()",
    }


# Markdown


def test_markdown_says_first_what_works() -> None:
    lines = rendered("markdown").splitlines()
    assert lines[0] == "### toy works with 1.0; fails with 2.0 (3 reasons); was not tested with 3.0 to 4.0."
    assert "| `1.0` |  | ✅ pass |" in lines or "| `1.0` | ✅ pass |  |" in lines
    assert "- at `tests/test_a.py:3`: `spin()`" in lines
    assert "- gone with `2.0 py3.11`: `AttributeError: module 'toy' has no attribute 'turn'`" in lines


def test_markdown_folds_equal_neighbours() -> None:
    passing = {cell(f"{number}.0"): CellResult("", Outcome.PASS) for number in range(1, 6)}
    text = rendered("markdown", report_of(passing | {cell("6.0"): CellResult("", Outcome.FAIL)}))
    assert [line for line in text.splitlines() if line.startswith("| `")] == [
        "| `toy` | `py3.11` |",
        "| `6.0` | ❌ fail |",
        "| `1.0 to 5.0` | ✅ pass |",
    ]


def many_failures() -> RunReport:
    rows = [
        failure(f"tests/test_a.py::test_{number}", f"{chr(97 + number % 26)}{chr(97 + number // 26)} " + "é" * 300)
        for number in range(300)
    ]
    return report_of({cell("1.0"): CellResult("", Outcome.FAIL, tests=tuple(rows))})


@pytest.mark.parametrize("most", [1_000, 5_000, 65_000, 200_000, 2**20])
def test_markdown_keeps_to_its_size_and_cuts_nothing_in_its_middle(most: int) -> None:
    text = rendered("markdown", many_failures(), most)
    assert len(text.encode()) <= most
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```") % 2 == 0
    shown = text.count("<details>")
    if shown < 300:
        assert f"{300 - shown} more parts of this report didn't fit" in text or f"{301 - shown} more parts" in text
    assert text.endswith("</sub>\n")


def outside_of_code(text: str) -> str:
    """What of a Markdown text is read as Markdown: without blocks and spans of code, and without lines of HTML."""
    text = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("<details>"))
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_is_ours_alone(text: str) -> None:
    shown = rendered("markdown", hostile(text))
    plain = outside_of_code(shown)
    assert not re.search(r"script|alert|@everyone|javascript|heading|forged|\]\(|!\[", plain), plain
    for line in shown.splitlines():
        assert line.isprintable(), line
        if line.startswith("<details>"):
            inner = line.partition("<code>")[2].partition("</code></summary>")[0]
            assert "<" not in inner, line
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {3}


# The page


class Structure(HTMLParser):
    """The elements of a page with their attributes, and its text without those of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text: list[str] = []
        self._isnt_shown = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._isnt_shown = tag in ("script", "style")
        self.elements.append(" ".join([tag, *(name for name, _ in attributes)]))
        self.elements += [f"a link to {value}" for name, value in attributes if name in ("href", "src", "action")]

    def handle_endtag(self, tag: str) -> None:
        self._isnt_shown = False

    def handle_data(self, data: str) -> None:
        if not self._isnt_shown:
            self.text.append(data)


def test_the_page_says_first_what_works() -> None:
    told = " ".join(" ".join(Structure(rendered("html")).text).split())
    assert "toy works with 1.0; fails with 2.0 (3 reasons); was not tested with 3.0 to 4.0." in told
    assert "toy：1.0 可用；2.0 失败（3 个原因）；3.0 至 4.0 无法测试。" in told
    assert told.index("What works where") < told.index("Why it fails") < told.index("Will break")


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_has_no_element_that_is_not_ours_whatever_is_in_it(text: str) -> None:
    harmless = Structure(rendered("html", hostile("word"))).elements + Structure(rendered("html")).elements
    found = Structure(rendered("html", hostile(text)))
    assert set(found.elements) <= set(harmless)
    assert all(re.fullmatch(r"a link to #why-\d+", one) for one in harmless if one.startswith("a link to")), "in it"
    assert printable(text.split("\n")[0]).strip() in " ".join(found.text), "and shows it"


def test_the_page_asks_nobody_and_allows_its_own_script_alone() -> None:
    page = rendered("html")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    allowed = html.unescape(policy[1])
    assert allowed.startswith("default-src 'none';")
    assert "unsafe" not in allowed
    for tag in ("script", "style"):
        [content] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert f"'sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in allowed
    assert not re.search(r"https?://|url\(|@import| style=", page)


def test_the_page_marks_the_users_own_lines() -> None:
    page = rendered("html")
    assert re.search(r"<mark>  File &quot;tests/test_a.py&quot;, line 3, in test_a</mark>\n<mark>    spin\(\)", page)
    assert "<mark>TypeError" not in page


def test_the_page_is_in_the_language_that_is_asked_for() -> None:
    chinese = renderer("html")(REPORT, Rendering(language="zh"))
    assert '<html lang="zh" data-lang="zh">' in chinese
    assert '<html lang="en" data-lang="auto">' in rendered("html")


def test_equal_neighbours_are_one_column_and_tests_of_one_fate_one_row() -> None:
    def row(test: str, outcome: Outcome) -> TestRow:
        return TestRow(f"a.py::{test}", outcome)

    results = {
        cell(f"{number}.0", f"3.{number + 5}"): CellResult(
            "",
            Outcome.FAIL if number > 4 else Outcome.PASS,
            tests=(
                *(row(f"test_{letter}", Outcome.PASS) for letter in "abc"),
                row("test_d", Outcome.FAIL if number > 4 else Outcome.PASS),
            ),
        )
        for number in range(1, 7)
    }
    folded = matrix(report_of(results))
    assert [(column.version, column.python) for column in folded.columns] == [
        ("1.0 – 4.0", "py3.6 – py3.9"),
        ("5.0 – 6.0", "py3.10 – py3.11"),
    ]
    assert [(row.tests, row.outcomes) for row in folded.rows] == [
        (("a.py::test_d",), (Outcome.PASS, Outcome.FAIL)),
        (("a.py::test_a", "a.py::test_b", "a.py::test_c"), (Outcome.PASS, Outcome.PASS)),
    ]


# Which formats there are


def test_a_files_name_tells_the_format() -> None:
    assert {name: format_of(PurePath(f"a/b{suffix}")) for name, one in FORMATS.items() for suffix in one.suffixes} == {
        "html": "html",
        "junit": "junit",
        "markdown": "markdown",
        "sarif": "sarif",
    }
    with pytest.raises(UsageError, match="isn't said"):
        format_of(PurePath("report.txt"))


def test_an_unknown_format_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UsageError) as error:
        renderer("pdf")
    assert "junit, markdown" in error.value.hint
