"""Buckets: each has one key, which wraps the grant secrets of at most 256 consents.

With a key for each bucket, an erasure wraps again the secrets of its bucket, and not those of the whole site. A new
consent goes to a bucket that has room; a bucket without secrets vanishes with the next change of its key. The numbers
of a bucket and of its keys are never used again, so a `KeyId` names one key for ever.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from volens.consent import ReceiptId, RefusedError, TamperError
from volens.consent.errors import DamagedDataError
from volens.store.engine import StoreEngine
from volens.store.keys import sealing
from volens.store.keys.secrets import KEY_BYTES, BucketKey, GrantSecret, Random
from volens.store.keys.unlocked_keys import KeyId, UnlockedKeys
from volens.store.keys.wrapped_keys import bucket_context, secret_context
from volens.store.schema import keyring_tables as tables

_BATCH: Final = 500
_FIRST_KEY: Final = 1
_secret = tables.grant_secret.c
_bucket = tables.bucket.c


def put_secret(
    engine: StoreEngine,
    connection: Connection,
    keys: UnlockedKeys,
    site_id: str,
    receipt_id: ReceiptId,
    secret: GrantSecret,
    *,
    random: Random,
    now: datetime,
) -> tuple[KeyId, BucketKey] | None:
    """Store a secret in a bucket that has room.

    If all are full, a new bucket is made, and its key returned. The caller adds it to `keys` after the commit, because
    the number of a bucket that was not stored is given out again.

    Raises:
        TamperError: the keyring has no key for the bucket.
        RefusedError: there is a secret of this id: one signed receipt was submitted twice.
    """
    if connection.scalars(_BUCKETS_OF, {"ids": [receipt_id]}).first() is not None:
        raise RefusedError(
            "this receipt is being recorded, or was begun before; ask for a new offer, and sign that one"
        )
    made: tuple[KeyId, BucketKey] | None = None
    room = connection.execute(_WITH_ROOM).first()
    if room is None:
        key_id, key = made = KeyId(engine.next_id(connection, tables.bucket), _FIRST_KEY), BucketKey.generate(random)
        box = sealing.seal(key.buffer, keys.store_key, bucket_context(site_id, key_id), random)
        values = {"bucket_id": key_id.bucket_id, "number": key_id.number, "held": 0, "wrapped": box}
        connection.execute(insert(tables.bucket), values)
    else:
        key_id = KeyId(room.bucket_id, room.number)
        known = keys.bucket_key(key_id)
        if known is None:
            raise unknown_key()
        key = known
    row = {
        "receipt_id": receipt_id,
        "bucket_id": key_id.bucket_id,
        "key_number": key_id.number,
        "wrapped": sealing.seal(secret.buffer, key, secret_context(site_id, receipt_id, key_id), random),
        "created_at": now,
    }
    # As parameters: a value inside a statement remains in SQLAlchemy's statement cache.
    connection.execute(insert(tables.grant_secret), row)
    connection.execute(_HELD, {"of": key_id.bucket_id, "more": 1})
    return made


def remove_secrets(connection: Connection, receipt_ids: Sequence[ReceiptId]) -> tuple[int, list[int]]:
    """Delete the rows of secrets; return how many there were, and the buckets that they were in."""
    count, touched = 0, set[int]()
    for start in range(0, len(receipt_ids), _BATCH):
        ids = {"ids": list(receipt_ids[start : start + _BATCH])}
        buckets = connection.scalars(_BUCKETS_OF, ids).all()
        for bucket_id in set(buckets):
            connection.execute(_HELD, {"of": bucket_id, "more": -buckets.count(bucket_id)})
        count += connection.execute(_DELETE, ids).rowcount
        touched.update(buckets)
    return count, sorted(touched)


def rekey_bucket(
    connection: Connection, keys: UnlockedKeys, site_id: str, bucket_id: int, random: Random
) -> tuple[KeyId, BucketKey] | None:
    """Make a new key for a bucket, and wrap again the secrets in it; None if the bucket was empty, and vanished.

    The new key is stored wrapped under the store key of `keys`; the caller adds it to them.
    """
    rows = connection.execute(_IN_BUCKET, {"bucket": bucket_id}).all()
    number = connection.scalar(select(_bucket.number).where(_bucket.bucket_id == bucket_id))
    if not rows or number is None:
        connection.execute(delete(tables.bucket).where(_bucket.bucket_id == bucket_id))
        return None
    new_id, key = KeyId(bucket_id, number + 1), BucketKey.generate(random)
    again: list[dict[str, object]] = []
    with GrantSecret(bytes(KEY_BYTES)) as secret:
        for receipt_id, old_number, wrapped in rows:
            old_id = KeyId(bucket_id, old_number)
            old = keys.bucket_key(old_id)
            try:
                if old is None:
                    continue
                sealing.open_into(wrapped, old, secret_context(site_id, receipt_id, old_id), secret.buffer)
            except TamperError:
                continue  # damaged before, and of another person: it must not stop an erasure
            box = sealing.seal(secret.buffer, key, secret_context(site_id, receipt_id, new_id), random)
            again.append({"of": receipt_id, "to": new_id.number, "box": box})
    if again:
        connection.execute(_WRAP_AGAIN, again)
    box = sealing.seal(key.buffer, keys.store_key, bucket_context(site_id, new_id), random)
    connection.execute(_NEW_KEY, {"of": bucket_id, "to": new_id.number, "box": box, "count": len(rows)})
    return new_id, key


def unknown_key() -> DamagedDataError:
    """Return the error about a secret whose bucket key is not there."""
    return DamagedDataError("a secret is of a bucket key that the keyring does not have", "keyring")


_WITH_ROOM: Final = (
    select(_bucket.bucket_id, _bucket.number)
    .where(_bucket.held < tables.BUCKET_SIZE)
    .order_by(_bucket.bucket_id)
    .limit(1)
)
_HELD: Final = (
    update(tables.bucket).where(_bucket.bucket_id == bindparam("of")).values(held=_bucket.held + bindparam("more"))
)
_BUCKETS_OF: Final = select(_secret.bucket_id).where(_secret.receipt_id.in_(bindparam("ids", expanding=True)))
_DELETE: Final = delete(tables.grant_secret).where(_secret.receipt_id.in_(bindparam("ids", expanding=True)))
_IN_BUCKET: Final = select(_secret.receipt_id, _secret.key_number, _secret.wrapped).where(
    _secret.bucket_id == bindparam("bucket")
)
_WRAP_AGAIN: Final = (
    update(tables.grant_secret)
    .where(_secret.receipt_id == bindparam("of"))
    .values(key_number=bindparam("to"), wrapped=bindparam("box"))
)
_NEW_KEY: Final = (
    update(tables.bucket)
    .where(_bucket.bucket_id == bindparam("of"))
    .values(number=bindparam("to"), wrapped=bindparam("box"), held=bindparam("count"))
)
