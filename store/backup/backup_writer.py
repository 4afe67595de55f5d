"""A backup: a consistent copy of the data file while the site is in use, with a signed manifest, whole or not at all.

The keyring is left out, for with it a copy could be opened after a withdrawal. The root key is never put in.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, UnavailableError
from volens.store.backup.manifest import MANIFEST_FILE, MANIFEST_TYPE, FileFact, manifest_file, manifest_payload
from volens.store.files.durable_copy import sync_file
from volens.store.files.private_files import sync_folder, write_private
from volens.store.log import audit_log
from volens.store.sqlite.database import reading_copy
from volens.store.store import DATA_FILE, KEYRING_FILE, Store

WITH_KEYRING: Final = (
    "whoever has both this backup and the root key can open everything in it, also after people withdraw, until that "
    "root key is destroyed; keep it as you keep the root key, and apart from it"
)
Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made."""

    folder: Path
    made_at: datetime
    log_size: int
    files: tuple[FileFact, ...]


def _quiet(_done: int, _total: int) -> None:
    return


def make_backup(
    store: Store, home: Path, folder: Path, *, with_keyring: bool = False, progress: Progress | None = None
) -> Backup:
    """Write a backup of a site that may be in use.

    1. The folder is empty or not there yet, and outside the home.
    2. The log tells of the backup, so that somebody who reads it knows which copies may exist.
    3. The data file is copied in one snapshot; then the keyring if it is asked for, which is so never behind the data.
    4. The manifest states size and SHA-256 of each file and the log's head in the copy; the site signs it.
    5. Everything is synced under another name, then the folder is renamed.

    Args:
        store: of the site.
        home: of the site.
        folder: the backup's, named by the operator.
        with_keyring: put a copy of the keyring in; see `WITH_KEYRING`.
        progress: called with how many bytes are copied, of how many.

    Raises:
        InputError: 1 does not hold.
        UnavailableError: the disk refuses, or the data file is locked. Nothing is left in the folder.
    """
    # 1.
    _check_folder(home, folder)
    # 2.
    with store.write() as tx:
        tx.log("backup.begun", {"with_keyring": int(with_keyring)})
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
        try:
            backup = _fill(store, draft, folder, with_keyring=with_keyring, progress=progress or _quiet)
            # 5.
            sync_folder(draft)
            draft.replace(folder)
            sync_folder(folder.absolute().parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UnavailableError(
            f"the backup was not made, and nothing is left of it: {error.strerror}; check the disk and the rights"
        ) from None
    except UnavailableError as error:
        raise UnavailableError(f"the backup was not made, and nothing is left of it: {error}") from None
    return backup


def _check_folder(home: Path, folder: Path) -> None:
    try:
        if folder.is_symlink():
            raise InputError(f"{folder} is a symbolic link; name the folder itself")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is already there and not an empty folder; choose another")
        if not folder.absolute().parent.is_dir():
            raise InputError(f"there is no folder {folder.absolute().parent} for the backup; make it first")
    except OSError as error:
        raise InputError(f"cannot look at {folder}: {error.strerror}; check the path and the rights") from None
    ours, its = home.resolve(), folder.resolve()
    if its == ours or ours in its.parents:
        # An erasure searches all of the home, and would rightly find the withdrawn in a backup there.
        raise InputError(f"{folder} is inside the site's home; choose a folder outside, best on another machine")


def _fill(store: Store, draft: Path, folder: Path, *, with_keyring: bool, progress: Progress) -> Backup:
    # 3.
    names = [DATA_FILE]
    store.copy_data_to(draft / DATA_FILE, progress)
    if with_keyring:
        names.append(KEYRING_FILE)
        store.keyring.copy_to(draft / KEYRING_FILE, progress)
    files = tuple(FileFact(name, *sync_file(draft / name)) for name in names)
    # 4.
    with reading_copy(draft / DATA_FILE) as connection:
        head = audit_log.checkpoint(connection, store.origin)
    made_at = store.now()
    note = store.keyring.sign_checkpoint(head)
    payload = manifest_payload(store.site.controller.site_id, made_at, note, files)
    write_private(draft / MANIFEST_FILE, manifest_file(store.keyring.sign(payload, MANIFEST_TYPE)))
    return Backup(folder, made_at, head.size, files)
