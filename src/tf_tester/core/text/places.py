"""Paths in what programs say: of a folder that stands for another one, and as from where somebody stands. Pure."""

import re

_BEFORE = r"(?<![\w./~+-])"
"""What is in front of a path; a path's own end isn't one."""
_UP = 2
"""Folders above his own of which somebody thinks as his: those of a project, at the most."""


def replaced(text: str, folder: str, meant: str) -> str:
    """Return a text with a folder, and all paths in it, named as another one.

    >>> replaced("open('/tmp/scratch/a.txt') in /tmp/scratch", "/tmp/scratch", "/home/me/lib")
    "open('/home/me/lib/a.txt') in /home/me/lib"
    """
    if folder not in text:
        return text
    return re.sub(rf"{re.escape(folder)}(?![\w.-])", lambda _: meant, text)


def seen_from(text: str, folder: str) -> str:
    """Return a text with paths in a folder, and in those right above it, as they are written from there.

    >>> seen_from('File "/home/me/lib/tests/a.py", line 3', "/home/me/lib")
    'File "tests/a.py", line 3'
    >>> seen_from("/home/me/lib/tests/a.py:3, not /srv/home/me/lib/b.py", "/home/me/lib/examples")
    '../tests/a.py:3, not /srv/home/me/lib/b.py'
    """
    own = folder.rstrip("/\\")
    above, place = "", own
    for _ in range(_UP + 1):
        if not re.search(r"[/\\][^/\\]+[/\\]", place):
            break  # what lies below `/home` isn't somebody's own
        if place in text:
            # His own folder keeps its name where nothing in it is meant.
            itself = rf"(?!{re.escape(own[len(place) + 1 :])}(?![\w./\\-]))" if above else ""
            text = re.sub(rf"{_BEFORE}{re.escape(place)}[/\\]{itself}(?=[^\s/\\])", above, text)
        place, above = re.split(r"[/\\][^/\\]*$", place)[0], f"../{above}"
    return text
