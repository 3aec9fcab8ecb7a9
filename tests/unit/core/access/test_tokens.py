from base64 import b64encode
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tf_tester.core.access.rate_limit import Rate
from tf_tester.core.access.tokens import (
    Token,
    TokenScope,
    digest_of,
    id_of,
    matches_secret,
    token_presented,
    token_text,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = bytes(range(32))
TEXT = token_text("0123abcd", SECRET)


def token(**changes: object) -> Token:
    facts = {
        "id": "0123abcd",
        "name": "ci",
        "digest": digest_of(SECRET),
        "scopes": (TokenScope.UPLOAD,),
        "created": NOW,
    }
    return Token(**(facts | changes))  # type: ignore[arg-type]


def test_only_the_secret_itself_will_do() -> None:
    assert matches_secret(TEXT, token())
    assert not matches_secret(token_text("0123abcd", bytes(32)), token())
    assert not matches_secret(token().digest, token()), "what is kept opens nothing"


@given(st.text())
def test_whatever_is_sent_is_no_token_but_raises_nothing(text: str) -> None:
    assert id_of(text) is None
    assert token_presented(text) == "" or text.strip().lower().startswith(("bearer", "basic"))


def test_it_comes_as_password_or_bearer() -> None:
    basic = b64encode(f"__token__:{TEXT}".encode()).decode()
    assert token_presented(f"Basic {basic}") == token_presented(f"bearer {TEXT}") == TEXT


def test_a_token_is_for_what_it_was_made_for() -> None:
    assert token().allows(TokenScope.UPLOAD, NOW, "toy")
    assert not token().allows(TokenScope.READ, NOW)
    scoped = token(projects=("toy",))
    assert scoped.allows(TokenScope.UPLOAD, NOW)
    assert scoped.allows(TokenScope.UPLOAD, NOW, "toy")
    assert not scoped.allows(TokenScope.UPLOAD, NOW, "gear")
    over = token(expires=NOW + timedelta(days=1))
    assert over.allows(TokenScope.UPLOAD, NOW)
    assert not over.allows(TokenScope.UPLOAD, NOW + timedelta(days=1))


def test_a_client_waits_when_it_asks_too_often() -> None:
    rate = Rate(1)
    assert [rate.wait("a", 0.0) for _ in range(10)] == [0.0] * 10
    assert rate.wait("a", 0.0) == 1.0
    assert rate.wait("b", 0.0) == 0.0, "others don't"
    assert rate.wait("a", 1.0) == 0.0


def test_a_token_reads_the_private_projects_that_it_is_for() -> None:
    def reads(**changes: object) -> list[bool]:
        one = token(**changes)
        return [one.allows(TokenScope.READ, NOW, project) for project in ("a", "team-a", "team-b")]

    both = (TokenScope.READ, TokenScope.UPLOAD)
    assert reads(scopes=both[:1]) == [True, True, True]
    assert reads(scopes=both[:1], reads=()) == [False, False, False]
    assert reads(scopes=both[:1], reads=("team-*",)) == [False, True, True]
    assert reads(scopes=both, reads=("team-b",), projects=("a",)) == [True, False, True], "it reads what it uploads"
    assert reads(scopes=both, reads=()) == [True, True, True]
    assert reads(scopes=both, projects=("a",)) == [True, True, True]
