"""What the keyring remembers of the data file, authenticated by an HMAC: head of the log, ended consents, a restore.

The key of the HMAC is derived in the keyring, so a program that can only write the files cannot cut the log, or forget
an end, without being noticed. An older copy of the whole keyring still verifies: `volens.store.log.freshness` holds it
against other evidence.

The ended consents are a list. Its digest is a hash chain: SHA-256 over the digest before and the row. Ends are
appended; only `volens.store.log.forgotten_ends` deletes some, when their evidence is deleted.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias, final

from sqlalchemy import Connection, insert, select, update

from volens.audit import Checkpoint
from volens.consent.errors import DamagedDataError
from volens.store.keys.keyring import Keyring, LogHead
from volens.store.log.shard_memory import NO_SHARDS
from volens.store.prepared_query import PreparedQuery, ReadSnapshot
from volens.store.schema import keyring_tables as tables

EMPTY_DIGEST: Final = bytes(32)
MEMORY_CHANGED: Final = "what the keyring remembers of the log and of ended consents was changed by another program"

_USE: Final = "keyring memory"
_MEMORY: Final = PreparedQuery(
    select(
        tables.keyring.c.log_size,
        tables.keyring.c.log_root,
        tables.keyring_memory.c.ended_count,
        tables.keyring_memory.c.ended_digest,
        tables.keyring_memory.c.forgotten_size,
        tables.keyring_memory.c.restoring,
        tables.keyring_memory.c.shards_digest,
        tables.keyring_memory.c.mac,
    ).join_from(tables.keyring, tables.keyring_memory, tables.keyring_memory.c.single == 1)
)
_ended: Final = tables.ended_consent.c
_ENDED: Final = PreparedQuery(
    select(_ended.receipt_id, _ended.reason, _ended.ended_at, _ended.log_size).order_by(_ended.seq)
)
End: TypeAlias = tuple[str, str, str, int]
"""Id, reason, time as text, and the size of the log before the end was written. Both files hold the time as text:
parsing and formatting it would cost ten times as much."""


@final
@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a keyring, whose HMAC holds.

    Attributes:
        head: of the log, when it was remembered last.
        ended_count: how many consents ended, by the same time; `ended_digest` is the digest of their list.
        restoring: a restore has begun and is not finished.
        shards_digest: over the heads of the shards of the log (`volens.store.log.shard_memory`).
        forgotten_size: a data file whose log has so many entries has every end that was forgotten; an older one must
            not be restored.
    """

    head: LogHead
    ended_count: int
    ended_digest: bytes
    restoring: bool
    shards_digest: bytes = NO_SHARDS
    forgotten_size: int = 0


def begin_memory(keyring: Keyring) -> None:
    """Write the memory of a new keyring: an empty log."""
    head = keyring.head()
    with keyring.write() as kept:
        mac = _mac(keyring, _message(Memory(head, 0, EMPTY_DIGEST, restoring=False)))
        kept.execute(
            insert(tables.keyring_memory).values(
                single=1,
                ended_count=0,
                ended_digest=EMPTY_DIGEST,
                forgotten_size=0,
                restoring=0,
                shards_digest=NO_SHARDS,
                mac=mac,
            )
        )


def read_memory(keyring: Keyring) -> Memory:
    """Return the memory of a keyring. Cost: one prepared query and two HMACs.

    Raises:
        TamperError: it was changed without the key.

    Not checked: the rows of the ended consents; see `verified_ends`.
    """
    with keyring.engine.read_prepared() as snapshot:
        memory = authentic_memory(snapshot, keyring)
        if memory is None:
            raise DamagedDataError(MEMORY_CHANGED, "keyring")
    return memory


def authentic_memory(kept: Connection | ReadSnapshot, keyring: Keyring) -> Memory | None:
    """Return the memory in a transaction of the keyring; None if it was changed without the key."""
    rows = _MEMORY.rows(kept, {})
    if len(rows) != 1:
        return None
    size, log_root, ended_count, ended_digest, forgotten_size, restoring, shards, mac = rows[0]
    if min(size, ended_count, forgotten_size) < 0:
        return None
    memory = Memory(LogHead(size, log_root), ended_count, ended_digest, bool(restoring), bytes(shards), forgotten_size)
    return memory if hmac.compare_digest(mac, _mac(keyring, _message(memory))) else None


def write_memory(kept: Connection, keyring: Keyring, memory: Memory) -> None:
    """Write the memory in a write transaction of the keyring."""
    kept.execute(update(tables.keyring).values(log_size=memory.head.size, log_root=memory.head.root))
    kept.execute(
        update(tables.keyring_memory).values(
            ended_count=memory.ended_count,
            ended_digest=memory.ended_digest,
            forgotten_size=memory.forgotten_size,
            restoring=int(memory.restoring),
            shards_digest=memory.shards_digest,
            mac=_mac(keyring, _message(memory)),
        )
    )


def verified_ends(kept: Connection | ReadSnapshot, memory: Memory) -> list[End] | None:
    """Return each ended consent, as stored; None if the rows are not those of the memory."""
    rows = ended_rows(kept)
    fits = len(rows) == memory.ended_count and chained(EMPTY_DIGEST, rows) == memory.ended_digest
    return rows if fits else None


def ended_rows(kept: Connection | ReadSnapshot) -> list[End]:
    """Return each ended consent, as stored, without a check."""
    return [(receipt_id, reason, ended_at, size) for receipt_id, reason, ended_at, size in _ENDED.rows(kept, {})]


def chained(digest: bytes, rows: Iterable[End]) -> bytes:
    """Return the digest of a list after rows were appended to it."""
    for *texts, size in rows:
        digest = sha256(digest + "\0".join((*texts, str(size))).encode("utf-8")).digest()
    return digest


def abandon_heads(kept: Connection, keyring: Keyring, heads: Iterable[Checkpoint]) -> None:
    """Remember heads of a log that a restore gave up: entries behind them are lost, and the log went another way."""
    known = abandoned_heads(kept, keyring)
    rows = [
        {"log_size": one.size, "log_root": one.root, "mac": _mac(keyring, _abandoned(one.size, one.root))}
        for one in {(one.size, one.root): one for one in heads}.values()
        if (one.size, one.root) not in known
    ]
    if rows:
        kept.execute(insert(tables.abandoned_head), rows)


def abandoned_heads(kept: Connection, keyring: Keyring) -> frozenset[tuple[int, bytes]]:
    """Return size and root of each head that a restore gave up; a row that was added without the key is left out."""
    rows = kept.execute(select(tables.abandoned_head)).all()
    return frozenset(
        (row.log_size, row.log_root)
        for row in rows
        if hmac.compare_digest(row.mac, _mac(keyring, _abandoned(row.log_size, row.log_root)))
    )


def _message(memory: Memory) -> bytes:
    head = memory.head
    counts = (head.size, memory.ended_count, memory.forgotten_size, int(memory.restoring))
    numbers = b"".join(one.to_bytes(8, "big") for one in counts)
    return b"memory" + numbers + head.root + memory.ended_digest + memory.shards_digest


def _abandoned(size: int, root: bytes) -> bytes:
    return b"abandoned" + size.to_bytes(8, "big") + root


def _mac(keyring: Keyring, message: bytes) -> bytes:
    with keyring.derived_key(_USE) as key:
        return hmac.digest(key.buffer, message, "sha256")
