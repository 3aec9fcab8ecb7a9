"""Sockets that reach nobody but the program itself; standard library only.

Each socket is made here, and kept until it listens or is connected: then it is the program's alone, and ends when it
closes it. Of what is kept, what the program has closed meanwhile is closed when there is much of it, or in the way.
What is bound is bound on the loopback, or in a folder of the program's own. A connection goes only to what was bound
here.
"""

import ctypes
import os
import stat
import struct

from tf_tester.sandbox.calls import AF_INET, AF_INET6, AF_UNIX
from tf_tester.sandbox.kernel import check, libc
from tf_tester.sandbox.supervise import addresses
from tf_tester.sandbox.supervise.descendants import sockets_of_descendants
from tf_tester.sandbox.supervise.notices import Listener, Notice
from tf_tester.sandbox.supervise.places import ScratchPlaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EPERM, EBADF, EAGAIN, EACCES, EINVAL = 1, 9, 11, 13, 22
EMFILE = 24
ENOTSOCK, EAFNOSUPPORT, EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH = 88, 97, 98, 99, 101
EISCONN, ECONNREFUSED, EINPROGRESS = 106, 111, 115
_UNSPECIFIED = 0
_STREAM, _PACKETS = 1, 5
_KINDS = {AF_UNIX: ((_STREAM, _PACKETS), (0, 1)), AF_INET: ((_STREAM,), (0, 6)), AF_INET6: ((_STREAM,), (0, 6))}
"""Kinds and protocols: such a socket is connected, or not, by `connect` alone."""
_KIND, _NONBLOCK, _CLOEXEC = 0xF, os.O_NONBLOCK, os.O_CLOEXEC
_MANY = 256
"""Sockets that are kept before it is looked at which of them the program has closed."""
_MOST_BOUND = 4096
_MOST_WAITING = 64
_IPPROTO_IPV6, _IPV6_V6ONLY = 41, 26
_SHUT_BOTH = 2
_NOWHERE = struct.pack("=H14x", _UNSPECIFIED)
_F_GETFL = 3


