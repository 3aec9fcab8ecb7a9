"""Which index counts, and what may be shown of an address."""

import sys
from pathlib import Path

import pytest

from tf_tester.core.index.links import display_url
from tf_tester.errors import ConfigError
from tf_tester.index import authority
from tf_tester.index.authority import as_pip_reaches_it, authority_url, pip_index_url


def never() -> str | None:
    raise AssertionError("pip's configuration was read though nobody needed it")


# -- the authority


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (
            {"UV_DEFAULT_INDEX": "https://a.example/simple/", "PIP_INDEX_URL": "https://c.example"},
            "https://a.example/simple",
        ),
        ({"UV_DEFAULT_INDEX": "corp=https://a.example/simple"}, "https://a.example/simple"),
        (
            {"UV_INDEX_URL": "https://b.example/simple", "PIP_INDEX_URL": "https://c.example"},
            "https://b.example/simple",
        ),
        ({"UV_DEFAULT_INDEX": " ", "PIP_INDEX_URL": "https://me:x@c.example/s"}, "https://me:x@c.example/s"),
        ({"PIP_INDEX_URL": "file:///srv/simple"}, "file:///srv/simple"),
        ({"PIP_INDEX_URL": "/srv/my index"}, "file:///srv/my%20index"),
    ],
)
def test_the_variables_of_uv_and_pip_name_the_authority_in_that_order(environ: dict[str, str], url: str) -> None:
    assert authority_url(environ, never) == url


def test_without_variables_pips_configuration_names_it() -> None:
    assert authority_url({}, lambda: "https://conf.example/simple/") == "https://conf.example/simple"


def test_without_anything_it_is_pips_own_constant() -> None:
    from pip._internal.models.index import PyPI

    assert authority_url({}, lambda: None) == PyPI.simple_url


@pytest.mark.parametrize("value", ["simple", "ftp://a.example/simple", "https://", "https://me:secret@[x/simple"])
def test_an_address_that_makes_no_sense_is_a_configuration_error_without_the_password(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        authority_url({"PIP_INDEX_URL": value}, never)
    assert "secret" not in str(caught.value)
    assert "PIP_INDEX_URL" in str(caught.value)


def test_pips_own_files_are_read_as_pip_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://global.example/simple\ntimeout = 9\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    assert pip_index_url({"PIP_CONFIG_FILE": str(config)}) == "https://global.example/simple"
    config.write_text(config.read_text() + "[install]\nindex_url = https://install.example/simple\n")
    assert pip_index_url({"PIP_CONFIG_FILE": str(config)}) == "https://install.example/simple"


def test_a_broken_pip_configuration_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("index-url = https://no-section.example\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    with pytest.raises(ConfigError):
        pip_index_url({"PIP_CONFIG_FILE": str(config)})


def test_pips_reader_is_not_started_where_no_file_names_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nextra-index-url = https://extra.example\n# index-url = https://off.example\n")
    monkeypatch.setattr(authority, "_pip_files", lambda environ: [config, tmp_path / "absent"])
    monkeypatch.setitem(sys.modules, "pip._internal.configuration", None)
    if sys.platform == "linux":
        assert pip_index_url({}) is None


def test_the_way_that_pips_settings_name_is_taken(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nproxy = http://proxy.example:3128\ncert = /ca.pem\nclient_cert = /me.pem\n")
    found = as_pip_reaches_it({"PIP_CONFIG_FILE": str(config), "https_proxy": "http://other.example", "X": "1"})
    assert found["https_proxy"] == found["http_proxy"] == "http://proxy.example:3128"
    assert (found["PIP_CERT"], found["PIP_CLIENT_CERT"], found["X"]) == ("/ca.pem", "/me.pem", "1")
    given = {"PIP_CONFIG_FILE": str(config), "PIP_CERT": "/own.pem", "PIP_PROXY": "http://mine.example"}
    found = as_pip_reaches_it(given)
    assert (found["PIP_CERT"], found["https_proxy"]) == ("/own.pem", "http://mine.example")
    plain = {"PIP_CONFIG_FILE": "/dev/null", "https_proxy": "http://other.example"}
    assert as_pip_reaches_it(plain) == plain


# -- what may be shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@h.example/simple", "https://***@h.example/simple"),
        ("https://token@h.example/simple?x=a@b", "https://***@h.example/simple?x=a@b"),
        ("https://h.example/@scope", "https://h.example/@scope"),
    ],
)
def test_what_is_shown_of_an_address_has_no_user_and_no_password(url: str, shown: str) -> None:
    assert display_url(url) == shown
