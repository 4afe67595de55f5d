"""Restriction of processing (GDPR 18): matching stops at the person's request, and nothing is erased.

One row says that a consent is restricted. It is sealed with the consent, so that no other program lifts it, and a
renewed consent takes it over. The term of the consent goes on running.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from volens.consent import ModelId, NoLiveConsentError, Purpose, ReceiptId, ReferenceId
from volens.store.people.consents import live_owner
from volens.store.prepared_query import PreparedQuery, ReadSnapshot
from volens.store.promises.lease_revocation import revoke_leases
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import restriction as table
from volens.store.transaction import Transaction

RESTRICTED: Final = "consent.restricted"
RESUMED: Final = "consent.resumed"
_ONE: Final = PreparedQuery(select(table.c.receipt_id).where(table.c.receipt_id == bindparam("of")))
_reference = tables.biometric_reference.c
_BATCH: Final = 500


def restrict(tx: Transaction, receipt_id: ReceiptId) -> datetime:
    """Restrict a consent in force, and log it; return since when it is restricted. A repeated call changes nothing.

    Raises:
        NoLiveConsentError: no consent of this receipt is in force.
        TamperError: its rows were changed by another program; it is closed anyway.
    """
    owner = live_owner(tx.connection, receipt_id)
    if owner is None:
        raise _ended()
    since = restricted_since(tx.connection, receipt_id)
    if since is not None:
        return since
    with tx.changing(Scope.CONSENT, [receipt_id]):
        tx.connection.execute(insert(table), {**owner, "restricted_at": tx.now})
        revoke_leases(tx, Purpose(str(owner["purpose"])))
        tx.log(RESTRICTED, owner, receipt_id=receipt_id)
    return tx.now


def lift_restriction(tx: Transaction, receipt_id: ReceiptId) -> bool:
    """Lift the restriction of a consent in force, and log it; False if there was none.

    Raises:
        NoLiveConsentError, TamperError: see `restrict`.

    Not checked: that the person wants it; the caller has their code or receipt, or the desk has checked who they are.
    """
    owner = live_owner(tx.connection, receipt_id)
    if owner is None:
        raise _ended()
    if restricted_since(tx.connection, receipt_id) is None:
        return False
    with tx.changing(Scope.CONSENT, [receipt_id]):
        tx.connection.execute(delete(table).where(table.c.receipt_id == receipt_id))
        tx.log(RESUMED, owner, receipt_id=receipt_id)
    return True


def restricted_since(connection: Connection, receipt_id: ReceiptId) -> datetime | None:
    """Return since when a consent is restricted; None if it is not."""
    return connection.scalar(select(table.c.restricted_at).where(table.c.receipt_id == receipt_id))


def is_restricted(snapshot: Connection | ReadSnapshot, receipt_id: ReceiptId) -> bool:
    """Return whether a consent is restricted."""
    return bool(_ONE.rows(snapshot, {"of": receipt_id}))


def restricted_references(connection: Connection, purpose: Purpose, model_id: ModelId) -> frozenset[ReferenceId]:
    """Return the references of a gallery whose consents are restricted."""
    # In two steps: joined, SQLite may read all references of the zone instead.
    restricted = list(connection.scalars(select(table.c.receipt_id).where(table.c.purpose == purpose)))
    found: set[ReferenceId] = set()
    for start in range(0, len(restricted), _BATCH):
        query = select(_reference.reference_id).where(
            _reference.receipt_id.in_(restricted[start : start + _BATCH]), _reference.model_id == model_id
        )
        found.update(ReferenceId(one) for one in connection.scalars(query))
    return frozenset(found)


def _ended() -> NoLiveConsentError:
    return NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
