"""Which distribution a failure points into: whose code raised it, or who lacks the name that it asks for. Pure."""

import sys
from collections.abc import Mapping

from msgspec import Struct
from packaging.utils import canonicalize_name

from tf_tester.core.outcome.owners import YOURS, file_of_named, named_module, owner_of_file, owner_of_module
from tf_tester.core.outcome.tracebacks import RaisedException, TracebackFrame, chain_of
from tf_tester.core.verdict.missing import DISTRIBUTIONS
from tf_tester.model.outcome import TestRow

_GONE = (
    "aifc asynchat asyncore audioop binhex cgi cgitb chunk crypt distutils dummy_threading formatter imghdr imp "
    "lib2to3 mailcap msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau symbol telnetlib uu xdrlib"
)
"""Modules that Python 3 once had."""
_STANDARD = sys.stdlib_module_names | frozenset(_GONE.split())


class PointedAt(Struct, frozen=True):
    """The distribution into which a failure points."""

    name: str
    """Canonical."""
    lacks: bool
    """It says that a name, or a module, of this distribution isn't there."""
    through: frozenset[str]
    """Other distributions whose code was under way; none: the user's own code asked for it."""
    module: str = ""
    """The one that lacks it, where the message names it."""

    @property
    def is_python(self) -> bool:
        """Whether it is a module of the standard library that lacks it, or is lacking."""
        return self.lacks and self.module.split(".")[0] in _STANDARD

    def told(self, version: str = "") -> str:
        """Return it in half a sentence."""
        name = f"{self.name} {version}".strip()
        return f"the error says that {name} lacks it" if self.lacks else f"the traceback ends in {name}"


def pointed_at(row: TestRow | None, owners: Mapping[str, str]) -> PointedAt | None:
    """Return the distribution that a failure points into; None: the user's own code, or nobody knows."""
    if row is None or row.exception is None:
        return None
    raised = _root(chain_of(row.traceback))
    files = [frame.file for frame in raised.frames] if raised is not None else []
    way = [owner for file in files or [row.exception.file] if (owner := owner_of_file(file, owners)) is not None]
    message = raised.text if raised is not None else f"{row.exception.type}: {row.exception.message}"
    first = message.splitlines()[0] if message else ""
    if "partially initialized module" in first:
        return None
    if module := named_module(first):
        file = file_of_named(first)
        owner = (owner_of_file(file, owners) if file else None) or owner_of_module(module, owners)
        name = _by_name(module) if owner is None else owner  # of one's own project nobody else is to blame
        through = frozenset(way) - {name, YOURS}
        return PointedAt(name, lacks=True, through=through, module=module) if name and way else None
    if not way or way[-1] == YOURS:
        return None
    name = way[-1]
    lacks = first.startswith("AttributeError") and raised is not None and _is_of_module(raised.frames[-1])
    return PointedAt(name, lacks=lacks, through=frozenset(way) - {name, YOURS})


def _root(chain: tuple[RaisedException, ...]) -> RaisedException | None:
    """Return the last exception, or the one that is named as its cause."""
    if not chain:
        return None
    place = len(chain) - 1
    while place > 0 and chain[place - 1].caused_next:
        place -= 1
    return chain[place]


def _is_of_module(frame: TracebackFrame) -> bool:
    """Return whether a module looks up a name of its own (PEP 562); an object's may be of what somebody put into it."""
    return frame.function == "__getattr__" and frame.file.endswith("__init__.py")


def _by_name(module: str) -> str:
    top = module.split(".")[0]
    return str(canonicalize_name(DISTRIBUTIONS.get(top, top).split("<")[0]))
