"""Pending restrictions: pauses (GDPR 18) that this process obeys already, and retries until they are recorded.

1. A consent is paused in memory before anything is written (`Store.paused`): no decision of this process that begins
   afterwards matches it.
2. The restriction is written at once. When it is, its row decides, and the consent leaves the memory.
3. If the store cannot be written (a full disk, a lock), the restriction is pending: other processes are told
   (`RestrictionPeers`), and `RestrictionPendingError` says so to the person. It is retried with backoff (`work`).
4. A process that was told does 1, and retries too, so that the pause outlives the process that took it. When one of
   them has recorded or lifted it, it tells the others, which forget theirs.

Pending restrictions are in memory only: if every process that has one ends before the commit, the person is matched
again. If a process cannot be told of a lifting, it may pause the person once more: the safe side.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, final

from volens.consent import ReceiptId, UnavailableError, VolensError
from volens.erase import PeerAnswers
from volens.erase.pending_stops import FIRST_RETRY_S, HELD_S, retry_pause_s
from volens.store import Store
from volens.store.people.restrictions import lift_restriction, restrict, restricted_since
from volens.store.programs import MessageKind, enqueue

_IDLE_S: Final = 30.0


class RestrictionPeers(Protocol):
    """The other processes that serve this site on this machine."""

    def tell_restrictions(self, receipt_ids: Sequence[ReceiptId], problem: str) -> PeerAnswers:
        """Tell each of them to pause these consents, and why that is not recorded; without writing to a disk."""

    def settle_restrictions(self, receipt_ids: Sequence[ReceiptId]) -> None:
        """Tell each of them that the store says now whether these consents are restricted."""


class RestrictionPendingError(UnavailableError):
    """A consent no longer matches, but its restriction is not recorded yet, so that a kill would undo it.

    Attributes:
        answers: the other processes that no longer match it.
    """

    def __init__(self, problem: str, answers: PeerAnswers) -> None:
        """Describe what is promised, and what is not; `problem` is why the store could not be written."""
        super().__init__(
            f"matching has stopped {answers.where}; the restriction is not on the disk yet ({problem}); it is retried "
            "until it is; if the service ends before that, the person is matched again, and you must "
            "restrict the consent again; nothing was erased"
        )
        self.answers = answers


@final
@dataclass(slots=True, eq=False)
class _Pending:
    """One restriction that is not recorded yet; `retry_at` is in seconds of the monotonic clock."""

    retry_at: float
    problem: str = ""
    failures: int = 0


@final
class PendingRestrictions:
    """Restricts consents of one open site, and retries what the store could not record. Thread-safe.

    Attributes:
        peers: the other processes; None if this one does not know them.
        retries: whether a thread calls `work`. Without one, a restriction that cannot be written is refused.
        wake: called when a restriction became pending, for that thread.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without pending restrictions; `clock` returns seconds and is monotonic."""
        self.peers: RestrictionPeers | None = None
        self.retries = False
        self.wake: Callable[[], None] = lambda: None
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[ReceiptId, _Pending] = {}

    def restrict(self, receipt_id: ReceiptId) -> datetime:
        """Do steps 1 to 3; return since when the consent is restricted.

        Raises:
            RestrictionPendingError: it no longer matches here, but the store cannot be written; `work` goes on.
            UnavailableError: the store cannot be written, and no thread calls `work`: nothing is restricted.
            NoLiveConsentError, TamperError: see `volens.store.people.restrictions.restrict`; nothing is restricted.
        """
        # 1.
        self._store.paused.add([receipt_id])
        try:
            # 2.
            since = self._record(receipt_id)
        except UnavailableError as error:
            if not self.retries:
                self._forget([receipt_id])
                raise
            # 3.
            self._note_failure(receipt_id, error)
            answers = PeerAnswers() if self.peers is None else self.peers.tell_restrictions([receipt_id], str(error))
            raise RestrictionPendingError(str(error), answers) from None
        except VolensError:
            self._settle(receipt_id)
            raise
        self._settle(receipt_id)
        return since

    def lift(self, receipt_id: ReceiptId) -> bool:
        """Lift a restriction, recorded or pending; False if there was none.

        Raises:
            NoLiveConsentError: no consent of this receipt is in force.
            UnavailableError: the store cannot be written, and has the restriction.
        """
        try:
            with self._store.write() as tx:
                is_lifted = lift_restriction(tx, receipt_id)
                if is_lifted:
                    enqueue(tx, MessageKind.CONSENT_RESUMED, {receipt_id: {}})
        except UnavailableError:
            with self._store.read() as connection:
                is_recorded = restricted_since(connection, receipt_id) is not None
            if is_recorded or not self._settle(receipt_id):
                raise
            return True
        was_pending = self._settle(receipt_id)
        return is_lifted or was_pending

    def take(self, receipt_ids: Sequence[ReceiptId], problem: str) -> None:
        """Pause consents that another process could not record; cost: no read and no write."""
        self._store.paused.add(receipt_ids)
        with self._lock:
            for one in receipt_ids:
                self._pending.setdefault(one, _Pending(self._clock() + HELD_S, problem))
        self.wake()

    def drop(self, receipt_ids: Sequence[ReceiptId]) -> None:
        """Forget pending restrictions, because the store says now whether these consents are restricted."""
        self._forget(receipt_ids)

    def waiting(self) -> list[ReceiptId]:
        """Return the consents whose restriction is not recorded, as far as this process knows."""
        with self._lock:
            return list(self._pending)

    def unrecorded(self) -> str | None:
        """Return why a restriction could not be recorded when it was tried last; None if all are."""
        with self._lock:
            return next((one.problem for one in self._pending.values() if one.problem), None)

    def work(self) -> float:
        """Retry what is due, and return the seconds until the next try. For one thread."""
        now = self._clock()
        with self._lock:
            due = [receipt_id for receipt_id, one in self._pending.items() if one.retry_at <= now]
        for receipt_id in due:
            try:
                self._record(receipt_id)
            except UnavailableError as error:
                self._note_failure(receipt_id, error)
                break  # the others would fail too
            except VolensError:
                self._settle(receipt_id)  # the consent has ended, or is closed anyway
            else:
                self._settle(receipt_id)
        with self._lock:
            next_at = min((one.retry_at for one in self._pending.values()), default=self._clock() + _IDLE_S)
        return max(FIRST_RETRY_S, next_at - self._clock())

    def _record(self, receipt_id: ReceiptId) -> datetime:
        with self._store.write() as tx:
            before = restricted_since(tx.connection, receipt_id)
            since = restrict(tx, receipt_id)
            if before is None:
                enqueue(tx, MessageKind.CONSENT_RESTRICTED, {receipt_id: {}})
            return since

    def _note_failure(self, receipt_id: ReceiptId, error: UnavailableError) -> None:
        with self._lock:
            pending = self._pending.setdefault(receipt_id, _Pending(0.0))
            pending.retry_at = self._clock() + retry_pause_s(pending.failures)
            pending.problem, pending.failures = str(error), pending.failures + 1
        self.wake()

    def _settle(self, receipt_id: ReceiptId) -> bool:
        """Forget a pending restriction here and elsewhere; False if there was none."""
        was_pending = self._forget([receipt_id])
        if was_pending and self.peers is not None:
            self.peers.settle_restrictions([receipt_id])
        return was_pending

    def _forget(self, receipt_ids: Sequence[ReceiptId]) -> bool:
        with self._lock:
            known = [one for one in receipt_ids if self._pending.pop(one, None) is not None]
        self._store.paused.discard(receipt_ids)
        return bool(known)
