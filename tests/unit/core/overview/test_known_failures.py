"""A failure is explained by what is known of it only where its words and what is installed agree."""

import pytest

from tf_tester.core.overview.known_failures import about_known_failures
from tf_tester.model.framework import KnownFailure
from tf_tester.model.outcome import ExceptionFact, Outcome, TestRow

GONE = KnownFailure(
    text="module 'toy' has no attribute '(?:spin|turn)'",
    project="toy",
    versions=">=2",
    says="`toy.spin` is gone since toy 2: use `toy.rotate`.",
    source="https://toy.example/2",
    example="import toy; toy.spin",
    tried={"toy": "2.0"},
)
TOLD = ("known: `toy.spin` is gone since toy 2: use `toy.rotate`. (https://toy.example/2)",)


def failed(message: str, outcome: Outcome = Outcome.FAIL) -> TestRow:
    return TestRow("check.py::test", outcome, ExceptionFact("AttributeError", message))


@pytest.mark.parametrize(
    ("version", "told"), [("1.9", ()), ("2.0", TOLD), ("2.0rc1", ()), ("3.0.dev1", TOLD), ("2.1+cpu", TOLD)]
)
def test_it_is_of_the_versions_that_it_names(version: str, told: tuple[str, ...]) -> None:
    rows = [failed("module 'toy' has no attribute 'spin'"), failed("module 'toy' has no attribute 'turn'")]
    assert about_known_failures(rows, {"toy": version}, lambda: [GONE]) == told


def test_other_words_another_package_and_what_passes_are_not_explained() -> None:
    gone = "module 'toy' has no attribute 'spin'"
    assert about_known_failures([failed("module 'toy' has no attribute 'roll'")], {"toy": "2"}, lambda: [GONE]) == ()
    assert about_known_failures([failed(gone)], {"gear": "2"}, lambda: [GONE]) == ()
    assert about_known_failures([failed(gone, Outcome.SKIP)], {"toy": "2"}, lambda: [GONE]) == ()


def test_nothing_is_read_where_nothing_fails() -> None:
    def read() -> list[KnownFailure]:
        raise AssertionError("read")

    assert about_known_failures([TestRow("check.py", Outcome.PASS)], {"toy": "2"}, read) == ()


def test_what_a_command_says_last_counts() -> None:
    row = TestRow(
        "python check.py", Outcome.FAIL, stderr="AttributeError: module 'toy' has no attribute 'spin'", exit_code=1
    )
    assert about_known_failures([row], {"toy": "2"}, lambda: [GONE]) == TOLD


def test_a_long_text_is_looked_at_to_its_end_alone() -> None:
    rows = [failed("module 'toy' has no attribute 'spin'" + " and so on" * 10_000)]
    assert about_known_failures(rows, {"toy": "2"}, lambda: [GONE]) == ()
