"""Locks in a folder, as allow-lists."""

import re
import threading
from pathlib import Path

from tf_tester.core.lockfile import digests_of
from tf_tester.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class LockFolder:
    """Read anew when they change; callable from many threads."""

    def __init__(self, root: Path | None) -> None:
        """None: there are none."""
        self._root = root
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, frozenset[str]]] = {}

    def allowed(self, name: str) -> frozenset[str] | None:
        """The digests in a lock; None where there is none of that name. Raises `ConfigError` for one that is none."""
        if self._root is None or not _NAME.fullmatch(name):
            return None
        file = self._root / name
        try:
            if not file.is_file():
                return None
            changed = file.stat().st_mtime_ns
        except OSError:
            return None
        with self._lock:
            known = self._known.get(name)
            if known is None or known[0] != changed:
                try:
                    known = self._known[name] = changed, frozenset(digests_of(file))
                except ConfigError as error:
                    raise ConfigError(error.message.replace(str(file), name), hint=error.hint) from error
            return known[1]
