"""Rotation: a new store key, every grant secret wrapped anew, and the old key destroyed.

1. begun: in one transaction of the keyring the next store key is made. With a new root key, that is made first, in its
   holder's second place, and the same transaction wraps both store keys with it: before it the keyring opens with the
   old root key, after it with the new one, and the holder has both.
2. succeeded: the new root key takes the old one's place, and the old one is destroyed.
3. wrapped anew: the grant secrets, a chunk in each transaction. A row says which store key wraps it; whoever opens the
   keyring meanwhile has both. New consents get the new one.
4. switched: when no row of the old key is left, one transaction wraps the signing key anew (it does not change, nor
   does the public key), puts the next store key in the place of the old one, and notes when.
5. scrubbed: write-ahead log cut, file rewritten without free space, log cut again: no old wrapping is left in them.
6. logged: ``keys.rotated``, the epochs' numbers only.

Killed anywhere, the site opens and matches; `rotate` goes on where it was. The projection of the galleries is derived
from the store key, so that every sketch is made anew, in other processes when they next look (`volens.index.gallery`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

import rfc8785
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from volens.consent import InputError, TamperError, UnavailableError, VolensError
from volens.store.keys import keyring_schema as tables
from volens.store.keys import sealing
from volens.store.keys.keyring import Keyring, signing_key_context
from volens.store.keys.root_key.holder import RootKeyHolder, Slot, root_keys
from volens.store.keys.secrets import KEY_BYTES, GrantSecret, RootKey, StoreKey
from volens.store.keys.store_keys import StoreKeys, store_key_context
from volens.store.schema import data_tables as schema
from volens.store.store import Store

EVENT: Final = "keys.rotated"
MAX_EVERY_DAYS: Final = 1098
CHUNK: Final = 500
Progress = Callable[[int, int], None]

_secret = tables.grant_secret.c


@final
@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did.

    Attributes:
        epoch: of the store key now.
        secrets: how many were wrapped anew, in this run.
        new_root: whether there is a new root key too.
        resumed: whether this finished a rotation that was cut short.
    """

    epoch: int
    secrets: int
    new_root: bool
    resumed: bool


@final
@dataclass(frozen=True, slots=True)
class KeysStatus:
    """The keys in numbers and times.

    Attributes:
        epoch: of the store key in use.
        next_epoch: of the one that a rotation under way goes to; None if there is none.
        unscrubbed: a rotation is over, but what it left in the file is not yet gone.
        secrets: how many grant secrets each epoch wraps.
        root_key: the URL of its holder.
        rotated_at: when the store key was made.
        root_rotated_at: when the root key was.
        due_at: by when the store key is to be rotated.
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
        """Whether a rotation was cut short."""
        return self.unscrubbed or self.next_epoch is not None


def _quiet(_done: int, _total: int) -> None:
    return


def rotation_due(store: Store) -> datetime:
    """Return by when the store key in use is to be destroyed; it may have passed."""
    with store.keyring.read() as connection:
        rotated_at, _ = _times(store, connection)
        return rotated_at + timedelta(days=_every_days(connection))


def keys_status(store: Store, holder: RootKeyHolder) -> KeysStatus:
    """Return what there is to know of the keys. The holder is not asked."""
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


def schedule_rotation(store: Store, every_days: int) -> None:
    """Set after how many days a store key is to be rotated; certificates promise it.

    Raises:
        InputError: not 1 to 1098 days.
    """
    if not 1 <= every_days <= MAX_EVERY_DAYS:
        raise InputError(f"got a rotation every {every_days} days; expected 1 to {MAX_EVERY_DAYS}")
    with store.keyring.write() as connection:
        connection.execute(update(tables.rotation_schedule).values(every_days=every_days))


def rotate(store: Store, holder: RootKeyHolder, *, new_root: bool, progress: Progress = _quiet) -> Rotated:
    """Rotate the store key, and the root key too if asked; or finish a rotation that was cut short.

    Args:
        store: of the site.
        holder: of its root key.
        new_root: make a new root key, so that a copy of the old keyring opens with nothing that is left.
        progress: called with how many secrets are wrapped anew, of how many.

    Raises:
        UnavailableError: the holder, the disk or another process refuses. Everything opens as before; call it again.
        TamperError: a secret does not open under the key that its row names; the rotation stops before it.

    Not done: galleries are made anew by those who hold them.
    """
    keyring = store.keyring
    # 2. of a rotation that was cut short there
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
    """Let a waiting root key take its place (2.) if it is the one that opens the keyring; otherwise change nothing.

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
        secrets += _wrap_anew(store, progress)
        if _switch(store):
            break
    # 2. once more: a process that was killed there may have left the old root key where it was
    settle_root(keyring, holder)
    keyring.refresh()
    # 5. and 6.
    _scrub_and_log(store)
    return Rotated(keyring.epoch, secrets, new_root, resumed)


def _wrap_anew(store: Store, progress: Progress) -> int:
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
            connection.execute(_WRAP_ANEW, [_anew(store, row, epoch) for row in rows])
        done, last = done + len(rows), rows[-1].receipt_id
        progress(done, max(done, total))


def _anew(store: Store, row: Row[*tuple[Any, ...]], epoch: int) -> dict[str, object]:
    keyring = store.keyring
    if row.epoch not in keyring.store_keys:
        raise TamperError("integrity: a secret is of a store key that the keyring does not have; restore the keyring")
    with GrantSecret(bytes(KEY_BYTES)) as secret:
        context = keyring.secret_context(row.receipt_id, row.epoch)
        sealing.open_into(row.wrapped, keyring.store_keys[row.epoch], context, secret.buffer)
        context = keyring.secret_context(row.receipt_id, epoch)
        wrapped = sealing.seal(secret.buffer, keyring.store_keys[epoch], context, store.random)
    return {"id": row.receipt_id, "wrapped": wrapped, "to": epoch}


def _switch(store: Store) -> bool:
    """Put the next store key in its place; False if secrets of the old one are left."""
    keyring = store.keyring
    with keyring.write() as connection, keyring.store_keys.lock:
        following = _pending(connection)
        if following is None:
            return True  # another process was faster
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
    # 5. Twice cut: what VACUUM writes goes through the log, whose old frames must not come back behind it.
    keyring.scrub()
    keyring.vacuum()
    keyring.scrub()
    # 6.
    details: dict[str, str | int] = {"epoch": keyring.epoch, "destroyed_epoch": keyring.epoch - 1}
    with store.write() as tx:
        opening = schema.audit_opening.c
        text = rfc8785.dumps(dict(details)).decode("ascii")
        # Killed behind this commit, it comes here again.
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
        "integrity: the keyring does not open with this root key any more; use the root key that was made with it"
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
    """Return when the store key and the root key were made; the first ones were with the site."""
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
_WRAP_ANEW: Final = (
    update(tables.grant_secret)
    .where(_secret.receipt_id == bindparam("id"))
    .values(wrapped=bindparam("wrapped"), epoch=bindparam("to"))
)
