"""What the keyring remembers of the data file: the log, and which consents have ended. An older data file is noticed.

Leaves, ends and head are kept in one keyring transaction after each commit of the data file, so a keyring that
remembers the first n leaves also remembers every end that one of them tells of. After a crash between the two files it
is behind, and catches up at the next write or opening; it is never ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from sqlalchemy import Connection, func, insert, select, text, update

from volens.audit import read_leaf, root
from volens.consent import EndReason, ReceiptId, TamperError
from volens.store.keys import keyring_schema
from volens.store.keys.keyring import Keyring
from volens.store.log import audit_log
from volens.store.schema import data_tables as tables

CONSENT_ENDED: Final = "consent.ended"
CONSENT_GIVEN: Final = "consent.given"


@final
@dataclass(frozen=True, slots=True)
class End:
    """That a consent ended."""

    reason: EndReason
    ended_at: datetime


def remember(keyring: Keyring, connection: Connection, *, wait: bool = True) -> None:
    """Bring the keyring level with the data file; what it knows already is left alone.

    Args:
        keyring: of the site.
        connection: a snapshot of the data file, whose log is known to continue the remembered one.
        wait: False: give up at once if another process holds the write lock; see `Database.write`.
    """
    size = audit_log.log_size(connection)
    with keyring.write(wait=wait) as kept:
        leaf = tables.audit_event.c
        query = select(leaf.seq, leaf.leaf).where(leaf.seq >= _count(kept)).order_by(leaf.seq)
        rows = [{"seq": row.seq, "leaf": row.leaf} for row in connection.execute(query)]
        if rows:
            kept.execute(insert(keyring_schema.log_leaf), rows)
        if any(read_leaf(row["leaf"])[0] == CONSENT_ENDED for row in rows):
            _remember_ends(kept, connection)
        kept.execute(
            update(keyring_schema.keyring)
            .where(keyring_schema.keyring.c.log_size < size)
            .values(log_size=size, log_root=root(size, audit_log.node_reader(connection)))
        )


def remembered_leaves(keyring: Keyring) -> list[bytes]:
    """Return the leaves of the log, as far as the keyring remembers them.

    Raises:
        TamperError: not all that its head covers are there, as after an upgrade from a version that kept none.
    """
    with keyring.read() as kept:
        rows = kept.execute(select(keyring_schema.log_leaf).order_by(keyring_schema.log_leaf.c.seq)).all()
        size = kept.scalar(select(keyring_schema.keyring.c.log_size))
    if [row.seq for row in rows] != list(range(len(rows))) or len(rows) != size:
        raise TamperError(
            f"integrity: the keyring remembers a log of {size} entries and has {len(rows)} of them; an older data file "
            "cannot be brought level with it, restore the newest"
        )
    return [row.leaf for row in rows]


def remembered_ends(keyring: Keyring) -> Mapping[ReceiptId, End]:
    """Return every consent that the keyring knows to have ended."""
    with keyring.read() as kept:
        rows = kept.execute(select(keyring_schema.ended_consent)).all()
    return {ReceiptId(row.receipt_id): End(EndReason(row.reason), row.ended_at) for row in rows}


def undone_ends(keyring: Keyring, connection: Connection) -> Mapping[ReceiptId, End]:
    """Return the consents that are in force in the data file, though the keyring knows that they ended."""
    live = set(connection.scalars(select(tables.live_consent.c.receipt_id)))
    with keyring.read() as kept:
        undone = live.intersection(kept.scalars(select(keyring_schema.ended_consent.c.receipt_id)))
    if not undone:  # as always, and then no time is parsed
        return {}
    return {receipt_id: end for receipt_id, end in remembered_ends(keyring).items() if receipt_id in undone}


def _count(kept: Connection) -> int:
    newest = kept.scalar(select(func.max(keyring_schema.log_leaf.c.seq)))
    return 0 if newest is None else int(newest) + 1


def _remember_ends(kept: Connection, connection: Connection) -> None:
    # As the text that both files keep: times that are parsed and written again would cost ten times as much.
    known = set(kept.scalars(select(keyring_schema.ended_consent.c.receipt_id)))
    rows = connection.execute(text("SELECT receipt_id, reason, ended_at FROM consent_end"))
    fresh = [dict(row) for row in rows.mappings() if row["receipt_id"] not in known]
    if fresh:
        kept.execute(text("INSERT INTO ended_consent VALUES (:receipt_id, :reason, :ended_at)"), fresh)
