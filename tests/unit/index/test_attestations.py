"""Attestations of files: what is made of each answer."""

from collections.abc import Callable

import pytest

from tests.fakes import KeptMemos, Told
from tf_tester.core.index.simple import JSON_TYPE, parse_page
from tf_tester.errors import ConfigError, DownloadFailed, Unverified
from tf_tester.index import attestations
from tf_tester.index.attestations import Attestations, Verify
from tf_tester.model.artifact import Artifact
from tf_tester.model.events import TransferTrouble

NAME = "toy-1.0-py3-none-any.whl"
SIGNED = Artifact(NAME, "toy", "1.0", "https://i/f", "a" * 64, provenance="https://i/integrity")
PLAIN = Artifact(NAME, "toy", "1.0", "https://i/f", "a" * 64)


def signed_by(name: str) -> Verify:
    return lambda provenance, filename, sha256: f"{name} {provenance.decode()} {filename} {sha256[:2]}"


def never(_url: str) -> bytes:
    raise DownloadFailed("404")


def looking(
    verify: Verify | None = None,
    *,
    get: Callable[[str], bytes] = str.encode,
    memory: KeptMemos[str] | None = None,
    required: bool = False,
) -> tuple[Attestations, Told]:
    told = Told()
    return Attestations(
        get, memory or KeptMemos(), told, required=required, verify=verify or signed_by("GitHub a/b")
    ), told


def test_who_has_signed_is_said() -> None:
    found, told = looking()
    assert found.check(SIGNED) == f"GitHub a/b https://i/integrity {NAME} aa"
    assert found.check(PLAIN) == ""
    assert told.events == []


def test_another_publisher_than_before_is_told() -> None:
    memory = KeptMemos[str]()
    looking(lambda *_: "GitHub a/b", memory=memory)[0].check(SIGNED)
    found, told = looking(lambda *_: "GitHub evil/b", memory=memory)
    found.check(SIGNED)
    (trouble,) = told.of(TransferTrouble)
    assert trouble.reason == "signed by GitHub evil/b; earlier files of toy by GitHub a/b"


def test_a_file_that_is_not_what_was_signed_is_not_fetched() -> None:
    def differs(*_: object) -> str:
        raise Unverified("digest mismatch")

    with pytest.raises(DownloadFailed, match="not what its attestation says") as caught:
        looking(differs)[0].check(SIGNED)
    assert caught.value.detail == "digest mismatch"


def test_one_that_cannot_be_had_is_told_and_only_refused_where_it_is_required() -> None:
    found, told = looking(get=never)
    assert found.check(SIGNED) == ""
    assert "can't be had" in told.of(TransferTrouble)[0].reason
    with pytest.raises(DownloadFailed):
        looking(get=never, required=True)[0].check(SIGNED)
    with pytest.raises(DownloadFailed, match="has no attestation"):
        looking(required=True)[0].check(PLAIN)


def test_without_the_extra_nothing_is_asked_and_requiring_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attestations, "is_installed", lambda: False)
    assert Attestations(never, KeptMemos(), Told(), required=False).check(SIGNED) == ""
    with pytest.raises(ConfigError) as caught:
        Attestations(never, KeptMemos(), Told(), required=True)
    assert "attestations" in caught.value.hint


def test_the_address_is_the_page_s() -> None:
    body = (
        b'{"meta":{"api-version":"1.3"},"name":"toy","files":[{"filename":"toy-1.0-py3-none-any.whl","url":"f",'
        b'"hashes":{},"provenance":"https://i.example/p"},{"filename":"toy-1.1-py3-none-any.whl","url":"f","hashes":{},'
        b'"provenance":null}]}'
    )
    page = parse_page(body, JSON_TYPE, "https://i.example/simple/toy/", "toy")
    assert [one.provenance for one in page.artifacts] == ["https://i.example/p", None]
