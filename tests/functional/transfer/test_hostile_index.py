"""What an index may do to a client: certificates of others, bombs, broken HTTP, ways out of TLS."""

import datetime
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from ssl import CERT_REQUIRED, PROTOCOL_TLS_SERVER, SSLContext

import pytest
import trustme

from tests.fakes import MemoryishBlobs, Told
from tests.simulator import Bomb, Fault, Headers, Raw, Redirect, Simulator
from tests.transfers import transferring
from tests.wheels import make_wheel
from tf_tester.errors import ConfigError, DownloadFailed, IndexUnreachable
from tf_tester.model.artifact import Artifact
from tf_tester.transfer.fetch import Transfer
from tf_tester.transfer.session import certificates
from tf_tester.transfer.settings import MAX_PAGE, Timeouts

TIMEOUTS = Timeouts(connect=5, stall=20, page=30, retry_delay=0.01, retry_after_cap=0.02)
JSON = "application/vnd.pypi.simple.v1+json"
WHEEL = make_wheel("toy", "1.0")


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> dict[str, trustme.LeafCert]:
    trusted, unknown = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(str(tmp_path_factory.getbasetemp() / "ca.pem"))
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    return {
        "good": trusted.issue_cert("127.0.0.1"),
        "unknown": unknown.issue_cert("127.0.0.1"),
        "over": trusted.issue_cert("127.0.0.1", not_before=past, not_after=past.replace(year=2021)),
        "other": trusted.issue_cert("elsewhere.example"),
    }


@pytest.fixture
def transfer(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, issued: dict[str, trustme.LeafCert]
) -> Iterator[Transfer]:
    environ = {"SSL_CERT_FILE": str(tmp_path_factory.getbasetemp() / "ca.pem")}
    blobs = MemoryishBlobs(tmp_path / "store")
    with transferring(blobs, Told(), timeouts=TIMEOUTS, environ=environ) as opened:
        yield opened


def tls(leaf: trustme.LeafCert) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def page(transfer: Transfer, index: Simulator) -> bytes:
    return transfer.client.get_page(f"{index.simple_url}/toy/", accept=JSON, etag=None).body


def test_a_certificate_that_is_right_is_taken(transfer: Transfer, issued: dict[str, trustme.LeafCert]) -> None:
    with Simulator(tls=tls(issued["good"])) as index:
        artifact = index.add_wheel(*WHEEL)
        assert b"toy-1.0" in page(transfer, index)
        assert transfer.fetch(artifact).read_bytes() == WHEEL[1]


@pytest.mark.parametrize("kind", ["unknown", "over", "other"])
def test_one_that_is_wrong_is_not(transfer: Transfer, issued: dict[str, trustme.LeafCert], kind: str) -> None:
    with Simulator(tls=tls(issued[kind])) as index:
        artifact = index.add_wheel(*WHEEL)
        with pytest.raises(IndexUnreachable, match="can't be trusted"):
            page(transfer, index)
        with pytest.raises(DownloadFailed, match="can't be trusted"):
            transfer.fetch(artifact)


def test_no_way_leads_out_of_tls(transfer: Transfer, issued: dict[str, trustme.LeafCert]) -> None:
    with Simulator(tls=tls(issued["good"])) as index, Simulator() as plain:
        artifact = index.add_wheel(*WHEEL)
        plain.add_wheel(*WHEEL)
        index.fault("toy", Redirect(f"{plain.simple_url}/toy/"))
        index.fault(WHEEL[0], Redirect(f"{plain.url}/files/{WHEEL[0]}"))
        with pytest.raises(IndexUnreachable, match="may not be followed"):
            page(transfer, index)
        with pytest.raises(DownloadFailed, match="may not be followed"):
            transfer.fetch(artifact)
        assert not plain.requests


def test_a_bomb_is_not_unpacked(transfer: Transfer) -> None:
    with Simulator() as index:
        artifact = index.add_wheel(*WHEEL)
        index.fault("toy", Bomb(1 << 28))
        tracemalloc.start()
        try:
            with pytest.raises(IndexUnreachable, match="more than"):
                page(transfer, index)
            assert tracemalloc.get_traced_memory()[1] < 4 * MAX_PAGE
        finally:
            tracemalloc.stop()
        # Files are never unpacked: what is packed is simply not the file.
        index.fault(WHEEL[0], Bomb(1 << 26))
        with pytest.raises(DownloadFailed):
            transfer.fetch(artifact)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: a\r\n\x00b\r\nContent-Length: 5\r\n\r\nhello",
        b"220 smtp.example ready\r\n",
        b"",
    ],
)
def test_what_is_no_http_is_no_answer(transfer: Transfer, answer: bytes) -> None:
    with Simulator() as index:
        artifact = index.add_wheel(*WHEEL)
        for name in ("toy", WHEEL[0]):
            index.fault(name, Raw(answer))
        with pytest.raises(IndexUnreachable):
            page(transfer, index)
        with pytest.raises(DownloadFailed):
            transfer.fetch(artifact)


NAMED = Headers({"Content-Disposition": 'attachment; filename="../../evil.whl"'})


@pytest.mark.parametrize("fault", [NAMED, Headers({"Content-Type": "x/y"})])
def test_a_file_is_called_what_its_hash_says(transfer: Transfer, fault: Fault) -> None:
    with Simulator() as index:
        artifact: Artifact = index.add_wheel(*WHEEL)
        index.fault(WHEEL[0], fault)
        assert transfer.fetch(artifact).name == artifact.sha256


def test_a_server_that_wants_to_know_who_asks_is_told(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = tmp_path / "own.pem"
    authority.issue_cert("me@client.example").private_key_and_cert_chain_pem.write_to_path(own)
    context = tls(authority.issue_cert("127.0.0.1"))
    context.verify_mode = CERT_REQUIRED
    authority.configure_trust(context)
    environ = {"PIP_CERT": str(tmp_path / "ca.pem")}
    with Simulator(tls=context) as index:
        artifact = index.add_wheel("toy-1.0-py3-none-any.whl", make_wheel("toy", "1.0")[1])
        stores = (MemoryishBlobs(tmp_path / name) for name in ("one", "two"))
        unknown = transferring(next(stores), Told(), timeouts=TIMEOUTS, environ=environ)
        with unknown as stranger, pytest.raises(DownloadFailed):
            stranger.fetch(artifact)
        environ["PIP_CLIENT_CERT"] = str(own)
        with transferring(next(stores), Told(), timeouts=TIMEOUTS, environ=environ) as known:
            assert known.fetch(artifact).is_file()
    own.write_text("no certificate")
    with pytest.raises(ConfigError, match="PIP_CLIENT_CERT"):
        certificates(environ)