class Sockets:
    """What is done for a program that talks to itself."""

    def __init__(self, own: ScratchPlaces, listener: Listener) -> None:
        self._own = own
        self._listener = listener
        self._kept: dict[int, int] = {}
        """Our descriptors by inode."""
        self._many = _MANY
        self._bound: dict[int, None] = {}
        """Inodes of what was bound last, or listens; after 4,000 million others a number is given again."""
        self._waiting = 0

    @property
    def calls(self) -> "dict[str, Callable[[Notice], int | None]]":
        """Return what makes which call; None is returned by what answers itself."""
        return {"socket": self._socket, "bind": self._bind, "listen": self._listen, "connect": self._connect}

    def _socket(self, asked: Notice) -> None:
        family, kind, protocol = asked.number_at(0), asked.number_at(1), asked.number_at(2)
        kinds, protocols = _KINDS.get(family, ((), ()))
        if kind & ~_KIND & ~(_NONBLOCK | _CLOEXEC):
            raise OSError(EINVAL, "no such flags")
        if kind & _KIND not in kinds or protocol not in protocols:
            raise OSError(EAFNOSUPPORT, "none of these")
        if len(self._kept) >= self._many:
            self._let_go_of_closed()
            self._many = max(_MANY, 2 * len(self._kept))  # so that looking costs each of them little
        made = self._made(family, kind | _CLOEXEC, protocol)
        try:
            self._keep(os.fstat(made).st_ino, made)
            self._listener.give(asked, made, kind & _CLOEXEC)
        except OSError:
            self._let_go(os.fstat(made).st_ino)
            raise

    def _made(self, family: int, kind: int, protocol: int) -> int:
        try:
            return check(libc.socket(family, kind, protocol), "a socket")
        except OSError as error:
            if error.errno != EMFILE or not self._let_go_of_closed():
                raise
        return check(libc.socket(family, kind, protocol), "a socket")

    def _keep(self, inode: int, made: int) -> None:
        self._kept[inode] = made

    def _let_go_of_closed(self) -> bool:
        """Close what is kept and the program has no more; return whether that was anything."""
        kept = list(self._kept)  # whoever waits for a connection may put one back
        held = sockets_of_descendants(os.getpid())
        if held is None:
            return False
        closed = [inode for inode in kept if inode not in held]
        for inode in closed:
            self._let_go(inode)
        return bool(closed)

    def _let_go(self, inode: int) -> None:
        descriptor = self._kept.pop(inode, None)
        if descriptor is not None:
            os.close(descriptor)

    def _meant(self, asked: Notice) -> int:
        """Return the inode of the socket that a call is about. Raises `OSError` for what is none."""
        try:
            kind, _, inode = asked.link(asked.number_at(0)).partition(":")
        except FileNotFoundError:
            raise OSError(EBADF, "no such descriptor") from None
        if kind != "socket":
            raise OSError(ENOTSOCK, "no socket")
        return int(inode.strip("[]"))

    def _address(self, asked: Notice) -> bytes:
        size = asked.number_at(2)
        if not 0 <= size <= addresses.LONGEST:
            raise OSError(EINVAL, "no address is that long")
        address = asked.memory(asked.words[1], size) if size else b""
        if len(address) < size:
            raise OSError(14, "no such address")
        return address

    # -- bound and listening

    def _bind(self, asked: Notice) -> int:
        inode = self._meant(asked)
        ours = self._kept.get(inode)
        if ours is None:
            raise OSError(EINVAL, "it is connected, or listens")
        address = self._address(asked)
        family = addresses.family_of(address)
        if family == AF_UNIX and address[2:3] not in (b"", b"\0"):
            self._bind_file(asked, ours, address)
            return 0
        if family != AF_UNIX:
            if family not in (AF_INET, AF_INET6):
                raise OSError(EAFNOSUPPORT, "no such addresses")
            both = family == AF_INET6 and not _is_ipv6_only(ours)
            address, host, port = addresses.loopback(address, error=EADDRNOTAVAIL, both=both)
            if 0 < port < _first_free_port():
                raise OSError(EACCES, "a port of the system's")
            if port and self._others_at(host, port):
                raise OSError(EADDRINUSE, "somebody else's")  # who would share it, as `SO_REUSEPORT` allows
        self._bind_to(ours, address)
        self._remember(inode)
        return 0

    def _remember(self, inode: int) -> None:
        self._bound[inode] = None
        while len(self._bound) > _MOST_BOUND:
            del self._bound[next(iter(self._bound))]

    def _bind_file(self, asked: Notice, ours: int, address: bytes) -> None:
        """Bind to a path, which the kernel keeps as it was given."""
        folder = asked.folder()

        def bind() -> None:
            os.fchdir(folder)  # nobody else of this process needs a working folder
            _bind(ours, address)

        try:
            self._own.make_socket(bind)
        finally:
            os.chdir("/")
            os.close(folder)

    def _bind_to(self, ours: int, address: bytes) -> None:
        try:
            return _bind(ours, address)
        except OSError as error:
            # A port that was found to be free, or a name, of a socket that has been closed since but for us.
            if error.errno != EADDRINUSE or not self._let_go_of_closed():
                raise
        return _bind(ours, address)

    def _listen(self, asked: Notice) -> int:
        inode = self._meant(asked)
        ours = self._kept.get(inode)
        if ours is None:
            if inode not in self._bound:
                raise OSError(EINVAL, "it is connected")
            return 0  # it listens already
        own = addresses.family_of(_name_of(ours))
        if own != AF_UNIX and inode not in self._bound:
            _bind(ours, addresses.any_port(own))  # else it would listen on all networks
            self._remember(inode)
        check(libc.listen(ours, asked.number_at(1)), "listening")
        self._remember(inode)
        self._let_go(inode)
        return 0

    # -- connected

    def _connect(self, asked: Notice) -> int | None:
        inode = self._meant(asked)
        ours = self._kept.get(inode)
        if ours is None:
            raise OSError(EISCONN, "it is connected, or listens")
        address = self._address(asked)
        family = addresses.family_of(address)
        if family == _UNSPECIFIED:
            _connect(ours, address)
            return 0
        if family == AF_UNIX:
            way = self._to_name(address[2:]) if address[2:3] == b"\0" else self._to_file(asked, address[2:])
        elif family in (AF_INET, AF_INET6):
            way = self._to_port(address)
        else:
            raise OSError(EAFNOSUPPORT, "no such addresses")
        del self._kept[inode]
        if libc.fcntl(ours, _F_GETFL) & _NONBLOCK:
            return self._go(way, inode, ours)
        self._go_in_a_thread(way, asked, inode, ours)
        return None

    def _go_in_a_thread(self, way: "_Way", asked: Notice, inode: int, ours: int) -> None:
        """Connect and answer; it may take until somebody accepts, and others want to be heard meanwhile."""
        import _thread

        if self._waiting >= _MOST_WAITING:
            self._keep(inode, ours)
            raise OSError(EAGAIN, "too many wait")

        def go() -> None:
            try:
                value, error = self._go(way, inode, ours), 0
            except OSError as failure:
                value, error = 0, failure.errno or EPERM
            except Exception:  # noqa: BLE001 - the caller waits for an answer
                value, error = 0, EPERM
            finally:
                self._waiting -= 1
            self._listener.answer(asked, value, error)

        self._waiting += 1
        _thread.start_new_thread(go, ())

    def _go(self, way: "_Way", inode: int, ours: int) -> int:
        try:
            way.go(ours)
        except OSError as error:
            if error.errno == EINPROGRESS:
                os.close(ours)
            else:
                self._keep(inode, ours)  # it may try again
            raise
        os.close(ours)
        return 0

    def _to_file(self, asked: Notice, path: bytes) -> "_Way":
        path = path.partition(b"\0")[0]
        if not path:
            raise OSError(EINVAL, "no path")
        place = asked.place(path)
        if not self._own.hold(place):
            os.close(place)
            raise OSError(EACCES, "somebody else's")
        if not stat.S_ISSOCK(os.fstat(place).st_mode):
            os.close(place)
            raise OSError(ECONNREFUSED, "no socket")
        return _Way(addresses.unix(b"/proc/self/fd/%d\0" % place), lambda: True, place)

    def _to_name(self, name: bytes) -> "_Way":
        if not self._are_own(addresses.listeners_named(name)):
            raise OSError(ECONNREFUSED, "nobody of its own is there")
        return _Way(addresses.unix(name), lambda: not self._others(addresses.listeners_named(name)))

    def _to_port(self, address: bytes) -> "_Way":
        address, host, port = addresses.loopback(address, error=ENETUNREACH)
        if not self._are_own(addresses.listeners_at(host, port)):
            raise OSError(ECONNREFUSED, "nobody of its own is there")

        def leads_home() -> bool:
            return self._are_own(addresses.listeners_at(host, port)) or not self._others_at(host, port)

        return _Way(address, leads_home)

    def _are_own(self, listening: "set[int]") -> bool:
        return bool(listening) and not self._others(listening)

    def _others_at(self, host: bytes, port: int) -> "set[int]":
        return self._others(addresses.listeners_at(host, port, everywhere=True))

    def _others(self, listening: "set[int]") -> "set[int]":
        return {inode for inode in listening if inode not in self._bound}


