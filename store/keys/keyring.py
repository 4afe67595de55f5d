"""The keyring: wrapped keys and secrets, in a database of its own that backups of the data leave out.

Key hierarchy: root key -> store key -> one grant secret for each consent, and the site's signing key. Every secret is
wrapped with AES-256-GCM under the key above it and bound to its place (associated data). Deleting the row of a grant
secret makes every copy of that person's embedding unreadable, wherever the copy is.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from volens.audit import Checkpoint, empty_root, sign_checkpoint
from volens.consent import ReceiptId, SiteId, TamperError, UnavailableError, VolensError
from volens.consent import jws as consent_jws
from volens.store.engine import StoreEngine
from volens.store.engine_choice import open_engine
from volens.store.files.freed_memory import overwrite_freed_bytes
from volens.store.keys import sealing
from volens.store.keys.root_key.holder import RootKeys, RootKeySource
from volens.store.keys.secrets import KEY_BYTES, DerivedKey, GrantSecret, Random, RootKey, StoreKey
from volens.store.keys.store_keys import StoreKeys, store_key_context
from volens.store.prepared_query import InList, PreparedQuery
from volens.store.schema import keyring_tables as tables

FIRST_EPOCH: Final = 1
_BATCH: Final = 500
_ATTEMPTS: Final = 3


@final
@dataclass(frozen=True, slots=True)
class LogHead:
    """The head of the audit log that the keyring remembers."""

    size: int
    root: bytes


@final
class Keyring:
    """An open keyring. `close` zeroes the store key and the signing key as far as Python allows.

    After another process has rotated the keys, `source` returns root keys again.
    """

    def __init__(
        self,
        engine: StoreEngine,
        site_id: SiteId,
        epoch: int,
        store_keys: StoreKeys,
        signing_key: Ed25519PrivateKey,
        source: RootKeySource | None = None,
    ) -> None:
        self.site_id = site_id
        self.epoch = epoch
        self.store_keys = store_keys
        self.engine = engine
        self._signing_key = signing_key
        self._source = source

    @classmethod
    def create(cls, path: Path, site_id: SiteId, root_key: RootKey, random: Random) -> Self:
        """Make a keyring with a new store key and a new signing key.

        Raises:
            UnavailableError: it is already there, or the disk refuses.
        """
        engine = open_engine(path, "keyring", tables.REVISIONS, create=True)
        store_key = StoreKey.generate(random)
        seed, context = random(KEY_BYTES), store_key_context(site_id, FIRST_EPOCH)
        with engine.write() as connection:
            connection.execute(
                insert(tables.keyring).values(
                    site_id=site_id,
                    epoch=FIRST_EPOCH,
                    wrapped_store_key=sealing.seal(store_key.buffer, root_key, context, random),
                    wrapped_signing_key=sealing.seal(seed, store_key, signing_key_context(site_id), random),
                    log_size=0,
                    log_root=empty_root(),
                )
            )
        store_keys = StoreKeys({FIRST_EPOCH: store_key})
        return cls(engine, site_id, FIRST_EPOCH, store_keys, Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def open(cls, path: Path, root_key: RootKey | RootKeySource) -> Self:
        """Unlock a keyring.

        `root_key` may be a function that returns the root keys to try; it is called again after a rotation.

        Raises:
            UnavailableError: the keyring is missing or cannot be used.
            TamperError: it does not open with this root key.
        """
        source = (lambda: RootKeys([RootKey(root_key.buffer)])) if isinstance(root_key, RootKey) else root_key
        with ExitStack() as on_failure:
            engine = open_engine(path, "keyring", tables.REVISIONS)
            on_failure.callback(engine.close)
            row, store_keys = _unlock(engine, source)
            on_failure.callback(store_keys.wipe)
            seed = bytearray(KEY_BYTES)
            try:
                context = signing_key_context(row.site_id)
                sealing.open_into(row.wrapped_signing_key, store_keys[row.epoch], context, seed)
            except TamperError:
                raise _does_not_open(engine.name) from None
            signing_key = Ed25519PrivateKey.from_private_bytes(bytes(seed))
            seed[:] = bytes(KEY_BYTES)
            on_failure.pop_all()
            kept = None if isinstance(root_key, RootKey) else source
            return cls(engine, SiteId(row.site_id), row.epoch, store_keys, signing_key, kept)

    def refresh(self) -> bool:
        """Check whether another process rotated the store key, and unlock the new one; False if nothing changed.

        Raises:
            UnavailableError: the holder of the root key does not answer, or the keyring was opened without a holder.
            TamperError: the keyring no longer opens.
        """
        with self.engine.read() as connection:
            row, wrapped = _wrapped_store_keys(connection, self.engine.name)
        if row.epoch == self.epoch and wrapped.keys() == self.store_keys.epochs():
            return False
        if not wrapped.keys() <= self.store_keys.epochs():
            if self._source is None:
                raise UnavailableError("another process has rotated the store key; open the site again")
            row, unlocked = _unlock(self.engine, self._source)
            wrapped = dict.fromkeys(unlocked.epochs(), b"")
            self.store_keys.take(unlocked)
        self.epoch = row.epoch
        self.store_keys.keep_only(set(wrapped))
        return True

    @property
    def public_key(self) -> bytes:
        """The site's public key, 32 bytes, Ed25519."""
        return self._signing_key.public_key().public_bytes_raw()

    def sign(self, payload: bytes, typ: str) -> str:
        """Sign `payload` as the site, as a compact JWS."""
        return consent_jws.sign(payload, typ, self._signing_key)

    def sign_checkpoint(self, checkpoint: Checkpoint) -> str:
        """Sign a tree head as the site, as a note."""
        return sign_checkpoint(checkpoint, self._signing_key)

    def derived_key(self, use: str) -> DerivedKey:
        """Return the site's key for one use; the caller wipes it. See `DerivedKey`."""
        return DerivedKey.of(self._signing_key.private_bytes_raw(), use)

    def projection_seed(self, model_id: str) -> bytes:
        """Return the 32 bytes that key one model's gallery."""
        with self.store_keys.lock:
            return self.store_keys[self.epoch].projection_seed(model_id)

    def new_grant_secret(self, receipt_id: ReceiptId, random: Random, now: datetime) -> GrantSecret:
        """Make and store the secret of a new consent. The caller wipes the secret."""
        secret = GrantSecret.generate(random)
        for _ in range(_ATTEMPTS):
            with self.engine.write() as connection, self.store_keys.lock:
                # During a rotation, new secrets are wrapped under the key that stays.
                epoch = newest_epoch(connection)
                if epoch in self.store_keys:
                    context = self.secret_context(receipt_id, epoch)
                    wrapped = sealing.seal(secret.buffer, self.store_keys[epoch], context, random)
                    connection.execute(
                        # As parameters: a value inside a statement remains in SQLAlchemy's statement cache.
                        insert(tables.grant_secret),
                        {"receipt_id": receipt_id, "epoch": epoch, "wrapped": wrapped, "created_at": now},
                    )
                    return secret
            self.refresh()
        secret.wipe()
        raise _keeps_rotating()

    def grant_secret(self, receipt_id: ReceiptId) -> GrantSecret:
        """Return the secret of a consent. The caller wipes it.

        Raises:
            TamperError: it is missing, or was put in the place of another secret.
        """
        secrets = self.grant_secrets([receipt_id])
        if receipt_id not in secrets:
            raise TamperError(
                "integrity: the keyring has no secret for a consent in force; restore the keyring that belongs to this "
                "data file"
            )
        return secrets[receipt_id]

    def grant_secrets(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, GrantSecret]:
        """Return the secrets that exist, in one query for each 500. The caller wipes them.

        Raises:
            TamperError: one was put in the place of another.
        """
        wanted = list(receipt_ids)
        secrets: dict[ReceiptId, GrantSecret] = {}
        for start in range(0, len(wanted), _BATCH):
            for _ in range(_ATTEMPTS):
                with self.engine.read_prepared() as snapshot:
                    rows = _WRAPPED.rows(snapshot, {"ids": wanted[start : start + _BATCH]})
                with self.store_keys.lock:
                    if all(epoch in self.store_keys for _, epoch, _ in rows):
                        self._open_into(secrets, rows)
                        break
                if not self.refresh():
                    raise unknown_epoch()
            else:
                raise _keeps_rotating()
        return secrets

    def _open_into(self, secrets: dict[ReceiptId, GrantSecret], rows: Sequence[tuple[str, int, bytes]]) -> None:
        for receipt_id, epoch, wrapped in rows:
            secret = GrantSecret(bytes(KEY_BYTES))
            context = self.secret_context(receipt_id, epoch)
            sealing.open_into(wrapped, self.store_keys[epoch], context, secret.buffer)
            secrets[ReceiptId(receipt_id)] = secret

    def wrapped_secrets(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, bytes]:
        """Return the wrapped secrets that exist, as they are on disk; an erasure searches for them afterwards."""
        wanted = list(receipt_ids)
        with self.engine.read_prepared() as snapshot:
            return {
                ReceiptId(receipt_id): wrapped
                for start in range(0, len(wanted), _BATCH)
                for receipt_id, _, wrapped in _WRAPPED.rows(snapshot, {"ids": wanted[start : start + _BATCH]})
            }

    def destroy_secrets(self, receipt_ids: Iterable[ReceiptId]) -> int:
        """Delete the secrets of consents in one transaction; return how many there were.

        The keys of all gallery snapshots are deleted too (`volens.store.backup.gallery_snapshots`), because snapshots
        have sketches of these people.
        """
        wanted = list(receipt_ids)
        with self.engine.write() as connection:
            connection.execute(delete(tables.gallery_snapshot))
            return sum(
                connection.execute(_DELETE, {"ids": wanted[start : start + _BATCH]}).rowcount
                for start in range(0, len(wanted), _BATCH)
            )

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
        overwrite_freed_bytes(KEY_BYTES + sealing.OVERHEAD_BYTES)

    def close(self) -> None:
        """Zero the store key and close the database."""
        self.store_keys.wipe()
        self.engine.close()

    def read(self) -> AbstractContextManager[Connection]:
        """Read in one consistent snapshot; for modules of `volens.store`."""
        return self.engine.read()

    def write(self, *, wait: bool = True) -> AbstractContextManager[Connection]:
        """Write in one transaction under the write lock; for modules of `volens.store`. See `StoreEngine.write`."""
        return self.engine.write(wait=wait)

    def secret_context(self, receipt_id: str, epoch: int) -> bytes:
        """Return the associated data of a wrapped grant secret."""
        return sealing.context("grant secret", self.site_id, receipt_id, str(epoch))


