"""Key rotation: new keys for everything below the root key, and on request a new root key; the old ones are destroyed.

An erasure destroys the keys that it must (`volens.store.keys.key_change`). A rotation destroys all: it also renews the
buckets without an erased person, and the projection of the galleries.

1. begun: one row in the keyring says so.
2. buckets: each bucket gets a new key, one transaction each, so that no other process waits long.
3. introduced, on request: one transaction makes a new signing key, and stores the statement, signed with the old key,
   that introduces it. Then the log and ``site.pub`` tell it (`volens.store.signing_key`).
4. switched: one transaction makes a new store key and a new projection key, and on request a new root key. The old root
   key is destroyed by its holder.
5. scrubbed: the keyring is rewritten without free space and scrubbed, so that no old wrapping is left in it.
6. logged: ``keys.rotated``, with the numbers of the epochs only; then the row of 1 is deleted.

After a kill at any point, the site opens and matches; `rotate` resumes. Every sketch is computed again with the new
projection, in other processes when they next read the log (`volens.index.gallery`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from volens.consent import UnavailableError
from volens.store.keys.buckets import rekey_bucket
from volens.store.keys.key_change import NewRootKey, change_keys, check_holder, settle_root
from volens.store.keys.wrapped_keys import SiteKeyKind
from volens.store.log import audit_log
from volens.store.schema import keyring_tables as tables
from volens.store.signing_key import announce_successors, replace_signing_key
from volens.store.store import Store

EVENT: Final = "keys.rotated"
Progress = Callable[[int, int], None]

_bucket = tables.bucket.c


@final
@dataclass(frozen=True, slots=True)
class Rotated:
    """The result of a rotation.

    Attributes:
        epoch: of the store key now.
        buckets: how many this run gave a new key.
        new_root: the root key was replaced, and the old one destroyed as far as its holder can.
        new_signing_key: the number of the new signing key; None if it was not replaced.
        resumed: whether this run finished an interrupted rotation.
    """

    epoch: int
    buckets: int
    new_root: bool
    new_signing_key: int | None
    resumed: bool


@final
@dataclass(frozen=True, slots=True)
class KeysStatus:
    """The state of the keys.

    Attributes:
        epoch: of the store key in use.
        buckets, secrets: how many there are.
        unfinished: a rotation was interrupted.
        root_key: the URL of its holder; empty if the site was opened with the key alone.
        root_key_due: an erasure could not replace the root key, because its holder did not answer.
        signing_key: the number of the signing key.
        due_at: the deadline for the next rotation.
    """

    epoch: int
    buckets: int
    secrets: int
    unfinished: bool
    root_key: str
    root_key_due: bool
    store_key_at: datetime
    root_key_at: datetime
    signing_key: int
    signing_key_at: datetime
    every_days: int
    due_at: datetime
    overdue: bool


def rotation_due(store: Store) -> datetime:
    """Return the deadline for the destruction of the store key in use; it may have passed."""
    with store.keyring.read() as connection:
        made_at: datetime | None = connection.scalar(select(tables.keyring.c.store_key_at))
        return (made_at or store.site.created_at) + timedelta(days=_every_days(connection))


def keys_status(store: Store) -> KeysStatus:
    """Return the state of the keys. No request is made to the holder of the root key."""
    due_at, holder = rotation_due(store), store.keyring.holder
    with store.keyring.read() as connection:
        row = connection.execute(select(tables.keyring)).one()
        is_signing = tables.site_key.c.kind == SiteKeyKind.SIGNING.value
        signing = connection.execute(select(tables.site_key).where(is_signing)).one()
        return KeysStatus(
            epoch=row.epoch,
            buckets=int(connection.scalar(select(func.count()).select_from(tables.bucket)) or 0),
            secrets=int(connection.scalar(select(func.count()).select_from(tables.grant_secret)) or 0),
            unfinished=_rotation(connection) is not None,
            root_key="" if holder is None else holder.url,
            root_key_due=bool(row.root_key_due),
            store_key_at=row.store_key_at,
            root_key_at=row.root_key_at,
            signing_key=signing.epoch,
            signing_key_at=signing.made_at,
            every_days=_every_days(connection),
            due_at=due_at,
            overdue=due_at < store.now(),
        )


def rotate(store: Store, *, new_root: bool, new_signing: bool = False, progress: Progress) -> Rotated:
    """Rotate the keys, the root key and the signing key too if requested; or finish an interrupted rotation.

    With `new_root`, no key that is left opens a copy of the old keyring. `progress` is called with how many buckets
    have a new key, of how many.

    Raises:
        UnavailableError: the holder, the disk or another process refuses. Everything opens as before; call it again.
        TamperError: the keyring no longer opens.

    Not done: galleries; each process computes its own again.
    """
    keyring = store.keyring
    if new_root:
        check_holder(keyring)
    # 1.
    with keyring.write() as connection:
        begun = _rotation(connection)
        if begun is None:
            connection.execute(
                insert(tables.key_rotation).values(
                    single=1,
                    new_root=int(new_root),
                    new_signing=int(new_signing),
                    done_through=0,
                    last_bucket=connection.scalar(select(func.max(_bucket.bucket_id))) or 0,
                    begun_at=store.now(),
                )
            )
        else:
            wanted = {"new_root": int(new_root or begun.new_root), "new_signing": int(new_signing or begun.new_signing)}
            connection.execute(update(tables.key_rotation).values(wanted))
    # 2.
    buckets = _renew_buckets(store, progress)
    # 3.
    new_signing_key = _introduce(store)
    # 4. to 6.
    _switch(store)
    rotated_root = _scrub_and_log(store)
    return Rotated(keyring.epoch, buckets, rotated_root, new_signing_key, begun is not None)


def _renew_buckets(store: Store, progress: Progress) -> int:
    keyring, done = store.keyring, 0
    while True:
        with keyring.write() as connection:
            rotation = _rotation(connection)
            if rotation is None or rotation.destroyed_epoch is not None:
                return done
            left = (_bucket.bucket_id > rotation.done_through) & (_bucket.bucket_id <= rotation.last_bucket)
            bucket_id = connection.scalar(select(func.min(_bucket.bucket_id)).where(left))
            if bucket_id is None:
                return done
            total = connection.scalar(select(func.count()).where(_bucket.bucket_id <= rotation.last_bucket)) or 0
            before = total - (connection.scalar(select(func.count()).where(left)) or 0)
            if not done:
                progress(before, total)
            with keyring.current(connection) as keys:
                made = rekey_bucket(connection, keys, keyring.site_id, bucket_id, store.random)
            connection.execute(update(tables.key_rotation).values(done_through=bucket_id))
        if made is not None:
            keyring.unlocked.add(*made)  # after the commit
        done += 1
        progress(before + 1, total)


def _introduce(store: Store) -> int | None:
    """Make the new signing key, if that is wanted and not done yet; return its number if this rotation made it."""
    with store.keyring.read() as connection:
        rotation = _rotation(connection)
    if rotation is None or not rotation.new_signing:
        return None
    epoch: int = rotation.signing_epoch or len(store.verifier_key.successions) + 2
    if rotation.signing_epoch is None:
        replace_signing_key(store, epoch)
    announce_successors(store)
    return epoch


def _switch(store: Store) -> None:
    """Make the new store key, projection key and root key, if that is not done yet."""
    with store.keyring.read() as connection:
        rotation = _rotation(connection)
    if rotation is None:
        return
    if rotation.destroyed_epoch is not None:
        if rotation.new_root:
            settle_root(store.keyring)  # the process that switched may have been killed before it
        return

    def note(connection: Connection, destroyed_epoch: int) -> None:
        connection.execute(update(tables.key_rotation).values(destroyed_epoch=destroyed_epoch))

    change = change_keys(
        store.keyring,
        store.random,
        store.now(),
        root_key=NewRootKey.REQUIRED if rotation.new_root else NewRootKey.NO,
        new_projection=True,
        in_transaction=note,
    )
    if rotation.new_root and not change.root_key_destroyed:
        settle_root(store.keyring)


def _scrub_and_log(store: Store) -> bool:
    """Do 5. and 6.; return whether the root key was replaced."""
    keyring = store.keyring
    # 5.
    scrubbed = keyring.engine.compact()
    if not scrubbed.complete:
        raise UnavailableError(f"{scrubbed.obstacle}; try again when it is done")
    keyring.drop_caches()
    # 6.
    with keyring.read() as connection:
        rotation = _rotation(connection)
    if rotation is None:
        return False  # another process has finished it
    details: dict[str, str | int] = {"destroyed_epoch": rotation.destroyed_epoch, "new_root": rotation.new_root}
    with store.write() as tx:
        # After a kill behind this commit, the resumed rotation comes here again.
        if not audit_log.has_entry(tx.connection, details):
            tx.log(EVENT, details)
    with keyring.write() as connection:
        connection.execute(delete(tables.key_rotation))
    return bool(rotation.new_root)


def _rotation(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(tables.key_rotation)).one_or_none()


def _every_days(connection: Connection) -> int:
    every_days = connection.scalar(select(tables.rotation_schedule.c.every_days))
    if every_days is None:
        raise UnavailableError("the keyring has no rotation schedule; set one with 'volens keys schedule'")
    return int(every_days)