class _Way:
    """Where a connection goes."""

    def __init__(self, address: bytes, leads_home: "Callable[[], bool]", place: int = -1) -> None:
        self._address = address
        self._leads_home = leads_home
        """Whether nobody else accepts there; that nobody does any more is all right."""
        self._place = place
        """What must stay open until then."""

    def go(self, ours: int) -> None:
        """Connect. Raises `OSError`."""
        try:
            _connect(ours, self._address)
        except OSError as error:
            if error.errno == EINPROGRESS:
                self._look_again(ours)
            raise
        finally:
            if self._place >= 0:
                os.close(self._place)
        self._look_again(ours)

    def _look_again(self, ours: int) -> None:
        """Cut a connection off for which somebody else may have taken the place of whoever accepted there."""
        if not self._leads_home():
            libc.shutdown(ours, _SHUT_BOTH)
            libc.connect(ours, _NOWHERE, len(_NOWHERE))  # and what TCP has received is gone
            raise OSError(ECONNREFUSED, "somebody else's")


def _bind(descriptor: int, address: bytes) -> None:
    check(libc.bind(descriptor, address, len(address)), "binding")


def _connect(descriptor: int, address: bytes) -> None:
    check(libc.connect(descriptor, address, len(address)), "connecting")


def _name_of(descriptor: int) -> bytes:
    """Return the address that a socket is bound to: its family alone where it isn't."""
    address = ctypes.create_string_buffer(addresses.LONGEST)
    size = ctypes.c_uint(addresses.LONGEST)
    check(libc.getsockname(descriptor, address, ctypes.byref(size)), "the name of a socket")
    return address.raw[: size.value]


def _is_ipv6_only(descriptor: int) -> bool:
    value, size = ctypes.c_int(), ctypes.c_uint(struct.calcsize("=i"))
    check(
        libc.getsockopt(descriptor, _IPPROTO_IPV6, _IPV6_V6ONLY, ctypes.byref(value), ctypes.byref(size)),
        "an option of a socket",
    )
    return value.value != 0


def _first_free_port() -> int:
    """Return the first port for programs without a privilege, which this one may have and the caller has not."""
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as stream:
            return int(stream.read())
    except OSError:
        return 1024