_secret = tables.grant_secret.c
_WRAPPED: Final = PreparedQuery(
    select(_secret.receipt_id, _secret.epoch, _secret.wrapped).where(InList(_secret.receipt_id, "ids"))
)
_DELETE: Final = delete(tables.grant_secret).where(_secret.receipt_id.in_(bindparam("ids", expanding=True)))


def newest_epoch(connection: Connection) -> int:
    """Return the epoch whose store key wraps new secrets."""
    following = connection.scalar(select(tables.next_store_key.c.epoch))
    return int(following or connection.scalar(select(tables.keyring.c.epoch)) or FIRST_EPOCH)


def signing_key_context(site_id: str) -> bytes:
    """Return the associated data of the wrapped signing key."""
    return sealing.context("signing key", site_id)


def _wrapped_store_keys(connection: Connection, name: str) -> tuple[Row[Any], dict[int, bytes]]:
    row = connection.execute(select(tables.keyring)).one_or_none()
    if row is None:
        raise TamperError(f"integrity: {name} has no site; restore the keyring")
    following = connection.execute(select(tables.next_store_key)).one_or_none()
    wrapped = {row.epoch: row.wrapped_store_key} | ({} if following is None else {following.epoch: following.wrapped})
    return row, wrapped


def _unlock(engine: StoreEngine, source: RootKeySource) -> tuple[Row[Any], StoreKeys]:
    """Return the keyring's row and its unlocked store keys.

    It tries twice, because another process may replace the root key between the reads of holder and keyring.
    """
    problem: VolensError | None = None
    for _ in range(2):
        with source() as found:
            with engine.read() as connection:
                row, wrapped = _wrapped_store_keys(connection, engine.name)
            for root_key in found.keys:
                store_keys = StoreKeys.unlock(row.site_id, wrapped, root_key)
                if store_keys is not None:
                    return row, store_keys
            problem = found.problem
    raise problem or _does_not_open(engine.name)


def unknown_epoch() -> TamperError:
    """Return the error about a secret whose store key is not there."""
    return TamperError("integrity: a secret is of a store key that the keyring does not have; restore the keyring")


def _keeps_rotating() -> UnavailableError:
    return UnavailableError("another process keeps rotating the store key; try again when it is done")


def _does_not_open(name: str) -> TamperError:
    return TamperError(f"integrity: {name} does not open with this root key; use the root key that was made with it")
