"""Offer, sign elsewhere, accept: what is recorded is exactly what the site offers, once, and signed by its person."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from house import House, Person
from signing import DOOR_PAGE, Passkey, make_passkey

from volens import SubjectKey, TakeHome
from volens.consent import InputError, NoLiveConsentError, RefusedError, TamperError, UnverifiedReceipt
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm, passkey_token
from volens.consent.subject_key import SubjectPublicKey

KEY = SubjectKey.from_seed(b"\x11" * 32)
FORMS = ("ES256", "EdDSA", "RS256", "person_key", "desk")


@pytest.fixture
def door(house: House) -> House:
    """A site with pages."""
    house.site.defaults.set(public_url=DOOR_PAGE.origin)
    return house


def offered(house: House, key: SubjectPublicKey, form: SignatureForm, zone: str = "lobby", **more: object) -> bytes:
    notice = house.site.notice(zone)
    return house.site.offer_consent(
        notice,
        public_key=key,
        form=form,
        jurisdiction="FR",
        **more,  # type: ignore[arg-type]
    ).document


def signed(house: House, form: str, zone: str = "lobby", passkey: Passkey | None = None) -> bytes:
    """Return a receipt, signed in one of `FORMS`."""
    if form in {"person_key", "desk"}:
        return ReceiptOffer(offered(house, KEY.public, SignatureForm(form), zone)).sign(KEY)
    one = passkey or make_passkey(form)
    return one.token(offered(house, one.public, SignatureForm.PASSKEY, zone)).encode()


def accept(house: House, token: bytes, zone: str = "lobby", **more: object) -> Person:
    take_home = house.site.accept_consent(
        house.site.notice(zone),
        token,
        name="Ada Canary Example",
        **more,  # type: ignore[arg-type]
    )
    person = Person(take_home, house.face())
    house.people.append(person)
    return person


@pytest.mark.parametrize("form", FORMS)
def test_a_receipt_in_every_form_opens_the_door_and_ends_it(door: House, form: str) -> None:
    person = door.enroll(accept(door, signed(door, form)))
    claims = person.take_home.receipt.claims
    assert claims.signature.form.value == (form if form in {"person_key", "desk"} else "passkey")
    assert door.sees(person)
    door.reopen()
    assert door.sees(person)
    again = TakeHome.parse(person.take_home.to_json())
    assert again.receipt == person.take_home.receipt
    assert door.site.withdraw(receipt=again.receipt.token.encode()).erased
    assert not door.sees(person)


@pytest.mark.parametrize("form", ["ES256", "person_key"])
def test_a_person_renews_with_the_same_key_without_a_gap(door: House, form: str) -> None:
    passkey = make_passkey("ES256")
    person = door.enroll(accept(door, signed(door, form, passkey=passkey)))
    door.clock.move(days=20)
    notice = door.site.notice("lobby")
    offer = door.site.changes.offer_renewal(person.receipt_id, notice)
    token = offer.sign(KEY) if form == "person_key" else passkey.token(offer.document).encode()

    done = door.site.changes.accept_renewal(person.receipt_id, notice, token)

    assert (done.references, done.problem) == (1, None)
    assert done.take_home.receipt.claims.subject_id == person.subject_id
    assert door.sees(person)
    with pytest.raises(NoLiveConsentError):
        door.site.changes.accept_renewal(person.receipt_id, notice, token)


def test_an_offer_keeps_no_state_and_says_until_when_it_can_come_back(door: House) -> None:
    kinds = door.site.log.verify().kinds
    token = signed(door, "person_key")
    assert door.site.log.verify().kinds == {**kinds, "consent.offered": 1}, "that a person was asked, and no receipt"
    door.clock.move(hours=24)
    assert accept(door, token)
    late = signed(door, "ES256")
    door.clock.move(hours=24, seconds=1)
    with pytest.raises(RefusedError, match="accepted within 24 hours"):
        accept(door, late)


CHANGES: dict[str, Callable[[dict[str, dict[str, object]]], object]] = {
    "a later end": lambda said: said["event"].update(expires_at="2199-01-01T00:00:00Z"),
    "another alternative": lambda said: said["pii_processing"].update(alternative="none"),
    "another custody": lambda said: said["pii_processing"].update(custody="badge"),
    "a recipient": lambda said: said["pii_processing"].update(recipient_third_parties=["somebody"]),
    "a member more": lambda said: said.update(more={}),
    "another version of the notice": lambda said: said["pii_processing"]["privacy_notice"].update(version=7),  # type: ignore[attr-defined]
    "another notice": lambda said: said["pii_processing"]["privacy_notice"].update(sha256="0" * 64),  # type: ignore[attr-defined]
    "another duration": lambda said: said["event"].update(validity_duration="P1D"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_site_does_not_offer_is_refused_although_it_is_signed(door: House, change: str) -> None:
    said = json.loads(offered(door, KEY.public, SignatureForm.PERSON_KEY))
    CHANGES[change](said)
    token = KEY.sign(rfc8785.dumps(said), "volens-receipt+jws").encode()
    with pytest.raises((RefusedError, InputError), match=r"another text|another notice|a term until"):
        accept(door, token)
    assert door.site.status().zones[0].live_consents == 0


def test_a_receipt_of_another_site_is_refused(door: House) -> None:
    said = json.loads(offered(door, KEY.public, SignatureForm.PERSON_KEY))
    said["party_identification"][0]["party_id"] = "elsewhere"
    said["pii_processing"]["pii_controllers"] = ["elsewhere"]
    with pytest.raises(RefusedError, match="another text than this site offers"):
        accept(door, KEY.sign(rfc8785.dumps(said), "volens-receipt+jws").encode())


def test_a_wrong_signature_is_wrong_input_and_not_a_damaged_site(door: House) -> None:
    document = offered(door, KEY.public, SignatureForm.PERSON_KEY)
    other = SubjectKey.from_seed(b"\x22" * 32).sign(document, "volens-receipt+jws").encode()
    with pytest.raises(InputError, match="sign what was offered, with the key or passkey that it names"):
        accept(door, other)


def test_a_passkey_of_another_web_site_is_refused(door: House) -> None:
    passkey = make_passkey()
    elsewhere = replace(passkey, client={"origin": "https://door.example.evil"})
    token = elsewhere.token(offered(door, passkey.public, SignatureForm.PASSKEY)).encode()
    with pytest.raises(InputError, match="made on another web site than the receipt names"):
        accept(door, token)


def test_a_passkey_needs_the_sites_public_address_and_an_old_receipt_keeps_its_own(house: House) -> None:
    with pytest.raises(RefusedError, match="volens defaults set --public-url"):
        signed(house, "ES256")
    house.site.defaults.set(public_url=DOOR_PAGE.origin)
    person, waiting = house.enroll(accept(house, signed(house, "ES256"))), signed(house, "ES256")
    house.site.defaults.set(public_url="https://new.example")
    house.reopen()
    assert house.sees(person)
    with pytest.raises(RefusedError, match="another text than this site offers now"):
        accept(house, waiting)


def test_a_zone_that_refuses_the_desk_refuses_it_on_every_way(house: House) -> None:
    house.declare("lab", desk_signature="refused")
    sentence = "zone 'lab' accepts no signature made at the desk; let the person sign on their own device"
    with pytest.raises(RefusedError, match=sentence):
        house.site.give_consent(house.site.notice("lab"), name="Ada", jurisdiction="FR", key=KEY)
    with pytest.raises(RefusedError, match=sentence):
        signed(house, "desk", "lab")
    person = house.enroll(accept(house, signed(house, "person_key", "lab"), "lab"))
    said = json.loads(offered(house, SubjectKey.from_seed(b"\x33" * 32).public, SignatureForm.PERSON_KEY, "lab"))
    said["signature"] = {"form": "desk", "statement": "signed at the desk, with the key made there or brought there"}
    with pytest.raises(RefusedError, match=sentence):
        accept(
            house, SubjectKey.from_seed(b"\x33" * 32).sign(rfc8785.dumps(said), "volens-receipt+jws").encode(), "lab"
        )
    with pytest.raises(RefusedError, match=sentence):
        house.site.changes.renew(person.receipt_id, house.site.notice("lab"), key=KEY)


def test_a_receipt_is_recorded_once_also_under_a_second_signature(door: House) -> None:
    passkey = make_passkey()
    document = offered(door, passkey.public, SignatureForm.PASSKEY)
    person = accept(door, passkey.token(document).encode())
    second = second_signature(passkey, document)
    assert UnverifiedReceipt.parse(second.encode()).claims == person.take_home.receipt.claims
    for token in (person.take_home.receipt.token, second):
        with pytest.raises(RefusedError, match="recorded before"):
            accept(door, token.encode())
    # It verifies, and is another token, so another key: a door and the desk know the one that was recorded.
    with pytest.raises(TamperError, match="not the one recorded"):
        door.grant(
            replace(person, take_home=replace(person.take_home, receipt=UnverifiedReceipt.parse(second.encode())))
        )
    door.site.withdraw(receipt=person.take_home.to_json())
    for token in (person.take_home.receipt.token, second):
        with pytest.raises(RefusedError, match="recorded before"):
            accept(door, token.encode())


def test_the_same_receipt_sent_twice_at_once_is_recorded_once_and_keeps_its_secret(door: House) -> None:
    token, problems = signed(door, "person_key"), list[str]()

    def again(*_: object) -> None:
        with pytest.raises(RefusedError) as caught:
            accept(door, token)
        problems.append(str(caught.value))

    person = door.enroll(accept(door, token, in_transaction=again))

    assert problems == ["this receipt is being recorded, or was begun before; ask for a new offer, and sign that one"]
    assert door.sees(person)


def second_signature(passkey: Passkey, document: bytes) -> str:
    """Return the token with the other signature (r, n - s) over the same receipt; it holds as well."""
    made = passkey.assertion(document)
    assert isinstance(passkey.private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(made.signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return passkey_token(document, passkey.public, replace(made, signature=encode_dss_signature(r, order - s)))
