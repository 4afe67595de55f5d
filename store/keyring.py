"""The keyring: the secrets by which embeddings open, in a file of its own that data backups leave out.

root key -> store key -> one grant secret for each consent, and the site's signing key. Every secret is wrapped with
AES-256-GCM under the key above it and bound to its place. Deleting a grant secret's row makes every copy of that
person's embedding unreadable, wherever it is.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import bindparam, delete, insert, select, update

from audit import Checkpoint, empty_root, sign_checkpoint
from consent import ReceiptId, SiteId, TamperError, UnavailableError
from consent import jws as consent_jws
from store import keyring_schema as tables
from store import sealing
from store.database import Database
from store.secrets import KEY_BYTES, GrantSecret, Random, RootKey, StoreKey

FIRST_EPOCH: Final = 1
_BATCH: Final = 500


@final
@dataclass(frozen=True, slots=True)
class LogHead:
    """How far the audit log was when the keyring last heard of it."""

    size: int
    root: bytes


@final
class Keyring:
    """An open keyring. Close it: the store key and the signing key are then zeroed as far as Python allows."""

    def __init__(
        self, database: Database, site_id: SiteId, epoch: int, store_key: StoreKey, signing_key: Ed25519PrivateKey
    ) -> None:
        """Hold what `create` and `open` have unlocked."""
        self.site_id = site_id
        self.epoch = epoch
        self._database = database
        self._store_key = store_key
        self._signing_key = signing_key

    @classmethod
    def create(cls, path: Path, site_id: SiteId, root_key: RootKey, random: Random) -> Self:
        """Make a keyring file with a new store key and a new signing key.

        Raises:
            UnavailableError: the file is already there, or the disk refuses.
        """
        database = Database(path, "keyring", tables.REVISIONS, create=True)
        store_key = StoreKey.generate(random)
        seed = random(KEY_BYTES)
        with database.write() as connection:
            connection.execute(
                insert(tables.keyring).values(
                    site_id=site_id,
                    epoch=FIRST_EPOCH,
                    wrapped_store_key=sealing.seal(
                        store_key.buffer, root_key, _store_key_context(site_id, FIRST_EPOCH), random
                    ),
                    wrapped_signing_key=sealing.seal(seed, store_key, _signing_key_context(site_id), random),
                    log_size=0,
                    log_root=empty_root(),
                )
            )
        return cls(database, site_id, FIRST_EPOCH, store_key, Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def open(cls, path: Path, root_key: RootKey) -> Self:
        """Unlock a keyring file.

        Raises:
            UnavailableError: the file is missing or cannot be used.
            TamperError: it does not open with this root key.
        """
        with ExitStack() as on_failure:
            database = Database(path, "keyring", tables.REVISIONS)
            on_failure.callback(database.close)
            with database.read() as connection:
                row = connection.execute(select(tables.keyring)).one_or_none()
            if row is None:
                raise TamperError(f"integrity: {path.name} holds no site; restore the keyring")
            store_key, seed = StoreKey(bytes(KEY_BYTES)), bytearray(KEY_BYTES)
            try:
                context = _store_key_context(row.site_id, row.epoch)
                sealing.open_into(row.wrapped_store_key, root_key, context, store_key.buffer)
                sealing.open_into(row.wrapped_signing_key, store_key, _signing_key_context(row.site_id), seed)
            except TamperError:
                raise TamperError(
                    f"integrity: {path.name} does not open with this root key; use the root key that was made with it"
                ) from None
            signing_key = Ed25519PrivateKey.from_private_bytes(bytes(seed))
            seed[:] = bytes(KEY_BYTES)
            on_failure.pop_all()
            return cls(database, SiteId(row.site_id), row.epoch, store_key, signing_key)

    @property
    def public_key(self) -> bytes:
        """The site's public key, 32 bytes, Ed25519."""
        return self._signing_key.public_key().public_bytes_raw()

    def sign(self, payload: bytes, typ: str) -> str:
        """Sign `payload` as the site, as a compact JWS."""
        return consent_jws.sign(payload, typ, self._signing_key)

    def sign_checkpoint(self, checkpoint: Checkpoint) -> str:
        """Sign a tree head as the site, as a note."""
        return sign_checkpoint(checkpoint, checkpoint.origin, self._signing_key)

    def projection_seed(self, model_id: str) -> bytes:
        """Return the 32 bytes that key one model's gallery."""
        return self._store_key.projection_seed(model_id)

    def new_grant_secret(self, receipt_id: ReceiptId, random: Random, now: datetime) -> GrantSecret:
        """Make and keep the secret of a new consent. The caller wipes what it gets."""
        secret = GrantSecret.generate(random)
        wrapped = sealing.seal(secret.buffer, self._store_key, self._context(receipt_id, self.epoch), random)
        with self._database.write() as connection:
            connection.execute(
                insert(tables.grant_secret).values(
                    receipt_id=receipt_id, epoch=self.epoch, wrapped=wrapped, created_at=now
                )
            )
        return secret

    def grant_secret(self, receipt_id: ReceiptId) -> GrantSecret:
        """Return the secret of a consent. The caller wipes it.

        Raises:
            TamperError: it is not there, or was put in another's place.
        """
        secrets = self.grant_secrets([receipt_id])
        if receipt_id not in secrets:
            raise TamperError(
                "integrity: the keyring has no secret for a consent in force; restore the keyring that belongs to this "
                "data file"
            )
        return secrets[receipt_id]

    def grant_secrets(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, GrantSecret]:
        """Return the secrets that are there, in one query for each 500. The caller wipes them.

        Raises:
            TamperError: one was put in another's place.
        """
        wanted = list(receipt_ids)
        secrets: dict[ReceiptId, GrantSecret] = {}
        with self._database.read() as connection:
            for start in range(0, len(wanted), _BATCH):
                for row in connection.execute(_SELECT, {"ids": wanted[start : start + _BATCH]}):
                    secret = GrantSecret(bytes(KEY_BYTES))
                    sealing.open_into(
                        row.wrapped, self._store_key, self._context(row.receipt_id, row.epoch), secret.buffer
                    )
                    secrets[ReceiptId(row.receipt_id)] = secret
        return secrets

    def wrapped(self, receipt_id: ReceiptId) -> bytes | None:
        """Return the wrapped secret as it is on disk, for an erasure to search for afterwards."""
        return self.wrapped_all([receipt_id]).get(receipt_id)

    def wrapped_all(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, bytes]:
        """Return the wrapped secrets that are there, as they are on disk."""
        wanted = list(receipt_ids)
        with self._database.read() as connection:
            return {
                ReceiptId(row.receipt_id): row.wrapped
                for start in range(0, len(wanted), _BATCH)
                for row in connection.execute(_SELECT, {"ids": wanted[start : start + _BATCH]})
            }

    def destroy(self, receipt_id: ReceiptId) -> bool:
        """Delete a consent's secret; False if it was gone already."""
        return self.destroy_all([receipt_id]) > 0

    def destroy_all(self, receipt_ids: Iterable[ReceiptId]) -> int:
        """Delete the secrets of many consents in one transaction; return how many were there."""
        wanted = list(receipt_ids)
        with self._database.write() as connection:
            return sum(
                connection.execute(_DELETE, {"ids": wanted[start : start + _BATCH]}).rowcount
                for start in range(0, len(wanted), _BATCH)
            )

    def kept(self, before: datetime) -> set[ReceiptId]:
        """Return the consents that have a secret made before a moment."""
        with self._database.read() as connection:
            rows = connection.scalars(
                select(tables.grant_secret.c.receipt_id).where(tables.grant_secret.c.created_at < before)
            )
            return {ReceiptId(row) for row in rows}

    def head(self) -> LogHead:
        """Return the log head last remembered."""
        with self._database.read() as connection:
            row = connection.execute(select(tables.keyring.c.log_size, tables.keyring.c.log_root)).one()
            return LogHead(row.log_size, row.log_root)

    def remember(self, head: LogHead) -> None:
        """Remember a log head; one that is not newer changes nothing."""
        with self._database.write() as connection:
            connection.execute(
                update(tables.keyring)
                .where(tables.keyring.c.log_size < head.size)
                .values(log_size=head.size, log_root=head.root)
            )

    def scrub(self) -> None:
        """Cut the write-ahead log, so that deleted secrets are not in it.

        Raises:
            UnavailableError: another process still reads from it.
        """
        if not self._database.truncate_wal():
            raise UnavailableError("another process is reading the keyring; try again when it is done")

    def vacuum(self) -> None:
        """Rewrite the file without free space."""
        self._database.vacuum()

    def files(self) -> list[Path]:
        """Return the files that make up the keyring."""
        return self._database.files()

    def close(self) -> None:
        """Zero the store key and give back the file."""
        self._store_key.wipe()
        self._database.close()

    def _context(self, receipt_id: str, epoch: int) -> bytes:
        return sealing.context("grant secret", self.site_id, receipt_id, str(epoch))


_SELECT: Final = select(
    tables.grant_secret.c.receipt_id, tables.grant_secret.c.epoch, tables.grant_secret.c.wrapped
).where(tables.grant_secret.c.receipt_id.in_(bindparam("ids", expanding=True)))

_DELETE: Final = delete(tables.grant_secret).where(
    tables.grant_secret.c.receipt_id.in_(bindparam("ids", expanding=True))
)


def _store_key_context(site_id: str, epoch: int) -> bytes:
    return sealing.context("store key", site_id, str(epoch))


def _signing_key_context(site_id: str) -> bytes:
    return sealing.context("signing key", site_id)
