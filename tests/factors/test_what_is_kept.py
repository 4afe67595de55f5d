"""Neither number nor PIN is stored; the verifiers are disclosed to the person, and erased with the consent."""

import io
import json
import traceback
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from house import House, Person

from tests.factors.conftest import NUMBERS, PINS, of_kind
from tests.unit.store.raw import DATA, tamper
from volens.consent import (
    ErasureIncompleteError,
    InputError,
    NoLiveConsentError,
    Purpose,
    RefusedError,
    SecondFactor,
    ShownFactor,
    TamperError,
)
from volens.erase import held_by
from volens.erase.proof import verify_certificate

Staff = Callable[[str], tuple[Person, Person]]
KINDS = ("badge", "pin")
OWN = {"badge": NUMBERS[0], "pin": PINS[0]}


def files_with(folder: Path, value: bytes) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and value in path.read_bytes()}


def kept(house: House, person: Person) -> dict[str, bytes]:
    with house.store.read() as connection:
        return dict(held_by(connection, [person.receipt_id])[person.receipt_id].found_by)


def passes(house: House, person: Person, kind: str, text: str) -> bool:
    return house.look_at(person.face, kind, factor=of_kind(kind, text)).match is not None


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_holds_a_number_a_pin_or_its_plain_hash(house: House, staff: Staff, kind: str) -> None:
    ann, _ = staff(kind)
    text = OWN[kind]
    assert passes(house, ann, kind, text)
    assert not passes(house, ann, kind, "0471903582" if kind == "badge" else "900817")

    for value in (text, text.lower(), "0471903582", "900817"):
        plain = value.encode()
        for canary in (plain, plain.hex().encode(), sha256(plain).digest(), sha256(plain).hexdigest().encode()):
            assert files_with(house.site.home, canary) == set()
    # The control: stored values are found by the same search.
    for value in kept(house, ann).values():
        assert files_with(house.site.home, value) & {"volens.db", "volens.db-wal"}


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_contains_the_factor(house: House, staff: Staff, kind: str) -> None:
    ann, bob = staff(kind)
    text = OWN[kind]
    wrongs: list[Callable[[], object]] = [
        lambda: house.site.factors.set(ann.receipt_id, of_kind("pin" if kind == "badge" else "badge", PINS[0])),
        lambda: house.look_at(ann.face, "lobby", factor=of_kind(kind, text)),
        lambda: of_kind(kind, text + "!"),
    ]
    if kind == "badge":
        wrongs.append(lambda: house.site.factors.set(bob.receipt_id, ShownFactor.badge(text)))
    for wrong in wrongs:
        with pytest.raises((InputError, RefusedError)) as caught:
            wrong()
        said = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert said.count(text) == 0


def test_a_badge_number_is_unique_in_its_zone_only(house: House, staff: Staff) -> None:
    ann, bob = staff("badge")
    with pytest.raises(RefusedError, match="another person in zone 'badge' has this badge"):
        house.site.factors.set(bob.receipt_id, ShownFactor.badge(NUMBERS[0].lower()))
    assert passes(house, bob, "badge", NUMBERS[1])

    house.declare("annex", second_factor="badge")
    carl = house.admit("annex")
    house.site.factors.set(carl.receipt_id, ShownFactor.badge(NUMBERS[0]))
    assert house.look_at(carl.face, "annex", factor=ShownFactor.badge(NUMBERS[0])).match is not None
    assert {*kept(house, ann).values()}.isdisjoint(kept(house, carl).values())


