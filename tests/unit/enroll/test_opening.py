"""A zone whose law wants something first: no one is asked or enrolled there before it is declared."""

from collections.abc import Callable

import pytest
from house import House, Person

from volens.consent import RefusedError, SubjectKey
from volens.consent.law import GateKind
from volens.consent.reason import Reason
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.enroll import NewPhotos, PhotoChange

KEY = SubjectKey.from_seed(bytes(32))
Act = Callable[[House, Person], object]


def offer(house: House, jurisdiction: str = "FR") -> ReceiptOffer:
    notice = house.site.notice("lobby")
    return house.site.offer_consent(notice, public_key=KEY.public, form=SignatureForm.DESK, jurisdiction=jurisdiction)


ACTS: dict[str, Act] = {
    "offer a consent": lambda house, _: offer(house),
    "give a consent": lambda house, _: house.invite(),
    "invite": lambda house, _: house.site.invitations.invite("lobby", name="Ann", jurisdiction="FR"),
    "offer a renewal": lambda house, ada: house.site.changes.offer_renewal(ada.receipt_id, house.site.notice("lobby")),
    "enroll": lambda house, ada: house.site.enroll(ada.take_home.to_json(), []),
    "new photos": lambda house, ada: house.site.changes.photos(ada.take_home.to_json(), NewPhotos([], PhotoChange.ADD)),
}


@pytest.mark.parametrize("act", ACTS)
def test_nothing_is_collected_after_a_declaration_is_taken_back(house: House, act: str) -> None:
    ada = house.admit()
    house.site.declarations.declare_zone("lobby", {"dpia": ""})
    with pytest.raises(RefusedError, match="volens declare zone lobby dpia YYYY-MM-DD") as refused:
        ACTS[act](house, ada)
    assert refused.value.reason is Reason.ZONE_NOT_OPEN
    assert house.sees(ada), "people in force keep matching"


def test_a_receipt_that_was_offered_before_is_not_accepted_after(house: House) -> None:
    signed = offer(house).sign(KEY)
    house.site.declarations.declare_zone("lobby", {"works_agreement": ""})
    with pytest.raises(RefusedError, match="works-agreement"):
        house.site.accept_consent(house.site.notice("lobby"), signed, name="Ann")
    house.site.declarations.declare_zone("lobby", {"works_agreement": "2099-03-01"})
    house.site.accept_consent(house.site.notice("lobby"), signed, name="Ann")


def test_only_people_whose_law_asks_for_it_are_refused(house: House) -> None:
    house.site.declarations.declare_zone("lobby", {"dpia": "", "declared_on": "2099-01-15"})
    assert offer(house, "US-IL").document
    with pytest.raises(RefusedError, match=r"it opens on 2099-03-16 .*c. C-1.1"):
        offer(house, "CA-QC")
    house.site.declarations.declare_zone("lobby", {"dpia": "2099-02-01"})
    house.clock.move(days=15)
    assert offer(house, "CA-QC").document


def test_closed_gates_are_listed_for_the_people_who_are_asked_or_in_force(house: House) -> None:
    house.admit(jurisdiction="DE")
    house.site.invitations.invite("lobby", name="Ann", jurisdiction="CA-QC")
    house.site.declarations.declare_zone("lobby", {"works_agreement": "", "declared_on": ""})
    listed = house.site.zones.closed_gates("lobby")
    assert [(one.jurisdiction, one.gate.kind) for one in listed] == [("CA-QC", GateKind.DECLARATION)]
    of_all = house.site.zones.closed_gates("lobby", people=True)
    assert [one.jurisdiction for one in of_all] == ["CA-QC", "DE"]
    house.site.defaults.set(jurisdiction="FR")
    assert [one.jurisdiction for one in house.site.zones.closed_gates("lobby")] == ["CA-QC", "FR"]
