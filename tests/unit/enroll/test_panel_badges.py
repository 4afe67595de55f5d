"""Badge numbers at the panel of the house: sealed under the consent, disclosed to the person, and erased with it."""

import io
import json
import zipfile

import pytest
from house import House, Person

from tests.unit.enroll.test_renewed_consent import invite, renew
from tests.unit.store.raw import DATA, peek, tamper
from volens.consent import NoLiveConsentError, ReceiptId, RefusedError, TamperError
from volens.consent.panel_badge import PanelBadge
from volens.erase.proof import verify_certificate
from volens.rights import answer_access

SHORT, LONG = PanelBadge(None, 71), PanelBadge(64_123, 34_359_738_367)


def box(house: House, person: Person) -> bytes:
    query = "SELECT sealed_number FROM panel_badge WHERE receipt_id = ?"
    ((found,),) = peek(house.site.home / DATA, query, person.receipt_id)
    return bytes(found)


def files_with(house: House, value: bytes) -> set[str]:
    files = [path for path in house.site.home.rglob("*") if path.is_file()]
    return {path.name for path in files if value in path.read_bytes()}


def test_a_badge_number_is_set_replaced_removed_and_logged_without_it(house: House) -> None:
    person, other = house.admit(), house.admit()
    badges = house.site.panel_badges
    assert badges.of(person.receipt_id) is None
    badges.set(person.receipt_id, SHORT)
    first = box(house, person)
    badges.set(person.receipt_id, LONG)
    assert badges.of(person.receipt_id) == LONG
    assert badges.of(other.receipt_id) is None
    assert not files_with(house, first)
    assert badges.remove(person.receipt_id)
    assert not badges.remove(person.receipt_id)
    assert badges.of(person.receipt_id) is None
    kinds = house.site.log.verify().kinds
    assert (kinds["panel_badge.set"], kinds["panel_badge.removed"]) == (2, 1)


def test_no_file_holds_a_badge_number_and_its_size_says_nothing(house: House) -> None:
    person, other = house.admit(), house.admit()
    house.site.panel_badges.set(person.receipt_id, LONG)
    house.site.panel_badges.set(other.receipt_id, SHORT)
    assert len(box(house, person)) == len(box(house, other))
    for canary in (LONG.text.encode(), str(LONG.number).encode(), LONG.number.to_bytes(5, "big")):
        assert not files_with(house, canary)
    assert files_with(house, box(house, person)) & {"volens.db", "volens.db-wal"}


def test_a_badge_number_moved_to_another_person_does_not_open(house: House) -> None:
    person, other = house.admit(), house.admit()
    house.site.panel_badges.set(person.receipt_id, SHORT)
    house.site.panel_badges.set(other.receipt_id, LONG)
    statement = "UPDATE panel_badge SET sealed_number = ? WHERE receipt_id = ?"
    tamper(house.site.home / DATA, statement, box(house, person), other.receipt_id)
    with pytest.raises(TamperError):
        house.site.panel_badges.of(other.receipt_id)
    assert house.site.panel_badges.of(person.receipt_id) == SHORT


def test_a_badge_number_ends_with_the_consent_and_the_certificate_counts_it(house: House) -> None:
    person = house.admit()
    house.site.panel_badges.set(person.receipt_id, LONG)
    sealed = box(house, person)
    erased = house.withdraw(person)
    certificate = verify_certificate(erased.certificate_path.read_bytes(), house.site.verifier_key)
    assert certificate.statement["destroyed"]["sealed badge numbers"] == 1
    assert house.site.panel_badges.of(person.receipt_id) is None
    assert not files_with(house, sealed)
    for receipt_id in (person.receipt_id, ReceiptId("unknown")):
        with pytest.raises(NoLiveConsentError, match="no consent in force"):
            house.site.panel_badges.set(receipt_id, SHORT)


def test_the_person_is_told_the_badge_number(house: House) -> None:
    person, other = house.admit(), house.admit()
    house.site.panel_badges.set(person.receipt_id, LONG)
    for one, number in ((person, LONG.text), (other, None)):
        answer = answer_access(house.store, [one.receipt_id]).data
        with zipfile.ZipFile(io.BytesIO(answer)) as archive:
            (record,) = (name for name in archive.namelist() if name.endswith("record.jsonld"))
            assert json.loads(archive.read(record))["volens:panelBadge"] == number
            assert (LONG.text in archive.read("index.html").decode()) == (number is not None)


def test_a_renewed_consent_takes_the_badge_number_over_sealed_again(house: House) -> None:
    person = house.enroll(invite(house))
    house.site.panel_badges.set(person.receipt_id, LONG)
    sealed = box(house, person)
    renew(house, person)
    assert house.site.panel_badges.of(person.receipt_id) == LONG
    assert not files_with(house, sealed)


@pytest.mark.parametrize("custody", ["badge", "subject_key"])
def test_a_zone_whose_people_hold_their_key_takes_no_badge_number(house: House, custody: str) -> None:
    house.declare("vault", custody=custody)
    person = house.invite("vault")
    with pytest.raises(RefusedError, match=f"has custody {custody}, .* needs a zone with custody operator"):
        house.site.panel_badges.set(person.receipt_id, SHORT)
