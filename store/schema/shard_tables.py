"""Tables of the shards of the audit log: small logs that are deleted as a whole (`volens.store.log.shard_log`)."""

from typing import Final

from sqlalchemy import Column, ForeignKey

from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import LOG_TIME, RowRule, build_table

log_shard: Final = build_table(
    "log_shard",
    Column("log_index", col.INTEGER, ForeignKey("audit_event.seq"), primary_key=True, autoincrement=False),
    col.text("place"),
    col.text("name"),
    col.utc_time("ends_at"),
    col.utc_time("kept_until"),
    col.bytes_of("public_key", 32),
    col.integer("size", ">= 0"),
    col.bytes_of("root", 32),
    col.text("note"),
    col.utc_time("newest_at"),
    col.integer("closed_index", ">= 0", nullable=True),
    rule=RowRule(
        changeable=frozenset({"size", "root", "note", "newest_at", "closed_index"}),
        closed_by="closed_index",
        only_higher=("size",),
        kept_while=f"OLD.closed_index IS NULL OR OLD.kept_until >= {LOG_TIME}",
    ),
)
"""`log_index` is the leaf of the main log that opened the shard, `closed_index` the one that closed it.

`note` is the newest signed checkpoint. Older ones are not kept: the newest covers what they covered, and the leaf that
closes the shard confirms it in the main log.
"""

_KEPT: Final = (
    "EXISTS (SELECT 1 FROM log_shard WHERE log_index = OLD.shard"  # noqa: S608  names of our own
    f" AND (closed_index IS NULL OR kept_until >= {LOG_TIME}))"
)


def _of_shard() -> Column[int]:
    return Column("shard", col.INTEGER, ForeignKey("log_shard.log_index"), primary_key=True, autoincrement=False)


shard_leaf: Final = build_table(
    "shard_leaf",
    _of_shard(),
    col.integer("seq", primary_key=True),
    col.blob("leaf"),
    col.blob("nodes", "> 31", example=b"~" * 32),
    rule=RowRule(appended_by="seq", appended_in="shard", kept_while=_KEPT),
)
"""`nodes` are the hashes, 32 bytes each, of the subtrees that the leaf completes, from its own upwards.

So the subtree of level n that ends with a leaf is piece n of its row, and a leaf is one row, appended at the end.
"""

shard_opening: Final = build_table(
    "shard_opening",
    _of_shard(),
    col.integer("seq", primary_key=True),
    col.text("receipt_id", nullable=True, index=True),
    col.text("details"),
    col.bytes_of("salt", 32),
    col.utc_time("ends_at", index=True),
    rule=RowRule(deletable=True),
)
"""What makes a leaf readable; deleted with the consent that it is about, and at `ends_at`."""
