"""The file work of a restore: a backup is read, copied, brought level with what the keyring remembers, put in place.

Nothing here ends a consent; see `volens.erase.replay`, which conducts.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from sqlalchemy import Connection, insert, select, text

from volens.audit import Checkpoint, leaf_hash, new_nodes, read_leaf, root
from volens.consent import Custody, InputError, ReceiptId, TamperError, UnavailableError
from volens.store.backup.manifest import MANIFEST_FILE, MAX_BYTES, Manifest, read_manifest, verify_manifest
from volens.store.files.durable_copy import copy_private, sync_file
from volens.store.files.private_files import read_private, sync_folder, write_private
from volens.store.keys import keyring_schema
from volens.store.keys.root_key.holder_choice import ROOT_KEY_FILE
from volens.store.keys.root_key.key_record import RECORD_FILE
from volens.store.log import audit_log
from volens.store.log.remembrance import remembered_leaves
from volens.store.schema import data_tables as tables
from volens.store.site_home import PUBLIC_KEY_FILE
from volens.store.store import DATA_FILE, KEYRING_FILE, Store

_IDS_NEVER_GIVEN_AGAIN: Final = ("biometric_reference", "badge")


@final
@dataclass(frozen=True, slots=True)
class BackupFolder:
    """A backup as found; its manifest is not verified yet."""

    folder: Path
    manifest: Manifest

    @property
    def has_keyring(self) -> bool:
        """Tell whether it was made with the keyring."""
        return self.manifest.fact(KEYRING_FILE) is not None


@final
@dataclass(frozen=True, slots=True)
class Levelled:
    """What bringing a data file level took.

    Attributes:
        log_size: entries in the log now.
        put_back: entries that were put back into the log, by kind.
    """

    log_size: int
    put_back: Mapping[str, int]


def look_at(folder: Path) -> BackupFolder:
    """Read a backup's manifest.

    Raises:
        InputError: the folder is no backup.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file() or path.is_symlink():
        raise InputError(f"got {folder}, which has no {MANIFEST_FILE}; give the folder that 'volens backup' wrote")
    return BackupFolder(folder, read_manifest(read_private(path, MAX_BYTES)))


