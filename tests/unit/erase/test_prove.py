"""The proof on demand: everything is searched again, and data that is not erased or was restored is reported."""

from pathlib import Path

import pytest
from house import House, Person

from tests.unit.store.raw import DATA, lawless, tamper
from volens.consent import ErasureIncompleteError, NoLiveConsentError, RefusedError, TamperError
from volens.store.keys import destroy_secrets
from volens.store.people import sealed_references


def box_of(house: House, person: Person) -> bytes:
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [person.receipt_id])
    return reference.sealed_embedding


@pytest.mark.of_files
def test_nothing_is_found_of_an_erased_person(house: House) -> None:
    person = house.admit()
    erased = house.withdraw(person)

    absent = house.site.erasures.prove([person.receipt_id])

    assert absent.hits == []
    assert absent.certificate_ids == [erased.certificate_id]
    assert absent.searched == {
        "sealed embedding": 1,
        "sealed name": 1,
        "wrapped grant secret": 1,
    }
    home = house.site.home
    assert {place["name"] for place in absent.places} >= {"volens.db", "keyring.db", "root.key", "certificates/"}
    assert absent.size_bytes >= sum(path.stat().st_size for path in home.rglob("*.db"))


@pytest.mark.parametrize("where", ["restored.db", "exports/ada.zip", ".draft.tmp"])
def test_a_copy_restored_years_later_is_found_and_named(house: House, where: str) -> None:
    person = house.admit()
    box = box_of(house, person)
    house.withdraw(person)
    planted = house.site.home / where
    planted.parent.mkdir(exist_ok=True)
    planted.write_bytes(bytes(999) + box)

    (hit,) = house.site.erasures.prove([person.receipt_id]).hits

    assert (hit.what, hit.where) == ("sealed embedding", where)
    planted.write_bytes(box[:-1])  # only a whole copy is recognised: said in the docs
    assert not house.site.erasures.prove([person.receipt_id]).hits


@pytest.mark.of_files
def test_a_row_or_a_secret_that_exists_again_is_reported(house: House) -> None:
    person = house.admit()
    house.withdraw(person)
    house.store.keyring.new_grant_secret(person.receipt_id, house.bits.randbytes, house.store.now()).wipe()
    with pytest.raises(ErasureIncompleteError, match="a row or a secret of the erased consent exists again"):
        house.site.erasures.prove([person.receipt_id])
    destroy_secrets(house.store.keyring, [person.receipt_id], house.bits.randbytes, house.store.now())
    with lawless(house.site.home / DATA) as connection:
        connection.execute("DELETE FROM audit_opening WHERE seq = 0")
        connection.execute("INSERT INTO audit_opening VALUES (0, ?, '{}', zeroblob(16))", (person.receipt_id,))
    with pytest.raises(ErasureIncompleteError, match="exists again"):
        house.site.erasures.prove([person.receipt_id])


def test_a_consent_in_force_unfinished_or_unknown_is_not_proved_erased(house: House) -> None:
    person, half = house.admit(), house.admit()
    with pytest.raises(RefusedError, match="1 of 1 consents of this person are in force and not erased"):
        house.site.erasures.prove([person.receipt_id])
    (house.site.home / "copy").write_bytes(box_of(house, half))
    with pytest.raises(ErasureIncompleteError):
        house.withdraw(half)
    with pytest.raises(ErasureIncompleteError, match="the erasure is not finished; run 'volens erase resume'"):
        house.site.erasures.prove([half.receipt_id])
    with pytest.raises(NoLiveConsentError, match="nothing to prove"):
        house.site.erasures.prove([])


def test_a_certificate_leads_to_its_consent(house: House, tmp_path: Path) -> None:
    person = house.admit()
    data = house.withdraw(person).certificate_path.read_bytes()

    assert house.site.erasures.of_certificate(data) == person.receipt_id
    assert house.site.erasures.of_certificate(person.take_home.to_json()) is None
    with pytest.raises(TamperError):
        house.site.erasures.of_certificate(data.replace(b"A", b"B", 1))
    other = House.build(tmp_path / "other", seed=5)
    with pytest.raises(TamperError):
        other.site.erasures.of_certificate(data)
    other.site.close()


def test_a_stored_certificate_that_was_changed_proves_nothing(house: House) -> None:
    person = house.admit()
    house.withdraw(person)
    tamper(house.site.home / DATA, "UPDATE certificate SET token = 'a.b.c'")
    with pytest.raises(TamperError, match="integrity: a stored certificate is damaged"):
        house.site.erasures.prove([person.receipt_id])
