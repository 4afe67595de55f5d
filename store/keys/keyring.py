"""The keyring: the secrets by which embeddings open, in a file of its own that data backups leave out.

root key -> store key -> one grant secret for each consent, and the site's signing key. Every secret is wrapped with
AES-256-GCM under the key above it and bound to its place. Deleting a grant secret's row makes every copy of that
person's embedding unreadable, wherever it is.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from volens.audit import Checkpoint, empty_root, sign_checkpoint
from volens.consent import ReceiptId, SiteId, TamperError, UnavailableError, VolensError
from volens.consent import jws as consent_jws
from volens.store.files.freed_memory import overwrite_freed_bytes
from volens.store.keys import keyring_schema as tables
from volens.store.keys import sealing
from volens.store.keys.root_key.holder import RootKeys, RootKeySource
from volens.store.keys.secrets import KEY_BYTES, DerivedKey, GrantSecret, Random, RootKey, StoreKey
from volens.store.keys.store_keys import StoreKeys, store_key_context
from volens.store.sqlite.database import Database
from volens.store.sqlite.prepared_query import PreparedQuery, among, listed

FIRST_EPOCH: Final = 1
_BATCH: Final = 500
_ATTEMPTS: Final = 3


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
        self,
        database: Database,
        site_id: SiteId,
        epoch: int,
        store_keys: StoreKeys,
        signing_key: Ed25519PrivateKey,
        source: RootKeySource | None = None,
    ) -> None:
        """Hold what `create` and `open` have unlocked; `source` is asked again when another process rotated keys."""
        self.site_id = site_id
        self.epoch = epoch
        self.store_keys = store_keys
        self._database = database
        self._signing_key = signing_key
        self._source = source

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
                        store_key.buffer, root_key, store_key_context(site_id, FIRST_EPOCH), random
                    ),
                    wrapped_signing_key=sealing.seal(seed, store_key, signing_key_context(site_id), random),
                    log_size=0,
                    log_root=empty_root(),
                )
            )
        store_keys = StoreKeys({FIRST_EPOCH: store_key})
        return cls(database, site_id, FIRST_EPOCH, store_keys, Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def open(cls, path: Path, root_key: RootKey | RootKeySource) -> Self:
        """Unlock a keyring file.

        Args:
            path: the file.
            root_key: what unlocks it; or a function that gives what may, and is asked again after a rotation.

        Raises:
            UnavailableError: the file is missing or cannot be used.
            TamperError: it does not open with this root key.
        """
        source = (lambda: RootKeys([RootKey(root_key.buffer)])) if isinstance(root_key, RootKey) else root_key
        with ExitStack() as on_failure:
            database = Database(path, "keyring", tables.REVISIONS)
            on_failure.callback(database.close)
            row, store_keys = _unlock(database, source)
            on_failure.callback(store_keys.wipe)
            seed = bytearray(KEY_BYTES)
            try:
                context = signing_key_context(row.site_id)
                sealing.open_into(row.wrapped_signing_key, store_keys[row.epoch], context, seed)
            except TamperError:
                raise _does_not_open(path) from None
            signing_key = Ed25519PrivateKey.from_private_bytes(bytes(seed))
            seed[:] = bytes(KEY_BYTES)
            on_failure.pop_all()
            kept = None if isinstance(root_key, RootKey) else source
            return cls(database, SiteId(row.site_id), row.epoch, store_keys, signing_key, kept)

    def refresh(self) -> bool:
        """Look whether another process rotated the store key, and unlock what is new; False if nothing changed.

        Raises:
            UnavailableError: the holder of the root key does not answer, or the keyring was opened without one to ask.
            TamperError: the keyring does not open any more.
        """
        with self._database.read() as connection:
            row, wrapped = _wrapped_store_keys(connection, self._database.path)
        if row.epoch == self.epoch and wrapped.keys() == self.store_keys.epochs():
            return False
        if not wrapped.keys() <= self.store_keys.epochs():
            if self._source is None:
                raise UnavailableError("another process has rotated the store key; open the site again")
            row, unlocked = _unlock(self._database, self._source)
            wrapped = dict.fromkeys(unlocked.epochs(), b"")
            self.store_keys.take(unlocked)
        self.epoch = row.epoch
        self.store_keys.keep_only(set(wrapped))
        return True

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self._database.path.parent

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

    def derived_key(self, use: str) -> DerivedKey:
        """Return the site's key for one use; the caller wipes it. See `DerivedKey`."""
        return DerivedKey.of(self._signing_key.private_bytes_raw(), use)

    def projection_seed(self, model_id: str) -> bytes:
        """Return the 32 bytes that key one model's gallery."""
        with self.store_keys.lock:
            return self.store_keys[self.epoch].projection_seed(model_id)

    def new_grant_secret(self, receipt_id: ReceiptId, random: Random, now: datetime) -> GrantSecret:
        """Make and keep the secret of a new consent. The caller wipes what it gets."""
        secret = GrantSecret.generate(random)
        for _ in range(_ATTEMPTS):
            with self._database.write() as connection, self.store_keys.lock:
                # While a rotation is under way, what is new is wrapped by the key that stays.
                epoch = newest_epoch(connection)
                if epoch in self.store_keys:
                    context = self.secret_context(receipt_id, epoch)
                    wrapped = sealing.seal(secret.buffer, self.store_keys[epoch], context, random)
                    connection.execute(
                        # As parameters: a value inside a statement lives on in SQLAlchemy's cache of statements.
                        insert(tables.grant_secret),
                        {"receipt_id": receipt_id, "epoch": epoch, "wrapped": wrapped, "created_at": now},
                    )
                    return secret
            self.refresh()
        secret.wipe()
        raise UnavailableError("the store key is being rotated again and again; try again when that is done")

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
        for start in range(0, len(wanted), _BATCH):
            for _ in range(_ATTEMPTS):
                with self._database.glance() as glance:
                    rows = _WRAPPED.rows(glance, {"ids": listed(wanted[start : start + _BATCH])})
                with self.store_keys.lock:
                    if all(epoch in self.store_keys for _, epoch, _ in rows):
                        self._open_into(secrets, rows)
                        break
                if not self.refresh():
                    raise TamperError(
                        "integrity: a secret is of a store key that the keyring does not have; restore the keyring"
                    )
            else:
                raise UnavailableError("the store key is being rotated again and again; try again when that is done")
        return secrets

    def _open_into(self, secrets: dict[ReceiptId, GrantSecret], rows: Sequence[tuple[str, int, bytes]]) -> None:
        for receipt_id, epoch, wrapped in rows:
            secret = GrantSecret(bytes(KEY_BYTES))
            context = self.secret_context(receipt_id, epoch)
            sealing.open_into(wrapped, self.store_keys[epoch], context, secret.buffer)
            secrets[ReceiptId(receipt_id)] = secret

    def wrapped(self, receipt_id: ReceiptId) -> bytes | None:
        """Return the wrapped secret as it is on disk, for an erasure to search for afterwards."""
        return self.wrapped_all([receipt_id]).get(receipt_id)

    def wrapped_all(self, receipt_ids: Iterable[ReceiptId]) -> Mapping[ReceiptId, bytes]:
        """Return the wrapped secrets that are there, as they are on disk."""
        wanted = list(receipt_ids)
        with self._database.glance() as glance:
            return {
                ReceiptId(receipt_id): wrapped
                for start in range(0, len(wanted), _BATCH)
                for receipt_id, _, wrapped in _WRAPPED.rows(glance, {"ids": listed(wanted[start : start + _BATCH])})
            }

    def destroy(self, receipt_id: ReceiptId) -> bool:
        """Delete a consent's secret; False if it was gone already."""
        return self.destroy_all([receipt_id]) > 0

    def destroy_all(self, receipt_ids: Iterable[ReceiptId]) -> int:
        """Delete the secrets of many consents in one transaction; return how many were there.

        With them go the keys of all gallery snapshots (`volens.store.backup.gallery_snapshots`), which hold sketches of
        these people too.
        """
        wanted = list(receipt_ids)
        with self._database.write() as connection:
            connection.execute(delete(tables.gallery_snapshot))
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

    def scrub(self) -> None:
        """Cut the write-ahead log, so that deleted secrets are not in it.

        Raises:
            UnavailableError: another process still reads from it.
        """
        if not self._database.truncate_wal():
            raise UnavailableError("another process is reading the keyring; try again when it is done")

    def forget(self) -> None:
        """Let this process's memory forget deleted secrets; see `Database.forget`."""
        self._database.forget()
        overwrite_freed_bytes(KEY_BYTES + sealing.OVERHEAD_BYTES)

    def vacuum(self) -> None:
        """Rewrite the file without free space."""
        self._database.vacuum()

    def copy_to(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Write a consistent, compact copy of the file; see `Database.copy_to`."""
        self._database.copy_to(path, progress)

    def files(self) -> list[Path]:
        """Return the files that make up the keyring."""
        return self._database.files()

    def close(self) -> None:
        """Zero the store key and give back the file."""
        self.store_keys.wipe()
        self._database.close()

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Read in one consistent snapshot; for the modules of this room."""
        with self._database.read() as connection:
            yield connection

    @contextmanager
    def write(self, *, wait: bool = True) -> Generator[Connection]:
        """Write in one transaction, which no other process does meanwhile; for the modules of this room."""
        with self._database.write(wait=wait) as connection:
            yield connection

    def secret_context(self, receipt_id: str, epoch: int) -> bytes:
        """Return the associated data of a wrapped grant secret."""
        return sealing.context("grant secret", self.site_id, receipt_id, str(epoch))


_WRAPPED: Final = PreparedQuery(
    select(tables.grant_secret.c.receipt_id, tables.grant_secret.c.epoch, tables.grant_secret.c.wrapped).where(
        among(tables.grant_secret.c.receipt_id, "ids")
    )
)
_DELETE: Final = delete(tables.grant_secret).where(
    tables.grant_secret.c.receipt_id.in_(bindparam("ids", expanding=True))
)


def newest_epoch(connection: Connection) -> int:
    """Return the epoch that new secrets belong to."""
    following = connection.scalar(select(tables.next_store_key.c.epoch))
    return int(following or connection.scalar(select(tables.keyring.c.epoch)) or FIRST_EPOCH)


def signing_key_context(site_id: str) -> bytes:
    """Return the associated data of the wrapped signing key."""
    return sealing.context("signing key", site_id)


def _wrapped_store_keys(connection: Connection, path: Path) -> tuple[Row[Any], dict[int, bytes]]:
    row = connection.execute(select(tables.keyring)).one_or_none()
    if row is None:
        raise TamperError(f"integrity: {path.name} holds no site; restore the keyring")
    following = connection.execute(select(tables.next_store_key)).one_or_none()
    wrapped = {row.epoch: row.wrapped_store_key} | ({} if following is None else {following.epoch: following.wrapped})
    return row, wrapped


def _unlock(database: Database, source: Callable[[], RootKeys]) -> tuple[Row[Any], StoreKeys]:
    """Return the keyring's row, and its store keys unlocked.

    Twice if need be: the root key may be replaced in its holder between the two looks at holder and keyring.
    """
    problem: VolensError | None = None
    for _ in range(2):
        with source() as found:
            with database.read() as connection:
                row, wrapped = _wrapped_store_keys(connection, database.path)
            for root_key in found.keys:
                store_keys = StoreKeys.unlock(row.site_id, wrapped, root_key)
                if store_keys is not None:
                    return row, store_keys
            problem = found.problem
    raise problem or _does_not_open(database.path)


def _does_not_open(path: Path) -> TamperError:
    return TamperError(
        f"integrity: {path.name} does not open with this root key; use the root key that was made with it"
    )
