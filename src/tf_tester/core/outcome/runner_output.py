"""What pytest and unittest print of a run of theirs, where a command of the user's has started them. Pure."""

import re

_PYTEST = r"(?m)^(?:=+ )?(no tests ran|\d+ \w+(?:, \d+ \w+)*) in \d+(?:\.\d+)?s\b.*$"
"""The last line, such as `=== 2 passed, 1 skipped in 0.12s ===`, and of `-q` the same without a frame."""
_RAN = r"\b(?:passed|failed|errors?|xfailed|xpassed)\b"
_UNITTEST = r"(?m)^Ran (\d+) tests? in \d+(?:\.\d+)?s\s*^(?:OK|FAILED|NO TESTS RAN)\b[^\n]*?(?:skipped=(\d+)|$)"
_PROGRESS = r"(?:\S+\.\w+ )?[.,\-uFfsxXER]+\s*\[ *\d+%\]|[.,usx]*\.[.,usx]*|[.usx]{3,}"
"""pytest's letters, one a test or subtest, behind a file's name; unittest's of what passes, on a line of their own."""
_OF_THE_SESSION = (
    r"plugins: .*|platform \w+ -- Python .*|bringing up nodes\.\.\.|\d+ workers? \[\d+ items?\]|created: .* workers?"
)
_FAILED = (
    r"(?m)^(?:=+ )?(?:\d+ \w+, )*\d+ (?:failed|errors?)\b[^=\n]* in \d+(?:\.\d+)?s\b"
    r"|^FAILED \((?:failures|errors)=[^\n]*$"
)
_COLOUR = r"\x1b\[[0-9;]*m"
_ERROR = r"(?:ERROR|FAIL(?:ED|URE)?)\b"
_COMPLAINS = (
    r"(?i)\b(?:fail\w*|errors?|unused|exceed\w*|below|less than|under|not reached|regress\w*|maximum|too many)\b"
)
_SUBTESTS = r", \d+ subtests passed"


def ran_no_test(text: str) -> bool:
    """Return whether runners have told what they ran, and it was nothing: none was found, or all were skipped.

    >>> ran_no_test("collected 1 item\\n=== 1 skipped in 0.01s ==="), ran_no_test("Ran 0 tests in 0.000s\\n\\nOK")
    (True, True)
    >>> ran_no_test("=== 1 passed, 2 skipped in 0.01s ==="), ran_no_test("3 epochs in 2.5s")
    (False, False)
    """
    told = [re.search(_RAN, said) is not None for said in re.findall(_PYTEST, text) if _is_summary(said)]
    told += [int(ran) > int(skipped or 0) for ran, skipped in re.findall(_UNITTEST, text)]
    return bool(told) and not any(told)


def _is_summary(said: str) -> bool:
    return said == "no tests ran" or re.search(rf"{_RAN}|\b(?:skipped|deselected)\b", said) is not None


def first_failure(text: str) -> str:
    """Return the first test of those that pytest says failed, as it says it; empty: it says none.

    >>> first_failure("F\\nFAILED test_a.py::test_b - KeyError: 'k'\\n=== 1 failed in 0.1s ===")
    "FAILED test_a.py::test_b - KeyError: 'k'"
    """
    found = re.search(r"(?m)^(?:FAILED|ERROR) \S+\.py\b.*$", text)
    return found[0].strip() if found is not None else ""


def said_to_fail(text: str) -> str:
    """Return the line in which a runner sums up what it ran, where some of that failed; empty: none says so.

    >>> said_to_fail("F\\n== 1 failed, 2 passed in 0.10s =="), said_to_fail("== 2 passed, 1 xfailed in 0.10s ==")
    ('1 failed, 2 passed in 0.10s', '')
    >>> said_to_fail("Ran 2 tests in 0.001s\\n\\nFAILED (failures=1)")
    'FAILED (failures=1)'
    """
    found = re.search(_FAILED, text)
    return found[0].strip("= ") if found is not None else ""


def why_it_ended(text: str) -> str:
    """Return the line in which pytest or a plugin of it says why it ends with another status than its tests; it is a
    guess where none begins as an error does. Empty: nothing but progress was printed.

    >>> why_it_ended("..  [100%]\\nERROR: Coverage failure: total of 50 is less than fail-under=80\\n2 passed in 0.1s")
    'Coverage failure: total of 50 is less than fail-under=80'
    >>> why_it_ended("1 snapshot unused.\\nRe-run pytest with --snapshot-update.\\n== 2 passed in 0.10s ==")
    '1 snapshot unused.'
    """
    told = [re.sub(_COLOUR, "", line).strip() for line in text.splitlines()]
    told = [
        line for line in told if without_progress(line).strip("=-_ ") and not re.match(f"{_PYTEST}|-- Docs: ", line)
    ]
    errors = [line for line in told if re.match(_ERROR, line)]
    others = [line for line in told if re.search(_COMPLAINS, line)] or told[-1:]
    return re.sub(rf"^{_ERROR}:? *", "", (errors or others or [""])[0])


def without_progress(line: str) -> str:
    """Return what a printed line, without spaces around it, says besides the progress and the versions of a runner.

    Progress has a letter for each test, and for each subtest in some versions only.

    >>> without_progress("tests/test_a.py ..,,u.s  [ 50%]"), without_progress("....."), without_progress("-----")
    ('', '', '-----')
    >>> without_progress("plugins: xdist-3.8.0"), without_progress("1 passed, 3 subtests passed in 0.1s")
    ('', '1 passed in 0.1s')
    """
    if re.fullmatch(_PROGRESS, line) is not None or re.fullmatch(_OF_THE_SESSION, line) is not None:
        return ""
    return re.sub(_SUBTESTS, "", line).strip("= ") if re.search(_SUBTESTS, line) or re.match(_PYTEST, line) else line
