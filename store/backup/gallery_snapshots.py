"""Sealed snapshots of galleries: a site opens without unsealing every embedding in it.

A snapshot is a file of sealed parts, under a key that is made for it and stored in the keyring. It is bound to site,
zone, model, projection key and to the head of the audit log at which the gallery was. The next change of the store key,
in an erasure, destroys this key too, so that no copy of the file opens afterwards; the file is then removed.

Each home has files of its own. If several nodes use one site on a server, the keyring has a key for the file of each;
a node that never comes back leaves a key until the next change of the store key.

A snapshot is a cache. If it is missing, newer than the data file, changed, or of another store, that is no error: the
gallery is built from the sealed embeddings. Nor can it cause a match, because the store decides.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

from sqlalchemy import Connection, Row, delete, insert, select

from volens.consent import ModelId, Purpose, UnavailableError
from volens.store.files.home_folders import check_home_entry, make_home_folder
from volens.store.files.private_files import write_private
from volens.store.keys import sealing
from volens.store.keys.secrets import KEY_BYTES, SnapshotKey
from volens.store.log import audit_log
from volens.store.schema import keyring_tables as tables
from volens.store.store import Store

FOLDER: Final = "galleries"
_NAME_BYTES: Final = 16
_LENGTH_BYTES: Final = 8
_snapshot = tables.gallery_snapshot.c


@final
@dataclass(frozen=True, slots=True)
class GalleryState:
    """A gallery at one generation.

    Attributes:
        epoch: of the projection key that its sketches are keyed by.
        log_size: the size of the audit log at which it was.
    """

    purpose: Purpose
    model_id: ModelId
    epoch: int
    log_size: int


def keep_snapshot(store: Store, state: GalleryState, parts: Sequence[bytearray]) -> bool:
    """Seal and store the contents of a gallery; this replaces its older snapshot. Return whether it was stored.

    `parts`, at least one, are zeroed before this returns. If the log has grown since `state`, nothing is stored. A full
    disk or a locked file is no error, because a door must not wait for a snapshot.
    """
    name = store.random(_NAME_BYTES).hex()
    kept = False
    try:
        with SnapshotKey.generate(store.random) as key:
            with store.read() as connection:
                root = audit_log.root_at(connection, state.log_size)
            sealed = [
                sealing.seal(part, key, _context(store, state, root, name, at, len(parts)), store.random)
                for at, part in enumerate(parts)
            ]
            write_private(
                make_home_folder(store.folder, FOLDER) / name,
                b"".join(len(box).to_bytes(_LENGTH_BYTES) + box for box in sealed),
            )
            kept = _store_key(store, state, key, root=root, name=name, parts=len(parts))
    except (UnavailableError, OSError):
        pass
    finally:
        for part in parts:
            part[:] = bytes(len(part))
        with suppress(UnavailableError):
            remove_dead_snapshots(store)
    return kept


def open_snapshot(
    store: Store, connection: Connection, purpose: Purpose, model_id: ModelId, epoch: int
) -> tuple[GalleryState, Iterator[bytearray]] | None:
    """Open the snapshot of a gallery; None if there is none that fits the log and the projection key in use (`epoch`).

    Returns:
        The gallery's state, and its parts, opened one by one; each is zeroed when the next one is read. Reading a part
        raises TamperError if the file was changed, and UnavailableError if it cannot be read.
    """
    with store.keyring.read() as keys:
        rows = [one for one in _here(store, keys, purpose, model_id) if one.epoch == epoch]
    row = max(rows, key=lambda one: int(one.log_size), default=None)
    if row is None or row.log_size > audit_log.log_size(connection):
        return None
    if audit_log.root_at(connection, row.log_size) != row.log_root:
        return None
    state = GalleryState(purpose, model_id, row.epoch, row.log_size)
    return state, _opened(store, state, row)


def has_snapshot(store: Store, purpose: Purpose, model_id: ModelId) -> bool:
    """Return whether a gallery has a snapshot in this home."""
    with store.keyring.read() as keys:
        return bool(_here(store, keys, purpose, model_id))


def remove_dead_snapshots(store: Store) -> None:
    """Remove the files whose keys are destroyed, and the unfinished files of killed processes.

    Raises:
        UnavailableError: the disk refuses.
    """
    with store.keyring.read() as keys:
        known = set(keys.scalars(select(_snapshot.name)))
    try:
        check_home_entry(_folder(store), store.folder)
        for path in _folder(store).iterdir() if _folder(store).is_dir() else ():
            if path.name not in known:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot remove a file in {FOLDER}: {error.strerror}; make it writable") from None


def _store_key(store: Store, state: GalleryState, key: SnapshotKey, *, root: bytes, name: str, parts: int) -> bool:
    """Store the key in the keyring; this replaces the key of this home's older one. False if the log has grown since.

    An erasure first commits to the log, and then destroys keys under the keyring's write lock. So either the log
    already shows the erasure, or the erasure will still destroy the key that is stored now.
    """
    keyring = store.keyring
    with keyring.write() as connection, keyring.current(connection) as keys:
        with store.read() as data:
            if audit_log.log_size(data) != state.log_size or state.epoch != keyring.projection_epoch:
                return False
        older = [one.name for one in _here(store, connection, state.purpose, state.model_id)]
        replaced = _of(state.purpose, state.model_id)
        if store.data.remote is not None:
            replaced &= _snapshot.name.in_(older)  # the others are of other nodes
        connection.execute(delete(tables.gallery_snapshot).where(replaced))
        wrapped = sealing.seal(key.buffer, keys.store_key, _key_context(store, state, name), store.random)
        values = {**asdict(state), "name": name, "log_root": root, "parts": parts, "wrapped": wrapped}
        connection.execute(insert(tables.gallery_snapshot), values)
        return True


def _opened(store: Store, state: GalleryState, row: Row[Any]) -> Iterator[bytearray]:
    keyring = store.keyring
    try:
        with SnapshotKey(bytes(KEY_BYTES)) as key, (_folder(store) / row.name).open("rb") as file:
            with keyring.unlocked.lock:
                store_key, context = keyring.unlocked.store_key, _key_context(store, state, row.name)
                sealing.open_into(row.wrapped, store_key, context, key.buffer)
            whole = os.fstat(file.fileno()).st_size
            for at in range(row.parts):
                box = file.read(min(whole, int.from_bytes(file.read(_LENGTH_BYTES))))
                part = bytearray(max(0, len(box) - sealing.OVERHEAD_BYTES))
                context = _context(store, state, row.log_root, row.name, at, row.parts)
                sealing.open_into(box, key, context, part)
                try:
                    yield part
                finally:
                    part[:] = bytes(len(part))
    except OSError as error:
        raise UnavailableError(f"a gallery's snapshot could not be read: {error.strerror}") from None


def _context(store: Store, state: GalleryState, root: bytes, name: str, at: int, parts: int) -> bytes:
    numbers = (str(state.epoch), str(state.log_size), root.hex(), str(at), str(parts))
    return sealing.context("gallery snapshot", store.keyring.site_id, state.purpose, state.model_id, name, *numbers)


def _key_context(store: Store, state: GalleryState, name: str) -> bytes:
    of_gallery = (store.keyring.site_id, state.purpose, state.model_id, str(state.epoch))
    return sealing.context("gallery snapshot key", *of_gallery, name)


def _here(store: Store, keys: Connection, purpose: Purpose, model_id: ModelId) -> list[Row[Any]]:
    """Return the snapshots of a gallery whose files are in this home."""
    rows = keys.execute(select(tables.gallery_snapshot).where(_of(purpose, model_id)))
    return [row for row in rows if (_folder(store) / row.name).exists()]


def _of(purpose: Purpose, model_id: ModelId) -> Any:  # noqa: ANN401  a condition
    return (_snapshot.purpose == purpose) & (_snapshot.model_id == model_id)


def _folder(store: Store) -> Path:
    return store.folder / FOLDER
