"""Decisions of a service, counted as they are made, and written into the audit log behind everybody's back.

A write for each request would be too dear, so requests are counted by caller, operation and answer, and faces by what
was decided about them. When a minute is over, its counts become leaves of the log, at most `MAX_LEAVES` of them: who
comes after that many is summed up, so that no flood fills the log. A store that cannot be written keeps them waiting;
of more than `MAX_WAITING` minutes the oldest are added up, and nothing is lost but when it was. At the end the running
minute is written too. A killed process loses it, and the log shows that (`volens.store.programs.decision_counts`).
"""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias, final

from volens.consent import Purpose, VolensError
from volens.store.programs import DecisionLog
from volens.store.programs.decision_counts import Counted

MAX_LEAVES: Final = 64
MAX_OF_NOBODY: Final = 4
"""Of these, for who showed nothing that is in force: more operations are one. They need no credential to ask each."""
MAX_WAITING: Final = 60
POLL_S: Final = 1.0
NOBODY: Final = "none"
OTHER: Final = "other"

_MINUTE: Final = timedelta(minutes=1)
_ATTEMPTS: Final = 3
_ANSWERS: Final[Mapping[int, str]] = {401: "unknown", 403: "forbidden", 404: "not_found", 429: "too_often"}
_DECIDES_NOTHING: Final = frozenset({"healthz", "readyz", "none"})  # the last: no such address
# Asked for all the time by programs; only who was refused is worth a line of the log.
_ROUTINE: Final = frozenset({"read_metrics"})

_Key: TypeAlias = tuple[str, Purpose | None, str]


@final
@dataclass(slots=True)
class _Tally:
    answers: Counter[str] = field(default_factory=Counter)
    faces: Counter[str] = field(default_factory=Counter)

    def add(self, answers: Mapping[str, int], faces: Mapping[str, int]) -> None:
        self.answers.update(answers)
        self.faces.update(faces)


@final
class _Span:
    """The counts of some time: one minute, or several that were added up."""

    def __init__(self, begin: datetime) -> None:
        self.begin = begin
        self.end = begin + _MINUTE
        self._tallies: dict[_Key, _Tally] = {}

    def add(self, key: _Key, answers: Mapping[str, int], faces: Mapping[str, int]) -> None:
        if key not in self._tallies:
            of_nobody = sum(caller == NOBODY for caller, _, _ in self._tallies)
            if len(self._tallies) >= MAX_LEAVES - 1:
                key = (OTHER, None, OTHER)
            elif key[0] == NOBODY and of_nobody >= MAX_OF_NOBODY - 1:
                key = (NOBODY, None, OTHER)
        self._tallies.setdefault(key, _Tally()).add(answers, faces)

    def take_in(self, later: "_Span") -> None:
        """Add up with another, which comes after this one."""
        self.end = later.end
        for key, tally in later._tallies.items():  # noqa: SLF001  of the same class
            self.add(key, tally.answers, tally.faces)

    def counted(self) -> Iterable[Counted]:
        return [Counted(*key, tally.answers, tally.faces) for key, tally in self._tallies.items()]


@final
class Decisions:
    """Counts, and writes in a thread of its own. Start it when requests are answered; close it before the site."""

    def __init__(self, log: DecisionLog, run: str) -> None:
        """Count nothing yet; `run` tells this start of a service from others."""
        self._log = log
        self._run = run
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._now: _Span | None = None
        self._waiting: deque[_Span] = deque()
        self._is_told = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Log that the service has started, and write from now on what was counted, minute by minute.

        A store that is locked just now keeps nobody waiting for the service: then it is logged later.
        """
        if self._thread is not None:
            return
        with suppress(VolensError):
            self.write()
        self._thread = threading.Thread(target=self._run_on, name="decisions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write everything that was counted, and that the service has ended; try it `_ATTEMPTS` times."""
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

    def answered(
        self, caller: str | None, zone: str | None, operation: str, status: int, faces: Mapping[str, int]
    ) -> None:
        """Count one request.

        Args:
            caller: as logs know them; None if nothing in force was shown.
            zone: the caller's only one.
            operation: by name.
            status: of HTTP; 0 if nothing was answered.
            faces: what was decided about faces, and about how many.
        """
        answer = _answer(status)
        if operation not in _DECIDES_NOTHING and not (operation in _ROUTINE and answer == "allowed"):
            self.count(caller or NOBODY, zone, operation, {answer: 1}, faces)

    def count(
        self, caller: str, zone: str | None, operation: str, answers: Mapping[str, int], faces: Mapping[str, int]
    ) -> None:
        """Count what was decided; for whatever is no request of HTTP. Takes no time: it may be the event loop's."""
        minute = self._log.now().replace(second=0)
        with self._lock:
            self._roll(minute)
            span = self._now = self._now or _Span(minute)
            span.add((caller, None if zone is None else Purpose(zone), operation), answers, faces)

    def write(self, *, everything: bool = False) -> None:
        """Write the minutes that are over; `everything` also the one that is not.

        Raises:
            VolensError: the store cannot be written now; what is not written waits.
        """
        with self._writing:
            if not self._is_told:
                self._log.started(self._run)
                self._is_told = True
            with self._lock:
                self._roll(None if everything else self._log.now().replace(second=0))
            while span := self._next():
                try:
                    self._log.counted(self._run, span.begin, span.end, list(span.counted()))
                except VolensError:
                    with self._lock:
                        self._waiting.appendleft(span)
                    raise

    def _next(self) -> _Span | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _roll(self, minute: datetime | None) -> None:
        """Let a minute that is over wait to be written. The lock is held."""
        if self._now is None or self._now.begin == minute:
            return
        self._waiting.append(self._now)
        self._now = None
        if len(self._waiting) > MAX_WAITING:
            oldest = self._waiting.popleft()
            self._waiting[0], later = oldest, self._waiting[0]
            oldest.take_in(later)

    def _run_on(self) -> None:
        while not self._ended.wait(POLL_S):
            with suppress(VolensError):  # a store that is locked now, or broken: then doors say so
                self.write()


def _answer(status: int) -> str:
    if status in _ANSWERS:
        return _ANSWERS[status]
    if status in range(100, 400):
        return "allowed"
    return "unusable" if status in range(400, 500) else "failed"
