"""The person makes their half of the key, and the site gets a commitment to it."""

import pytest
from house import House, Person

from volens.consent import InputError, PersonSecret, RefusedError, SubjectKey, UnverifiedReceipt
from volens.consent.receipt_signature import SignatureForm


def accepted(house: House, zone: str, commit: bool) -> tuple[Person, PersonSecret]:  # noqa: FBT001  what the test is about
    """Give consent by a key and a secret of the person's own."""
    key, notice = SubjectKey.from_seed(house.bits.randbytes(32)), house.site.notice(zone)
    offer = house.site.offer_consent(
        notice, public_key=key.public, form=SignatureForm.PERSON_KEY, jurisdiction="FR", valid_days=None
    )
    signed, secret = offer.sign(key), PersonSecret.generate(house.bits.randbytes)
    receipt_id = UnverifiedReceipt.parse(signed).claims.receipt_id
    commitment = secret.commitment(receipt_id) if commit else b"short"
    taken = house.site.accept_consent(notice, signed, name="Ada Canary", commitment=commitment)
    assert taken.secret is None
    return Person(taken, house.face()), secret


def test_a_secret_that_the_person_made_opens_and_no_other_does(house: House) -> None:
    house.declare("vault", custody="subject_key")
    person, secret = accepted(house, "vault", commit=True)
    with pytest.raises(RefusedError, match="this secret is not the one"):
        house.verify(person, PersonSecret.generate(house.bits.randbytes))
    with pytest.raises(RefusedError, match="enroll"):
        house.verify(person, secret)


@pytest.mark.parametrize(("zone", "commit"), [("vault", False), ("lobby", True)])
def test_a_commitment_is_32_bytes_and_only_where_the_person_holds_the_key(
    house: House, zone: str, *, commit: bool
) -> None:
    house.declare("vault", custody="subject_key")
    with pytest.raises(InputError, match="got a commitment of"):
        accepted(house, zone, commit)
