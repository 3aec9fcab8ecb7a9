"""Who a client is where a proxy in front hands its requests on. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def network_of(text: str) -> Network:
    """Return the addresses that are meant: one, or a network (`10.0.0.0/8`). Raises `ValueError`."""
    return ip_network(text.strip(), strict=False)


def client_of(remote: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """Return the address of the client that a request comes from.

    `remote`: who is at the other end of the connection. `forwarded`: the headers `X-Forwarded-For`, to which each proxy
    adds whom it heard. What a proxy that isn't one of `proxies` says counts for nothing: anybody can send that header.

    >>> client_of("127.0.0.1", ["6.6.6.6, 203.0.113.7"], [network_of("127.0.0.1")])
    '203.0.113.7'
    >>> client_of("203.0.113.9", ["6.6.6.6"], [network_of("127.0.0.1")])
    '203.0.113.9'
    """
    hops = [hop for header in forwarded for hop in header.split(",")]
    client = remote
    while hops and _is_one_of(client, proxies):
        said = _address(hops.pop())
        if said is None:
            break
        client = str(said)
    return client


def _is_one_of(text: str, proxies: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in proxies)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address as proxies write it: `::1`, `[::1]:4711`, `192.0.2.1:4711`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
