"""Key rotation: a new store key, every grant secret wrapped again under it, and the old key destroyed.

1. begun: one transaction of the keyring makes the next store key. If a new root key is wanted, that is made before, in
   the second slot of its holder, and the same transaction wraps both store keys with it: before it the keyring opens
   with the old root key, after it with the new one, and the holder has both.
2. root key exchanged: the new root key takes the slot of the old one, which is destroyed.
3. wrapped again: the grant secrets, a chunk in each transaction. A row states which store key wraps it; a process that
   opens the keyring in the meantime has both keys. New consents get the new one.
4. switched: when no row of the old key is left, one transaction wraps the signing key again (neither it nor the public
   key changes), replaces the old store key by the next one, and stores the time.
5. scrubbed: the keyring is rewritten without free space and scrubbed, so that no old wrapping is left in it.
6. logged: ``keys.rotated``, with the numbers of the epochs only.

After a kill at any point, the site opens and matches; `rotate` resumes. The projection of the galleries is derived from
the store key, so that every sketch is computed again, in other processes when they next read the log
(`volens.index.gallery`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

import rfc8785
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from volens.consent import TamperError, UnavailableError, VolensError
from volens.store.keys import sealing
from volens.store.keys.keyring import Keyring, signing_key_context, unknown_epoch
from volens.store.keys.root_key.holder import RootKeyHolder, Slot, root_keys
from volens.store.keys.secrets import KEY_BYTES, GrantSecret, RootKey, StoreKey
from volens.store.keys.store_keys import StoreKeys, store_key_context
from volens.store.schema import data_tables as schema
from volens.store.schema import keyring_tables as tables
from volens.store.store import Store

EVENT: Final = "keys.rotated"
CHUNK: Final = 500
Progress = Callable[[int, int], None]

_secret = tables.grant_secret.c


@final
@dataclass(frozen=True, slots=True)
class Rotated:
    """The result of a rotation.

    Attributes:
        epoch: of the store key now.
        secrets: how many this run wrapped again.
        resumed: whether this run finished an interrupted rotation.
    """

    epoch: int
    secrets: int
    new_root: bool
    resumed: bool


@final
@dataclass(frozen=True, slots=True)
class KeysStatus:
    """The state of the keys.

    Attributes:
        epoch: of the store key in use.
        next_epoch: of the store key that a rotation in progress changes to; None if there is none.
        unscrubbed: a rotation has switched keys, but step 5 or 6 is not done.
        secrets: how many grant secrets each epoch wraps.
        root_key: the URL of its holder.
        due_at: the deadline for the next rotation of the store key.
    """

    epoch: int
    next_epoch: int | None
    unscrubbed: bool
    secrets: dict[int, int]
    root_key: str
    rotated_at: datetime
    root_rotated_at: datetime
    every_days: int
    due_at: datetime
    overdue: bool

    @property
    def unfinished(self) -> bool:
        """Whether a rotation was interrupted."""
        return self.unscrubbed or self.next_epoch is not None


def rotation_due(store: Store) -> datetime:
    """Return the deadline for the destruction of the store key in use; it may have passed."""
    with store.keyring.read() as connection:
        return _times(store, connection)[0] + timedelta(days=_every_days(connection))


def keys_status(store: Store, holder: RootKeyHolder) -> KeysStatus:
    """Return the state of the keys. No request is made to the holder."""
    with store.keyring.read() as connection:
        following = _pending(connection)
        rotated_at, root_rotated_at = _times(store, connection)
        every_days = _every_days(connection)
        counts = select(_secret.epoch, func.count()).group_by(_secret.epoch).order_by(_secret.epoch)
        due_at = rotated_at + timedelta(days=every_days)
        return KeysStatus(
            epoch=int(connection.scalar(select(tables.keyring.c.epoch)) or 0),
            next_epoch=None if following is None else following.epoch,
            unscrubbed=_unscrubbed(connection) is not None,
            secrets={row.epoch: int(row[1]) for row in connection.execute(counts)},
            root_key=holder.url,
            rotated_at=rotated_at,
            root_rotated_at=root_rotated_at,
            every_days=every_days,
            due_at=due_at,
            overdue=due_at < store.now(),
        )


def rotate(store: Store, holder: RootKeyHolder, *, new_root: bool, progress: Progress) -> Rotated:
    """Rotate the store key, and the root key too if requested; or finish an interrupted rotation.

    With `new_root`, no key that is left opens a copy of the old keyring. `progress` is called with how many secrets are
    wrapped again, of how many.

    Raises:
        UnavailableError: the holder, the disk or another process refuses. Everything opens as before; call it again.
        TamperError: a secret does not open under the key that its row names; the rotation stops before it.

    Not done: galleries; each process computes its own again.
    """
    keyring = store.keyring
    # 2. of a rotation that was interrupted there
    settle_root(keyring, holder)
    keyring.refresh()
    with keyring.read() as connection:
        following, left = _pending(connection), _unscrubbed(connection)
    begun = left if following is None else following
    if begun is not None:
        begun_with_root = bool(begun.new_root)
        rotated = _finish(store, holder, progress, new_root=begun_with_root, resumed=True)
        if begun_with_root or not new_root:
            return rotated
    # 1. and 2.
    _begin(store, holder, new_root=new_root)
    if new_root:
        settle_root(keyring, holder)
    # 3. to 6.
    return _finish(store, holder, progress, new_root=new_root, resumed=False)


def settle_root(keyring: Keyring, holder: RootKeyHolder) -> None:
    """Exchange the root key (2.) if the key in the second slot is the one that opens the keyring; else do nothing.

    Raises:
        UnavailableError, TamperError: the holder refuses.
    """
    with keyring.write() as connection:  # one process at a time
        waiting = holder.open(Slot.NEXT)
        if waiting is None:
            return
        with waiting:
            if not _opens(keyring, connection, waiting):
                return
        holder.succeed()


def _begin(store: Store, holder: RootKeyHolder, *, new_root: bool) -> None:
    keyring = store.keyring
    with keyring.write() as connection:
        if _pending(connection) is not None:
            raise UnavailableError("another process has begun to rotate the keys; try again when it is done")
        row = connection.execute(select(tables.keyring)).one()
        epoch = row.epoch + 1
        with (
            holder.create(Slot.NEXT) if new_root else _root_key(keyring, connection, holder) as root_key,
            keyring.store_keys.lock,
        ):
            store_key = StoreKey.generate(store.random)
            connection.execute(
                insert(tables.next_store_key).values(
                    epoch=epoch,
                    wrapped=_wrap(store, store_key, root_key, epoch),
                    new_root=int(new_root),
                    begun_at=store.now(),
                )
            )
            if new_root:
                wrapped = _wrap(store, keyring.store_keys[row.epoch], root_key, row.epoch)
                connection.execute(update(tables.keyring).values(wrapped_store_key=wrapped))
    keyring.store_keys.take(StoreKeys({epoch: store_key}))


def _finish(store: Store, holder: RootKeyHolder, progress: Progress, *, new_root: bool, resumed: bool) -> Rotated:
    keyring = store.keyring
    # 3. and 4.
    secrets = 0
    while True:
        keyring.refresh()
        secrets += _wrap_again(store, progress)
        if _switch(store):
            break
    # 2. again: a process that was killed there may have left the old root key in its slot
    settle_root(keyring, holder)
    keyring.refresh()
    # 5. and 6.
    _scrub_and_log(store)
    return Rotated(keyring.epoch, secrets, new_root, resumed)


def _wrap_again(store: Store, progress: Progress) -> int:
    keyring = store.keyring
    with keyring.read() as connection:
        following = _pending(connection)
        if following is None:
            return 0
        epoch = following.epoch
        total = int(connection.scalar(select(func.count()).where(_secret.epoch < epoch)) or 0)
    done, last = 0, ""
    progress(0, total)
    while True:
        with keyring.write() as connection, keyring.store_keys.lock:
            rows = connection.execute(_OLD, {"epoch": epoch, "last": last}).all()
            if not rows or epoch not in keyring.store_keys:
                return done
            connection.execute(_WRAP_AGAIN, [_wrapped_again(store, row, epoch) for row in rows])
        done, last = done + len(rows), rows[-1].receipt_id
        progress(done, max(done, total))


def _wrapped_again(store: Store, row: Row[*tuple[Any, ...]], epoch: int) -> dict[str, object]:
    keyring = store.keyring
    if row.epoch not in keyring.store_keys:
        raise unknown_epoch()
    with GrantSecret(bytes(KEY_BYTES)) as secret:
        context = keyring.secret_context(row.receipt_id, row.epoch)
        sealing.open_into(row.wrapped, keyring.store_keys[row.epoch], context, secret.buffer)
        context = keyring.secret_context(row.receipt_id, epoch)
        wrapped = sealing.seal(secret.buffer, keyring.store_keys[epoch], context, store.random)
    return {"id": row.receipt_id, "wrapped": wrapped, "to": epoch}


def _switch(store: Store) -> bool:
    """Replace the store key by the next one; False if secrets of the old one are left."""
    keyring = store.keyring
    with keyring.write() as connection, keyring.store_keys.lock:
        following = _pending(connection)
        if following is None:
            return True  # another process has already done it
        if connection.scalar(select(func.count()).where(_secret.epoch < following.epoch)):
            return False
        row = connection.execute(select(tables.keyring)).one()
        seed, context = bytearray(KEY_BYTES), signing_key_context(keyring.site_id)
        sealing.open_into(row.wrapped_signing_key, keyring.store_keys[row.epoch], context, seed)
        connection.execute(
            update(tables.keyring).values(
                epoch=following.epoch,
                wrapped_store_key=following.wrapped,
                wrapped_signing_key=sealing.seal(seed, keyring.store_keys[following.epoch], context, store.random),
            )
        )
        seed[:] = bytes(KEY_BYTES)
        connection.execute(delete(tables.next_store_key))
        connection.execute(delete(tables.gallery_snapshot))  # the sketches in it are of the old key
        connection.execute(
            insert(tables.rotation).values(
                epoch=following.epoch, new_root=following.new_root, rotated_at=store.now(), scrubbed=0
            )
        )
        return True


def _scrub_and_log(store: Store) -> None:
    keyring = store.keyring
    # 5.
    scrubbed = keyring.engine.compact()
    if not scrubbed.complete:
        raise UnavailableError(f"{scrubbed.obstacle}; try again when it is done")
    # 6.
    details: dict[str, str | int] = {"epoch": keyring.epoch, "destroyed_epoch": keyring.epoch - 1}
    with store.write() as tx:
        opening = schema.audit_opening.c
        text = rfc8785.dumps(dict(details)).decode("ascii")
        # After a kill behind this commit, the resumed rotation comes here again.
        logged = select(opening.seq).where(opening.receipt_id.is_(None), opening.details == text)
        if tx.connection.scalar(logged) is None:
            tx.log(EVENT, details)
    with keyring.write() as connection:
        connection.execute(update(tables.rotation).where(tables.rotation.c.epoch == keyring.epoch).values(scrubbed=1))


def _root_key(keyring: Keyring, connection: Connection, holder: RootKeyHolder) -> RootKey:
    """Return the root key that opens the keyring now; the caller wipes it."""
    with root_keys(holder) as found:
        for key in found.keys:
            if _opens(keyring, connection, key):
                return RootKey(key.buffer)
    problem: VolensError = found.problem or TamperError(
        "integrity: the keyring no longer opens with this root key; use the root key that was made with it"
    )
    raise problem


def _opens(keyring: Keyring, connection: Connection, root_key: RootKey) -> bool:
    row = connection.execute(select(tables.keyring)).one()
    opened = StoreKeys.unlock(keyring.site_id, {row.epoch: row.wrapped_store_key}, root_key)
    if opened is None:
        return False
    opened.wipe()
    return True


def _wrap(store: Store, store_key: StoreKey, root_key: RootKey, epoch: int) -> bytes:
    return sealing.seal(store_key.buffer, root_key, store_key_context(store.keyring.site_id, epoch), store.random)


def _pending(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(tables.next_store_key)).one_or_none()


def _unscrubbed(connection: Connection) -> Row[Any] | None:
    newest = select(tables.rotation).where(tables.rotation.c.scrubbed == 0).order_by(tables.rotation.c.epoch.desc())
    return connection.execute(newest).first()


def _times(store: Store, connection: Connection) -> tuple[datetime, datetime]:
    """Return when the store key and the root key were made; the first ones were made with the site."""
    newest = select(func.max(tables.rotation.c.rotated_at, type_=tables.rotation.c.rotated_at.type))
    first = store.site.created_at
    rotated_at = connection.scalar(newest)
    return rotated_at or first, connection.scalar(newest.where(tables.rotation.c.new_root == 1)) or first


def _every_days(connection: Connection) -> int:
    every_days = connection.scalar(select(tables.rotation_schedule.c.every_days))
    if every_days is None:
        raise UnavailableError("the keyring has no rotation schedule; set one with 'volens keys schedule'")
    return int(every_days)


_OLD: Final = (
    select(_secret.receipt_id, _secret.epoch, _secret.wrapped)
    .where(_secret.epoch < bindparam("epoch"), _secret.receipt_id > bindparam("last"))
    .order_by(_secret.receipt_id)
    .limit(CHUNK)
)
_WRAP_AGAIN: Final = (
    update(tables.grant_secret)
    .where(_secret.receipt_id == bindparam("id"))
    .values(wrapped=bindparam("wrapped"), epoch=bindparam("to"))
)
