"""Jurisdictions of which a site asks people: declared ones bind it, and leave out no one who is here."""

import pytest
from house import House

from volens.consent import InputError, RefusedError
from volens.consent.declarations import SiteFact
from volens.consent.law import ProfileCatalogue
from volens.consent.reason import Reason
from volens.store.promises.stated_jurisdictions import stated_jurisdictions


def stated(house: House) -> tuple[str, ...]:
    return stated_jurisdictions(house.site.declarations.of_site(), ProfileCatalogue())


def test_without_a_declaration_every_profile_is_stated_whoever_is_here(house: House) -> None:
    everyone = tuple(one.code for one in ProfileCatalogue().profiles)
    assert stated(house) == everyone
    house.admit()
    assert stated(house) == everyone


def test_declared_codes_are_kept_in_one_form_and_in_their_order(house: House) -> None:
    house.site.declarations.declare({"jurisdictions": "us-il,  FR fr"})
    assert house.site.declarations.of_site()[SiteFact.JURISDICTIONS] == "US-IL, FR"
    assert stated(house) == ("US-IL", "FR")


@pytest.mark.parametrize("text", [",", "France", "FR; US"])
def test_codes_of_another_form_are_refused(house: House, text: str) -> None:
    with pytest.raises(InputError, match="ISO 3166 code"):
        house.site.declarations.declare({"jurisdictions": text})


def test_a_code_without_a_profile_is_refused(house: House) -> None:
    with pytest.raises(RefusedError, match="no jurisdiction profile for JP"):
        house.site.declarations.declare({"jurisdictions": "FR, JP"})
    assert SiteFact.JURISDICTIONS not in house.site.declarations.of_site()


def test_a_person_of_a_place_that_is_not_declared_is_neither_asked_nor_recorded(house: House) -> None:
    house.site.declarations.declare({"jurisdictions": "ES"})
    house.admit(jurisdiction="IT")  # the same profile: what is stated holds for this person too
    size = house.site.log.verify().size
    with pytest.raises(RefusedError, match="asks people of ES only") as refused:
        house.invite(jurisdiction="US-IL")
    assert refused.value.reason is Reason.JURISDICTION_NOT_STATED
    with pytest.raises(RefusedError, match="volens declare site jurisdictions"):
        house.site.invitations.invite("lobby", name="Eve", jurisdiction="FR")
    assert house.site.log.verify().size == size


def test_a_declaration_cannot_leave_out_people_with_a_consent_or_an_invitation(house: House) -> None:
    leaver = house.admit(jurisdiction="US-IL")
    house.site.invitations.invite("lobby", name="Eve", jurisdiction="CA-QC")
    with pytest.raises(RefusedError, match="people of CA-QC, US-IL with a consent or an invitation"):
        house.site.declarations.declare({"jurisdictions": "FR"})
    house.withdraw(leaver)
    with pytest.raises(RefusedError, match="people of CA-QC with"):
        house.site.declarations.declare({"jurisdictions": "FR"})
    house.site.declarations.declare({"jurisdictions": "FR, CA-QC"})
