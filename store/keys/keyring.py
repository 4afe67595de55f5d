"""The keyring: wrapped keys and secrets, in a database of its own that backups of the data leave out.

Key hierarchy: root key -> store key -> bucket keys -> one grant secret for each consent. A bucket key wraps the secrets
of at most 256 consents. The store key also wraps three random keys of the site: for signing, for authentication (HMAC),
and for the projections of the galleries. Every key is wrapped with AES-256-GCM under the key above it and bound to its
place (associated data).

An erasure deletes secrets and destroys every key that wrapped them (`volens.store.keys.key_change`), so that no copy of
the person's embedding can be opened any more, and what is left of old wrappings on disks or in memory opens nothing.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Self, final

from sqlalchemy import Connection, insert, select

from volens.audit import Checkpoint, empty_root, sign_checkpoint
from volens.consent import ReceiptId, SiteId, TamperError, UnavailableError
from volens.consent import jws as consent_jws
from volens.store.engine import StoreEngine
from volens.store.engine_choice import open_engine
from volens.store.files.freed_memory import overwrite_freed_bytes
from volens.store.keys import sealing
from volens.store.keys.buckets import put_secret, remove_secrets, unknown_key
from volens.store.keys.lost_secret import lost_secret
from volens.store.keys.root_key.holder import RootKeyHolder, RootKeys, root_keys
from volens.store.keys.secrets import (
    KEY_BYTES,
    AuthenticationKey,
    DerivedKey,
    GrantSecret,
    ProjectionKey,
    Random,
    RootKey,
    Secret,
    StoreKey,
)
from volens.store.keys.unlocked_keys import KeyId, UnlockedKeys
from volens.store.keys.unlocking import unlock_keyring
from volens.store.keys.wrapped_keys import (
    FIRST_EPOCH,
    SiteKeyKind,
    WrappedKeys,
    add_site_key,
    read_wrapped_keys,
    secret_context,
    store_key_context,
    unlock,
    unlock_buckets,
)
from volens.store.prepared_query import InList, PreparedQuery
from volens.store.recovery_advice import advised
from volens.store.schema import keyring_tables as tables

_BATCH: Final = 500
_ATTEMPTS: Final = 10


@final
@dataclass(frozen=True, slots=True)
class LogHead:
    """The head of the audit log that the keyring remembers."""

    size: int
    root: bytes


class Wrapped(NamedTuple):
    """A wrapped grant secret, and which bucket key wraps it."""

    key_id: KeyId
    box: bytes | memoryview


def read_site_id(path: Path) -> SiteId:
    """Return whose keyring it is, without unlocking it.

    Raises:
        UnavailableError: it is missing or cannot be used.
        TamperError: its schema is not the one of this version.
    """
    with closing(open_engine(path, "keyring", tables.REVISIONS)) as engine, engine.read() as connection:
        return SiteId(str(connection.scalar(select(tables.keyring.c.site_id))))


@final
class Keyring:
    """An open keyring. `close` zeroes the keys as far as Python allows.

    Attributes:
        unlocked: the keys in use. Another process may have replaced them on the disk; `refresh` notices it.
        holder: of the root key; None if the keyring was opened with a root key alone, which then cannot be replaced.
    """

    def __init__(
        self, engine: StoreEngine, site_id: SiteId, unlocked: UnlockedKeys, holder: RootKeyHolder | None = None
    ) -> None:
        self.site_id = site_id
        self.engine = engine
        self.unlocked = unlocked
        self.holder = holder

    @classmethod
    def create(cls, path: Path, site_id: SiteId, root_key: RootKey, random: Random, now: datetime) -> Self:
        """Make a keyring with a new store key and new keys of the site.

        Raises:
            UnavailableError: it is already there, or the disk refuses.
        """
        engine = open_engine(path, "keyring", tables.REVISIONS, create=True)
        with StoreKey.generate(random) as store_key, engine.write() as connection:
            context = store_key_context(site_id, FIRST_EPOCH)
            connection.execute(
                insert(tables.keyring).values(
                    site_id=site_id,
                    epoch=FIRST_EPOCH,
                    wrapped_store_key=sealing.seal(store_key.buffer, root_key, context, random),
                    store_key_at=now,
                    root_key_at=now,
                    root_key_due=0,
                    log_size=0,
                    log_root=empty_root(),
                )
            )
            kinds: dict[SiteKeyKind, type[Secret]] = {
                SiteKeyKind.SIGNING: Secret,
                SiteKeyKind.AUTHENTICATION: AuthenticationKey,
                SiteKeyKind.PROJECTION: ProjectionKey,
            }
            for kind, secret in kinds.items():
                with secret.generate(random) as key:
                    add_site_key(connection, site_id, kind, FIRST_EPOCH, key, store_key, random=random, now=now)
        return cls(engine, site_id, unlock_keyring(engine, lambda: RootKeys([RootKey(root_key.buffer)]))[1])

    @classmethod
    def open(cls, path: Path, root_key: RootKey | RootKeyHolder) -> Self:
        """Unlock a keyring, with the holder of its root key or with the key alone.

        Raises:
            UnavailableError: the keyring is missing or cannot be used, or the holder does not answer.
            TamperError: it does not open with this root key.
        """
        with ExitStack() as on_failure:
            engine = open_engine(path, "keyring", tables.REVISIONS)
            on_failure.callback(engine.close)
            if isinstance(root_key, RootKey):
                site_id, unlocked = unlock_keyring(engine, lambda: RootKeys([RootKey(root_key.buffer)]))
            else:
                site_id, unlocked = unlock_keyring(engine, lambda: root_keys(root_key))
            on_failure.pop_all()
            return cls(engine, site_id, unlocked, None if isinstance(root_key, RootKey) else root_key)

    def refresh(self) -> bool:
        """Check whether another process changed the keys, and unlock the new ones; False if nothing changed.

        The old ones are zeroed. Cost if nothing changed: one prepared query.

        Raises:
            UnavailableError: the holder of the root key does not answer, or the keyring was opened without a holder.
            TamperError: the keyring no longer opens.
        """
        with self.engine.read_each() as reads:
            rows = _EPOCH.rows(reads, {})
        return False if rows == [(self.epoch,)] else self._reload()

    @property
    def epoch(self) -> int:
        """The epoch of the store key that this process holds."""
        return self.unlocked.epoch

    @property
    def projection_epoch(self) -> int:
        """The epoch of the projection key: with another one, every sketch is another one."""
        return self.unlocked.site.projection_epoch

    @property
    def public_key(self) -> bytes:
        """The site's public key, 32 bytes, Ed25519."""
        return self.unlocked.site.signing.public_key().public_bytes_raw()

    def successions(self) -> list[str]:
        """Return the signed statements that introduced the site's later signing keys, oldest first."""
        with self.engine.read() as connection:
            return list(connection.scalars(select(_succession.statement).order_by(_succession.epoch)))

    def sign(self, payload: bytes, typ: str) -> str:
        """Sign `payload` as the site, as a compact JWS, with the newest signing key.

        Raises:
            UnavailableError, TamperError: as `refresh`.
        """
        self.refresh()
        return consent_jws.sign(payload, typ, self.unlocked.site.signing)

    def sign_checkpoint(self, checkpoint: Checkpoint) -> str:
        """Sign a tree head that was read before this call as the site, as a note; see `sign`."""
        self.refresh()
        return sign_checkpoint(checkpoint, self.unlocked.site.signing)

    def derived_key(self, use: str) -> DerivedKey:
        """Return the site's key for one use, the same after every rotation; the caller wipes it."""
        with self.unlocked.lock:
            return self.unlocked.site.authentication.derived_key(use)

    def projection_seed(self, model_id: str) -> bytes:
        """Return the 32 bytes that key one model's gallery."""
        with self.unlocked.lock:
            return self.unlocked.site.projection.projection_seed(model_id)

    def new_grant_secret(self, receipt_id: ReceiptId, random: Random, now: datetime) -> GrantSecret:
        """Make and store the secret of a new consent, in a bucket that has room. The caller wipes the secret."""
        secret = GrantSecret.generate(random)
        try:
            with self.write() as connection, self.current(connection) as keys:
                made = put_secret(
                    self.engine, connection, keys, self.site_id, receipt_id, secret, random=random, now=now
                )
        except BaseException:
            secret.wipe()
            raise
        if made is not None:
            self.unlocked.add(*made)
        return secret

    def discard_secrets(self, receipt_ids: Sequence[ReceiptId]) -> None:
        """Delete secrets under which nothing was stored, as of a consent that was refused. No key is destroyed."""
        with self.write() as connection:
            remove_secrets(connection, receipt_ids)

    def grant_secret(self, receipt_id: ReceiptId) -> GrantSecret:
        """Return the secret of a consent. The caller wipes it.

        Raises:
            TamperError: it is missing, or was put in the place of another secret.
        """
        secrets = self.grant_secrets([receipt_id])
        if receipt_id not in secrets:
            raise advised(lost_secret(), self.engine.advice)
        return secrets[receipt_id]

    def grant_secrets(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, GrantSecret]:
        """Return the secrets that exist, in one query for each 500. The caller wipes them.

        Raises:
            TamperError: one was put in the place of another.
        """
        wanted = list(receipt_ids)
        secrets: dict[ReceiptId, GrantSecret] = {}
        for start in range(0, len(wanted), _BATCH):
            secrets |= self._opened(wanted[start : start + _BATCH])
        return secrets

    def wrapped(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, Wrapped]:
        """Return the wrapped secrets that exist, as they are on disk, each with the key that wraps it."""
        wanted = list(receipt_ids)
        with self.engine.read_prepared() as snapshot:
            return {
                ReceiptId(receipt_id): Wrapped(KeyId(bucket_id, number), box)
                for start in range(0, len(wanted), _BATCH)
                for receipt_id, bucket_id, number, box in _WRAPPED.rows(
                    snapshot, {"ids": wanted[start : start + _BATCH]}
                )
            }

    def wrapped_secrets(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, bytes]:
        """Return the wrapped secrets that exist, as they are on disk; an erasure searches for them afterwards."""
        return {receipt_id: bytes(one.box) for receipt_id, one in self.wrapped(receipt_ids).items()}

    def open_wrapped(self, receipt_id: ReceiptId, wrapped: Wrapped, into: GrantSecret) -> bool:
        """Open a wrapped secret into a buffer, without access to the database.

        Return False if its bucket key is not the one that this process holds: an erasure replaced it meanwhile.

        Raises:
            TamperError: it is the secret of another consent, or was changed; the buffer is zeroed.
        """
        with self.unlocked.lock:
            key = self.unlocked.bucket_key(wrapped.key_id)
            if key is None:
                return False
            context = secret_context(self.site_id, receipt_id, wrapped.key_id)
            sealing.open_into(wrapped.box, key, context, into.buffer)
            return True

    def kept(self, before: datetime) -> set[ReceiptId]:
        """Return the consents whose secret was made before a time."""
        with self.engine.read() as connection:
            rows = connection.scalars(select(_secret.receipt_id).where(_secret.created_at < before))
            return {ReceiptId(row) for row in rows}

    def head(self) -> LogHead:
        """Return the head of the audit log that was remembered last."""
        with self.engine.read() as connection:
            row = connection.execute(select(tables.keyring.c.log_size, tables.keyring.c.log_root)).one()
            return LogHead(row.log_size, row.log_root)

    def drop_caches(self) -> None:
        """Overwrite what the memory of this process may hold of deleted secrets; see `StoreEngine.drop_caches`."""
        self.engine.drop_caches()
        for size_bytes in (KEY_BYTES, KEY_BYTES + sealing.OVERHEAD_BYTES):
            overwrite_freed_bytes(size_bytes)

    def close(self) -> None:
        """Zero the keys and close the database."""
        self.unlocked.wipe()
        self.engine.close()

    def read(self) -> AbstractContextManager[Connection]:
        """Read in one consistent snapshot; for modules of `volens.store`."""
        return self.engine.read()

    def write(self, *, wait: bool = True) -> AbstractContextManager[Connection]:
        """Write in one transaction under the write lock; for modules of `volens.store`. See `StoreEngine.write`."""
        return self.engine.write(wait=wait)

    @contextmanager
    def current(self, connection: Connection) -> Generator[UnlockedKeys]:
        """Yield the unlocked keys of a write transaction, held so that no other thread changes or zeroes them.

        Raises:
            UnavailableError, TamperError: as `refresh`; or the keyring was closed.
        """
        wrapped = read_wrapped_keys(connection, self.engine.name)
        if wrapped.epoch > self.epoch:
            # No one exchanges the root key now, because that needs the write lock too.
            self.unlocked.replace_by(self._unlocked_anew(is_locked=True))
        with self.unlocked.lock:
            self._add_buckets(wrapped)
            yield self.unlocked

    def _opened(self, receipt_ids: list[ReceiptId]) -> dict[ReceiptId, GrantSecret]:
        missing_before: set[KeyId] = set()
        for _ in range(_ATTEMPTS):
            found = self.wrapped(receipt_ids)
            with self.unlocked.lock:
                missing = {one.key_id for one in found.values()} - self.unlocked.key_ids()
                if not missing:
                    return self._open_all(found)
            # Another process has made these keys; or has replaced them since we read the secrets.
            if not self._reload() and missing == missing_before:
                raise advised(unknown_key(), self.engine.advice)
            missing_before = missing
        raise UnavailableError("other processes keep replacing the keys of the site; try again")

    def _open_all(self, found: Mapping[ReceiptId, Wrapped]) -> dict[ReceiptId, GrantSecret]:
        secrets = {receipt_id: GrantSecret(bytes(KEY_BYTES)) for receipt_id in found}
        try:
            for receipt_id, one in found.items():
                self.open_wrapped(receipt_id, one, secrets[receipt_id])
        except TamperError:
            for secret in secrets.values():
                secret.wipe()
            raise
        return secrets

    def _reload(self) -> bool:
        with self.engine.read() as connection:
            wrapped = read_wrapped_keys(connection, self.engine.name)
        if wrapped.epoch > self.epoch:
            return self.unlocked.replace_by(self._unlocked_anew(is_locked=False))
        return self._add_buckets(wrapped)

    def _add_buckets(self, wrapped: WrappedKeys) -> bool:
        keys = self.unlocked
        with keys.lock:
            keys.check_usable()
            if wrapped.epoch != keys.epoch:
                return False
            fresh = unlock_buckets(wrapped, keys.store_key, keys.key_ids())
            for key_id, key in fresh.items():
                keys.add(key_id, key)
            return bool(fresh)

    def _unlocked_anew(self, *, is_locked: bool) -> UnlockedKeys:
        with self.engine.read() as connection:
            wrapped = read_wrapped_keys(connection, self.engine.name)
        with self.unlocked.lock:
            newer = unlock(wrapped, self.unlocked.root_key)
        if newer is not None:
            return newer
        if self.holder is None:
            raise UnavailableError("another process has replaced the root key; open the site again")
        holder = self.holder
        return unlock_keyring(self.engine, lambda: root_keys(holder), is_locked=is_locked)[1]


_secret = tables.grant_secret.c
_succession = tables.key_succession.c
_EPOCH: Final = PreparedQuery(select(tables.keyring.c.epoch))
_WRAPPED: Final = PreparedQuery(
    select(_secret.receipt_id, _secret.bucket_id, _secret.key_number, _secret.wrapped).where(
        InList(_secret.receipt_id, "ids")
    )
)
