"""Pending stops: withdrawals that this process obeys already, and retries until the store has recorded them.

1. A consent is stopped in memory before anything is written (`volens.store.StoppedConsents`): no decision of this
   process that begins afterwards matches it.
2. The erasure is tried at once. If the disk is full, the space reserved for stops is released, and it is tried again.
3. If the store still cannot be written, the stop is pending: other processes are told (`Peers`), and `StopPendingError`
   says so to the person. While the store cannot be written, further stops become pending without a try of their own,
   because each try may wait some seconds for a lock.
4. Pending stops are retried with backoff (`retry`), all of them in one batch.
5. A process that was told does 1, keeps the stop as pending, and retries it too, so that the stop outlives the process
   that took it.

Pending stops are in memory only. If every process that has one ends before the commit, the consent is in force again.
Nothing is signed, logged or certified as ended before the commit.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, final

from volens.consent import (
    EndReason,
    ErasureIncompleteError,
    NoLiveConsentError,
    ReceiptId,
    UnavailableError,
    VolensError,
)
from volens.erase.journal import ErasureState, states_of
from volens.erase.procedure import erase_consents
from volens.erase.proof.certify import Erased
from volens.index import Installation
from volens.store.files.stop_reserve import StopReserve

TELL_AFTER_S: Final = 0.1
"""A stop that is not committed after this time is told to the other processes. They follow a commit by themselves."""

HELD_S: Final = 5.0
"""How long a process that was told waits for the one that took the stop, before it tries to commit it too."""

FIRST_RETRY_S: Final = 0.25
_LONGEST_RETRY_S: Final = 5.0

Stop: TypeAlias = tuple[ReceiptId, EndReason]


@final
@dataclass(frozen=True, slots=True)
class PeerAnswers:
    """The answers of the other processes of the site to a stop.

    Attributes:
        confirmed: how many answered that they no longer match the consent.
        unconfirmed: the ids of those that serve the site, as far as is known, and did not answer.
    """

    confirmed: int = 0
    unconfirmed: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """In which processes matching has stopped, and in which perhaps not, for a sentence."""
        others = f" and in {self.confirmed} other{'s' * (self.confirmed != 1)}" if self.confirmed else ""
        but = f", but perhaps not in {', '.join(self.unconfirmed)}, which did not answer" if self.unconfirmed else ""
        return f"in this process{others}{but}"


class Peers(Protocol):
    """The other processes that serve this site on this machine."""

    def tell(self, stops: Sequence[Stop], problem: str) -> PeerAnswers:
        """Tell each of them to stop these consents, and why they are not committed; without writing to a disk."""


class StopPendingError(UnavailableError):
    """A consent no longer matches, but its end is not recorded yet, so that a kill would undo it.

    Attributes:
        answers: the other processes that no longer match it.
    """

    def __init__(self, problem: str, answers: PeerAnswers) -> None:
        """Describe what is promised, and what is not; `problem` is why the store could not be written."""
        super().__init__(
            f"matching has stopped {answers.where}; the withdrawal is not on the disk yet ({problem}); it is retried "
            "until it is; keep the code or receipt: if the service ends before that, the consent is in force again, "
            "and you must withdraw again; ask again later for the certificate"
        )
        self.answers = answers


@final
@dataclass(slots=True, eq=False)
class _Pending:
    """One stop that is not erased yet.

    Attributes:
        not_before: when `retry` may try it, in seconds of the monotonic clock.
        being_tried: a thread is at it, so `retry` leaves it alone.
        problem: why the last try failed; empty if none was made yet.
        is_committed: the consent has ended in the store, and the rest of the erasure is left.
    """

    receipt_ids: tuple[ReceiptId, ...]
    reason: EndReason
    since: float
    not_before: float
    act: Callable[[], None] | None = field(default=None, repr=False)
    being_tried: bool = False
    problem: str = ""
    is_committed: bool = False
    answers: PeerAnswers | None = None


@final
class PendingStops:
    """The pending stops of one open site in this process. Thread-safe.

    Attributes:
        peers: the other processes; None if this one does not know them.
        reserve: disk space reserved for stops.
        problem: why the store could not be written at the last try; None if it could.
        retries: whether a thread calls `work`. Without one, a stop that fails is stopped in memory, and no more.
        changed: set when a stop was added, for that thread.
    """

    def __init__(self, installation: Installation, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without pending stops; `clock` returns seconds and is monotonic."""
        self.peers: Peers | None = None
        self.reserve = StopReserve(installation.home)
        self.problem: str | None = None
        self.retries = False
        self.changed = threading.Event()
        self._installation = installation
        self._stopped = installation.store.stopped
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._failures = 0
        self._retry_at = 0.0

    def take(self, stops: Iterable[Stop], problem: str = "") -> None:
        """Stop consents in memory, and keep the stops for `HELD_S`, so that the first that can commit them does.

        `problem` is why another process could not commit them. Cost: no read and no write.
        """
        for receipt_id, reason in stops:
            pending = self._add(receipt_id, (receipt_id,), reason)
            pending.problem = pending.problem or problem

    def withdraw(self, receipt_id: ReceiptId) -> Erased:
        """End a consent that a person withdrew, and erase its data; the caller has verified their code or receipt.

        Raises:
            StopPendingError: it no longer matches here, but the store cannot be written; `work` goes on.
            UnavailableError: the same, if no thread calls `work`.
            ErasureIncompleteError: the consent has ended in the store, but the erasure is not finished; likewise.
            NoLiveConsentError: it was never given here.
        """
        pending = self._add(receipt_id, (receipt_id,), EndReason.WITHDRAWN)
        if self.retries and self.problem is not None and not self._has_begun(receipt_id):
            pending.problem = self.problem
            raise self.pending_error(receipt_id)
        pending.being_tried = True
        try:
            (erased,) = self._erase([receipt_id], EndReason.WITHDRAWN, pending)
        except UnavailableError as error:
            if not self.retries:
                raise
            self._note_failure(error, [pending])
            raise self.pending_error(receipt_id) from None
        finally:
            pending.being_tried = False
            if not self.retries:
                self._finish([pending])
        self._settle([receipt_id])
        return erased

    def hold(
        self, key: str, receipt_ids: Sequence[ReceiptId], reason: EndReason, act: Callable[[], None], problem: str
    ) -> None:
        """Stop consents in memory, and retry `act`, which ends them, until it succeeds; `key` names it once."""
        pending = self._add(key, receipt_ids, reason, act)
        self._note_failure(UnavailableError(problem), [pending])

    def pending_error(self, receipt_id: ReceiptId) -> StopPendingError:
        """Tell the other processes about a stop that is pending, and return the error about it."""
        with self._lock:
            pending = self._pending.get(receipt_id)
        answers = PeerAnswers() if pending is None else self._tell([pending])
        return StopPendingError(self.problem or "the service is busy", answers)

    def work(self) -> float:
        """Tell the other processes about stops that take long, and retry what is due; return seconds until the next.

        For one thread, which calls it when `changed` is set and after the seconds that it returned.
        """
        now = self._clock()
        with self._lock:
            unfinished = list(self._pending.values())
        late = [
            one
            for one in unfinished
            if one.answers is None and not one.is_committed and now >= one.since + TELL_AFTER_S
        ]
        if late:
            self._tell(late)
        due = [one for one in unfinished if not one.being_tried and now >= max(one.not_before, self._retry_at)]
        if due:
            self._retry(due)
        is_kept = self.reserve.keep()
        with self._lock:
            left = list(self._pending.values())
        if not left:
            return 30.0 if is_kept else 1.0
        is_left_to_tell = any(one.answers is None and not one.is_committed for one in left)
        return TELL_AFTER_S if is_left_to_tell else 0.25

    def waiting(self) -> list[Stop]:
        """Return the stops that are not committed yet, as far as this process knows, to tell another process."""
        with self._lock:
            return [
                (receipt_id, one.reason)
                for one in self._pending.values()
                if not one.is_committed
                for receipt_id in one.receipt_ids
            ]

    def unrecorded(self) -> str | None:
        """Return why a stop could not be committed when it was tried last, here or where it was taken; None if all are.

        It does not depend on whether a sender's message is about a person who is known here.
        """
        with self._lock:
            problems = [one.problem for one in self._pending.values() if one.problem and not one.is_committed]
        return self.problem or next(iter(problems), None)

    def overdue(self) -> tuple[int, float]:
        """Return how many stops could not be committed when they were tried, and the age of the oldest in seconds."""
        with self._lock:
            since = [one.since for one in self._pending.values() if one.problem and not one.is_committed]
        return len(since), self._clock() - min(since, default=self._clock())

    def _add(
        self,
        key: str,
        receipt_ids: Sequence[ReceiptId],
        reason: EndReason,
        act: Callable[[], None] | None = None,
    ) -> _Pending:
        self._stopped.add(receipt_ids)
        now = self._clock()
        with self._lock:
            pending = self._pending.get(key)
            if pending is None:
                pending = _Pending(tuple(receipt_ids), reason, now, now + HELD_S, act)
                self._pending[key] = pending
        self.changed.set()
        return pending

    def _has_begun(self, receipt_id: ReceiptId) -> bool:
        try:
            with self._installation.store.read() as connection:
                return receipt_id in states_of(connection, [receipt_id])
        except UnavailableError:
            return False

    def _erase(self, receipt_ids: Sequence[ReceiptId], reason: EndReason, *of: _Pending) -> list[Erased]:
        def note_commit() -> None:
            for one in of:
                one.is_committed = True

        # 2.
        try:
            return erase_consents(self._installation, receipt_ids, reason, when_stopped=note_commit)
        except (UnavailableError, ErasureIncompleteError):
            if not self.reserve.release():
                raise
        return erase_consents(self._installation, receipt_ids, reason, when_stopped=note_commit)

    def _tell(self, these: Sequence[_Pending]) -> PeerAnswers:
        stops = [(receipt_id, one.reason) for one in these for receipt_id in one.receipt_ids]
        answers = PeerAnswers() if self.peers is None else self.peers.tell(stops, self.problem or "")
        for one in these:
            one.answers = answers
        return answers

    def _retry(self, due: Sequence[_Pending]) -> None:
        # 4.
        alike: dict[object, list[_Pending]] = {}
        for one in due:
            alike.setdefault(one.act or one.reason, []).append(one)
        try:
            for group in alike.values():
                self._try(group)
        except UnavailableError as error:
            self._note_failure(error, due)
        else:
            self.problem, self._failures, self._retry_at = None, 0, 0.0

    def _try(self, group: Sequence[_Pending]) -> None:
        """Try stops of one reason together; those that hinder each other one by one.

        Raises:
            UnavailableError: the store cannot be written, so that no other stop need be tried now.
        """
        ids = [receipt_id for one in group for receipt_id in one.receipt_ids]
        try:
            if group[0].act is None:
                self._erase(ids, group[0].reason, *group)
                self._settle(ids)
            else:
                group[0].act()
                self._finish(group)
        except UnavailableError:
            self._settle(ids)
            raise
        except ErasureIncompleteError as error:
            self._settle(ids)
            self._postpone(group, error)
        except Exception as error:  # noqa: BLE001  whatever it is, the thread goes on
            if len(group) > 1:
                for one in group:
                    self._try([one])
            elif isinstance(error, NoLiveConsentError):
                self._finish(group)  # never given here, such as before a restore
            else:
                self._postpone(group, error)

    def _postpone(self, group: Iterable[_Pending], error: Exception) -> None:
        for one in group:
            one.problem, one.not_before = _sentence(error), self._clock() + _LONGEST_RETRY_S

    def _settle(self, receipt_ids: Sequence[ReceiptId]) -> None:
        """Forget the stops whose erasure is finished, by any process."""
        try:
            with self._installation.store.read() as connection:
                states = states_of(connection, receipt_ids)
        except UnavailableError:
            return
        with self._lock:
            for receipt_id, state in states.items():
                pending = self._pending.get(receipt_id)
                if pending is not None:
                    pending.is_committed = True
                    if state is ErasureState.NOTIFIED:
                        del self._pending[receipt_id]

    def _finish(self, done: Sequence[_Pending]) -> None:
        with self._lock:
            self._pending = {key: one for key, one in self._pending.items() if one not in done}

    def _note_failure(self, error: UnavailableError, of: Iterable[_Pending]) -> None:
        self.problem = _sentence(error)
        for one in of:
            one.problem, one.not_before = self.problem, 0.0
        self._retry_at = self._clock() + retry_pause_s(self._failures)
        self._failures += 1
        self.changed.set()


def retry_pause_s(failures: int) -> float:
    """Return the seconds to wait before the next try, after so many tries that failed before the last one."""
    return min(_LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures, 8))


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, VolensError) else f"internal error ({type(error).__name__})"
