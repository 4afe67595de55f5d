"""Backup: a consistent copy of the data file while the site is in use, with a signed manifest; complete or absent.

The keyring is left out, because with it a copy could be opened after a withdrawal. The root key is never included.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, UnavailableError
from volens.store.backup.manifest import MANIFEST, MANIFEST_FILE, FileFact, manifest_content
from volens.store.files.durable_copy import sync_file
from volens.store.files.private_files import draft_folder, write_private
from volens.store.log import audit_log
from volens.store.store import DATA_FILE, KEYRING_FILE, Store

WITH_KEYRING: Final = (
    "anyone who has both this backup and the root key can open everything in it, also after people withdraw, until "
    "that root key is destroyed; protect it as you protect the root key, and keep it in another place"
)
Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup."""

    folder: Path
    made_at: datetime
    log_size: int
    files: tuple[FileFact, ...]


def make_backup(
    store: Store, home: Path, folder: Path, *, with_keyring: bool = False, progress: Progress | None = None
) -> Backup:
    """Write a backup of a site that may be in use.

    1. The folder is empty or does not exist yet, and is outside the home.
    2. The backup is logged, so that a reader of the log knows which copies may exist.
    3. The data file is copied in one snapshot; then the keyring if requested, which is therefore never behind the data.
    4. The manifest states size and SHA-256 of each file and the head of the log in the copy; the site signs it.
    5. Everything is synced under another name, then the folder is renamed.

    `progress` is called with how many bytes are copied, of how many. Before a copy of the keyring is included, read
    `WITH_KEYRING`.

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
        with draft_folder(folder) as draft:  # 5. at its end
            return _fill(
                store, draft, folder, with_keyring=with_keyring, progress=progress or (lambda _done, _of: None)
            )
    except OSError as error:
        raise UnavailableError(
            f"the backup was not made, and nothing is left of it: {error.strerror}; check the disk and the rights"
        ) from None
    except UnavailableError as error:
        raise UnavailableError(f"the backup was not made, and nothing is left of it: {error}") from None


def _check_folder(home: Path, folder: Path) -> None:
    try:
        if folder.is_symlink():
            raise InputError(f"{folder} is a symbolic link; name the folder itself")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is already there and not an empty folder; choose another")
        if not folder.absolute().parent.is_dir():
            raise InputError(f"there is no folder {folder.absolute().parent} for the backup; make it first")
    except OSError as error:
        raise InputError(f"cannot inspect {folder}: {error.strerror}; check the path and the rights") from None
    ours, its = home.resolve(), folder.resolve()
    if its == ours or ours in its.parents:
        # An erasure searches the whole home, and would find data of erased people in a backup there.
        raise InputError(f"{folder} is inside the site's home; choose a folder outside, best on another machine")


def _fill(store: Store, draft: Path, folder: Path, *, with_keyring: bool, progress: Progress) -> Backup:
    # 3.
    names = [DATA_FILE]
    store.data.copy_to(draft / DATA_FILE, progress)
    if with_keyring:
        names.append(KEYRING_FILE)
        store.keyring.engine.copy_to(draft / KEYRING_FILE, progress)
    files = tuple(FileFact(name, *sync_file(draft / name)) for name in names)
    # 4.
    with store.data.read_copy(draft / DATA_FILE) as connection:
        head = audit_log.checkpoint(connection, store.origin)
    made_at = store.now()
    note = store.keyring.sign_checkpoint(head)
    content = manifest_content(store.site.controller.site_id, made_at, note, files)
    write_private(draft / MANIFEST_FILE, MANIFEST.to_file(MANIFEST.sign(store.keyring, content)))
    return Backup(folder, made_at, head.size, files)
