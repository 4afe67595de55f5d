"""Rollback detection: the keyring keeps a copy of the log and of ended consents, so an older data file is noticed.

Leaves, ends, head and the generations of row seals are copied in one keyring transaction after each commit of the data
file. So a keyring that has the first n leaves also has every end that was written when the log had fewer than n. After
a crash between the two commits it is behind, and catches up at the next write or opening; it is never ahead. The memory
is authenticated (`volens.store.log.keyring_memory`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, func, insert, select, text

from volens.audit import Checkpoint, read_leaf
from volens.consent import EndReason, ReceiptId, TamperError
from volens.consent.errors import DamagedDataError
from volens.store.keys.generations import (
    all_remembered,
    forget,
    remember_codes,
    remember_generations,
    remember_over,
    replace_codes,
)
from volens.store.keys.keyring import Keyring, LogHead
from volens.store.log import audit_log
from volens.store.log.keyring_memory import (
    EMPTY_DIGEST,
    MEMORY_CHANGED,
    End,
    Memory,
    abandon_heads,
    authentic_memory,
    chained,
    ended_rows,
    verified_ends,
    write_memory,
)
from volens.store.log.shard_memory import remember_shards, remembered_shards, replace_shards, shard_changes
from volens.store.prepared_query import InList, PreparedQuery
from volens.store.schema import data_tables as tables
from volens.store.schema import keyring_tables
from volens.store.schema.authenticated import Scope

CONSENT_ENDED: Final = "consent.ended"
CONSENT_GIVEN: Final = "consent.given"
CODE_REISSUED: Final = "consent.code_reissued"
REFERENCE_REPLACED: Final = "reference.replaced"
INVITATION_REFUSED: Final = "invitation.refused"
INVITATION_PRUNED: Final = "invitation.pruned"
INVITATIONS_ENDED: Final = frozenset({INVITATION_REFUSED, INVITATION_PRUNED})
"""The events with which rows of invitations are deleted."""
EVIDENCE_DELETED: Final = "evidence.deleted"
"""The event with which evidence is deleted, and with it rows of finished orders and of ended credentials."""
_BATCH: Final = 500

_end: Final = tables.consent_end.c
_ENDS_SINCE: Final = PreparedQuery(
    select(_end.receipt_id, _end.reason, _end.ended_at, _end.log_size).where(_end.log_size >= bindparam("since"))
)
_ended: Final = keyring_tables.ended_consent.c
_KNOWN: Final = PreparedQuery(select(_ended.receipt_id).where(InList(_ended.receipt_id, "ids")))

CodesOf: TypeAlias = Callable[[Connection, Sequence[str]], Mapping[ReceiptId, bytes]]
"""Returns the digests of the withdrawal codes of those of some consents whose rows verify."""


def remember(keyring: Keyring, connection: Connection, codes_of: CodesOf, *, wait: bool = True) -> None:
    """Bring the keyring up to date with the data file; what it has already is not changed.

    Only a code that was issued again replaces the one that is remembered, and only if `codes_of` returns it.
    `connection` is a snapshot of the data file, whose log is known to continue the one in the keyring. With
    `wait=False`, raise at once if another process holds the write lock; see `StoreEngine.write`.

    A memory that was changed without its key stays as it is: the next write or opening refuses it.
    """
    size = audit_log.log_size(connection)
    with keyring.write(wait=wait) as kept:
        before = memory = authentic_memory(kept, keyring)
        if memory is None:
            return
        shards = shard_changes(kept, connection, memory.head.size, memory.shards_digest)
        if shards is None:
            return
        ends, are_some_known = _new_ends(kept, connection, memory.head.size)
        if are_some_known and verified_ends(kept, memory) is None:
            return  # a row that another program added must not hide an end
        memory = _with_ends(kept, memory, ends, size)
        rows = _add_leaves(kept, connection)
        kinds = {read_leaf(row["leaf"])[0] for row in rows}
        consents = _remember_seals(kept, connection, kinds, rows[0]["seq"] if rows else size, size)
        if CODE_REISSUED in kinds:
            replace_codes(kept, codes_of(connection, consents))
        if memory.head.size < size:
            memory = replace(memory, head=LogHead(size, audit_log.root_at(connection, size)))
        memory = replace(memory, shards_digest=remember_shards(kept, shards, memory.shards_digest))
        if memory != before:
            write_memory(kept, keyring, memory)


NEWEST_CHECKED: Final = 10_000
"""How many of the newest leaves are compared with the keyring's at every opening; `volens audit verify` reads all."""


