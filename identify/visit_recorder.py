"""Records each visit once: interaction, passage row, log leaf and `door.decision` message, in one transaction.

`volens.store.people.visits` defines a visit and what is kept of it.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import final

from volens.consent import ModelId, ReceiptId, UnavailableError
from volens.store import Store
from volens.store.people.visits import VISIT, VisitKind, add_visits, unrecorded_visits
from volens.store.programs import MessageKind, enqueue
from volens.store.programs.outbox import decisions_due


@final
class VisitRecorder:
    """Records visits after the decision, which no error here changes. One for each open site; thread-safe.

    Remembers the consents that matched within the last 10 s, so that a visit that goes on costs no query. Other
    processes have their own memory: their records are found in the data file.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._matched_at: dict[tuple[ReceiptId, VisitKind], datetime] = {}

    def record(
        self, receipt_ids: Sequence[ReceiptId], kind: VisitKind, model_id: ModelId, caller: str | None = None
    ) -> None:
        """Record the visits that begin with these matches.

        1. Matches of a visit that goes on are left out.
        2. The store is asked whether any record is missing.
        3. If so, what is still missing under the write lock is written in one transaction: another door may have been
           faster, or a withdrawal.

        A data file that is locked or cannot be written must not keep a door shut: then nothing is recorded, and the
        next match of the same visit tries again. `caller` as in `Recognizer.identify`.

        Raises:
            TamperError: the data file was replaced by an older one.
        """
        now = self._store.now()
        # 1.
        beginning = self._beginning(receipt_ids, kind, now)
        if not beginning:
            return
        with suppress(UnavailableError):
            # 2.
            with self._store.data.read_each() as reads:
                missing = unrecorded_visits(reads, beginning, kind, now) or decisions_due(reads, beginning, now)
            # 3.
            if missing:
                with self._store.write(wait=False) as tx:
                    add_visits(tx, unrecorded_visits(tx.connection, beginning, kind, now), kind, model_id, caller, now)
                    due = decisions_due(tx.connection, beginning, now)
                    enqueue(tx, MessageKind.DOOR_DECISION, {one: {"decision": "match"} for one in due})
            with self._lock:
                self._matched_at |= {(one, kind): now for one in beginning}

    def _beginning(self, receipt_ids: Sequence[ReceiptId], kind: VisitKind, now: datetime) -> list[ReceiptId]:
        """Return the consents whose visit begins now, and extend the visits of the others."""
        with self._lock:
            self._matched_at = {one: at for one, at in self._matched_at.items() if timedelta() <= now - at < VISIT}
            self._matched_at |= {(one, kind): now for one in receipt_ids if (one, kind) in self._matched_at}
            return [one for one in dict.fromkeys(receipt_ids) if (one, kind) not in self._matched_at]