def test_the_same_pin_of_two_people_is_stored_as_different_bytes(house: House, staff: Staff) -> None:
    ann, bob = staff("pin")
    house.site.factors.set(bob.receipt_id, ShownFactor.pin(PINS[0]))
    assert {*kept(house, ann).values()}.isdisjoint(kept(house, bob).values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_replaced_or_removed_factor_no_longer_works(house: House, staff: Staff, kind: str) -> None:
    ann, _ = staff(kind)
    before = kept(house, ann)
    new = "04AAAAAAAA" if kind == "badge" else "518264"

    house.site.factors.set(ann.receipt_id, of_kind(kind, new))

    assert not passes(house, ann, kind, OWN[kind])
    assert passes(house, ann, kind, new)
    assert not any(files_with(house.site.home, value) for value in before.values())
    assert house.site.factors.remove(ann.receipt_id)
    assert not house.site.factors.remove(ann.receipt_id)
    assert house.site.factors.of(ann.receipt_id) is None
    assert not passes(house, ann, kind, new)
    kinds = house.site.log.verify().kinds
    assert (kinds["factor.set"], kinds["factor.removed"]) == (3, 1)


def test_a_factor_needs_a_consent_in_force_in_a_zone_that_requires_it(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    plain = house.admit()
    pin = ShownFactor.pin("518264")
    with pytest.raises(RefusedError, match="zone 'lobby' requires no second factor"):
        house.site.factors.set(plain.receipt_id, pin)
    with pytest.raises(InputError, match="got a badge number, but this zone requires a PIN"):
        house.site.factors.set(ann.receipt_id, ShownFactor.badge("518264"))
    with pytest.raises(InputError, match="easily guessed"):
        house.site.factors.set(ann.receipt_id, ShownFactor.pin("123456"))
    for zone in (Purpose("lobby"), Purpose("nowhere")):
        with pytest.raises(NoLiveConsentError):
            house.site.factors.set(ann.receipt_id, pin, zone)
        with pytest.raises(NoLiveConsentError):
            house.site.factors.remove(ann.receipt_id, zone)
    house.withdraw(ann)
    with pytest.raises(NoLiveConsentError):
        house.site.factors.set(ann.receipt_id, pin)


@pytest.mark.parametrize("kind", KINDS)
def test_factors_work_after_a_key_rotation(house: House, staff: Staff, kind: str) -> None:
    ann, _ = staff(kind)
    house.site.keys.rotate()
    house.reopen()
    assert passes(house, ann, kind, OWN[kind])


SHOWN = {"badge": "badge number", "pin": "PIN"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_access_answer_tells_that_a_factor_is_set_but_not_its_value(house: House, staff: Staff, kind: str) -> None:
    ann, _ = staff(kind)
    data = house.site.answer_access([ann.receipt_id]).data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        record = json.loads(archive.read("consent-1/record.jsonld"))
        page = archive.read("index.html").decode()
        everything = b"".join(archive.read(name) for name in archive.namelist())

    (row,) = record["volens:held"]["second_factor"]
    assert row == {"kind": kind, "set_at": "2099-03-01T12:00:00Z", "failures": 0, "tried_at": None}
    assert record["volens:zone"]["second_factor"] == kind
    assert "In this zone the face alone is not enough" in record["volens:logic"]
    assert f'{SHOWN[kind]}, set <time datetime="2099-03-01T12:00:00Z">' in page
    for value in kept(house, ann).values():
        assert value not in everything
        assert value.hex().encode() not in everything


@pytest.mark.parametrize("kind", KINDS)
def test_a_withdrawal_erases_the_factor_and_searches_for_its_bytes(house: House, staff: Staff, kind: str) -> None:
    ann, bob = staff(kind)
    values = kept(house, ann)
    assert len(values) == 2

    for person, what in zip((ann, bob), values, strict=True):
        planted = house.site.home / "left-over.log"
        planted.write_bytes(b"\0" * 77 + kept(house, person)[what] + b"\n")
        with pytest.raises(ErasureIncompleteError, match=r"of the second factor in left-over\.log; remove it"):
            house.withdraw(person)
        planted.unlink()
        house.withdraw(person)

    assert kept(house, ann) == {}
    assert not any(files_with(house.site.home, value) for value in values.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_certificate_counts_the_factor_and_has_no_fingerprint_of_it(house: House, staff: Staff, kind: str) -> None:
    ann, _ = staff(kind)
    values = kept(house, ann)
    erased = house.withdraw(ann)

    data = house.site.erasures.certificate(erased.certificate_id)
    statement = verify_certificate(data, house.site.verifier_key).statement
    assert statement["destroyed"]["second factors"] == 1
    assert {one["what"] for one in statement["searched"]} >= set(values)
    assert not [one for one in statement["existed"] if "second factor" in one["what"]]
    for value in values.values():
        assert value[1:13].hex() not in json.dumps(statement)


def test_a_zone_changed_to_require_less_opens_no_door(house: House, staff: Staff) -> None:
    ann, _ = staff("pin")
    house.site.log.verify()
    tamper(house.site.home / DATA, "UPDATE zone SET second_factor = 'none' WHERE purpose = 'pin'")

    with pytest.raises(TamperError, match="zone 'pin'"):
        house.look_at(ann.face, "pin")
    with pytest.raises(TamperError, match="zone 'pin'"):
        house.site.log.verify()


def test_the_required_factor_of_a_zone_never_changes(house: House) -> None:
    house.declare("vault", second_factor="pin")
    house.reopen()
    found = {one.zone.purpose: one.zone.second_factor for one in house.site.status().zones}
    assert found == {"lobby": SecondFactor.NONE, "vault": SecondFactor.PIN}
    with pytest.raises(RefusedError, match="never changed"):
        house.declare("vault")
