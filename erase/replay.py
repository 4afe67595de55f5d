"""Restore: every consent that ended since the backup is ended and erased again before the site can be used.

The data file comes from the past; the keyring remembers what happened since. From before the data file is put in its
place until the last erasure is done, the keyring is marked (`begin_restore`), and the opening of the store is refused.
So a killed restore leaves a site that refuses to open, and the operator runs the restore again. A database on a server
was put back there, by the server's own means: it is brought up to date where it is.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, final

from volens.consent import EndReason, InputError, ReceiptId, RefusedError, TamperError, UnavailableError, format_time
from volens.erase.procedure import erase_consents
from volens.erase.proof.certificate import CERTIFICATE
from volens.erase.proof.kept_proof import Proof, read_home_proof, read_proof, unproved
from volens.index import Galleries, Installation
from volens.store import DATA_FILE, KEYRING_FILE, Clock, Store, open_home
from volens.store.backup import copy_closed, put_in_place, restore
from volens.store.files import make_home_folder, write_public
from volens.store.keys import Random, destroy_secrets
from volens.store.log import (
    CERTIFICATES,
    abandoned_heads,
    begin_restore,
    end_restore,
    is_authentic,
    newest_time,
    orphans,
    remembered_ends,
    undone_ends,
    unopenable,
)
from volens.store.log.forgotten_ends import forgotten_size
from volens.store.programs import Processes
from volens.store.promises.jurisdiction_clocks import SHIPPED
from volens.store.site_databases import is_on_server

DRAFT: Final = ".restoring"
Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """The options of a restore.

    Attributes:
        backup: the folder of a backup; None takes the data file that is in the home.
        in_place: the home exists, and its keyring is the one last in use.
        keyring: for a new home, the keyring file last in use; None takes the backup's copy.
        root_key: for a new home, the file of the root key.
        certificates: a folder of certificates that were kept elsewhere, to be replayed.
        checkpoint: a file that was kept elsewhere and carries a signed checkpoint.
        nodes: homes of other nodes of the site, or copies of them: they prove what each of them has seen and done.
        accept_lost: continue even if withdrawals may have been lost.
    """

    backup: Path | None
    in_place: bool = False
    keyring: Path | None = None
    root_key: Path | None = None
    certificates: Path | None = None
    checkpoint: Path | None = None
    nodes: Sequence[Path] = ()
    accept_lost: bool = False


@final
@dataclass(frozen=True, slots=True)
class Restored:
    """A restored site.

    Attributes:
        made_at: when the backup was made; None if there was none.
        log_size: entries in the log now.
        put_back: entries that were put back into the log, by kind; the rows that they describe are lost.
        replayed: consents that had ended since the backup, and were ended and erased again.
        enroll_again: people who gave consent since the backup; they must give consent and be enrolled again.
        older_rows: sets of rows (a consent, a zone, a credential) of which a later change is lost with the backup.
        restricted: consents that were changed since the backup and are restricted (GDPR 18) now, because one of them
            was since then, and nothing says which.
        unopenable: consents whose secret is in no keyring any more; they were ended.
        certificates: certificates whose files were put back.
        lost_entries: entries of the log that are known to have existed, and are lost.
        lost_shards: shards of the log that are missing now, or lack their newest visits or counts.
    """

    made_at: datetime | None
    log_size: int
    put_back: Mapping[str, int]
    replayed: int
    enroll_again: int
    older_rows: int
    restricted: int
    unopenable: int
    certificates: int
    lost_entries: int
    lost_shards: int


def restore_site(home: Path, order: RestoreOrder, *, clock: Clock, random: Random, progress: Progress) -> Restored:
    """Restore a site, so that no person who withdrew since the backup is ever matched again.

    1. A draft is made: a copy of the data file, and for a new home of keyring and root key.
    2. The log entries that only the keyring remembers are added to the draft (`volens.store.backup.restore.catch_up`).
    3. A data file in which ends may be missing whose evidence was deleted since is refused
       (`volens.erase.outdated_evidence`). Certificates and checkpoints, of the home or kept elsewhere, must be of the
       same log. If they prove entries that are lost, or nothing on this machine remembers what happened since the
       backup, the operator must give some.
    4. The keyring is marked, and the data file is put in its place; a new home stays a draft until the end.
    5. Consents that ended since the backup are ended and erased again: those that the keyring knows, those that
       certificates prove, and those whose secret is gone.
    6. Secrets that belong to no consent any more are destroyed, certificates are put back, the restore is logged, the
       mark is removed.

    On a server there is no draft: steps 2 to 4 are one transaction, which leaves no trace if the restore is refused.

    `progress` is called with how many erasures are done, of how many.

    Raises:
        InputError: the options contradict each other, or a folder or file is not what it should be.
        RefusedError: 3: withdrawals may have been lost, or were forgotten since; or the data file in the home is
            undamaged and current.
        TamperError: a file is damaged, of another site, or of another history.
        ErasureIncompleteError: step 5 could not be finished; no consent that ended is matched.
        UnavailableError: the disk refuses, or a file is in use.

    Not checked: that no other process has the data file open; stop the site's processes first. On a server, processes
    that reported to it within 15 seconds are noticed.
    """
    backup = None if order.backup is None else restore.read_backup(order.backup)
    if order.in_place:
        return _in_place(home, backup, order, clock=clock, random=random, progress=progress)
    if backup is None or order.root_key is None:
        raise InputError("got no backup or no root key for a new home; give the backup's folder and --root-key FILE")
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise InputError(f"{home} is already there and not an empty folder; choose another, or --in-place")
    draft_folder = home.absolute().parent / f".{home.name}{DRAFT}"
    draft_folder.parent.mkdir(parents=True, exist_ok=True)
    with restore.fresh_folder(draft_folder) as draft:
        # 1.
        restore.copy_root_key(order.root_key, draft)
        if order.keyring is None:
            restore.copy_from_backup(backup, KEYRING_FILE, draft)
        else:
            copy_closed(order.keyring, draft, KEYRING_FILE)
        restore.copy_from_backup(backup, DATA_FILE, draft)
        remembers = order.keyring is not None and not restore.is_in_backup(order.keyring)
        draft_store = open_home(draft, clock=clock, random=random, restoring=draft / DATA_FILE, keep_root_key=True)
        with closing(draft_store) as store:
            # 2. and 3.
            caught_up, proof, lost = _prepare(store, backup, order, None, remembers=remembers)
            # 5. and 6.
            restored = _replay(store, draft, backup, caught_up, proof, lost, progress)
            public_key = store.verifier_key
        # 4.
        restore.put_home_in_place(draft, home.absolute(), public_key)
    return restored


def _in_place(
    home: Path,
    backup: restore.BackupFolder | None,
    order: RestoreOrder,
    *,
    clock: Clock,
    random: Random,
    progress: Progress,
) -> Restored:
    if order.keyring is not None or order.root_key is not None:
        raise InputError("--in-place uses the home's own keyring and root key; leave out --keyring and --root-key")
    if is_on_server(home):
        return _on_server(home, order, clock=clock, random=random, progress=progress)
    if not home.is_dir() or not (home / KEYRING_FILE).is_file():
        raise InputError(f"there is no keyring in {home} to restore by; restore into a new home, with --keyring")
    with restore.fresh_folder(home / DRAFT) as draft:
        # 1. Before the database in the home is opened: that would apply a log of another file that lies next to it.
        if backup is not None:
            restore.copy_from_backup(backup, DATA_FILE, draft)
        elif (home / DATA_FILE).is_file():
            copy_closed(home / DATA_FILE, draft, DATA_FILE)
        else:
            raise InputError(f"there is no {DATA_FILE} in {home}; give the folder of a backup")
        in_order = _is_in_order(home, clock, random)
        if in_order and backup is not None:
            raise RefusedError(
                "the data file in the home is undamaged, and newer than any backup; nothing was changed. To restore "
                f"the backup nevertheless, move {DATA_FILE} away first"
            )
        with closing(open_home(home, clock=clock, random=random, restoring=draft / DATA_FILE)) as store:
            # 2. and 3.
            caught_up, proof, lost = _prepare(store, backup, order, home, remembers=True)
        # 4.
        if not in_order:
            put_in_place(draft / DATA_FILE, home / DATA_FILE)
    with closing(open_home(home, clock=clock, random=random, restoring=home / DATA_FILE)) as store:
        # 5. and 6.
        return _replay(store, home, backup, caught_up, proof, lost, progress)


def _on_server(home: Path, order: RestoreOrder, *, clock: Clock, random: Random, progress: Progress) -> Restored:
    if order.backup is not None:
        raise InputError(
            f"got {order.backup}, and the databases of this home are on a server; restore them there by its own means, "
            "then run 'volens restore --in-place' without a folder"
        )
    with closing(open_home(home, clock=clock, random=random, restoring=home / DATA_FILE)) as store:
        if others := Processes(store).others():
            raise UnavailableError(
                f"{len(others)} processes serve this site; end them on all nodes, wait 15 s, and run this again"
            )
        # 2. to 4.
        caught_up, proof, lost = _prepare(store, None, order, home, remembers=True)
        # 5. and 6.
        return _replay(store, home, None, caught_up, proof, lost, progress)


def _is_in_order(home: Path, clock: Clock, random: Random) -> bool:
    with suppress(TamperError):
        if (home / DATA_FILE).is_file():
            open_home(home, clock=clock, random=random).close()
            return True
    return False


def _prepare(
    store: Store, backup: restore.BackupFolder | None, order: RestoreOrder, home: Path | None, *, remembers: bool
) -> tuple[restore.CaughtUp, Proof, int]:
    """Do steps 2 and 3, and mark the keyring; return also what is proved, and how many entries of the log are lost.

    `home` is the home that is restored in place. `remembers`: the keyring was in use until now.
    """
    given = read_proof(order.certificates, order.checkpoint, store.verifier_key)
    for node in order.nodes:
        given = given.joined(read_home_proof(node, store))
    proof = given if home is None else given.joined(read_home_proof(home, store))
    authentic = is_authentic(store.keyring)
    manifest = None if backup is None else backup.manifest
    with store.keyring.read() as kept:
        abandoned = abandoned_heads(kept, store.keyring)
    with store.write() as tx:
        # 2.
        own_end = newest_time(tx.connection)
        caught_up = restore.catch_up(store, tx.connection, manifest, proof.checkpoints, is_authentic=authentic)
        # 3.
        _check_not_outdated(store, caught_up, own_end, remembers=remembers and authentic)
        unknown = unproved(tx.connection, proof, accept_other=order.accept_lost)
        left = [one for one in unknown if (one.size, one.root) not in abandoned]
        lost = max((one.size - caught_up.log_size for one in left), default=0)
        _check_proved(order, given, lost, caught_up.log_size, remembers=remembers and authentic)
        # 4. The mark is committed first.
        if home is not None and given.certificates:
            _write_certificates(home, {one.certificate_id: data for one, data in given.certificates})
        begin_restore(store.keyring, tx.connection, left)
    return caught_up, proof, max(0, lost)


def _check_not_outdated(
    store: Store, caught_up: restore.CaughtUp, own_end: datetime | None, *, remembers: bool
) -> None:
    """Refuse a data file from before an end of which nothing is remembered any more, neither here nor elsewhere.

    A keyring that was in use knows how long the log must be. With another one, certificates that were kept elsewhere
    would have to prove every end, and the site itself deletes its own after the shortest period of evidence. `own_end`
    is the time of the newest entry of the data file's own log.
    """
    if remembers and caught_up.log_size - sum(caught_up.put_back.values()) < forgotten_size(store.keyring):
        raise RefusedError(
            "this data file is older than consents that ended and whose evidence was deleted since, so it could put "
            "them in force again; use a newer backup"
        )
    days = SHIPPED.shortest_of_all().evidence_days
    if not remembers and own_end is not None and own_end <= store.now() - timedelta(days=days):
        raise RefusedError(
            f"this data file is of {format_time(own_end)}, and evidence of ended consents is kept for {days} days, so "
            "nothing can prove who withdrew since; use a newer backup, or begin a new site and ask people again"
        )


def _check_proved(order: RestoreOrder, given: Proof, lost: int, log_size: int, *, remembers: bool) -> None:
    if order.accept_lost or given.certificates:
        return
    if lost > 0:
        raise RefusedError(
            f"a checkpoint or certificate is of a log of {log_size + lost} entries, this log has {log_size}, and "
            "withdrawals may be among the rest; use a newer backup or keyring, or --replay the certificates that were "
            "issued since"
        )
    if not remembers and not given.checkpoints:
        raise RefusedError(
            "nothing on this machine remembers who withdrew since this backup, because the keyring is of the backup "
            "too, or was changed; --replay the certificates kept elsewhere, give the newest --checkpoint, or "
            "--accept-lost-withdrawals"
        )


def _replay(
    store: Store,
    home: Path,
    backup: restore.BackupFolder | None,
    caught_up: restore.CaughtUp,
    proof: Proof,
    lost: int,
    progress: Progress,
) -> Restored:
    # 5.
    older_rows, restricted = restore.accept_older_rows(store, caught_up.put_back)
    lost_shards = restore.accept_older_shards(store, caught_up.put_back)
    ended = remembered_ends(store.keyring)
    with store.read() as connection:
        due = dict(undone_ends(store.keyring, connection))
    live = restore.live_by_digest(store)
    for certificate, _data in proof.certificates:
        if certificate.receipt_sha256 in live:
            due.setdefault(live[certificate.receipt_sha256], _reason(certificate.reason))
    with store.read() as connection:
        dead = [receipt_id for receipt_id in unopenable(connection, store.keyring) if receipt_id not in due]
    replayed, due = len(due), due | dict.fromkeys(dead, EndReason.LOST)
    _erase(store, home, due, progress)
    # 6.
    with store.read() as connection:
        stray = orphans(connection, store.keyring)
    if stray:
        destroy_secrets(store.keyring, stray, store.random, store.now())
        scrubbed = store.keyring.engine.scrub()
        if not scrubbed.complete:
            raise UnavailableError(f"{scrubbed.obstacle}; try again when it is done")
    restored = Restored(
        made_at=None if backup is None else backup.manifest.made_at,
        log_size=caught_up.log_size,
        put_back=caught_up.put_back,
        replayed=replayed,
        enroll_again=sum(receipt_id not in ended for receipt_id in stray),
        older_rows=older_rows,
        restricted=restricted,
        unopenable=len(dead),
        certificates=_put_certificates_back(store, home, proof),
        lost_entries=lost,
        lost_shards=lost_shards,
    )
    with store.write() as tx:
        tx.log(
            "store.restored",
            {
                "put_back": sum(caught_up.put_back.values()),
                "replayed": replayed,
                "enroll_again": restored.enroll_again,
                "unopenable": len(dead),
                "lost_entries": lost,
            },
        )
    store.keep_checkpoint()
    end_restore(store.keyring)
    return restored


def _erase(store: Store, home: Path, due: Mapping[ReceiptId, EndReason], progress: Progress) -> None:
    installation, done = Installation(store, Galleries(store), home), 0

    def advance(now: int, _of_group: int) -> None:
        progress(done + now, len(due))

    for reason in EndReason:
        group = [receipt_id for receipt_id, why in due.items() if why is reason]
        if group:
            erase_consents(installation, group, reason, advance)
            done += len(group)


def _reason(stated: str) -> EndReason:
    try:
        return EndReason(stated)
    except ValueError:
        raise TamperError("integrity: a certificate states an unknown reason; ask the person who keeps it") from None


def _put_certificates_back(store: Store, home: Path, proof: Proof) -> int:
    """Write the missing files of certificates: of those that the operator gave, and of those in the data file."""
    files = {certificate.certificate_id: data for certificate, data in proof.certificates}
    stored = {
        certificate_id: CERTIFICATE.to_file(token) for certificate_id, token in restore.stored_certificates(store)
    }
    _write_certificates(home, stored | files)
    return len(files.keys() - stored.keys())


def _write_certificates(home: Path, files: Mapping[str, bytes]) -> None:
    folder = make_home_folder(home, CERTIFICATES)
    for certificate_id, data in files.items():
        if not (path := folder / f"{certificate_id}.json").exists():
            write_public(path, data)
