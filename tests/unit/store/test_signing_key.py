"""The rotation of the signing key: old certificates verify, other processes follow, an older keyring is refused."""

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from house import House, no_models
from restoring import restore

from tests.unit.store.raw import KEYRING
from volens import Site
from volens.audit import VerifierKey, open_checkpoint, verify_log_file
from volens.consent import TamperError
from volens.erase import RestoreOrder
from volens.erase.proof import Certificate, verify_certificate
from volens.rights import verify_policy
from volens.store.log.audit_log import entries_about_no_person


def published(house: House) -> VerifierKey:
    return VerifierKey.parse((house.site.home / "site.pub").read_text())


def entries_of(site: Site, kind: str) -> list[Mapping[str, object]]:
    with site.installation.store.read() as connection:
        return [one.details for one in entries_about_no_person(connection, kind)]


def certificate_of(house: House, key: VerifierKey | None = None) -> tuple[Path, Certificate]:
    path = house.withdraw(house.admit()).certificate_path
    return path, verify_certificate(path.read_bytes(), key or published(house))


def test_what_older_keys_signed_verifies_after_two_rotations(house: House) -> None:
    first = published(house)
    paths = []
    for epoch in (1, 2, 3):
        path, _certificate = certificate_of(house)
        paths.append(path)
        if epoch < 3:
            assert house.site.keys.rotate(signing=True).new_signing_key == epoch + 1
    newest = published(house)
    assert newest.line() == first.line()
    assert [len(one.successions) for one in (first, newest)] == [0, 2]
    for path in paths:
        verify_certificate(path.read_bytes(), newest)
    verify_certificate(paths[0].read_bytes(), first)
    for path in paths[1:]:
        with pytest.raises(TamperError):
            verify_certificate(path.read_bytes(), first)
    verify_policy(house.site.clocks.signed_policy(), newest)
    assert verify_log_file(house.site.log.export(), newest).head.size == house.site.log.verify().size
    assert house.site.log.verify().kinds["signing_key.rotated"] == 2
    house.reopen()
    assert house.site.verifier_key == newest
    assert house.site.keys.status().signing_key == 3


def test_a_rotation_without_the_request_keeps_the_signing_key(house: House) -> None:
    before = house.site.verifier_key
    rotated = house.site.keys.rotate(root=True)
    assert (rotated.new_signing_key, house.site.verifier_key) == (None, before)
    assert "signing_key.rotated" not in house.site.log.verify().kinds


def test_another_process_signs_with_the_new_key_at_once(house: House) -> None:
    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes) as other:
        second = House.of(other, house.people)
        certificate_of(second)
        house.site.keys.rotate(signing=True)
        path, _certificate = certificate_of(second)
        note = second.site.log.checkpoint()
    verify_certificate(path.read_bytes(), published(house).newest)
    open_checkpoint(note, published(house).newest)


def test_the_old_signing_key_is_destroyed_with_its_wrapping(house: House) -> None:
    seed = house.store.keyring.unlocked.site.signing.private_bytes_raw()
    with house.store.keyring.read() as connection:
        box = connection.exec_driver_sql("SELECT wrapped FROM site_key WHERE kind = 'signing'").scalar_one()
    house.site.keys.rotate(signing=True)
    files = b"".join(path.read_bytes() for path in sorted(house.site.home.rglob("*")) if path.is_file())
    assert house.store.keyring.unlocked.site.signing.private_bytes_raw() != seed
    assert [one for one in (seed, box) if one in files] == []


def test_a_keyring_from_before_the_rotation_is_refused(house: House, tmp_path: Path) -> None:
    house.site.close()
    shutil.copy(house.site.home / KEYRING, tmp_path / KEYRING)
    with closing(Site.open(house.site.home, load_extractor=no_models, clock=house.clock)) as site:
        site.keys.rotate(signing=True)
    shutil.copy(tmp_path / KEYRING, house.site.home / KEYRING)
    with pytest.raises(TamperError, match=r"before the signing key was replaced.*put the newest keyring\.db back"):
        Site.open(house.site.home, load_extractor=no_models, clock=house.clock)


@pytest.mark.parametrize("change", ["DELETE FROM key_succession", "UPDATE key_succession SET epoch = 3"])
def test_a_changed_succession_in_the_keyring_is_refused(house: House, change: str) -> None:
    house.site.keys.rotate(signing=True)
    with house.store.keyring.write() as connection:
        connection.exec_driver_sql(change)
    if change.startswith("UPDATE"):
        house.reopen()  # the number is in the signed statement; the column only gives the order
        return
    with pytest.raises(TamperError, match="of different sites"):
        house.reopen()


def test_a_data_file_from_before_the_rotation_gets_its_entry_again(house: House, tmp_path: Path) -> None:
    house.site.backup(tmp_path / "backup")
    house.site.keys.rotate(signing=True)
    key, kept = published(house), tmp_path / "kept"
    house.site.close()
    kept.mkdir()
    for name in (KEYRING, "root.key"):
        shutil.copy(house.site.home / name, kept)
    order = RestoreOrder(tmp_path / "backup", keyring=kept / KEYRING, root_key=kept / "root.key")
    restore(tmp_path / "again", order)
    house.clock.move(hours=2)
    with closing(Site.open(tmp_path / "again", load_extractor=no_models, clock=house.clock)) as site:
        assert site.verifier_key == key
        (entry,) = entries_of(site, "signing_key.rotated")
        assert entry == {"epoch": 2, "new_key": key.newest.line()}
        site.log.verify()
    assert VerifierKey.parse((tmp_path / "again" / "site.pub").read_text()) == key
