"""What mirrors' own feed says of them, remembered."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from tf_tester.core.feeds import Report, State, reports
from tf_tester.index.mirrors import Mirror
from tf_tester.index.source_histories import Memory


class _Kept(msgspec.Struct, frozen=True):
    state: State
    filled: datetime | None


class FeedMemory:
    """Reports by mirror."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def of(self, mirror: str) -> Report | None:
        kept = self._memory.recall("feed", mirror)
        try:
            known = msgspec.json.decode(kept, type=_Kept) if kept else None
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None
        return None if known is None else Report(known.state, known.filled and known.filled.astimezone(UTC))

    def learn(self, content: bytes, mirrors: dict[str, Mirror]) -> int:
        """How many mirrors the feed knows. Raises `ValueError` where it is no feed."""
        told = reports(content)
        count = 0
        for mirror in mirrors.values():
            # Some have a name of its own for PyPI: the one for packages tells the site.
            hosts = [urlsplit(url).hostname for url in (mirror.url, mirror.apt) if url]
            report = next((told[host] for host in hosts if host in told), None)
            if report is not None:
                count += 1
                self._memory.remember("feed", mirror.name, msgspec.json.encode(_Kept(report.state, report.filled)))
        return count