def check_newest_leaves(keyring: Keyring, connection: Connection) -> None:
    """Check that the newest leaves of the data file are those that the keyring has. Cost: 2 us each.

    Raises:
        TamperError: one is another, or is missing.
    """
    event, leaf = tables.audit_event.c, keyring_tables.log_leaf.c
    with keyring.read() as kept:
        newest = kept.scalar(select(func.max(leaf.seq)))
        if newest is None:
            return
        first = newest + 1 - NEWEST_CHECKED
        known = kept.execute(select(leaf.seq, leaf.leaf).where(leaf.seq >= first).order_by(leaf.seq)).all()
    own = connection.execute(
        select(event.seq, event.leaf).where(event.seq >= first, event.seq <= newest).order_by(event.seq)
    ).all()
    if [tuple(row) for row in own] != [tuple(row) for row in known]:
        raise DamagedDataError("an entry of the log is not the one that the keyring has")


def remembered_leaves(keyring: Keyring, *, is_authentic: bool = True) -> list[bytes]:
    """Return the leaves of the log that the keyring has.

    Raises:
        TamperError: they are not as many as its head states. Not checked if its memory is not authentic anyway.
    """
    with keyring.read() as kept:
        rows = kept.execute(select(keyring_tables.log_leaf).order_by(keyring_tables.log_leaf.c.seq)).all()
        size = kept.scalar(select(keyring_tables.keyring.c.log_size))
    if [row.seq for row in rows] != list(range(len(rows))) or (is_authentic and len(rows) != size):
        raise TamperError(
            f"integrity: the keyring remembers a log of {size} entries and has {len(rows)} of them; older data cannot "
            "be brought up to date with it; use the newest"
        )
    return [row.leaf for row in rows]


def remembered_ends(keyring: Keyring) -> Mapping[ReceiptId, EndReason]:
    """Return every consent that ended, according to the keyring, and why.

    Raises:
        TamperError: the list was changed without the key of the keyring.
    """
    with keyring.engine.read_prepared() as kept:
        memory = authentic_memory(kept, keyring)
        rows = None if memory is None else verified_ends(kept, memory)
        if rows is None:
            raise DamagedDataError(MEMORY_CHANGED, "keyring")
    return {ReceiptId(receipt_id): EndReason(reason) for receipt_id, reason, *_ in rows}


def undone_ends(keyring: Keyring, connection: Connection) -> Mapping[ReceiptId, EndReason]:
    """Return the consents that are in force in the data file but ended according to the keyring."""
    live = set(connection.scalars(select(tables.live_consent.c.receipt_id)))
    return {receipt_id: reason for receipt_id, reason in remembered_ends(keyring).items() if receipt_id in live}


def _remember_over(kept: Connection, connection: Connection, scope: Scope, size: int) -> None:
    """Remember as ended the scopes of a kind that are remembered and have no seal any more."""
    seal = tables.row_seal.c
    sealed = set(connection.scalars(select(seal.scope_id).where(seal.scope == scope.value)))
    gone = [one for one, its in all_remembered(kept, scope.value).items() if not its.is_over and one not in sealed]
    remember_over(kept, scope.value, gone, size)


def _remember_seals(
    kept: Connection, connection: Connection, kinds: AbstractSet[str], known: int, size: int
) -> list[str]:
    """Remember the row seals that were made since the log had `known` entries: a generation is the log's size then.

    Return the consents that were sealed.
    """
    seal, receipt = tables.row_seal.c, tables.receipt.c
    new = (seal.generation > known) & (seal.generation <= size)
    rows = connection.execute(select(seal.scope, seal.scope_id, seal.generation).where(new)).all()
    remember_generations(kept, [(row.scope, row.scope_id, row.generation) for row in rows])
    if any(row.scope == Scope.JOB.value for row in rows):
        jobs = set(connection.scalars(select(seal.scope_id).where(seal.scope == Scope.JOB.value)))
        deleted = all_remembered(kept, Scope.JOB.value).keys() - jobs
        forget(kept, [(Scope.JOB.value, one) for one in deleted])
    if kinds & INVITATIONS_ENDED:
        # Not forgotten: the row of an invitation that was refused must not be put back with its old seal.
        _remember_over(kept, connection, Scope.INVITATION, size)
    if EVIDENCE_DELETED in kinds:
        for scope in (Scope.ORDER, Scope.PROPOSAL, Scope.CREDENTIAL):
            _remember_over(kept, connection, scope, size)
        over = [one for one, its in all_remembered(kept, Scope.CREDENTIAL.value).items() if its.is_over]
        forget(kept, [("lease", one) for one in over])
    consents = [row.scope_id for row in rows if row.scope == Scope.CONSENT.value]
    for start in range(0, len(consents), _BATCH):
        codes = connection.execute(
            select(receipt.receipt_id, receipt.withdrawal_digest).where(
                receipt.receipt_id.in_(consents[start : start + _BATCH])
            )
        )
        remember_codes(kept, {ReceiptId(row.receipt_id): row.withdrawal_digest for row in codes})
    return consents


