"""Hosts that may be asked."""

import pytest

from tf_tester.core.access.hosts import HostList

HOSTS = HostList(["files.example", "*.blob.core.example", "Upper.EXAMPLE.", "127.0.0.1", "*"])


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("files.example", True),
        ("FILES.example.", True),
        ("upper.example", True),
        ("a.blob.core.example", True),
        ("a.b.blob.core.example", True),
        ("blob.core.example", False),
        ("evilblob.core.example", False),
        ("blob.core.example.evil", False),
        ("x.files.example", False),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("", False),
    ],
)
def test_a_name_is_one_host_and_a_star_all_below(host: str, known: bool) -> None:
    assert HOSTS.has(host) is known
