"""Forgetting ends: what the keyring remembers of an ended consent goes when its evidence goes.

The keyring remembers every end, so that an older data file, in which the consent is in force, is noticed. When the
evidence has been deleted, its row, its withdrawal code and its seal are deleted too, and `Memory.forgotten_size` grows:
a data file with fewer entries in its log may lack a forgotten end, and is not restored (`volens.erase.replay`).

A keyring that was put back and is older than the deletions has scopes of consents that are gone without a trace. They
are forgotten too, so that their secrets are destroyed as those of no consent.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select

from volens import audit
from volens.consent import format_time
from volens.store.keys.generations import all_remembered, forget
from volens.store.keys.keyring import Keyring
from volens.store.log.keyring_memory import (
    EMPTY_DIGEST,
    End,
    Memory,
    authentic_memory,
    chained,
    verified_ends,
    write_memory,
)
from volens.store.schema import data_tables as tables
from volens.store.schema import keyring_tables
from volens.store.schema.authenticated import Scope

_BATCH: Final = 500


def forget_ends(keyring: Keyring, connection: Connection, before: datetime) -> int:
    """Forget the consents that ended before a time and of which the data file has nothing any more; return how many.

    `connection` is a snapshot of the data file; `before` is the shortest period of evidence before now. Can be repeated
    at any time. A memory that was changed without its key stays as it is.
    """
    with keyring.write() as kept:
        memory = authentic_memory(kept, keyring)
        rows = None if memory is None else verified_ends(kept, memory)
        if memory is None or rows is None:
            return 0
        limit = format_time(before)
        old = [receipt_id for receipt_id, _reason, ended_at, _size in rows if ended_at <= limit]
        gone = set(old) - _stored(connection, old)
        traces = gone | _vanished(kept, connection, before)
        if gone:
            # First, because the database refuses to delete an end that a restored data file could lack.
            write_memory(kept, keyring, _without(memory, rows, gone))
        _delete(kept, traces)
    return len(gone)


def forgotten_size(keyring: Keyring) -> int:
    """Return how many entries the log of a data file must have to have every end that was forgotten; see `Memory`."""
    with keyring.engine.read_prepared() as kept:
        memory = authentic_memory(kept, keyring)
    return 0 if memory is None else memory.forgotten_size


def _without(memory: Memory, rows: Sequence[End], gone: AbstractSet[str]) -> Memory:
    left = [row for row in rows if row[0] not in gone]
    return replace(
        memory,
        ended_count=len(left),
        ended_digest=chained(EMPTY_DIGEST, left),
        forgotten_size=max(memory.forgotten_size, *(size + 1 for receipt_id, *_, size in rows if receipt_id in gone)),
    )


def _delete(kept: Connection, receipt_ids: Iterable[str]) -> None:
    ended, code = keyring_tables.ended_consent, keyring_tables.withdrawal_code
    ids = sorted(receipt_ids)
    forget(kept, [(Scope.CONSENT.value, one) for one in ids])
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        kept.execute(delete(ended).where(ended.c.receipt_id.in_(batch)))
        kept.execute(delete(code).where(code.c.receipt_id.in_(batch)))


def _vanished(kept: Connection, connection: Connection, before: datetime) -> set[str]:
    """Return the consents that are remembered as in force, were last sealed before a time, and are not there."""
    seal = tables.row_seal.c
    remembered = {one: its for one, its in all_remembered(kept, Scope.CONSENT.value).items() if not its.is_over}
    sealed = set(connection.scalars(select(seal.scope_id).where(seal.scope == Scope.CONSENT.value)))
    missing = [one for one in remembered if one not in sealed]
    gone = set(missing) - _stored(connection, missing)
    return {one for one in gone if _sealed_at(connection, remembered[one].generation) < before}


def _sealed_at(connection: Connection, generation: int) -> datetime:
    """Return the time of the entry with which rows were sealed: a generation is the size of the log."""
    event = tables.audit_event.c
    leaf = connection.scalar(select(event.leaf).where(event.seq == generation - 1))
    _kind, at = audit.read_leaf(leaf or b"")
    return at


def _stored(connection: Connection, receipt_ids: list[str]) -> set[str]:
    receipt, found = tables.receipt.c.receipt_id, set[str]()
    for start in range(0, len(receipt_ids), _BATCH):
        found.update(connection.scalars(select(receipt).where(receipt.in_(receipt_ids[start : start + _BATCH]))))
    return found
