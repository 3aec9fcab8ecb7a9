"""Which memos a bundle carries to another machine."""

import re

from tf_tester.ports.memory import Needed
from tf_tester.store.memos.table import BUILT, KINDS, LOCK, RESULT, UNSTEADY

_DIGEST = re.compile(r"[0-9a-f]{64}")

PORTABLE = tuple(sorted(kind.name for kind in KINDS.values() if kind.is_portable))


def goes_along(kind: str, key: str, needed: Needed | None) -> bool:
    """Return whether a memo of a portable kind goes along with what is needed; None: everything goes."""
    if needed is None:
        return True
    if kind in (RESULT.name, UNSTEADY.name):
        return False  # a key doesn't tell whose result it is
    if kind == LOCK.name:
        return key in needed.locks
    # What is known of an sdist goes along: only locks say which wheel was built from it.
    return kind == BUILT.name or not _DIGEST.match(key) or key[:64] in needed.digests
