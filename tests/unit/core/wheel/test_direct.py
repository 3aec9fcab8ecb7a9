"""Requirements that name a place, as pip reads them."""

from pathlib import Path

import pytest

from tf_tester.core.wheel.direct import direct_reference, git_place, is_direct, is_exact, promised_hash, without_secrets
from tf_tester.model.request import DirectKind

HOME = Path("/home/me")


@pytest.mark.parametrize(
    ("text", "kind", "asked"),
    [
        ("./six-1.0-py3-none-any.whl", DirectKind.WHEEL, "six @ file:///home/me/six-1.0-py3-none-any.whl"),
        ("file:dist/six-1.0.tar.gz", DirectKind.ARCHIVE, "file:///home/me/dist/six-1.0.tar.gz"),
        ("six @ file:///srv/six", DirectKind.FOLDER, "six @ file:///srv/six"),
        ("git+ssh://git@host/six.git@v1#egg=six", DirectKind.GIT, "six @ git+ssh://git@host/six.git@v1"),
        ("https://host/six-1.0.zip#sha256=AB&egg=Six", DirectKind.ARCHIVE, "six @ https://host/six-1.0.zip#sha256=AB"),
    ],
)
def test_a_place_is_read_as_pip_reads_it(text: str, kind: DirectKind, asked: str) -> None:
    found = direct_reference(text, HOME)
    assert is_direct(text)
    assert (found.kind, found.text.removeprefix("@ ").removeprefix(" @ ")) == (kind, asked)


@pytest.mark.parametrize(
    ("text", "must_be"),
    [
        ("hg+https://host/six", "hg is not known here"),
        ("https://host/six", "ends in .whl"),
        ("./six.whl", "a wheel's name"),
        ("./six ; python", "a marker"),
        ("six @ ", "an address"),
    ],
)
def test_what_cannot_be_had_is_told(text: str, must_be: str) -> None:
    with pytest.raises(ValueError, match=must_be):
        direct_reference(text, HOME)


def test_only_a_whole_commit_is_exact_and_secrets_stay_out() -> None:
    assert [is_exact(revision) for revision in ("a" * 40, "a" * 39, "v1", "")] == [True, False, False, False]
    assert git_place("git+https://host/six@a/b@c") == ("https://host/six", "a/b@c", "")
    assert promised_hash("https://host/six.zip#sha256=AB") == "ab"
    assert without_secrets("https://token@host/six.zip") == "https://host/six.zip"
