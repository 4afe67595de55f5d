"""Rollback detection: the keyring keeps a copy of the log and of ended consents, so an older data file is noticed.

Leaves, ends and head are copied in one keyring transaction after each commit of the data file. So a keyring that has
the first n leaves also has every end that they report. After a crash between the two commits it is behind, and catches
up at the next write or opening; it is never ahead.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, func, insert, select, text, update

from volens.audit import read_leaf, root
from volens.consent import EndReason, ReceiptId, TamperError
from volens.store.keys.keyring import Keyring
from volens.store.log import audit_log
from volens.store.schema import data_tables as tables
from volens.store.schema import keyring_tables

CONSENT_ENDED: Final = "consent.ended"
CONSENT_GIVEN: Final = "consent.given"


def remember(keyring: Keyring, connection: Connection, *, wait: bool = True) -> None:
    """Bring the keyring up to date with the data file; what it has already is not changed.

    `connection` is a snapshot of the data file, whose log is known to continue the one in the keyring. With
    `wait=False`, raise at once if another process holds the write lock; see `StoreEngine.write`.
    """
    size = audit_log.log_size(connection)
    with keyring.write(wait=wait) as kept:
        leaf = tables.audit_event.c
        newest = kept.scalar(select(func.max(keyring_tables.log_leaf.c.seq)))
        known = 0 if newest is None else newest + 1
        query = select(leaf.seq, leaf.leaf).where(leaf.seq >= known).order_by(leaf.seq)
        rows = [{"seq": row.seq, "leaf": row.leaf} for row in connection.execute(query)]
        if rows:
            kept.execute(insert(keyring_tables.log_leaf), rows)
        if any(read_leaf(row["leaf"])[0] == CONSENT_ENDED for row in rows):
            _remember_ends(kept, connection)
        kept.execute(
            update(keyring_tables.keyring)
            .where(keyring_tables.keyring.c.log_size < size)
            .values(log_size=size, log_root=root(size, audit_log.node_reader(connection)))
        )


def remembered_leaves(keyring: Keyring) -> list[bytes]:
    """Return the leaves of the log that the keyring has.

    Raises:
        TamperError: leaves that its head covers are missing, as after an upgrade from a version that kept none.
    """
    with keyring.read() as kept:
        rows = kept.execute(select(keyring_tables.log_leaf).order_by(keyring_tables.log_leaf.c.seq)).all()
        size = kept.scalar(select(keyring_tables.keyring.c.log_size))
    if [row.seq for row in rows] != list(range(len(rows))) or len(rows) != size:
        raise TamperError(
            f"integrity: the keyring remembers a log of {size} entries and has {len(rows)} of them; an older data file "
            "cannot be brought up to date with it; restore the newest"
        )
    return [row.leaf for row in rows]


def remembered_ends(keyring: Keyring) -> Mapping[ReceiptId, EndReason]:
    """Return every consent that ended, according to the keyring, and why."""
    ended = keyring_tables.ended_consent.c
    with keyring.read() as kept:
        rows = kept.execute(select(ended.receipt_id, ended.reason)).all()
    return {ReceiptId(one): EndReason(reason) for one, reason in rows}


def undone_ends(keyring: Keyring, connection: Connection) -> Mapping[ReceiptId, EndReason]:
    """Return the consents that are in force in the data file but ended according to the keyring."""
    live = set(connection.scalars(select(tables.live_consent.c.receipt_id)))
    return {receipt_id: reason for receipt_id, reason in remembered_ends(keyring).items() if receipt_id in live}


def _remember_ends(kept: Connection, connection: Connection) -> None:
    # Copied as text, which both files hold: parsing and formatting the times would cost ten times as much.
    known = set(kept.scalars(select(keyring_tables.ended_consent.c.receipt_id)))
    rows = connection.execute(text("SELECT receipt_id, reason, ended_at FROM consent_end"))
    fresh = [dict(row) for row in rows.mappings() if row["receipt_id"] not in known]
    if fresh:
        kept.execute(text("INSERT INTO ended_consent VALUES (:receipt_id, :reason, :ended_at)"), fresh)
