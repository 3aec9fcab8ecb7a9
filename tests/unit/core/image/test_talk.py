"""What registries say."""

import pytest

from tf_tester.core.fetch.retries import TroubleKind
from tf_tester.core.image.talk import (
    MOST_ATTEMPTS,
    account_of,
    challenge_of,
    errors_of,
    has_helper,
    pause_before,
    said,
    scope_of,
    token_in,
)


def test_a_challenge_is_read_whatever_the_order_of_its_words() -> None:
    found = challenge_of('BEARER service="a, b" , realm="https://auth.example/t?x=1",error="insufficient_scope"')
    assert found is not None
    assert (found.scheme, found.realm, found.service) == ("bearer", "https://auth.example/t?x=1", "a, b")


@pytest.mark.parametrize("header", ["", "Negotiate", "Bearer", 'Bearer service="x"', "Digest realm=x"])
def test_a_challenge_that_is_not_known_is_none(header: str) -> None:
    assert challenge_of(header) is None


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\nb"}', b"[" * 100_000, b"\xff"]
)
def test_an_answer_without_a_token_has_none(content: bytes) -> None:
    assert token_in(content) == ""


def test_a_token_has_one_of_two_names() -> None:
    assert token_in(b'{"token": "a.b"}') == token_in(b'{"access_token": "a.b"}') == "a.b"


def test_a_registrys_words_are_made_printable_and_short() -> None:
    [error] = errors_of(b'{"errors": [{"code": "DENIED", "message": "\\u001b[31mno"}, 7]}')
    assert said((error,)) == " («\\x1b[31mno»)"
    assert len(errors_of(b'{"errors": [{"message": "%s"}]}' % (b"x" * 5000))[0].message) == 300


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"errors": {}}', b'{"errors": "no"}'])
def test_an_answer_of_another_form_says_nothing(content: bytes) -> None:
    assert said(errors_of(content)) == ""


def test_a_registry_is_left_alone_as_long_as_it_wants_but_not_for_ever() -> None:
    waits = [pause_before(attempt, TroubleKind.BUSY, None) for attempt in range(1, MOST_ATTEMPTS + 1)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, None]
    assert pause_before(1, TroubleKind.BUSY, 86_400) == 60.0
    assert pause_before(1, TroubleKind.CONTENT, None) is None


def test_a_token_is_asked_for_both_places() -> None:
    assert scope_of("team/tf", "team/base") == "repository:team/tf:pull,push repository:team/base:pull"


def test_an_account_is_found_by_the_host_however_it_is_written() -> None:
    config = {"auths": {"https://r.example/v1/": {"auth": "QQ=="}, "other.example": {}, "x": 7}}
    assert account_of(config, "r.example") == "QQ=="
    assert account_of(config, "other.example") == account_of(config, "example") == account_of({}, "r.example") == ""
    assert has_helper({"credsStore": "desktop"}, "x")
    assert has_helper({"credHelpers": {"r.example": "gcloud"}}, "r.example")
    assert not has_helper(config, "r.example")
