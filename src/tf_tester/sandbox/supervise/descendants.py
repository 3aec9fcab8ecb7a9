"""What the processes hold that descend from one; standard library only."""

import os

_SOCKET = "socket:["


def sockets_of_descendants(process: int) -> "set[int] | None":
    """Return the inodes of all sockets that a process's descendants have open; None where that isn't to be known.

    Not of those that are on their way from one to another through a socket.
    """
    found: set[int] = set()
    # Whoever is forked while the first look lasts is seen by the second, whatever its parent closes meanwhile.
    for _ in range(2):
        descendants = _descendants(process)
        for held in map(_sockets_of, descendants):
            if held is None:
                return None
            found |= held
        if not descendants:
            return None  # a kernel that tells nobody's children
    return found


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    waiting = [process]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(process: int) -> list[int]:
    found: list[int] = []
    for task in _names(f"/proc/{process}/task") or ():
        try:
            with open(f"/proc/{process}/task/{task}/children", encoding="ascii") as stream:
                found += map(int, stream.read().split())
        except OSError:
            pass  # it has ended
    return found


def _sockets_of(process: int) -> "set[int] | None":
    folder = f"/proc/{process}/fd"
    names = _names(folder)
    if names is None:
        return None
    found = set()
    for name in names:
        try:
            link = os.readlink(f"{folder}/{name}")
        except OSError:
            continue  # it is closed by now
        if link.startswith(_SOCKET):
            found.add(int(link[len(_SOCKET) : -1]))
    return found


def _names(folder: str) -> "list[str] | None":
    """Return what is in a folder: nothing of a process that has ended, None of one that can't be looked at."""
    try:
        return os.listdir(folder)
    except PermissionError:
        return None
    except OSError:
        return []
