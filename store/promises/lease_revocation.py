"""Revoking leases: in the transaction of whatever ends or changes what doors may decide.

The whole lease is revoked, not the part about one person: the door drops it, says so, and asks for another one. So the
door does not learn who it was, and the store keeps no list of who is in which lease.
"""

from dataclasses import replace

from volens.consent import Purpose
from volens.store.promises.lease_rows import change_lease, read_leases
from volens.store.schema.data_tables import lease as table
from volens.store.transaction import Transaction


def revoke_leases(tx: Transaction, purpose: Purpose | None = None, *, credential_id: str | None = None) -> int:
    """Revoke the leases in force of a zone or of a door, and return how many. A repeated call changes nothing.

    If the wall clock was set forward since a lease was given, its end is moved to when it really ends.
    Not revoked: rows that another program has changed; see `lease_rows.uncertain_doors`.
    """
    its, revoked = table.c, 0
    whose = its.purpose == purpose if credential_id is None else its.credential_id == credential_id
    held, _broken = read_leases(tx.connection, whose, its.acknowledged_at.is_(None))
    for row in held:
        ends_at = row.end(tx)
        if ends_at <= tx.now or (row.revoked_at is not None and ends_at == row.ends_at):
            continue
        change_lease(tx, replace(row, ends_at=ends_at, revoked_at=row.revoked_at or tx.now))
        revoked += row.revoked_at is None
    return revoked
