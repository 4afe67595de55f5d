"""Restore, file operations: read and copy a backup, add the log entries that it lacks, put it in place.

Nothing here ends a consent; `volens.erase.replay` runs the whole restore.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from sqlalchemy import Connection, select

from volens.audit import Checkpoint, VerifierKey, read_leaf
from volens.audit.shard import SHARD_CLOSED, SHARD_LOST
from volens.consent import InputError, ReceiptId, TamperError, UnavailableError
from volens.store.backup.manifest import MANIFEST, MANIFEST_FILE, Manifest, read_manifest, verify_manifest
from volens.store.files.durable_copy import copy_private
from volens.store.files.private_files import put_folder_in_place, read_private
from volens.store.keys.generations import all_remembered, forget
from volens.store.keys.root_key.holder_choice import ROOT_KEY_FILE
from volens.store.keys.root_key.key_record import RECORD_FILE
from volens.store.log import audit_log
from volens.store.log.freshness import data_name, newest_keyring
from volens.store.log.keyring_memory import read_memory
from volens.store.log.remembrance import accept_shards, remembered_leaves
from volens.store.log.shard_log import shard_heads
from volens.store.log.shard_memory import misfitting, remembered_shards
from volens.store.log.shard_verification import verify_shards
from volens.store.people.restrictions import RESTRICTED, restrict
from volens.store.public_key_file import write_public_key
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.store import Store

_seal_scope = tables.row_seal.c.scope
_NEVER_REUSED: Final = (tables.biometric_reference, tables.badge)
"""Tables whose ids are bound into seals."""


@final
@dataclass(frozen=True, slots=True)
class BackupFolder:
    """A backup whose manifest was read but is not verified yet."""

    folder: Path
    manifest: Manifest


@final
@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The result of `catch_up`: entries in the log now, and by kind those that were put back into it."""

    log_size: int
    put_back: Mapping[str, int]


def read_backup(folder: Path) -> BackupFolder:
    """Read the manifest of a backup.

    Raises:
        InputError: the folder is not a backup.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file() or path.is_symlink():
        raise InputError(f"got {folder}, which has no {MANIFEST_FILE}; give the folder that 'volens backup' wrote")
    return BackupFolder(folder, read_manifest(read_private(path, MANIFEST.max_bytes)))


def is_in_backup(path: Path) -> bool:
    """Return whether a file is in the folder of a backup."""
    return (path.parent / MANIFEST_FILE).exists()


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Make a private temporary folder and remove it afterwards; a folder that a killed run left is removed first.

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
        TamperError: size or hash differ from the manifest.
    """
    fact = backup.manifest.fact(name)
    if fact is None:
        raise InputError(f"the backup in {backup.folder} was made without {name}; give it with an option of its own")
    if copy_private(backup.folder / name, into / name) != (fact.size_bytes, fact.sha256):
        raise TamperError(f"integrity: {name} in {backup.folder} is not the file of its manifest; use another backup")


def copy_root_key(source: Path, into: Path) -> None:
    """Copy the file of the root key, or the record that states where the root key is."""
    name = source.name if source.name == RECORD_FILE else ROOT_KEY_FILE
    copy_private(source, into / name)


def catch_up(
    store: Store,
    connection: Connection,
    manifest: Manifest | None,
    signed: Sequence[Checkpoint],
    *,
    is_authentic: bool,
) -> CaughtUp:
    """Add to the data of a store the log entries that only the keyring remembers, in a write transaction.

    1. The data are sound: pages, foreign keys, the whole audit log with its shards.
    2. They are those of the manifest.
    3. Its log and the remembered one are one log: the shorter is the beginning of the longer.
    4. The missing entries are put back, byte for byte, so that the head and its signature are the same as before: the
       log does not fork. The openings of these entries are lost. If the keyring's memory is not authentic, they are put
       back only if the whole log is then that of a checkpoint of `signed`.
    5. No reference id that was assigned in the meantime is assigned again.

    The store was opened with `restoring`. `manifest` is None if the file is not from a backup; `signed` are the
    checkpoints that are known.

    Raises:
        TamperError: 1, 2 or 3 does not hold, or entries cannot be put back.
    """
    leaves = remembered_leaves(store.keyring, is_authentic=is_authentic)
    on_server = store.data.remote is not None
    data = data_name(on_server=on_server)
    # 1.
    if not store.data.sound(connection):
        other = "recover it on the server" if on_server else "restore a backup with 'volens restore DIR --in-place'"
        raise TamperError(f"integrity: the {data} is damaged; {other}")
    audit_log.verify_log(connection, store.verifier_key)
    verify_shards(connection, store.verifier_key)
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
            f"integrity: the {data}'s log is not the beginning of the one that the keyring remembers; use a "
            f"{data if on_server else 'backup'} of this site"
        )
    # 4.
    missing = leaves[size:]
    if missing:
        audit_log.add_leaves(connection, size, missing)
    remembered = store.keyring.head()
    if is_authentic and audit_log.root_at(connection, remembered.size) != remembered.root:
        raise TamperError("integrity: the keyring's entries are not those of the head that it remembers")
    if missing and not is_authentic and audit_log.checkpoint(connection, store.origin) not in signed:
        raise TamperError(
            "integrity: the keyring was changed, and has entries of the log that no checkpoint proves; "
            f"{newest_keyring(on_server=on_server)}, or give the newest --checkpoint"
        )
    # 5.
    # Each id was assigned in a transaction that left an entry, so at most as many ids as entries are missing.
    for table in _NEVER_REUSED:
        store.data.skip_ids(connection, table, len(missing))
    return CaughtUp(size + len(missing), Counter(read_leaf(leaf)[0] for leaf in missing))


