"""Ask for the machine's network interfaces, through a socket of any kind and by netlink."""

import array
import fcntl
import socket
import struct

kinds = (
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_DGRAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_NETLINK, socket.SOCK_RAW),
)
for family, kind in kinds:
    try:
        ends = [socket.socket(family, kind)]
    except OSError:
        try:
            ends = list(socket.socketpair(family, kind))
        except OSError:
            continue
    for number in range(1, 9):
        request = array.array("b", struct.pack("16si20x", b"", number))
        try:
            fcntl.ioctl(ends[0], 0x8910, request)  # SIOCGIFNAME
        except OSError:
            continue
        print("interface", request.tobytes()[:16].rstrip(b"\0").decode())
