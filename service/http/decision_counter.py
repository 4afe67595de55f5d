"""Counts requests and face decisions per minute; a background thread writes the totals to the audit log.

A write for each request would be too slow. Requests are counted by caller, operation and result, faces by decision. At
the end of a minute its counts become leaves of the log, at most `MAX_LEAVES`: further callers share one leaf, so that a
flood of requests does not fill the log. If the store cannot be written, the counts wait; of more than `MAX_WAITING`
minutes the oldest are merged, so only their exact time is lost. At shutdown the current minute is written too. A killed
process loses it, and the log shows that (`volens.store.programs.decision_counts`).
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, TypeAlias, final

from volens.consent import Purpose, VolensError
from volens.service.http.public_operations import PUBLIC_LOG_OPERATIONS
from volens.store.programs import DecisionCount, DecisionLog

MAX_LEAVES: Final = 64
MAX_ANONYMOUS_LEAVES: Final = 4
"""Of these, for callers without a valid credential: they can call all operations, which then share one leaf."""
MAX_WAITING: Final = 60
POLL_S: Final = 1.0
ANONYMOUS: Final = "none"
OTHER: Final = "other"

_MINUTE: Final = timedelta(minutes=1)
_ATTEMPTS: Final = 3
_RESULTS: Final[Mapping[int, str]] = {401: "unknown", 403: "forbidden", 404: "not_found", 429: "too_often"}
_UNCOUNTED: Final = frozenset({"healthz", "readyz", "none"})  # the last: there is no such address
# Programs call these all the time; only refusals are worth a leaf. A reader of the log must not make it grow.
_ROUTINE: Final = frozenset({"read_metrics", "report_door", "kiosk_state"}) | PUBLIC_LOG_OPERATIONS

_Key: TypeAlias = tuple[str, Purpose | None, str]


@final
class _Span:
    """The counts of a span of time: one minute, or several that were merged."""

    def __init__(self, begin: datetime) -> None:
        self.begin = begin
        self.end = begin + _MINUTE
        self._counts: dict[_Key, tuple[Counter[str], Counter[str]]] = {}

    def add(self, key: _Key, results: Mapping[str, int], faces: Mapping[str, int]) -> None:
        if key not in self._counts:
            anonymous = sum(caller == ANONYMOUS for caller, _, _ in self._counts)
            if len(self._counts) >= MAX_LEAVES - 1:
                key = (OTHER, None, OTHER)
            elif key[0] == ANONYMOUS and anonymous >= MAX_ANONYMOUS_LEAVES - 1:
                key = (ANONYMOUS, None, OTHER)
        counted = self._counts.setdefault(key, (Counter(), Counter()))
        counted[0].update(results)
        counted[1].update(faces)

    def merge(self, later: "_Span") -> None:
        self.end = later.end
        for one in later.counts():
            self.add((one.caller, one.zone, one.operation), one.answers, one.faces)

    def counts(self) -> list[DecisionCount]:
        return [DecisionCount(*key, *counted) for key, counted in self._counts.items()]


@final
class DecisionCounter:
    """Counts, and writes in its own thread. Start it when the service is ready; close it before the site."""

    def __init__(self, log: DecisionLog, run: str, clock: Callable[[], datetime]) -> None:
        """Start with empty counts; `run` identifies this start of the service, `clock` returns the site's time."""
        self._log = log
        self._clock = clock
        self._run = run
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._current: _Span | None = None
        self._waiting: deque[_Span] = deque()
        self._start_is_logged = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Log that the service has started, and write the counts of each minute from now on.

        If the store is locked now, the start is logged later, so that the service does not wait.
        """
        if self._thread is not None:
            return
        with suppress(VolensError):
            self.write()
        self._thread = threading.Thread(target=self._run_until_closed, name="decisions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write all counts and the end of the service, in at most `_ATTEMPTS` attempts."""
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join()
        self._thread = None
        for _ in range(_ATTEMPTS):
            with suppress(VolensError):
                self.write(everything=True)
                self._log.ended(self._run)
                return

    def count_request(
        self, caller: str | None, zone: str | None, operation: str, status: int, faces: Mapping[str, int]
    ) -> None:
        """Count one request; `caller` None has no valid credential, `status` 0 is no response."""
        result = _result(status)
        if operation not in _UNCOUNTED and not (operation in _ROUTINE and result == "allowed"):
            self.count(caller or ANONYMOUS, zone, operation, {result: 1}, faces)

    def count(
        self, caller: str, zone: str | None, operation: str, results: Mapping[str, int], faces: Mapping[str, int]
    ) -> None:
        """Count decisions that are not an HTTP request. Does not block, because the event loop calls it."""
        minute = self._clock().replace(second=0)
        with self._lock:
            self._end_span(minute)
            span = self._current = self._current or _Span(minute)
            span.add((caller, None if zone is None else Purpose(zone), operation), results, faces)

    def write(self, *, everything: bool = False) -> None:
        """Write the minutes that have ended; with `everything` also the current one.

        Raises:
            VolensError: the store cannot be written now; what is not written waits.
        """
        with self._writing:
            if not self._start_is_logged:
                self._log.started(self._run)
                self._start_is_logged = True
            with self._lock:
                self._end_span(None if everything else self._clock().replace(second=0))
            while span := self._next():
                try:
                    self._log.counted(self._run, span.begin, span.end, span.counts())
                except VolensError:
                    with self._lock:
                        self._waiting.appendleft(span)
                    raise

    def _next(self) -> _Span | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _end_span(self, minute: datetime | None) -> None:
        """Queue the current span for writing, unless it is of this minute. The caller holds the lock."""
        if self._current is None or self._current.begin == minute:
            return
        self._waiting.append(self._current)
        self._current = None
        if len(self._waiting) > MAX_WAITING:
            oldest = self._waiting.popleft()
            self._waiting[0], later = oldest, self._waiting[0]
            oldest.merge(later)

    def _run_until_closed(self) -> None:
        while not self._ended.wait(POLL_S):
            with suppress(VolensError):  # the store is locked now, or damaged; then the operations report it
                self.write()


def _result(status: int) -> str:
    if status in _RESULTS:
        return _RESULTS[status]
    if status in range(100, 400):
        return "allowed"
    return "unusable" if status in range(400, 500) else "failed"
