"""Tables of the keyring: a file of its own, left out of data backups, so that a deleted row is gone everywhere."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Insert, MetaData, insert

from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import RowRule, build_table

REVISIONS: Final = ("baseline",)
"""Schema revisions, oldest first; see `volens.store.sqlite.migrator`."""

FIRST_ROTATION_DAYS: Final = 90
"""The keys of a new site are due for a rotation this often, until the operator sets another schedule."""

metadata: Final = MetaData()

BUCKET_SIZE: Final = 256
"""How many grant secrets one bucket key wraps at most. An erasure wraps the others of a bucket again."""

_BOX: Final = "= 61"  # a sealed key: version, nonce, 32 bytes, tag

keyring: Final = build_table(
    "keyring",
    col.key(col.text("site_id")),
    col.integer("epoch", ">= 1"),
    col.blob("wrapped_store_key", _BOX),
    col.utc_time("store_key_at"),
    col.utc_time("root_key_at"),
    col.integer("root_key_due", "IN (0, 1)"),
    col.integer("log_size", ">= 0"),
    col.bytes_of("log_root", 32),
    rule=None,
    of=metadata,
)
"""`epoch` numbers the store key; `root_key_due`: an erasure wanted a new root key, and its holder did not answer."""

site_key: Final = build_table(
    "site_key",
    col.key(col.one_of("kind", "signing", "authentication", "projection")),
    col.integer("epoch", ">= 1"),
    col.blob("wrapped", _BOX),
    col.utc_time("made_at"),
    rule=None,
    of=metadata,
)

key_succession: Final = build_table(
    "key_succession",
    col.key(col.integer("epoch", ">= 2")),
    col.text("statement"),
    rule=None,
    of=metadata,
)
"""The signed statements that introduce the later signing keys of the site (`volens.audit.verifier_key`)."""

bucket: Final = build_table(
    "bucket",
    col.row_id("bucket_id"),
    col.integer("number", ">= 1"),
    col.integer("held", f"BETWEEN 0 AND {BUCKET_SIZE}"),
    col.blob("wrapped", _BOX),
    rule=None,
    of=metadata,
    autoincrement=True,
)
"""`number` counts the keys that the bucket has had, `held` the grant secrets in it."""

grant_secret: Final = build_table(
    "grant_secret",
    col.key(col.text_of("receipt_id", 32)),
    Column("bucket_id", col.INTEGER, ForeignKey("bucket.bucket_id"), nullable=False, index=True),
    col.integer("key_number", ">= 1"),
    col.blob("wrapped", _BOX),
    col.utc_time("created_at"),
    rule=None,
    of=metadata,
)

log_leaf: Final = build_table(
    "log_leaf", col.integer("seq", primary_key=True), col.blob("leaf"), rule=RowRule(appended_by="seq"), of=metadata
)

ended_consent: Final = build_table(
    "ended_consent",
    col.integer("seq", primary_key=True),
    col.text_of("receipt_id", 32, unique=True),
    col.text("reason"),
    col.utc_time("ended_at"),
    col.integer("log_size", ">= 0"),
    rule=RowRule(
        appended_by="seq", kept_while="OLD.log_size >= COALESCE((SELECT forgotten_size FROM keyring_memory), 0)"
    ),
    of=metadata,
)
"""Deleted when the evidence of the end is deleted in the data file (`volens.store.log.forgotten_ends`)."""

keyring_memory: Final = build_table(
    "keyring_memory",
    col.integer("single", "= 1", primary_key=True),
    col.integer("ended_count", ">= 0"),
    col.bytes_of("ended_digest", 32),
    col.integer("forgotten_size", ">= 0"),
    col.integer("restoring", "IN (0, 1)"),
    col.bytes_of("shards_digest", 32),
    col.bytes_of("mac", 32),
    rule=None,
    of=metadata,
)
"""Authenticates what the keyring remembers; see `volens.store.log.keyring_memory`."""

remembered_shard: Final = build_table(
    "remembered_shard",
    col.integer("shard", ">= 0", primary_key=True),
    col.integer("size", ">= 0"),
    col.bytes_of("root", 32),
    col.utc_time("kept_until"),
    rule=RowRule(changeable=frozenset({"size", "root"}), only_higher=("size",), deletable=True),
    of=metadata,
)
"""The head of each shard of the log; `shards_digest` is over all rows (`volens.store.log.shard_memory`)."""

abandoned_head: Final = build_table(
    "abandoned_head",
    col.integer("log_size", ">= 1", primary_key=True),
    col.key(col.bytes_of("log_root", 32)),
    col.bytes_of("mac", 32),
    rule=RowRule(),
    of=metadata,
)

announced_schema: Final = build_table(
    "announced_schema",
    col.key(col.bytes_of("mac", 32)),
    col.nonblank("revision"),
    col.nonblank("extends"),
    col.bytes_of("catalogue_sha256", 32),
    rule=RowRule(),
    of=metadata,
)
"""Later revisions of the data on which this release may run, announced by the release that made them."""

sealed_scope: Final = build_table(
    "sealed_scope",
    col.key(col.text("scope")),
    col.key(col.text("scope_id")),
    col.integer("generation", ">= 0"),
    col.integer("is_over", "IN (0, 1)"),
    rule=RowRule(changeable=frozenset({"generation", "is_over"}), only_higher=("generation",), deletable=True),
    of=metadata,
)

withdrawal_code: Final = build_table(
    "withdrawal_code",
    col.key(col.bytes_of("digest", 32)),
    col.text_of("receipt_id", 32, index=True),
    rule=RowRule(deletable=True),
    of=metadata,
)
"""Deleted only when the code is issued again (`volens.store.log.remembrance`)."""

key_rotation: Final = build_table(
    "key_rotation",
    col.integer("single", "= 1", primary_key=True),
    col.integer("new_root", "IN (0, 1)"),
    col.integer("new_signing", "IN (0, 1)"),
    col.integer("signing_epoch", ">= 2", nullable=True),
    col.integer("done_through", ">= 0"),
    col.integer("last_bucket", ">= 0"),
    col.integer("destroyed_epoch", ">= 1", nullable=True),
    col.utc_time("begun_at"),
    rule=None,
    of=metadata,
)
"""A rotation in progress: the buckets up to `done_through`, of those up to `last_bucket`, have new keys.

`signing_epoch` is the number of the signing key that it made; null as long as it did not.
"""

gallery_snapshot: Final = build_table(
    "gallery_snapshot",
    col.key(col.text_of("name", 32)),
    col.text("purpose"),
    col.text("model_id"),
    col.integer("epoch"),
    col.integer("log_size", ">= 1"),
    col.bytes_of("log_root", 32),
    col.integer("parts", ">= 1"),
    col.blob("wrapped", _BOX),
    rule=None,
    of=metadata,
)

rotation_schedule: Final = build_table(
    "rotation_schedule",
    col.integer("single", "= 1", primary_key=True),
    col.integer("every_days", "BETWEEN 1 AND 1098"),
    rule=None,
    of=metadata,
)

shared_document: Final = build_table(
    "shared_document", col.key(col.text("name")), col.text("content"), rule=None, of=metadata
)
"""What nodes of a site on a server share and no key protects: the wrapped root key of a key service."""


def first_schedule() -> Insert:
    """Return what gives a new keyring its schedule of rotations."""
    return insert(rotation_schedule).values(single=1, every_days=FIRST_ROTATION_DAYS)