def accept_older_rows(store: Store, put_back: Mapping[str, int]) -> tuple[int, int]:
    """Seal again the rows that are older than the keyring remembers, and forget those that the data file lacks.

    What was set since the backup (a leaving date, a PIN, an order to stop collecting) is lost, and the operator is
    told. Rows that do not verify stay refused. If `put_back`, the kinds of the entries since the backup, has a
    restriction (GDPR 18), nothing says whose it was: all consents that were changed since are restricted.

    Return how many scopes have older rows, or none at all, and how many consents are restricted for that reason.
    """
    older, lost, perhaps = dict[Scope, list[str]](), list[tuple[str, str]](), list[str]()
    with store.write() as tx:
        with store.keyring.read() as kept:
            known = {scope: all_remembered(kept, scope.value) for scope in Scope}
        for scope, remembered in known.items():
            sealed = set(tx.connection.scalars(select(tables.row_seal.c.scope_id).where(_seal_scope == scope.value)))
            current = [one for one, its in remembered.items() if not its.is_over]
            lost += [(scope.value, one) for one in current if one not in sealed]
            older[scope] = store.seals.rolled_back(tx.connection, scope, [one for one in current if one in sealed])
        # Consents that were given since are counted by the caller, whose people are asked again.
        count = sum(map(len, older.values())) + sum(scope != Scope.CONSENT.value for scope, _one in lost)
        if count:
            index, _event = tx.log("rows.accepted", {"scopes": count})
            for scope, ids in older.items():
                store.seals.write(tx.connection, scope, ids, index + 1)
            if put_back.get(RESTRICTED):
                perhaps = older[Scope.CONSENT]
                for one in perhaps:
                    restrict(tx, ReceiptId(one))
    if lost:
        with store.keyring.write() as kept:
            forget(kept, lost)
    return count, len(perhaps)


def accept_older_shards(store: Store, put_back: Mapping[str, int]) -> int:
    """State in the log which shards of it are older than the keyring remembers, or missing; return how many.

    The visits in them are lost. If there are any, or if a shard was closed since the backup (`put_back`: the kinds of
    the entries since), every shard is closed, so that no number in it is given out a second time: the next visit opens
    another shard. Can be repeated.
    """
    with store.keyring.read() as kept:
        known = remembered_shards(kept, read_memory(store.keyring).shards_digest) or []
    with store.read() as connection:
        lost = misfitting(connection, known)
        newer = {one.shard for one in known} != {one.shard for one in shard_heads(connection)}
    if lost or put_back.get(SHARD_CLOSED):
        with store.write() as tx:
            tx.shards.close_all(tx.now)
            for one, _problem in lost:
                details: dict[str, str | int] = {"opened": one.shard, "size": one.size, "root": one.root.hex()}
                if not audit_log.has_entry(tx.connection, details):
                    tx.log(SHARD_LOST, details)
    if lost or newer:
        with store.read() as connection:
            accept_shards(store.keyring, connection)
    return len(lost)


def root_at(store: Store, checkpoint: Checkpoint) -> bytes | None:
    """Return the root that the log had at the size of a checkpoint; None if the log is shorter."""
    with store.read() as connection:
        return root_in(connection, checkpoint)


def root_in(connection: Connection, checkpoint: Checkpoint) -> bytes | None:
    """Return the same as `root_at`, in a transaction."""
    is_short = audit_log.log_size(connection) < checkpoint.size
    return None if is_short else audit_log.root_at(connection, checkpoint.size)


def live_by_digest(store: Store) -> dict[str, ReceiptId]:
    """Return the consents in force by the SHA-256 of their receipts, in hex, as certificates name them."""
    query = select(tables.receipt.c.token, tables.receipt.c.receipt_id).join(
        tables.live_consent, tables.live_consent.c.receipt_id == tables.receipt.c.receipt_id
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return {sha256(row.token.encode("utf-8")).hexdigest(): ReceiptId(row.receipt_id) for row in rows}


def stored_certificates(store: Store) -> list[tuple[str, str]]:
    """Return id and token of every certificate in the data file."""
    with store.read() as connection:
        rows = connection.execute(select(tables.certificate.c.certificate_id, tables.certificate.c.token)).all()
    return [(row.certificate_id, row.token) for row in rows]


def put_home_in_place(draft: Path, home: Path, public_key: VerifierKey) -> None:
    """Rename the folder of a home that was restored completely.

    Raises:
        UnavailableError: the disk refuses, or the home was made in the meantime.
    """
    write_public_key(draft, public_key)
    try:
        put_folder_in_place(draft, home)
    except OSError as error:
        raise UnavailableError(f"cannot make {home}: {error.strerror}; check the disk and the rights") from None
