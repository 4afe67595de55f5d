"""A person under age consents with a guardian who signs the same receipt; the signature is kept and exported."""

import io
import zipfile

import pytest
from house import House

from volens.consent import InputError, RefusedError, SubjectKey, TakeHome
from volens.consent.age_statement import AgeAnswer, AgeStatement, sign_as_guardian
from volens.consent.receipt import verify_receipt
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.store.people import stored_receipt
from volens.store.people.guardian_signatures import guardian_signature

KEY, GUARDIAN = SubjectKey.from_seed(b"k" * 32), SubjectKey.from_seed(b"g" * 32)
MINOR = AgeAnswer.at_desk(of_age=False, guardian=GUARDIAN)


@pytest.fixture
def open_to_minors(house: House) -> House:
    house.site.declarations.declare_zone("lobby", {"minors": "guardian"})
    return house


def offer(house: House, age: AgeAnswer | None) -> ReceiptOffer:
    notice = house.site.notice("lobby")
    form = SignatureForm.PERSON_KEY
    return house.site.offer_consent(notice, public_key=KEY.public, form=form, jurisdiction="FR", age=age)


def give(house: House, age: AgeAnswer | None) -> TakeHome:
    return house.site.give_consent(house.site.notice("lobby"), name="Ada", jurisdiction="FR", key=KEY, age=age)


def test_the_receipt_has_the_answer_and_nothing_else_about_the_age(house: House) -> None:
    receipt = give(house, AgeAnswer(of_age=True)).receipt
    assert verify_receipt(receipt, KEY.public).claims.age == AgeStatement(15, of_age=True)
    asked_nothing = house.invite().take_home.receipt
    assert asked_nothing.claims.age is None


def test_the_guardians_signature_is_kept_with_the_receipt_and_exported(open_to_minors: House) -> None:
    receipt = give(open_to_minors, MINOR).receipt
    claims = verify_receipt(receipt, KEY.public).claims
    assert claims.age == AgeStatement(15, of_age=False, guardian=GUARDIAN.public)
    with open_to_minors.store.read() as connection:
        kept, stored = guardian_signature(connection, claims.receipt_id), stored_receipt(connection, claims.receipt_id)
    assert stored is not None
    assert claims.age is not None
    claims.age.check_guardian(stored.verified().document, kept)
    answer = open_to_minors.site.answer_access([claims.receipt_id], with_embedding=False)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as files:
        (name,) = [one for one in files.namelist() if one.endswith("guardian.jws")]
        assert files.read(name).decode() == kept


def test_a_minor_is_refused_where_the_zone_takes_none(house: House) -> None:
    for ask in (offer, give):
        with pytest.raises(RefusedError, match="takes no one younger than 15 years"):
            ask(house, MINOR)
    assert house.site.status().zones[0].live_consents == 0


def test_without_the_guardians_signature_a_receipt_is_not_accepted(open_to_minors: House) -> None:
    site, asked = open_to_minors.site, offer(open_to_minors, AgeAnswer(of_age=False, guardian=GUARDIAN.public))
    notice, signed = site.notice("lobby"), asked.sign(KEY)
    with pytest.raises(RefusedError, match="has not signed it"):
        site.accept_consent(notice, signed, name="Ada")
    theirs = sign_as_guardian(asked.document, GUARDIAN)
    site.declarations.declare_zone("lobby", {"minors": ""})
    with pytest.raises(RefusedError, match="takes no one younger"):
        site.accept_consent(notice, signed, name="Ada", guardian_signature=theirs)
    site.declarations.declare_zone("lobby", {"minors": "guardian"})
    assert site.accept_consent(notice, signed, name="Ada", guardian_signature=theirs)


def test_a_guardians_signature_that_no_receipt_asks_for_is_refused(open_to_minors: House) -> None:
    site = open_to_minors.site
    for age in (None, AgeAnswer(of_age=True)):
        asked = offer(open_to_minors, age)
        with pytest.raises(InputError, match="names no guardian"):
            site.accept_consent(
                site.notice("lobby"),
                asked.sign(KEY),
                name="Ada",
                guardian_signature=sign_as_guardian(asked.document, GUARDIAN),
            )


def test_a_consent_with_a_guardian_is_not_renewed_without_asking_again(open_to_minors: House) -> None:
    receipt_id = give(open_to_minors, MINOR).receipt.claims.receipt_id
    with pytest.raises(RefusedError, match="ask about the age again"):
        open_to_minors.site.changes.offer_renewal(receipt_id, open_to_minors.site.notice("lobby"))