def is_authentic(keyring: Keyring) -> bool:
    """Return whether the whole memory of the keyring is authentic."""
    with keyring.engine.read_prepared() as kept:
        memory = authentic_memory(kept, keyring)
        if memory is None or remembered_shards(kept, memory.shards_digest) is None:
            return False
        return verified_ends(kept, memory) is not None


def begin_restore(keyring: Keyring, connection: Connection, abandoned: Iterable[Checkpoint]) -> None:
    """Mark that a restore has begun, in one transaction: until `end_restore`, an opening is refused.

    `connection` is a snapshot of the restored data file, whose log is the one that counts from now on: a memory that is
    not authentic is replaced by it. `abandoned` are heads of entries that are lost.
    """
    with keyring.write() as kept:
        memory = authentic_memory(kept, keyring)
        is_whole = memory is not None and remembered_shards(kept, memory.shards_digest) is not None
        if memory is None or not is_whole or verified_ends(kept, memory) is None:
            _add_leaves(kept, connection)
            size, ends = audit_log.log_size(connection), ended_rows(kept)
            head = LogHead(size, audit_log.root_at(connection, size))
            shards = replace_shards(kept, connection)
            memory = Memory(head, len(ends), chained(EMPTY_DIGEST, ends), restoring=True, shards_digest=shards)
            memory = _with_ends(kept, memory, _new_ends(kept, connection, 0)[0], size)
        abandon_heads(kept, keyring, abandoned)
        write_memory(kept, keyring, replace(memory, restoring=True))


def accept_shards(keyring: Keyring, connection: Connection) -> None:
    """Remember the shards of a restored data file, and no others.

    Raises:
        TamperError: the memory of the keyring was changed meanwhile.
    """
    _change_memory(keyring, lambda kept, memory: replace(memory, shards_digest=replace_shards(kept, connection)))


def end_restore(keyring: Keyring) -> None:
    """Mark that the restore is finished.

    Raises:
        TamperError: the memory of the keyring was changed meanwhile.
    """
    _change_memory(keyring, lambda _kept, memory: replace(memory, restoring=False))


def _change_memory(keyring: Keyring, change: Callable[[Connection, Memory], Memory]) -> None:
    with keyring.write() as kept:
        memory = authentic_memory(kept, keyring)
        if memory is None:
            raise DamagedDataError(MEMORY_CHANGED, "keyring")
        write_memory(kept, keyring, change(kept, memory))


def _add_leaves(kept: Connection, connection: Connection) -> list[dict[str, Any]]:
    leaf = tables.audit_event.c
    newest = kept.scalar(select(func.max(keyring_tables.log_leaf.c.seq)))
    query = select(leaf.seq, leaf.leaf).where(leaf.seq >= (0 if newest is None else newest + 1)).order_by(leaf.seq)
    rows = [{"seq": row.seq, "leaf": row.leaf} for row in connection.execute(query)]
    if rows:
        kept.execute(insert(keyring_tables.log_leaf), rows)
    return rows


def _new_ends(kept: Connection, connection: Connection, since: int) -> tuple[list[End], bool]:
    """Return the ends that were written since the log had a size and that the keyring lacks, and whether it has others.

    It has others only after a restore, which ends consents again.
    """
    rows = _ENDS_SINCE.rows(connection, {"since": since})
    if not rows:
        return [], False
    found = {receipt_id: (receipt_id, reason, ended_at, size) for receipt_id, reason, ended_at, size in rows}
    known = {receipt_id for (receipt_id,) in _KNOWN.rows(kept, {"ids": list(found)})}
    return [end for receipt_id, end in found.items() if receipt_id not in known], bool(known)


def _with_ends(kept: Connection, memory: Memory, ends: list[End], size: int) -> Memory:
    if not ends:
        return memory
    remember_over(kept, Scope.CONSENT.value, [receipt_id for receipt_id, *_ in ends], size)
    newest = kept.scalar(select(func.max(keyring_tables.ended_consent.c.seq)))
    rows = [
        {"seq": seq, "receipt_id": receipt_id, "reason": reason, "ended_at": ended_at, "log_size": before}
        for seq, (receipt_id, reason, ended_at, before) in enumerate(ends, 0 if newest is None else newest + 1)
    ]
    kept.execute(text("INSERT INTO ended_consent VALUES (:seq, :receipt_id, :reason, :ended_at, :log_size)"), rows)
    digest = chained(memory.ended_digest, ends)
    return replace(memory, ended_count=memory.ended_count + len(ends), ended_digest=digest)
