"""The wrapped keys of a keyring as they are stored: reading and unlocking them, and wrapping them again.

Every key is sealed with AES-256-GCM under the key above it (`volens.store.keys.sealing`). The associated data binds
each box to the site and to its place, so a box in the place of another one does not open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select, update

from volens.consent import TamperError
from volens.consent.errors import DamagedDataError
from volens.store.keys import sealing
from volens.store.keys.secrets import (
    KEY_BYTES,
    AuthenticationKey,
    BucketKey,
    ProjectionKey,
    Random,
    RootKey,
    Secret,
    StoreKey,
)
from volens.store.keys.unlocked_keys import KeyId, SiteKeys, UnlockedKeys
from volens.store.schema import keyring_tables as tables

FIRST_EPOCH: Final = 1
AnySecret = TypeVar("AnySecret", bound=Secret)


class SiteKeyKind(StrEnum):
    """What a key of the site is for. No key has two uses."""

    SIGNING = "signing"
    AUTHENTICATION = "authentication"
    PROJECTION = "projection"


@final
@dataclass(frozen=True, slots=True)
class WrappedSiteKey:
    """A key of the site, wrapped under the store key."""

    epoch: int
    box: bytes


@final
@dataclass(frozen=True, slots=True)
class WrappedKeys:
    """Everything that unlocking a keyring needs, from one snapshot.

    Attributes:
        epoch: of the store key.
        store_key: wrapped under the root key.
        site_keys, buckets: wrapped under the store key.
    """

    site_id: str
    epoch: int
    store_key: bytes
    site_keys: Mapping[SiteKeyKind, WrappedSiteKey]
    buckets: Mapping[KeyId, bytes]


def read_wrapped_keys(connection: Connection, name: str) -> WrappedKeys:
    """Read the wrapped keys of a keyring; `name` is what errors call it.

    Raises:
        TamperError: the site or one of its keys is missing.
    """
    row = connection.execute(select(tables.keyring)).one_or_none()
    if row is None:
        raise DamagedDataError(f"{name} has no site", "keyring")
    site_keys = {
        SiteKeyKind(one.kind): WrappedSiteKey(one.epoch, one.wrapped)
        for one in connection.execute(select(tables.site_key))
    }
    if site_keys.keys() != set(SiteKeyKind):
        raise DamagedDataError(f"{name} lacks a key of the site", "keyring")
    buckets = {
        KeyId(one.bucket_id, one.number): one.wrapped
        for one in connection.execute(
            select(tables.bucket.c.bucket_id, tables.bucket.c.number, tables.bucket.c.wrapped)
        )
    }
    return WrappedKeys(row.site_id, row.epoch, row.wrapped_store_key, site_keys, buckets)


def open_store_key(wrapped: WrappedKeys, root_key: RootKey) -> StoreKey | None:
    """Open the store key; None if this root key does not open it. The caller wipes it."""
    store_key = StoreKey(bytes(KEY_BYTES))
    context = store_key_context(wrapped.site_id, wrapped.epoch)
    try:
        sealing.open_into(wrapped.store_key, root_key, context, store_key.buffer)
    except TamperError:
        return None
    return store_key


def unlock(wrapped: WrappedKeys, root_key: RootKey) -> UnlockedKeys | None:
    """Unlock every key; None if this root key does not open the store key. The root key is copied.

    Raises:
        TamperError: a key below the store key was put in the place of another one, or was changed.
    """
    store_key = open_store_key(wrapped, root_key)
    if store_key is None:
        return None
    try:
        site, buckets = unlock_site_keys(wrapped, store_key), unlock_buckets(wrapped, store_key, set())
    except TamperError:
        store_key.wipe()
        raise
    return UnlockedKeys(wrapped.epoch, RootKey(root_key.buffer), store_key, site, buckets)


def unlock_site_keys(wrapped: WrappedKeys, store_key: StoreKey) -> SiteKeys:
    """Unlock the keys of the site.

    Raises:
        TamperError: one does not open.
    """

    def opened(kind: SiteKeyKind, secret: AnySecret) -> AnySecret:
        its = wrapped.site_keys[kind]
        context = site_key_context(wrapped.site_id, kind, its.epoch)
        sealing.open_into(its.box, store_key, context, secret.buffer)
        return secret

    with opened(SiteKeyKind.SIGNING, Secret(bytes(KEY_BYTES))) as seed:
        signing = Ed25519PrivateKey.from_private_bytes(seed.buffer)
    return SiteKeys(
        signing,
        opened(SiteKeyKind.AUTHENTICATION, AuthenticationKey(bytes(KEY_BYTES))),
        opened(SiteKeyKind.PROJECTION, ProjectionKey(bytes(KEY_BYTES))),
        wrapped.site_keys[SiteKeyKind.PROJECTION].epoch,
    )


def unlock_buckets(wrapped: WrappedKeys, store_key: StoreKey, known: set[KeyId]) -> dict[KeyId, BucketKey]:
    """Unlock the bucket keys that are not known yet.

    Raises:
        TamperError: one does not open.
    """
    buckets: dict[KeyId, BucketKey] = {}
    for key_id in wrapped.buckets.keys() - known:
        buckets[key_id] = BucketKey(bytes(KEY_BYTES))
        context = bucket_context(wrapped.site_id, key_id)
        sealing.open_into(wrapped.buckets[key_id], store_key, context, buckets[key_id].buffer)
    return buckets


def rewrapped_site_keys(
    wrapped: WrappedKeys, old: StoreKey, new: StoreKey, random: Random
) -> dict[SiteKeyKind, WrappedSiteKey]:
    """Return the keys of the site, opened and wrapped again under another store key."""
    again: dict[SiteKeyKind, WrappedSiteKey] = {}
    with Secret(bytes(KEY_BYTES)) as secret:
        for kind, its in wrapped.site_keys.items():
            context = site_key_context(wrapped.site_id, kind, its.epoch)
            sealing.open_into(its.box, old, context, secret.buffer)
            again[kind] = WrappedSiteKey(its.epoch, sealing.seal(secret.buffer, new, context, random))
    return again


def add_site_key(
    connection: Connection,
    site_id: str,
    kind: SiteKeyKind,
    epoch: int,
    secret: Secret,
    store_key: StoreKey,
    *,
    random: Random,
    now: datetime,
) -> None:
    """Store a new key of the site, in the place of an older one of its kind."""
    box = sealing.seal(secret.buffer, store_key, site_key_context(site_id, kind, epoch), random)
    values = {"epoch": epoch, "wrapped": box, "made_at": now}
    if not connection.execute(
        update(tables.site_key).where(tables.site_key.c.kind == kind.value).values(values)
    ).rowcount:
        connection.execute(insert(tables.site_key), {"kind": kind.value, **values})


def store_key_context(site_id: str, epoch: int) -> bytes:
    """Return the associated data of the wrapped store key."""
    return sealing.context("store key", site_id, str(epoch))


def site_key_context(site_id: str, kind: SiteKeyKind, epoch: int) -> bytes:
    """Return the associated data of a wrapped key of the site."""
    return sealing.context("site key", site_id, kind.value, str(epoch))


def bucket_context(site_id: str, key_id: KeyId) -> bytes:
    """Return the associated data of a wrapped bucket key."""
    return sealing.context("bucket key", site_id, str(key_id.bucket_id), str(key_id.number))


def secret_context(site_id: str, receipt_id: str, key_id: KeyId) -> bytes:
    """Return the associated data of a wrapped grant secret."""
    return sealing.context("grant secret", site_id, receipt_id, str(key_id.bucket_id), str(key_id.number))