def is_in_backup(path: Path) -> bool:
    """Tell whether a file lies in the folder of a backup."""
    return (path.parent / MANIFEST_FILE).exists()


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Give a private folder for work in progress, and take it away afterwards; what a killed run left goes first.

    Raises:
        UnavailableError: the disk refuses.
    """
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        yield path
    except OSError as error:
        raise UnavailableError(f"cannot work in {path}: {error.strerror}; check the disk and the rights") from None
    finally:
        shutil.rmtree(path, ignore_errors=True)


def copy_from_backup(backup: BackupFolder, name: str, into: Path) -> None:
    """Copy one file of a backup.

    Raises:
        InputError: the backup has no such file.
        TamperError: it is not the file that the manifest states.
    """
    fact = backup.manifest.fact(name)
    if fact is None:
        raise InputError(f"the backup in {backup.folder} was made without {name}; give it with an option of its own")
    if copy_private(backup.folder / name, into / name) != (fact.size_bytes, fact.sha256):
        raise TamperError(f"integrity: {name} in {backup.folder} is not the file of its manifest; use another backup")


def copy_with_log(source: Path, into: Path, name: str) -> None:
    """Copy an SQLite file as it lies there, with the write-ahead log that a killed process may have left beside it."""
    copy_private(source, into / name)
    log = Path(f"{source}-wal")
    if log.is_file():
        copy_private(log, into / f"{name}-wal")


def copy_root_key(source: Path, into: Path) -> None:
    """Copy the file of the root key, or the one that says where the root key is."""
    name = source.name if source.name == RECORD_FILE else ROOT_KEY_FILE
    copy_private(source, into / name)


def level(store: Store, manifest: Manifest | None) -> Levelled:
    """Bring the data file that a store works on level with the log that the keyring remembers, in one transaction.

    1. The file is sound: its pages, its foreign keys, its whole audit log.
    2. It is the file of the manifest.
    3. Its log and the remembered one are one log: the shorter is the beginning of the longer.
    4. The entries that it lacks are put back, byte for byte, so that the head and its signature are the same as before:
       the log does not fork. What would open these entries is lost.
    5. No reference id that was given since then is given again.

    Args:
        store: opened with `restoring`.
        manifest: None if the file is not from a backup.

    Raises:
        TamperError: 1, 2 or 3 does not hold.
    """
    leaves = remembered_leaves(store.keyring)
    with store.write() as tx:
        connection = tx.connection
        # 1.
        _check_soundness(connection)
        audit_log.verify_log(connection, store.verifier_key)
        # 2.
        size = audit_log.log_size(connection)
        if manifest is not None:
            head = verify_manifest(manifest, store.verifier_key)
            if head != audit_log.checkpoint(connection, store.origin):
                raise TamperError("integrity: the backup's log is not the one of its manifest; use another backup")
        # 3.
        own = connection.scalars(select(tables.audit_event.c.leaf).order_by(tables.audit_event.c.seq)).all()
        shared = min(size, len(leaves))
        if list(own[:shared]) != leaves[:shared]:
            raise TamperError(
                "integrity: the data file's log is not the beginning of the one that the keyring remembers; use a "
                "backup of this site"
            )
        # 4.
        missing = leaves[size:]
        _put_back(connection, size, missing)
        remembered = store.keyring.head()
        if root(remembered.size, audit_log.node_reader(connection)) != remembered.root:
            raise TamperError("integrity: the keyring's entries are not those of the head that it remembers")
        # 5.
        _skip_ids(connection, len(missing))
    kinds: dict[str, int] = {}
    for leaf in missing:
        kind, _at = read_leaf(leaf)
        kinds[kind] = kinds.get(kind, 0) + 1
    return Levelled(size + len(missing), kinds)


def root_at(store: Store, checkpoint: Checkpoint) -> bytes | None:
    """Return the root that the log had at the size of a checkpoint; None if it is not that long."""
    with store.read() as connection:
        if audit_log.log_size(connection) < checkpoint.size:
            return None
        return root(checkpoint.size, audit_log.node_reader(connection))


def unopenable(store: Store) -> list[ReceiptId]:
    """Return the consents in force whose embedding nobody can open any more: the keyring has not their secret."""
    live = tables.live_consent.c
    query = select(live.receipt_id).join(tables.zone, tables.zone.c.purpose == live.purpose)
    with store.read() as connection:
        # In the other custodies the person has it.
        found = connection.scalars(query.where(tables.zone.c.custody == Custody.OPERATOR.value)).all()
    held = _held(store)
    return [ReceiptId(one) for one in found if one not in held]


def orphans(store: Store) -> list[ReceiptId]:
    """Return the secrets in the keyring that belong to no consent in force."""
    with store.read() as connection:
        live = set(connection.scalars(select(tables.live_consent.c.receipt_id)))
    return sorted(_held(store) - live)


def live_by_digest(store: Store) -> dict[str, ReceiptId]:
    """Return the consents in force by the SHA-256 of their receipts, in hex: what certificates call them."""
    query = select(tables.receipt.c.token, tables.receipt.c.receipt_id).join(
        tables.live_consent, tables.live_consent.c.receipt_id == tables.receipt.c.receipt_id
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return {sha256(row.token.encode("utf-8")).hexdigest(): ReceiptId(row.receipt_id) for row in rows}


def stored_certificates(store: Store) -> list[tuple[str, str]]:
    """Return every certificate in the data file: its id and its token."""
    with store.read() as connection:
        rows = connection.execute(select(tables.certificate.c.certificate_id, tables.certificate.c.token)).all()
    return [(row.certificate_id, row.token) for row in rows]


def put_in_place(draft: Path, home: Path) -> None:
    """Put a closed, levelled data file in the place of the home's.

    The write-ahead log of the file that was there goes first: SQLite would play it into the new file. In between, the
    home has at worst an older data file, which is refused when it is opened.

    Raises:
        UnavailableError: the disk refuses.
    """
    try:
        if (leftover := Path(f"{draft}-wal")).exists() and leftover.stat().st_size:
            raise UnavailableError(f"{draft.name} is still in use; end the other process, then restore again")
        sync_file(draft)
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{home / DATA_FILE}{suffix}").unlink(missing_ok=True)
        draft.replace(home / DATA_FILE)
        sync_folder(home)
    except OSError as error:
        raise UnavailableError(
            f"cannot put {DATA_FILE} in its place: {error.strerror}; check the disk and the rights"
        ) from None


def put_home_in_place(draft: Path, home: Path, public_key_line: str) -> None:
    """Give a home that was restored whole its name.

    Raises:
        UnavailableError: the disk refuses, or somebody made the home meanwhile.
    """
    write_private(draft / PUBLIC_KEY_FILE, f"{public_key_line}\n".encode())
    try:
        sync_folder(draft)
        draft.replace(home)
        sync_folder(home.parent)
    except OSError as error:
        raise UnavailableError(f"cannot make {home}: {error.strerror}; check the disk and the rights") from None


def _held(store: Store) -> set[ReceiptId]:
    with store.keyring.read() as kept:
        return {ReceiptId(one) for one in kept.scalars(select(keyring_schema.grant_secret.c.receipt_id))}


def _check_soundness(connection: Connection) -> None:
    pages = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    keys = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if pages != "ok" or keys is not None:
        raise TamperError("integrity: the data file is damaged; restore a backup with 'volens restore DIR --in-place'")


def _put_back(connection: Connection, size: int, leaves: Sequence[bytes]) -> None:
    if not leaves:
        return
    stored, fresh = audit_log.node_reader(connection), dict[tuple[int, int], bytes]()

    def read(level: int, index: int, /) -> bytes:
        return fresh.get((level, index)) or stored(level, index)

    for index, leaf in enumerate(leaves, size):
        fresh.update({(level, at): node for level, at, node in new_nodes(index, leaf_hash(leaf), read)})
    events = [{"seq": index, "leaf": leaf} for index, leaf in enumerate(leaves, size)]
    nodes = [{"level": level, "position": position, "hash": node} for (level, position), node in fresh.items()]
    connection.execute(insert(tables.audit_event), events)
    connection.execute(insert(tables.audit_node), nodes)


def _skip_ids(connection: Connection, count: int) -> None:
    # Each id was given in a transaction that left an entry, so as many entries are missing as ids, or more.
    for table in _IDS_NEVER_GIVEN_AGAIN:
        known = {"table": table, "count": count}
        if not connection.execute(
            text("UPDATE sqlite_sequence SET seq = seq + :count WHERE name = :table"), known
        ).rowcount:
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :count)"), known)
