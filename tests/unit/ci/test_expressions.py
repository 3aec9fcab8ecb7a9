"""The expressions of workflows, as the tests of the action read them."""

from typing import Any

import pytest

from tests.expressions import Expressions, WrongExpression

CONTEXTS = {
    "inputs": {"command": "test", "empty": "", "with-dash": "x"},
    "github": {"event": {"pull_request": {"number": 7}}, "run_id": 12},
    "strategy": {"job-total": 3, "job-index": 0},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inputs.command", "test"),
        ("inputs.with-dash", "x"),
        ("inputs['with-dash']", "x"),
        ("inputs.none", None),
        ("inputs.none.more", None),
        ("inputs.command == 'TEST'", True),
        ("inputs.command != 'test' || inputs.empty || 'it''s'", "it's"),
        ("!github.event.pull_request", False),
        ("(github.run_id == 12) && 'yes' || 'no'", "yes"),
        ("strategy.job-total > 1 && strategy.job-index || ''", ""),
        ("format('a-{0}-{1}', inputs.command, github.run_id)", "a-test-12"),
        ("fromJSON('{\"a\": [1]}').a", [1]),
        ("true == 'true'", False),
    ],
)
def test_an_expression_has_the_value_that_github_says(text: str, value: Any) -> None:
    assert Expressions(CONTEXTS).value(text) == value


@pytest.mark.parametrize(
    "text", ["secrets.a", "inputs.command ==", "hashFiles('a')", "inputs.command 'a'", "a ? b : c"]
)
def test_what_nobody_here_understands_is_refused(text: str) -> None:
    with pytest.raises(WrongExpression):
        Expressions(CONTEXTS).value(text)


@pytest.mark.parametrize(
    ("condition", "when_failed"),
    [("", False), ("true", False), ("always()", True), ("failure()", True), ("${{ always() && 1 == 1 }}", True)],
)
def test_a_step_runs_after_a_failure_only_where_it_says_so(condition: str, when_failed: bool) -> None:
    assert Expressions(CONTEXTS, failed=True).holds(condition) is when_failed
    assert Expressions(CONTEXTS).holds(condition) is (condition != "failure()")


def test_a_template_keeps_the_type_of_what_is_nothing_else() -> None:
    filled = Expressions(CONTEXTS).filled({"a": "${{ github.event }}", "b": "run ${{ github.run_id }}!"})
    assert filled == {"a": {"pull_request": {"number": 7}}, "b": "run 12!"}
