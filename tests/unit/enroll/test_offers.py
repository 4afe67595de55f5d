"""Offers are counted by month, way and language; of people who said no there is a number and nothing else."""

import pytest
from house import House

from volens.consent import RefusedError, SubjectKey, UnknownError
from volens.consent.receipt_signature import SignatureForm
from volens.consent.refusal import verify_refusal
from volens.enroll.offers import OFFERED, REFUSED, OfferWay
from volens.store.log.audit_log import entries_about_no_person

KEY = SubjectKey.from_seed(bytes(32))


def offer(house: House, way: OfferWay) -> None:
    house.site.offer_consent(
        house.site.notice("lobby"), public_key=KEY.public, form=SignatureForm.DESK, jurisdiction="FR", way=way
    )


def details(house: House, kind: str) -> list[dict[str, str | int]]:
    with house.store.read() as connection:
        return [dict(one.details) for one in entries_about_no_person(connection, kind)]


def test_each_way_of_asking_is_counted_once(house: House) -> None:
    house.admit()
    offer(house, OfferWay.COMMAND)
    house.site.invitations.invite("lobby", name="Ann", jurisdiction="FR")
    offer(house, OfferWay.INVITATION)  # her page: the invitation was counted when it was sent
    house.clock.move(days=40)
    offer(house, OfferWay.DESK)
    found = house.site.offers.compare("lobby")
    assert [(one.month, one.way, one.language, one.count) for one in found.offers] == [
        ("2099-03", "command", "en", 1),
        ("2099-03", "desk", "en", 1),
        ("2099-03", "invitation", "en", 1),
        ("2099-04", "desk", "en", 1),
    ]
    assert (found.people, found.asked, found.refused) == (1, 4, 0)


def test_an_entry_says_where_how_in_which_language_and_who_asked(house: House) -> None:
    house.site.offer_consent(
        house.site.notice("lobby"),
        public_key=KEY.public,
        form=SignatureForm.DESK,
        jurisdiction="FR",
        way=OfferWay.DESK,
        offered_by="86c42cc34fe8d921",
    )
    asked = {"zone": "lobby", "way": "desk", "language": "en", "offered_by": "86c42cc34fe8d921"}
    assert details(house, OFFERED) == [asked]


def test_a_no_leaves_the_zone_alone_and_a_receipt_only_if_wanted(house: House) -> None:
    assert house.site.offers.refuse("lobby") is None
    invited = house.site.invitations.invite("lobby", name="Ann", jurisdiction="FR")
    house.site.invitations.refuse(invited.token.reveal())
    receipt = house.site.offers.refuse("lobby", receipt_wanted=True)
    assert receipt is not None
    said = verify_refusal(receipt, house.site.verifier_key.public_keys[0])
    assert (said.zone, f"{said.refused_on}") == ("lobby", "2099-03-01")
    assert details(house, REFUSED) == [{"zone": "lobby"}] * 2
    assert house.site.offers.compare("lobby").refused == 3


def test_a_no_for_a_zone_that_is_not_there_is_refused(house: House) -> None:
    with pytest.raises(UnknownError):
        house.site.offers.refuse("attic")
    house.site.zones.remove("lobby")
    with pytest.raises(RefusedError, match="removed"):
        house.site.offers.refuse("lobby")
    assert details(house, REFUSED) == []


def test_several_zones_are_compared_with_what_is_declared_of_each(house: House) -> None:
    house.declare("attic")
    house.site.declarations.declare_zone("attic", {"face_wait_s": "3", "alternative_wait_s": "12"})
    house.admit("attic")
    house.site.offers.refuse("lobby")
    attic, lobby = house.site.offers.compare_each(["attic", "lobby"])
    assert (attic.people, attic.asked, attic.refused, attic.alternative.longer_by_s) == (1, 1, 0, 9)
    assert (lobby.people, lobby.asked, lobby.refused, lobby.alternative.longer_by_s) == (0, 0, 1, None)
