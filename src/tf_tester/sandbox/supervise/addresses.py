"""Addresses of sockets as the kernel has them, and which of them are within reach; standard library only."""

import struct

from tf_tester.sandbox.calls import AF_INET, AF_UNIX

EACCES, EINVAL, EAFNOSUPPORT, EADDRNOTAVAIL, ENETUNREACH = 13, 22, 97, 99, 101
LONGEST = 128
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FAMILY = struct.Struct("=H")
_INET, _INET6 = struct.Struct("=2s4s8x"), struct.Struct("=2s4x16s4x")
_ANY, _ANY6 = bytes(4), bytes(16)
_LOOPBACK, _LOOPBACK6 = b"\x7f\0\0\1", bytes(15) + b"\1"
_MAPPED = bytes(10) + b"\xff\xff"
"""Before an address of IPv4 it makes one of IPv6."""
_LISTENS, _ACCEPTS = b"0A", b"00010000"


def family_of(address: bytes) -> int:
    """Raise `OSError` for what is no address."""
    if len(address) < _FAMILY.size:
        raise OSError(EINVAL, "no address")
    family: int = _FAMILY.unpack_from(address)[0]
    return family


def unix(path: bytes) -> bytes:
    """Return the address of a path or an abstract name."""
    return _FAMILY.pack(AF_UNIX) + path


def loopback(address: bytes, *, error: int, both: bool = False) -> tuple[bytes, bytes, int]:
    """Return an address made anew, its host and its port. Raises `OSError` with `error` for one of another machine.

    Every address of this machine at once means the loopback, and with `both` that of IPv4 for IPv6, too: what listens
    there is what most programs look for.
    """
    family = family_of(address)
    try:
        port, host = (_INET if family == AF_INET else _INET6).unpack_from(address[2:])
    except struct.error:
        raise OSError(EINVAL, "too short") from None
    if family == AF_INET:
        host = _of_ipv4(host, error)
        return _FAMILY.pack(family) + _INET.pack(port, host), host, int.from_bytes(port)
    if host == _ANY6:
        host = _MAPPED + _LOOPBACK if both else _LOOPBACK6
    if host.startswith(_MAPPED):
        host = _MAPPED + _of_ipv4(host[len(_MAPPED) :], error)
    elif host != _LOOPBACK6:
        raise OSError(error, "of another machine")
    return _FAMILY.pack(family) + _INET6.pack(port, host), host, int.from_bytes(port)


def _of_ipv4(host: bytes, error: int) -> bytes:
    if host == _ANY:
        return _LOOPBACK
    if host[0] != _LOOPBACK[0]:
        raise OSError(error, "of another machine")
    return host


def any_port(family: int) -> bytes:
    """Return the loopback with whatever port is free."""
    host = _INET.pack(b"\0\0", _LOOPBACK) if family == AF_INET else _INET6.pack(b"\0\0", _LOOPBACK6)
    return _FAMILY.pack(family) + host


def listeners_at(host: bytes, port: int, *, everywhere: bool = False) -> "set[int]":
    """Return the inodes of all sockets that listen there; the kernel prefers them to those that listen `everywhere`."""
    host = host.removeprefix(_MAPPED) if len(host) == len(_ANY6) else host
    is_ipv4 = len(host) == len(_ANY)
    hosts = [host, _MAPPED + host] if is_ipv4 else [host]
    if everywhere:
        hosts += [_ANY, _MAPPED + _ANY, _ANY6]
    wanted = {b"%s:%04X" % (_in_table(one), port) for one in hosts}
    found: set[int] = set()
    for name in ("tcp", "tcp6") if is_ipv4 else ("tcp6",):
        for line in _table(name):
            words = line.split()
            if words[3] != _LISTENS:
                break  # those that listen come first, and of the others there may be thousands
            if words[1] in wanted:
                found.add(int(words[9]))
        if found and not everywhere:
            break
    return found


def _in_table(host: bytes) -> bytes:
    """Return a host as /proc/net/tcp has it: words of this machine's order, in hexadecimal."""
    words = struct.unpack(f"={len(host) // 4}I", host)
    return b"".join(b"%08X" % word for word in words)


def listeners_named(name: bytes) -> "set[int]":
    """Return the inodes of all sockets that accept by this abstract name, or by one that looks like it."""
    shown = name.replace(b"\0", b"@")
    found = set()
    for line in _table("unix"):
        words = line.rstrip(b"\n").split(None, 7)
        # A name may have line ends in it: then some lines are no lines, and only add to what is found.
        if len(words) == 8 and words[7] == shown and words[3] == _ACCEPTS and words[6].isdigit():
            found.add(int(words[6]))
    return found


def _table(name: str) -> "Iterator[bytes]":
    """Yield the lines of a table, none where there is no such table; no more is read than is asked for."""
    try:
        with open(f"/proc/self/net/{name}", "rb") as stream:
            next(stream, None)
            yield from stream
    except FileNotFoundError:
        pass  # there is no IPv6
