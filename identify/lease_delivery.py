"""What a door decided with a lease is recorded when it is connected again: a visit of the person, by the minute.

A decision counts if the site made its handle for this door and this lease, and the person's consent is still in force;
of a person who left meanwhile nothing is recorded. No one's name or face is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from volens.consent import ModelId, Purpose, TamperError
from volens.store import Store
from volens.store.keys.lease_boxes import open_handle
from volens.store.people.references import receipt_of_reference
from volens.store.people.visits import VisitKind, add_visits, unrecorded_visits

LONGEST_OUTAGE: Final = timedelta(days=7)
DELIVERED: Final = "door.delivered"


@final
@dataclass(frozen=True, slots=True)
class LeasedDecision:
    """A match at a door without a connection; `who` is the handle of the person in that lease."""

    lease_id: str
    minute: datetime
    who: bytes


def record_leased_decisions(
    store: Store, door_id: str, purpose: Purpose, model_id: ModelId, decisions: Sequence[LeasedDecision]
) -> int:
    """Record the visits of an outage that may be recorded, and return how many decisions counted.

    Repeated decisions are recorded once. Those of the future, or older than `LONGEST_OUTAGE`, do not count.

    Raises:
        UnavailableError: the store cannot be written.
    """
    count = 0
    with store.write() as tx:
        for one in decisions:
            if not tx.now - LONGEST_OUTAGE <= one.minute <= tx.now:
                continue
            try:
                reference_id = open_handle(store.keyring, one.who, door_id, one.lease_id)
            except TamperError:
                continue
            receipt_id = receipt_of_reference(tx.connection, purpose, reference_id)
            if receipt_id is None:
                continue
            count += 1
            visits = unrecorded_visits(tx.connection, [receipt_id], VisitKind.IDENTIFIED, one.minute)
            add_visits(tx, visits, VisitKind.IDENTIFIED, model_id, door_id, one.minute)
        details: dict[str, str | int] = {
            "credential": door_id,
            "zone": purpose,
            "delivered": len(decisions),
            "recorded": count,
        }
        tx.log(DELIVERED, details)
    return count
