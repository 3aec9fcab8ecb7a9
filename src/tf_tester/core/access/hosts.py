"""Which hosts may be asked. Pure."""

from collections.abc import Iterable


class HostList:
    """Hosts by name, and all below a name (`*.blob.core.windows.net`)."""

    def __init__(self, patterns: Iterable[str]) -> None:
        names = {pattern.strip().rstrip(".").lower() for pattern in patterns}
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._above = frozenset(name[2:] for name in names if name.startswith("*."))

    def has(self, host: str) -> bool:
        """Tell whether a host is among them.

        >>> hosts = HostList(["files.example", "*.blob.core.windows.net"])
        >>> [hosts.has(name) for name in ("files.example", "a.blob.core.windows.net", "blob.core.windows.net", "evil")]
        [True, True, False, False]
        """
        name = host.rstrip(".").lower()
        if name in self._names:
            return True
        labels = name.split(".")
        return any(".".join(labels[count:]) in self._above for count in range(1, len(labels)))
