"""Revoking leases: in the transaction of whatever ends or changes what doors may decide.

The whole lease is revoked, not the part about one person: the door drops it, says so, and asks for another one. So the
door does not learn who it was, and the store keeps no list of who is in which lease.
"""

from typing import Any

from sqlalchemy import ColumnElement, update

from volens.consent import Purpose
from volens.store.schema.data_tables import lease as table
from volens.store.store import Transaction


def revoke_leases(tx: Transaction, purpose: Purpose | None = None, *, credential_id: str | None = None) -> int:
    """Revoke the leases in force of a zone or of a door, and return how many. A repeated call changes nothing."""
    its = table.c
    whose: list[ColumnElement[Any]] = [its.purpose == purpose] if credential_id is None else []
    whose += [] if credential_id is None else [its.credential_id == credential_id]
    in_force = (its.revoked_at.is_(None), its.acknowledged_at.is_(None), its.ends_at > tx.now)
    return tx.connection.execute(update(table).where(*whose, *in_force).values(revoked_at=tx.now)).rowcount
