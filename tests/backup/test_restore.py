"""Restore of a backup from before a withdrawal, in every way: the person is not matched, and not in the files."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from house import House, no_models
from interruptions import before_consents_end, interrupt
from restoring import restore

from tests.backup.conftest import Past
from tests.erasure.test_bytes_after_withdrawal import files_with
from tests.unit.store.raw import DATA, KEYRING, contents, peek, tamper
from volens import Site, VerifierKey, verify_certificate
from volens.consent import EndReason, InputError, RefusedError, TamperError, VolensError
from volens.erase import RestoreOrder
from volens.store.backup import root_at
from volens.store.keys import destroy_secrets
from volens.store.log import remembered_ends

OLDER = r"integrity: the data file's log has \d+ entries, the keyring remembers \d+; this is an older.*restore"

UNFINISHED = "integrity: a restore of this site was not finished; run 'volens restore --in-place'"


def opened(past: Past, home: Path | None = None) -> House:
    site = Site.open(home or past.home, load_extractor=no_models, clock=past.house.clock)
    return House.of(site, past.people())


def check(past: Past, home: Path | None = None) -> None:
    """Check that a restored site matches only Bob, and that its log is unchanged."""
    home = home or past.home
    house = opened(past, home)
    assert [house.sees(person) for person in past.people()] == [False, True, False]
    report = house.site.log.verify()
    assert report.size > past.head.size
    assert root_at(house.store, past.head) == past.head.root
    assert house.site.status().unfinished_erasures == 0
    assert peek(home / KEYRING, "SELECT receipt_id FROM grant_secret") == [(past.bob.receipt_id,)]
    house.invite()  # the site works
    house.site.close()
    assert files_with(home, past.sealed) == set()
    again = opened(past, home)
    assert root_at(again.store, past.head) == past.head.root
    again.site.close()


def test_the_backup_itself_has_the_sealed_embedding(past: Past) -> None:
    assert files_with(past.backup, past.sealed) == {DATA}


@pytest.mark.parametrize("how", ["lost", "damaged", "emptied"])
def test_a_missing_or_damaged_data_file_is_restored_in_place(past: Past, how: str) -> None:
    data = past.home / DATA
    if how == "lost":
        data.unlink()
    else:
        data.write_bytes(b"" if how == "emptied" else Random(1).randbytes(8192))

    restored = restore(past.home, RestoreOrder(past.backup, in_place=True))

    assert (restored.replayed, restored.enroll_again, restored.unopenable, restored.lost_entries) == (1, 1, 0, 0)
    # The second backup left its own entry.
    assert restored.put_back == {
        "backup.begun": 1,
        "consent.ended": 1,
        "erasure.certified": 1,
        "consent.offered": 1,
        "consent.given": 1,
        "reference.enrolled": 1,
    }
    check(past)


def test_an_old_data_file_copied_by_hand_is_refused_until_a_restore(past: Past) -> None:
    shutil.copy(past.backup / DATA, past.home / DATA)
    for _ in range(2):
        with pytest.raises(TamperError, match=OLDER):
            opened(past)

    restored = restore(past.home, RestoreOrder(None, in_place=True))

    assert (restored.made_at, restored.replayed) == (None, 1)
    check(past)


def with_logs_left(past: Past) -> Mapping[Path, bytes]:
    """Use the site for a while, and return the log that a killed process would leave next to the data file."""
    live = opened(past)
    live.withdraw(past.eve)
    live.invite()
    left = {path: path.read_bytes() for path in (Path(f"{past.home / DATA}{suffix}") for suffix in ("-wal", "-shm"))}
    live.site.close()
    assert all(len(content) > 4096 for content in left.values())
    return left


def test_the_log_of_a_lost_file_is_not_applied_to_the_restored_one(past: Past) -> None:
    logs = with_logs_left(past)
    (past.home / DATA).unlink()
    for path, content in logs.items():
        path.write_bytes(content)

    assert restore(past.home, RestoreOrder(past.backup, in_place=True)).replayed == 1

    assert [path.name for path in past.home.iterdir() if path.name.endswith(("-wal", "-shm"))] == []
    check(past)


def test_an_old_data_file_with_a_newer_log_brings_no_consent_back(past: Past) -> None:
    logs = with_logs_left(past)
    shutil.copy(past.backup / DATA, past.home / DATA)
    for path, content in logs.items():
        path.write_bytes(content)

    with pytest.raises(VolensError):
        opened(past)
    with pytest.raises(TamperError):
        restore(past.home, RestoreOrder(None, in_place=True))
    assert restore(past.home, RestoreOrder(past.backup, in_place=True)).replayed == 1

    site = opened(past)
    assert [site.sees(person) for person in past.people()] == [False, True, False]
    site.site.log.verify()
    site.site.close()
    assert files_with(past.home, past.sealed) == set()


def test_a_backup_is_restored_into_a_new_home_with_the_newest_keyring(past: Past, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in (KEYRING, "root.key"):
        shutil.copy(past.home / name, kept)
    key = past.house.store.verifier_key
    shutil.rmtree(past.home)
    order = RestoreOrder(past.backup, keyring=kept / KEYRING, root_key=kept / "root.key")

    restored = restore(past.home, order)

    assert restored.replayed == 1
    assert (past.home / "site.pub").read_text() == key.text()
    public = {past.home / "site.pub", *(past.home / "certificates").iterdir()}
    private = [path for path in past.home.rglob("*") if path.is_file() and path not in public]
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)
    assert [path.name for path in tmp_path.glob(".*")] == []
    check(past)


def all_lost(past: Past, tmp_path: Path) -> tuple[Path, Path]:
    """Lose the home; the backup's root key and Ada's certificate are kept elsewhere. Return their paths."""
    kept = tmp_path / "kept"
    (kept / "certificates").mkdir(parents=True)
    shutil.copy(past.certificate.certificate_path, kept / "certificates")
    shutil.rmtree(past.home)
    return past.root_key, kept / "certificates"


def test_a_restore_is_refused_if_nothing_remembers_the_withdrawals(past: Past, tmp_path: Path) -> None:
    root_key, _ = all_lost(past, tmp_path)

    with pytest.raises(
        RefusedError, match=r"nothing on this machine remembers who withdrew since this backup, .*--replay"
    ):
        restore(past.home, RestoreOrder(past.full_backup, root_key=root_key))
    # Naming the copy of the keyring in a backup changes nothing.
    with pytest.raises(RefusedError, match="nothing on this machine remembers"):
        restore(past.home, RestoreOrder(past.backup, keyring=past.full_backup / KEYRING, root_key=root_key))

    assert not past.home.exists()


def test_the_root_key_of_today_does_not_open_the_keyring_of_an_older_backup(past: Past, tmp_path: Path) -> None:
    root_key, certificates = shutil.copy(past.home / "root.key", tmp_path), past.home / "certificates"
    order = RestoreOrder(past.full_backup, root_key=Path(root_key), certificates=certificates)

    with pytest.raises(TamperError, match="does not open with this root key"):
        restore(tmp_path / "new", order)

    assert not (tmp_path / "new").exists()


def test_the_first_sweep_of_a_restored_home_replaces_the_root_key(past: Past, tmp_path: Path) -> None:
    root_key, certificates = all_lost(past, tmp_path)
    restore(past.home, RestoreOrder(past.full_backup, root_key=root_key, certificates=certificates))
    assert (past.home / "root.key").read_bytes() == root_key.read_bytes()
    house = opened(past)
    assert house.site.keys.status().root_key_due

    house.site.sweep()

    assert not house.site.keys.status().root_key_due
    assert (past.home / "root.key").read_bytes() != root_key.read_bytes()
    house.reopen()
    assert house.sees(past.bob)
    house.site.close()


def test_certificates_kept_elsewhere_are_replayed(past: Past, tmp_path: Path) -> None:
    root_key, certificates = all_lost(past, tmp_path)

    restored = restore(past.home, RestoreOrder(past.full_backup, root_key=root_key, certificates=certificates))

    assert (restored.replayed, restored.certificates, restored.lost_entries) == (1, 1, 2)
    house = opened(past)
    assert [house.sees(person) for person in past.people()] == [False, True, False]
    house.site.log.verify()
    house.site.close()
    assert files_with(past.home, past.sealed) == set()
    put_back = past.home / "certificates" / past.certificate.certificate_path.name
    verify_certificate(put_back.read_bytes(), VerifierKey.parse((past.home / "site.pub").read_text()))


def test_a_checkpoint_shows_whether_entries_are_missing(past: Past, tmp_path: Path) -> None:
    notes = peek(past.home / DATA, "SELECT size, note FROM audit_checkpoint ORDER BY size")
    backed_up = peek(past.full_backup / DATA, "SELECT max(size) FROM audit_checkpoint")[0][0]
    root_key, _ = all_lost(past, tmp_path)
    newer, same = tmp_path / "newer", tmp_path / "same"
    newer.write_text(notes[-1][1])
    same.write_text(dict(notes)[backed_up])

    with pytest.raises(RefusedError, match=r"a log of \d+ entries, this log has \d+, and withdrawals"):
        restore(past.home, RestoreOrder(past.full_backup, root_key=root_key, checkpoint=newer))
    restored = restore(past.home, RestoreOrder(past.full_backup, root_key=root_key, checkpoint=same))

    assert restored.lost_entries == 0


def test_lost_withdrawals_are_accepted_by_an_explicit_option_only(past: Past, tmp_path: Path) -> None:
    root_key, _ = all_lost(past, tmp_path)

    restore(past.home, RestoreOrder(past.full_backup, root_key=root_key, accept_lost=True))

    house = opened(past)
    assert house.sees(past.ada)  # this is what the flag means, and LIMITATIONS.md says so
    house.withdraw(past.ada)
    assert not house.sees(past.ada)
    house.site.close()


def test_certificates_of_people_enrolled_after_the_backup_are_put_back(past: Past, tmp_path: Path) -> None:
    house = opened(past)
    late = house.withdraw(past.eve)
    house.site.close()
    kept = shutil.copytree(past.home / "certificates", tmp_path / "kept")
    shutil.rmtree(past.home / "certificates")
    (past.home / DATA).unlink()

    restored = restore(past.home, RestoreOrder(past.backup, in_place=True, certificates=kept))

    assert (restored.replayed, restored.enroll_again, restored.certificates) == (1, 0, 2)
    assert (past.home / "certificates" / f"{late.certificate_id}.json").is_file()


def test_a_withdrawal_missing_in_the_keyring_is_added_at_the_next_opening(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = opened(past)
    with monkeypatch.context() as killed:
        killed.setattr("volens.store.store.remember", interrupted)
        with pytest.raises(KeyboardInterrupt):
            house.withdraw(past.bob)
    assert past.bob.receipt_id not in remembered_ends(house.store.keyring)
    house.site.close()

    house = opened(past)
    assert remembered_ends(house.store.keyring)[past.bob.receipt_id] is EndReason.WITHDRAWN
    house.site.close()
    shutil.copy(past.backup / DATA, past.home / DATA)

    with pytest.raises(TamperError, match=OLDER):
        opened(past)
    assert restore(past.home, RestoreOrder(None, in_place=True)).replayed == 2


def test_a_data_file_with_the_right_log_but_an_unfinished_restore_is_refused(past: Past) -> None:
    (past.home / DATA).unlink()
    with before_consents_end(interrupt), pytest.raises(KeyboardInterrupt):
        restore(past.home, RestoreOrder(past.backup, in_place=True))
    assert peek(past.home / DATA, "SELECT count(*) FROM audit_event") == [(past.head.size,)]

    with pytest.raises(TamperError, match=UNFINISHED):
        opened(past)
    restore(past.home, RestoreOrder(None, in_place=True))
    check(past)


def test_no_process_writes_before_a_restore_is_finished(past: Past) -> None:
    running = opened(past)
    tamper(past.home / KEYRING, "DELETE FROM grant_secret WHERE receipt_id = ?", past.bob.receipt_id)
    with before_consents_end(interrupt), pytest.raises(KeyboardInterrupt):
        restore(past.home, RestoreOrder(None, in_place=True))

    with pytest.raises(TamperError, match=UNFINISHED):
        running.invite()
    running.site.close()


def test_a_process_writes_nothing_into_an_older_data_file(past: Past) -> None:
    house = opened(past)
    past.house.site = house.site
    house.store.data.scrub()
    for place in house.store.data.places():
        (past.home / place.name).unlink()
    house.store.data._engine.dispose()
    shutil.copy(past.backup / DATA, past.home / DATA)

    with pytest.raises(VolensError, match=r"older data file|was moved away or replaced"):
        house.invite()

    assert house.store.keyring.head().size == past.head.size
    house.site.close()


def test_a_reference_id_given_out_since_the_backup_is_never_reused(past: Past) -> None:
    (past.home / DATA).unlink()
    restore(past.home, RestoreOrder(past.backup, in_place=True))

    house = opened(past)
    assert past.eve.reference_id is not None
    newcomer = house.admit()
    assert newcomer.reference_id is not None
    assert newcomer.reference_id > past.eve.reference_id
    house.site.close()


def test_a_consent_whose_secret_is_lost_ends_with_that_reason(past: Past) -> None:
    house = opened(past)
    destroy_secrets(house.store.keyring, [past.bob.receipt_id], house.bits.randbytes, house.store.now())
    house.site.close()
    (past.home / DATA).unlink()

    restored = restore(past.home, RestoreOrder(past.backup, in_place=True))

    assert (restored.replayed, restored.unopenable) == (1, 1)
    house = opened(past)
    assert not house.sees(past.bob)
    assert remembered_ends(house.store.keyring)[past.bob.receipt_id] is EndReason.LOST
    house.site.close()


def test_an_undamaged_site_is_not_overwritten_and_the_check_is_harmless(past: Past) -> None:
    # Row by row: opening a database may count up in its header.
    before = contents(past.home / DATA)
    with pytest.raises(RefusedError, match="the data file in the home is undamaged, and newer than any backup"):
        restore(past.home, RestoreOrder(past.backup, in_place=True))
    assert contents(past.home / DATA) == before

    assert restore(past.home, RestoreOrder(None, in_place=True)).replayed == 0

    house = opened(past)
    assert [house.sees(person) for person in past.people()] == [False, True, True]
    house.site.close()


BAD_BACKUPS = {
    "another data file": ("is not the file of its manifest", lambda past: _flip(past.backup / DATA, 5000)),
    "a shorter data file": ("is not the file of its manifest", lambda past: _cut(past.backup / DATA)),
    "a changed manifest": ("this is not a backup's manifest|not signed by this site", lambda past: _edit(past.backup)),
    "no manifest": ("has no manifest.json", lambda past: (past.backup / "manifest.json").unlink()),
    "a manifest that is none": ("this is not a backup's manifest", lambda past: _none(past.backup)),
}


@pytest.mark.parametrize("case", BAD_BACKUPS)
def test_a_bad_backup_is_refused_and_changes_nothing(past: Past, case: str) -> None:
    said, spoil = BAD_BACKUPS[case]
    spoil(past)
    before = (past.home / DATA).read_bytes()
    shutil.move(past.home / DATA, past.home.with_name("aside"))

    with pytest.raises((TamperError, InputError), match=said):
        restore(past.home, RestoreOrder(past.backup, in_place=True))

    assert not (past.home / DATA).exists()
    assert before
    assert not (past.home / ".restoring").exists()


def test_a_backup_of_another_site_is_refused(past: Past, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=9)
    other.site.backup(tmp_path / "foreign")
    other.site.close()
    (past.home / DATA).unlink()

    with pytest.raises(TamperError, match="keyring and data are of different sites"):
        restore(past.home, RestoreOrder(tmp_path / "foreign", in_place=True))


def test_a_backup_of_a_forked_history_is_refused(past: Past, tmp_path: Path) -> None:
    fork = shutil.copytree(past.home, tmp_path / "fork")
    forked = opened(past, fork)
    forked.invite()
    forked.site.backup(tmp_path / "forked")
    forked.site.close()
    house = opened(past)
    house.withdraw(past.bob)
    house.site.close()
    (past.home / DATA).unlink()

    with pytest.raises(TamperError, match="is not the beginning of the one that the keyring remembers"):
        restore(past.home, RestoreOrder(tmp_path / "forked", in_place=True))


def test_a_certificate_of_a_forked_history_is_refused(past: Past, tmp_path: Path) -> None:
    fork = shutil.copytree(past.home, tmp_path / "fork")
    shutil.rmtree(fork / "certificates")
    forked = opened(past, fork)
    forked.withdraw(past.bob)
    forked.site.close()
    house = opened(past)
    for _ in range(3):
        house.invite()
    house.site.close()
    (past.home / DATA).unlink()

    with pytest.raises(TamperError, match=r"is of a log whose first \d+ entries differ"):
        restore(past.home, RestoreOrder(past.backup, in_place=True, certificates=fork / "certificates"))

    assert not (past.home / DATA).exists()


def test_a_certificate_of_another_site_and_an_empty_folder_are_refused(past: Past, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=9)
    other.withdraw(other.admit())
    other.site.close()
    (past.home / DATA).unlink()
    order = RestoreOrder(past.backup, in_place=True, certificates=tmp_path / "other" / "certificates")
    with pytest.raises(TamperError, match="this certificate is of another site"):
        restore(past.home, order)
    with pytest.raises(InputError, match="which has no certificate"):
        restore(past.home, RestoreOrder(past.backup, in_place=True, certificates=past.backup.parent))


def test_a_keyring_without_its_entries_allows_no_restore(past: Past) -> None:
    # As after an upgrade from a version that kept none.
    tamper(past.home / KEYRING, "DELETE FROM log_leaf")
    shutil.copy(past.backup / DATA, past.home / DATA)

    with pytest.raises(TamperError, match="cannot be brought up to date with it; use the newest"):
        restore(past.home, RestoreOrder(None, in_place=True))


ORDERS = {
    "no root key for a new home": ("no root key for a new home", lambda past: RestoreOrder(past.backup)),
    "no backup for a new home": ("got no backup or no root key", lambda past: RestoreOrder(None, root_key=past.backup)),
    "a keyring in place": (
        "--in-place uses the home's own keyring",
        lambda past: RestoreOrder(None, in_place=True, keyring=past.home / KEYRING),
    ),
    "a home that is there": (
        "already there and not an empty folder",
        lambda past: RestoreOrder(past.backup, root_key=past.home / "root.key"),
    ),
}


@pytest.mark.parametrize("case", ORDERS)
def test_contradicting_options_are_refused(past: Past, case: str) -> None:
    said, order = ORDERS[case]
    with pytest.raises(InputError, match=said):
        restore(past.home, order(past))


def interrupted(*_: object, **_more: object) -> None:
    raise KeyboardInterrupt


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def _edit(folder: Path) -> None:
    path = folder / "manifest.json"
    content = path.read_bytes()
    path.write_bytes(content[:-8] + (b"A" if content[-8:-7] != b"A" else b"B") + content[-7:])


def _none(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"manifest": 7}\n')
