"""Requirements that name where their project is."""

from pathlib import Path

import pytest

from tf_tester.core.wheel.direct import direct_reference, git_place, is_direct, pinned, promised_hash, without_secrets

HERE = Path("/here")


@pytest.mark.parametrize("text", ["six", "six>=1,<2", "six[fast]; python_version<'3'", "six==1.0", "-e ."])
def test_names_are_no_addresses(text: str) -> None:
    assert not is_direct(text)


@pytest.mark.parametrize("text", ["six@https://h/s.zip", "git+https://h/s", "./s", "s.tar.gz", "file:s.whl", "a/b[x]"])
def test_addresses_and_paths_are_seen(text: str) -> None:
    assert is_direct(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("file:six-1.0-py3-none-any.whl#sha256=AB", "file:///here/six-1.0-py3-none-any.whl#sha256=AB"),
        ("/my dir/s.zip".replace(" ", "%20"), "file:///my%20dir/s.zip"),
        ("git+file:///srv/six@v1#egg=six&subdirectory=py", "git+file:///srv/six@v1#subdirectory=py"),
        ("https://h/s.zip?token=1#egg=six", "https://h/s.zip?token=1"),
    ],
)
def test_a_place_becomes_absolute(text: str, url: str) -> None:
    assert direct_reference(text, HERE).url == url
    assert direct_reference(direct_reference(text, HERE).text, Path("/elsewhere")).url == url


@pytest.mark.parametrize("text", ["six @ ", "hg+https://h/six", "https://h/six", "six-1.0.whl", "./a b", "./a ; no"])
def test_what_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        direct_reference(text, HERE)


def test_a_revision_may_have_slashes_and_be_made_exact() -> None:
    url = "git+ssh://git@host/a/six.git@feature/x#subdirectory=py"
    assert git_place(url) == ("ssh://git@host/a/six.git", "feature/x", "py")
    assert pinned(url, "c" * 40) == f"git+ssh://git@host/a/six.git@{'c' * 40}#subdirectory=py"


def test_secrets_are_left_out_and_hashes_are_read() -> None:
    assert without_secrets("six @ git+https://me:secret@host/six@v1") == "six @ git+https://host/six@v1"
    assert without_secrets("git+ssh://git:secret@host/six") == "git+ssh://git@host/six"
    assert promised_hash("https://h/s.whl#sha256=AB&egg=six") == "ab"
