"""What the keyring remembers of the shards of the audit log, so that an older data file is noticed by its visits too.

Between two entries of the main log only shards may grow. So the keyring remembers the head of every shard, until the
shard has been deleted because its term is over. The HMAC of the keyring's memory covers a digest over these rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from volens import audit
from volens.consent import format_time, parse_time
from volens.store.log import audit_log
from volens.store.log.shard_log import ShardHead, shard_heads, shard_nodes, shards_there
from volens.store.prepared_query import InList, PreparedQuery, ReadSnapshot
from volens.store.schema import keyring_tables as tables

_row = tables.remembered_shard.c
_ROWS: Final = PreparedQuery(select(_row.shard, _row.size, _row.root, _row.kept_until).order_by(_row.shard))
_SIZES: Final = PreparedQuery(select(_row.shard, _row.size).where(InList(_row.shard, "shards")))
_OVER: Final = PreparedQuery(select(_row.shard).where(_row.kept_until < bindparam("over")))


def digest_of(shards: Iterable[ShardHead]) -> bytes:
    """Return the digest over the heads of shards, in the order of their numbers."""
    lines = (f"{one.shard} {one.size} {one.root.hex()} {one.kept_until}\n" for one in shards)
    return sha256("".join(lines).encode("ascii")).digest()


NO_SHARDS: Final = digest_of(())


def remembered_shards(kept: Connection | ReadSnapshot, digest: bytes) -> list[ShardHead] | None:
    """Return the heads that the keyring remembers; None if they are not those of the digest in its memory."""
    rows = [ShardHead(shard, size, bytes(root), until) for shard, size, root, until in _ROWS.rows(kept, {})]
    return rows if digest_of(rows) == digest else None


@final
class ShardChanges(NamedTuple):
    """What the keyring has yet to learn of shards.

    Attributes:
        known: all heads that it remembers, if there is anything to learn.
        grown: heads that it does not remember, or of a smaller size.
        gone: shards that were deleted because their term is over.
    """

    known: Sequence[ShardHead]
    grown: Sequence[ShardHead]
    gone: Sequence[int]


def shard_changes(kept: Connection, connection: Connection, size: int, digest: bytes) -> ShardChanges | None:
    """Return what changed in the shards of the data file since the main log had a size.

    None if something changed, and the heads that the keyring remembers are not those of the digest in its memory. A
    shard that became shorter, or that vanished before its term was over, is no change: it stays as it is remembered,
    and the next opening refuses the data file.

    Cost: reads the shards that are open, and all only if something changed.
    """
    heads = shard_heads(connection, size)
    before: dict[int, int] = dict(_SIZES.rows(kept, {"shards": [one.shard for one in heads]}) if heads else ())
    grown = [one for one in heads if before.get(one.shard, -1) < one.size]
    over = [shard for (shard,) in _OVER.rows(kept, {"over": _over(connection)})]
    gone = sorted(set(over) - shards_there(connection, over)) if over else []
    if not grown and not gone:
        return ShardChanges((), (), ())
    known = remembered_shards(kept, digest)
    return None if known is None else ShardChanges(known, grown, gone)


def remember_shards(kept: Connection, changes: ShardChanges, digest: bytes) -> bytes:
    """Remember changes of the shards; return the new digest in the place of the present one."""
    if not changes.grown and not changes.gone:
        return digest
    heads = {one.shard: one for one in changes.known}
    for head in changes.grown:
        old = heads.get(head.shard)
        if old is None:
            kept.execute(insert(tables.remembered_shard).values(_values(head)))
            heads[head.shard] = head
        else:
            this = update(tables.remembered_shard).where(_row.shard == head.shard)
            kept.execute(this.values(size=head.size, root=head.root))
            heads[head.shard] = head._replace(kept_until=old.kept_until)
    if changes.gone:
        kept.execute(delete(tables.remembered_shard).where(_row.shard.in_(changes.gone)))
    return digest_of(head for shard, head in sorted(heads.items()) if shard not in changes.gone)


def replace_shards(kept: Connection, connection: Connection) -> bytes:
    """Remember the shards of a restored data file instead of those that are remembered; return the new digest."""
    heads = shard_heads(connection)
    kept.execute(delete(tables.remembered_shard))
    if heads:
        kept.execute(insert(tables.remembered_shard), [_values(one) for one in heads])
    return digest_of(heads)


def misfitting(connection: Connection, known: Sequence[ShardHead]) -> list[tuple[ShardHead, str]]:
    """Return the remembered shards that the data file lacks, has shorter or otherwise, each with what is wrong.

    A shard whose term is over may be there, in part or not at all: the sweep deletes it.

    Raises:
        TamperError: a node is missing.
    """
    sizes = {one.shard: one.size for one in shard_heads(connection)}
    over, found = _over(connection), list[tuple[ShardHead, str]]()
    for one in known:
        if one.kept_until < over:
            continue
        size = sizes.get(one.shard)
        if size is None:
            found.append((one, f"lacks a shard of the log, of {one.size} entries, which the keyring remembers"))
        elif size < one.size:
            found.append((one, f"has {size} entries in a shard of the log, of which the keyring remembers {one.size}"))
        elif audit.root(one.size, shard_nodes(connection, one.shard, one.size)) != one.root:
            found.append((one, f"has other entries in a shard of the log than the {one.size} of the keyring"))
    return found


def _over(connection: Connection) -> str:
    """Return the time, as text, before which a term is over: that of the newest entry, as for a deletion."""
    newest = audit_log.newest_time(connection)
    return "" if newest is None else format_time(newest)


def _values(head: ShardHead) -> Mapping[str, object]:
    return head._asdict() | {"kept_until": parse_time(head.kept_until)}
