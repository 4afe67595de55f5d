"""Destroying keys: an erasure deletes grant secrets, and replaces every key that wrapped them.

1. root key: the holder is asked for a successor of the root key, in its second slot. If it does not answer, the root
   key stays, and the sweep tries again.
2. changed: one transaction of the keyring deletes the secrets and the snapshots of galleries; makes a new key for each
   bucket that they were in, and wraps again the secrets that stay there; makes a new store key, and wraps again every
   bucket key and every key of the site; and wraps the store key under the new root key.
3. exchanged: the new root key takes the place of the old one in its holder, which destroys the old one.
4. zeroed: the old keys in the memory of this process. Other processes do the same as soon as they notice the new epoch
   (`Keyring.refresh`).

After a kill at any point the keyring opens: before 2 with the old root key, after it with the new one, and the holder
has both until 3. A repetition does no harm: it makes new keys once more. The write lock of the keyring is held in 2 and
in 3, so one process at a time changes keys or exchanges the root key.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from volens.audit import VerifierKey, introduce
from volens.consent import ReceiptId, TamperError, UnavailableError, VolensError
from volens.store.keys import sealing
from volens.store.keys.buckets import rekey_bucket, remove_secrets, unknown_key
from volens.store.keys.keyring import Keyring
from volens.store.keys.root_key.holder import Slot, root_keys
from volens.store.keys.secrets import ProjectionKey, Random, RootKey, Secret, StoreKey
from volens.store.keys.unlocked_keys import UnlockedKeys
from volens.store.keys.wrapped_keys import (
    SiteKeyKind,
    WrappedKeys,
    add_site_key,
    bucket_context,
    open_store_key,
    read_wrapped_keys,
    rewrapped_site_keys,
    store_key_context,
)
from volens.store.schema import keyring_tables as tables

_ASK_TIMES: Final = 2  # another process may exchange the root key while we read both slots
_bucket = tables.bucket.c


class NewRootKey(Enum):
    """Whether a change of the keys also replaces the root key."""

    NO = "no"
    IF_HOLDER_ANSWERS = "if the holder answers"
    REQUIRED = "required"


@final
@dataclass(frozen=True, slots=True)
class SigningKeyChange:
    """A request for a new signing key.

    Attributes:
        key: the public keys until now; the newest is the one that the keyring holds.
        log_size: number of leaves of the log now. The caller holds the write lock of the data file, so that the old key
            signs no checkpoint of a longer log.
    """

    key: VerifierKey
    log_size: int


@final
@dataclass(frozen=True, slots=True)
class KeyChange:
    """What a change of the keys destroyed.

    Attributes:
        destroyed_epoch: of the store key that was destroyed; those before it no longer exist either.
        secrets: how many grant secrets were deleted.
        root_key_destroyed: the holder has replaced the root key, and destroyed the old one as far as it can.
    """

    destroyed_epoch: int
    secrets: int
    root_key_destroyed: bool


def destroy_secrets(keyring: Keyring, receipt_ids: Iterable[ReceiptId], random: Random, now: datetime) -> KeyChange:
    """Delete the secrets of consents, and destroy every key that wrapped them (steps 1 to 4).

    A repeated call has the same result, and makes new keys once more. A secret of another person that does not open
    stays as it is, and does not stop the erasure.

    Raises:
        UnavailableError: the keyring cannot be written, or another process has replaced the root key and its holder
            does not answer. Nothing was changed, as far as can be known.
        TamperError: the keyring no longer opens.
    """
    return change_keys(keyring, random, now, destroy=list(receipt_ids))


def change_keys(
    keyring: Keyring,
    random: Random,
    now: datetime,
    *,
    destroy: Sequence[ReceiptId] = (),
    root_key: NewRootKey = NewRootKey.IF_HOLDER_ANSWERS,
    new_projection: bool = False,
    new_signing_key: SigningKeyChange | None = None,
    in_transaction: Callable[[Connection, int], None] | None = None,
) -> KeyChange:
    """Make a new store key; see `destroy_secrets`, which raises the same errors.

    `in_transaction` is called with the connection and the epoch of the store key that is destroyed. If a new root key
    is required and the holder does not answer, nothing is changed, and its error is raised.
    """
    problem = None if root_key is NewRootKey.NO else _problem_of_holder(keyring)
    with ExitStack() as on_failure:
        with keyring.write() as connection:
            # 1.
            successor = None
            if root_key is not NewRootKey.NO and problem is None:
                try:
                    successor = on_failure.enter_context(_successor(keyring, connection))
                except VolensError as error:
                    problem = error
            if root_key is NewRootKey.REQUIRED and problem is not None:
                raise problem
            # 2.
            with keyring.current(connection) as keys:
                newer = keys.copy()
            on_failure.callback(newer.wipe)
            destroyed_epoch = newer.epoch
            connection.execute(delete(tables.gallery_snapshot))
            secrets, touched = remove_secrets(connection, destroy)
            for bucket_id in touched:
                made = rekey_bucket(connection, newer, keyring.site_id, bucket_id, random)
                if made is not None:
                    newer.add(*made)
            _change_store_key(keyring, connection, newer, successor, random, now)
            _replace_site_keys(
                keyring, connection, newer, random, now, new_projection=new_projection, new_signing_key=new_signing_key
            )
            if root_key is not NewRootKey.NO:
                connection.execute(update(tables.keyring).values(root_key_due=int(successor is None)))
            if in_transaction is not None:
                in_transaction(connection, destroyed_epoch)
        on_failure.pop_all()
    # 4.
    keyring.unlocked.replace_by(newer)
    if successor is None:
        return KeyChange(destroyed_epoch, secrets, root_key_destroyed=False)
    successor.wipe()
    try:
        # 3.
        settle_root(keyring)
    except VolensError:
        return KeyChange(destroyed_epoch, secrets, root_key_destroyed=False)
    return KeyChange(destroyed_epoch, secrets, root_key_destroyed=True)


def settle_root(keyring: Keyring) -> None:
    """Exchange the root key (3.) if the key in the second slot is the one that opens the keyring; else do nothing.

    Raises:
        UnavailableError, TamperError: the holder refuses.
    """
    if keyring.holder is not None:
        with keyring.write() as connection:
            _settle(keyring, connection)


def check_holder(keyring: Keyring) -> None:
    """Ask the holder of the root key whether it answers.

    Raises:
        UnavailableError, TamperError: it does not, or the keyring was opened without a holder.
    """
    problem = _problem_of_holder(keyring)
    if problem is not None:
        raise problem


def renew_root_key(keyring: Keyring, random: Random, now: datetime) -> None:
    """Replace the root key if an erasure could not, and finish an exchange; do nothing while the holder is silent."""
    with suppress(VolensError):
        settle_root(keyring)
        with keyring.read() as connection:
            is_due = connection.scalar(select(tables.keyring.c.root_key_due))
        if is_due and keyring.holder is not None:
            change_keys(keyring, random, now, root_key=NewRootKey.REQUIRED)


def _change_store_key(
    keyring: Keyring,
    connection: Connection,
    keys: UnlockedKeys,
    successor: RootKey | None,
    random: Random,
    now: datetime,
) -> None:
    """Give `keys` a new store key, and a new root key if there is one, and store them all wrapped again."""
    site_id, wrapped = keyring.site_id, read_wrapped_keys(connection, keyring.engine.name)
    old, new, epoch = keys.store_key, StoreKey.generate(random), keys.epoch + 1
    for kind, its in rewrapped_site_keys(wrapped, old, new, random).items():
        connection.execute(update(tables.site_key).where(tables.site_key.c.kind == kind.value).values(wrapped=its.box))
    keys.keep_only(wrapped.buckets)
    boxes: list[dict[str, object]] = []
    for key_id in wrapped.buckets:
        key = keys.bucket_key(key_id)
        if key is None:
            raise unknown_key()
        box = sealing.seal(key.buffer, new, bucket_context(site_id, key_id), random)
        boxes.append({"of": key_id.bucket_id, "box": box})
    if boxes:
        connection.execute(_BUCKET_BOX, boxes)
    if successor is not None:
        keys.root_key.wipe()
        keys.root_key = RootKey(successor.buffer)
    elif not _opens(wrapped, keys.root_key):
        # Wrapped under a root key that no holder has, the keyring would never open again.
        raise TamperError("integrity: the keyring is not of the root key that this process holds; restart it")
    box = sealing.seal(new.buffer, keys.root_key, store_key_context(site_id, epoch), random)
    values = {"epoch": epoch, "wrapped_store_key": box, "store_key_at": now}
    connection.execute(update(tables.keyring).values(values | ({} if successor is None else {"root_key_at": now})))
    old.wipe()
    keys.store_key, keys.epoch = new, epoch


def _replace_site_keys(
    keyring: Keyring,
    connection: Connection,
    keys: UnlockedKeys,
    random: Random,
    now: datetime,
    *,
    new_projection: bool,
    new_signing_key: SigningKeyChange | None,
) -> None:
    if new_projection:
        _replace_projection_key(keyring, connection, keys, random, now)
    if new_signing_key is not None:
        _replace_signing_key(keyring, connection, keys, new_signing_key, random, now)


def _replace_projection_key(
    keyring: Keyring, connection: Connection, keys: UnlockedKeys, random: Random, now: datetime
) -> None:
    projection, epoch = ProjectionKey.generate(random), keys.site.projection_epoch + 1
    keys.site.projection.wipe()
    keys.site = replace(keys.site, projection=projection, projection_epoch=epoch)
    add_site_key(
        connection,
        keyring.site_id,
        SiteKeyKind.PROJECTION,
        epoch,
        projection,
        keys.store_key,
        random=random,
        now=now,
    )


def _replace_signing_key(
    keyring: Keyring,
    connection: Connection,
    keys: UnlockedKeys,
    change: SigningKeyChange,
    random: Random,
    now: datetime,
) -> None:
    """Store a new signing key, and the statement, signed with the old key, that introduces it."""
    epoch = len(change.key.successions) + 2
    with Secret.generate(random) as seed:
        signing = Ed25519PrivateKey.from_private_bytes(seed.buffer)
        add_site_key(
            connection, keyring.site_id, SiteKeyKind.SIGNING, epoch, seed, keys.store_key, random=random, now=now
        )
    statement = introduce(keyring, change.key, signing.public_key().public_bytes_raw(), change.log_size)
    connection.execute(insert(tables.key_succession).values(epoch=epoch, statement=statement))
    keys.site = replace(keys.site, signing=signing)


def _problem_of_holder(keyring: Keyring) -> VolensError | None:
    """Ask the holder before the write lock is taken, so that no other process waits for one that does not answer."""
    problem: VolensError = UnavailableError("the site was opened with a root key alone, which cannot be replaced")
    for _ in range(_ASK_TIMES):
        try:
            if keyring.holder is not None:
                with root_keys(keyring.holder):
                    return None
        except VolensError as error:
            problem = error
    return problem


def _successor(keyring: Keyring, connection: Connection) -> RootKey:
    """Let the holder make the next root key."""
    # Otherwise the key in the second slot may be the one that opens the keyring, and must not be replaced.
    _settle(keyring, connection)
    if keyring.holder is None:
        raise UnavailableError("the site was opened with a root key alone, which cannot be replaced")
    return keyring.holder.create(Slot.NEXT)


def _settle(keyring: Keyring, connection: Connection) -> None:
    holder = keyring.holder
    waiting = None if holder is None else holder.open(Slot.NEXT)
    if holder is None or waiting is None:
        return
    with waiting:
        is_in_use = _opens(read_wrapped_keys(connection, keyring.engine.name), waiting)
    if is_in_use:
        holder.succeed()


def _opens(wrapped: WrappedKeys, root_key: RootKey) -> bool:
    store_key = open_store_key(wrapped, root_key)
    if store_key is not None:
        store_key.wipe()
    return store_key is not None


_BUCKET_BOX: Final = update(tables.bucket).where(_bucket.bucket_id == bindparam("of")).values(wrapped=bindparam("box"))
