"""What becomes of one test, from its start to the event ``test``."""

from .events import clip
from .failures import message_of
from .measure import Stopwatch, peak_memory
from .shown_warnings import WarningCollector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from .session import HarnessSession

MOST_REMARKS = 100
STATUSES = ("pass", "skip", "empty", "error", "fail", "crash")
"""From weak to strong: of the judgements of one test (setup, call, teardown, subtests) the strongest stays."""


class OpenRow:
    """The row of one test until it is written."""

    def __init__(self, session: "HarnessSession", id: str, shown_warnings: "WarningCollector | None" = None) -> None:
        self.id = id
        self.status = "pass"
        self.exception = None  # type: dict[str, Any] | None
        self.traceback = ""
        self.stdout = ""
        self.stderr = ""
        self.parts_stdout = ""
        self.parts_stderr = ""
        self.reason = None  # type: str | None
        self.shown_warnings = shown_warnings or WarningCollector()
        self.remarks = []  # type: list[str]
        self.exit_code = None  # type: int | None
        self.could_not_begin = False
        self._session = session
        self._stopwatch = Stopwatch()
        self._recorded = None  # type: int | None

    def start(self) -> "OpenRow":
        """Announce the test, so that the parent knows what ran when the process dies."""
        self._session.events.write("test-start", id=self.id)
        self._recorded = self._session.recorded()
        self._stopwatch = Stopwatch()
        return self

    def judge(self, status: str, reason: object = None) -> bool:
        """Take a status if it is stronger than the one so far; the evidence then belongs to it."""
        stronger = STATUSES.index(status) > STATUSES.index(self.status)
        if stronger:
            self.status = status
            # unittest takes any object for one
            self.reason = reason if reason is None or isinstance(reason, str) else message_of(reason)
            self.exception, self.traceback = None, ""
        return stronger

    def expect(self, reason: str) -> None:
        """Note that it failed as it was expected to: that is a pass with a reason."""
        if self.status == "pass":
            self.reason = reason

    def blame(self, status: str, error: BaseException, trace: "TracebackType | None", whole: bool = False) -> None:
        """Judge by an exception."""
        if self.judge(status):
            self.exception, self.traceback = self._session.tell(error, trace, whole)

    def add_part(self, stdout: str, stderr: str) -> None:
        """Keep what a subtest printed; it comes before what is printed outside of subtests."""
        self.parts_stdout += stdout
        self.parts_stderr += stderr

    def measure(self) -> "dict[str, Any]":
        """Return times and memory so far."""
        measured = self._stopwatch.read()  # type: dict[str, Any]
        measured["peak_rss_kib"] = peak_memory()
        return measured

    def finish(self) -> None:
        """Write the row, and before it which values the test has recorded."""
        measured = self.measure()
        recorded = self._session.recorded()
        if self._recorded is not None and recorded is not None and recorded > self._recorded:
            self._session.events.write("values", id=self.id, start=self._recorded, end=recorded)
        limit = self._session.limit
        stdout, stderr = self.parts_stdout + self.stdout, self.parts_stderr + self.stderr
        if self.status == "pass" and "Traceback (most recent call last)" in stdout + stderr:
            self.remarks.append("passed, but printed a traceback")
        self._session.events.write(
            "test",
            id=self.id,
            status=self.status,
            exception=self.exception,
            traceback=clip(self.traceback, limit),
            stdout=clip(stdout, limit),
            stderr=clip(stderr, limit),
            reason=None if self.reason is None else clip(self.reason, limit),
            warnings=self.shown_warnings.take(),
            remarks=[clip(remark, limit) for remark in self.remarks[:MOST_REMARKS]],
            exit_code=self.exit_code,
            could_not_begin=self.could_not_begin,
            **measured,
        )
