"""A restore conducted: whatever ended since the backup ends again before anything serves.

The data file comes from the past; the keyring does not forget. Between them stands the opening of the store, which
refuses a data file with a shorter log than remembered, or with a consent in force that is known to have ended. So a
restore that is killed leaves a site that refuses to open, and is run again.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, final

from volens.consent import EndReason, InputError, ReceiptId, RefusedError, TamperError, UnavailableError
from volens.erase.procedure import erase_consents
from volens.erase.proof.certificate import certificate_file
from volens.erase.proof.certify import CERTIFICATES
from volens.erase.proof.kept_proof import Proof, check_history, read_proof
from volens.index import Galleries
from volens.store import DATA_FILE, KEYRING_FILE, Clock, Store, open_home
from volens.store.backup import (
    BackupFolder,
    Levelled,
    copy_from_backup,
    copy_root_key,
    copy_with_log,
    fresh_folder,
    is_in_backup,
    level,
    live_by_digest,
    look_at,
    orphans,
    put_home_in_place,
    put_in_place,
    stored_certificates,
    unopenable,
)
from volens.store.files import write_private
from volens.store.keys import Random
from volens.store.log import remembered_ends, undone_ends

DRAFT: Final = ".restoring"
Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """What shall be restored from what.

    Attributes:
        backup: the folder of a backup; None takes the data file that is in the home.
        in_place: the home is alive, and its keyring is the one last in use.
        keyring: for a new home, the keyring file last in use; None takes the backup's copy.
        root_key: for a new home, the file of the root key.
        certificates: a folder of certificates kept elsewhere, to be replayed.
        checkpoint: a signed checkpoint kept elsewhere.
        accept_lost: go on even if withdrawals may have been lost.
    """

    backup: Path | None
    in_place: bool = False
    keyring: Path | None = None
    root_key: Path | None = None
    certificates: Path | None = None
    checkpoint: Path | None = None
    accept_lost: bool = False


@final
@dataclass(frozen=True, slots=True)
class Restored:
    """A restored site.

    Attributes:
        made_at: when the backup was made; None if there was none.
        log_size: entries in the log now.
        put_back: entries put back into the log, by kind; what they tell of is in no file any more.
        replayed: consents that had ended since, and were ended and erased again.
        enroll_again: people who gave consent since; they must be asked and enrolled again.
        unopenable: consents whose key is in no keyring any more; they were ended.
        certificates: certificates whose files were put back.
        lost_entries: entries of the log that are known to have been there, and are lost.
    """

    made_at: datetime | None
    log_size: int
    put_back: Mapping[str, int]
    replayed: int
    enroll_again: int
    unopenable: int
    certificates: int
    lost_entries: int


def restore_site(home: Path, order: RestoreOrder, *, clock: Clock, random: Random, progress: Progress) -> Restored:
    """Restore a site, so that nobody who withdrew since the backup is ever matched again.

    1. A draft is made of the data file, and for a new home of keyring and root key.
    2. In the draft the log is brought level with the one that the keyring remembers; see `volens.store.backup.level`.
    3. Certificates and checkpoints kept elsewhere must be of the same log. Where nothing on this machine remembers what
       happened since, they are asked for.
    4. The data file is put in its place; a new home stays a draft until the end.
    5. Consents that ended since end again and are erased: those that the keyring knows, those that certificates prove,
       and those whose key is gone.
    6. Secrets that belong to no consent any more are destroyed, certificates put back, the log tells of the restore.

    Args:
        home: of the site.
        order: what from what.
        clock: a function that returns aware time.
        random: a function that returns n random bytes.
        progress: called with how many erasures are done, of how many.

    Raises:
        InputError: the order makes no sense, or a folder or file is not what it should be.
        RefusedError: 3: withdrawals may have been lost; or the data file in the home is in order.
        TamperError: a file is damaged, of another site, or of another history.
        ErasureIncompleteError: step 5 could not be finished; nobody who ended is matched.
        UnavailableError: the disk refuses, or a file is in use.

    Not checked: that no other process has the data file open; stop the site's processes first.
    """
    backup = None if order.backup is None else look_at(order.backup)
    if order.in_place:
        return _in_place(home, backup, order, clock=clock, random=random, progress=progress)
    if backup is None or order.root_key is None:
        raise InputError("got no backup or no root key for a new home; give the backup's folder and --root-key FILE")
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise InputError(f"{home} is already there and not an empty folder; choose another, or --in-place")
    draft_folder = home.absolute().parent / f".{home.name}{DRAFT}"
    draft_folder.parent.mkdir(parents=True, exist_ok=True)
    with fresh_folder(draft_folder) as draft:
        # 1.
        copy_root_key(order.root_key, draft)
        if order.keyring is None:
            copy_from_backup(backup, KEYRING_FILE, draft)
        else:
            copy_with_log(order.keyring, draft, KEYRING_FILE)
        copy_from_backup(backup, DATA_FILE, draft)
        remembers = order.keyring is not None and not is_in_backup(order.keyring)
        with closing(open_home(draft, clock=clock, random=random, restoring=draft / DATA_FILE)) as store:
            # 2. and 3.
            levelled = level(store, backup.manifest)
            proof, lost = _known_since(store, levelled, order, remembers=remembers)
            # 5. and 6.
            restored = _replay(store, draft, backup, levelled, proof, lost, progress)
            key_line = store.verifier_key.line()
        # 4.
        put_home_in_place(draft, home.absolute(), key_line)
    return restored


def _in_place(
    home: Path, backup: BackupFolder | None, order: RestoreOrder, *, clock: Clock, random: Random, progress: Progress
) -> Restored:
    if order.keyring is not None or order.root_key is not None:
        raise InputError("got --in-place with a keyring or a root key; the home's own are used")
    if not home.is_dir() or not (home / KEYRING_FILE).is_file():
        raise InputError(f"there is no keyring in {home} to restore by; restore into a new home, with --keyring")
    with fresh_folder(home / DRAFT) as draft:
        # 1. Before anybody opens the file in the home, for SQLite would play a foreign write-ahead log into it.
        if backup is not None:
            copy_from_backup(backup, DATA_FILE, draft)
        elif (home / DATA_FILE).is_file():
            copy_with_log(home / DATA_FILE, draft, DATA_FILE)
        else:
            raise InputError(f"there is no {DATA_FILE} in {home}; give the folder of a backup")
        in_order = _is_in_order(home, clock, random)
        if in_order and backup is not None:
            raise RefusedError(
                "the data file in the home is in order, and newer than any backup; nothing was changed, to go back "
                f"nevertheless move {DATA_FILE} away first"
            )
        with closing(open_home(home, clock=clock, random=random, restoring=draft / DATA_FILE)) as store:
            # 2. and 3.
            levelled = level(store, None if backup is None else backup.manifest)
            proof, lost = _known_since(store, levelled, order, remembers=True)
        # 4.
        if not in_order:
            put_in_place(draft / DATA_FILE, home)
    with closing(open_home(home, clock=clock, random=random, restoring=home / DATA_FILE)) as store:
        # 5. and 6.
        return _replay(store, home, backup, levelled, proof, lost, progress)


def _is_in_order(home: Path, clock: Clock, random: Random) -> bool:
    if not (home / DATA_FILE).is_file():
        return False
    try:
        open_home(home, clock=clock, random=random).close()
    except TamperError:
        return False
    return True


def _known_since(store: Store, levelled: Levelled, order: RestoreOrder, *, remembers: bool) -> tuple[Proof, int]:
    """Return what is known from elsewhere, and how many entries of the log are lost."""
    proof = read_proof(order.certificates, order.checkpoint, store.verifier_key)
    check_history(store, proof)
    lost = max(0, proof.log_size - levelled.log_size)
    if order.accept_lost or proof.certificates:
        return proof, lost
    if lost:
        raise RefusedError(
            f"the checkpoint is of a log of {proof.log_size} entries, here are {levelled.log_size}, and withdrawals "
            "may be among the rest; use a newer backup or keyring, or --replay the certificates that were issued since"
        )
    if not remembers and not proof.checkpoints:
        raise RefusedError(
            "nothing here remembers who withdrew since this backup, for the keyring is of the backup too; --replay the "
            "certificates kept elsewhere, show the newest --checkpoint, or --accept-lost-withdrawals"
        )
    return proof, lost


def _replay(
    store: Store,
    home: Path,
    backup: BackupFolder | None,
    levelled: Levelled,
    proof: Proof,
    lost: int,
    progress: Progress,
) -> Restored:
    # 5.
    ended = remembered_ends(store.keyring)
    with store.read() as connection:
        due = {receipt_id: end.reason for receipt_id, end in undone_ends(store.keyring, connection).items()}
    live = live_by_digest(store)
    for certificate, _data in proof.certificates:
        if certificate.receipt_sha256 in live:
            due.setdefault(live[certificate.receipt_sha256], _reason(certificate.reason))
    dead = [receipt_id for receipt_id in unopenable(store) if receipt_id not in due]
    replayed, due = len(due), due | dict.fromkeys(dead, EndReason.LOST)
    _erase(store, home, due, progress)
    # 6.
    stray = orphans(store)
    for receipt_id in stray:
        store.keyring.destroy(receipt_id)
    if stray:
        store.keyring.scrub()
    restored = Restored(
        made_at=None if backup is None else backup.manifest.made_at,
        log_size=levelled.log_size,
        put_back=levelled.put_back,
        replayed=replayed,
        enroll_again=sum(receipt_id not in ended for receipt_id in stray),
        unopenable=len(dead),
        certificates=_put_certificates_back(store, home, proof),
        lost_entries=lost,
    )
    with store.write() as tx:
        tx.log(
            "store.restored",
            {
                "put_back": sum(levelled.put_back.values()),
                "replayed": replayed,
                "enroll_again": restored.enroll_again,
                "unopenable": len(dead),
                "lost_entries": lost,
            },
        )
    return restored


def _erase(store: Store, home: Path, due: Mapping[ReceiptId, EndReason], progress: Progress) -> None:
    galleries, done = Galleries(store), 0

    def advance(now: int, _of_group: int) -> None:
        progress(done + now, len(due))

    for reason in EndReason:
        group = [receipt_id for receipt_id, why in due.items() if why is reason]
        if group:
            erase_consents(store, galleries, home, group, reason, advance)
            done += len(group)


def _reason(stated: str) -> EndReason:
    try:
        return EndReason(stated)
    except ValueError:
        raise TamperError("integrity: a certificate states a reason that is none; ask who keeps it") from None


def _put_certificates_back(store: Store, home: Path, proof: Proof) -> int:
    """Write the files of certificates that are not there: the ones shown, and the ones in the data file."""
    files = {certificate.certificate_id: data for certificate, data in proof.certificates}
    stored = {certificate_id: certificate_file(token) for certificate_id, token in stored_certificates(store)}
    folder = home / CERTIFICATES
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot make {folder}: {error.strerror}; check the disk and the rights") from None
    for certificate_id, data in (stored | files).items():
        if not (path := folder / f"{certificate_id}.json").exists():
            write_private(path, data)
    return len(files.keys() - stored.keys())
