"""The processing record: composed from verified rows, by the profile of the person's jurisdiction."""

import pytest
from house import House

from tests.unit.store.raw import DATA, tamper
from volens.consent import Purpose, RefusedError, TamperError
from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.processing_record import Comparison, NamedRecipient, ProcessingRecord
from volens.store.promises import processing_record


def record(house: House, jurisdiction: str = "FR", zone: str = "lobby") -> ProcessingRecord:
    with house.store.read() as connection:
        return processing_record(connection, house.store.site.controller, Purpose(zone), jurisdiction)


def test_it_has_what_the_zone_the_recipients_and_the_declarations_say_now(house: House) -> None:
    house.site.rights.recipients.add("lobby", "Guard Co", contact="guard@example.org")
    house.site.rights.recipients.add("lobby", "Old Co", contact="old@example.org")
    house.site.rights.recipients.remove("lobby", "Old Co")
    house.site.declarations.declare({"dpo": "Dana Doe"})
    house.site.declarations.declare_zone("lobby", {"context": "a server room"})
    found = record(house)
    assert found.recipients == (NamedRecipient("Guard Co", "guard@example.org"),)
    assert found.site_facts == {SiteFact.DPO: "Dana Doe", SiteFact.TRANSFERS: "none"}
    assert found.zone_facts[ZoneFact.CONTEXT] == "a server room"
    assert found.transfers == "none"
    house.site.declarations.declare({"transfers": ""})
    assert record(house).transfers is None


def test_the_jurisdiction_of_the_person_chooses_the_profile(house: House) -> None:
    assert [record(house, one).profile.code for one in ("fr", "ES", "US-IL")] == ["FR", "EU", "US-IL"]
    assert record(house, "ES").jurisdiction == "ES"
    with pytest.raises(RefusedError, match="no jurisdiction profile for JP"):
        record(house, "JP")


def test_a_zone_that_searches_never_says_that_it_verifies(house: House) -> None:
    house.declare("pins", second_factor="pin")
    house.declare("badges", custody="badge")
    house.declare("phones", custody="subject_key")
    found = {zone: record(house, zone=zone).comparison for zone in ("lobby", "pins", "badges", "phones")}
    assert found == {
        **dict.fromkeys(("lobby", "pins"), Comparison.IDENTIFICATION),
        **dict.fromkeys(("badges", "phones"), Comparison.VERIFICATION),
    }


def test_the_shortest_clock_wins(house: House) -> None:
    found = record(house, "US-TX")
    assert found.max_term_days == min(90, found.profile.clocks.max_term_days) == 90


def test_its_hash_changes_with_every_fact(house: House) -> None:
    hashes = [record(house).sha256]

    def changed() -> None:
        hashes.append(record(house).sha256)

    house.site.declarations.declare({"dpo": "Dana Doe"})
    changed()
    house.site.declarations.declare_zone("lobby", {"context": "a server room"})
    changed()
    house.site.rights.recipients.add("lobby", "Guard Co", contact="guard@example.org")
    changed()
    house.site.zones.set_liveness("lobby", "challenge")
    changed()
    house.site.zones.set_lease("lobby", 60)
    changed()
    house.site.zones.rename("lobby", "Lobby East")
    changed()
    house.site.clocks.shorten_retention("lobby", 30)
    changed()
    hashes.append(record(house, "DE").sha256)
    assert len(set(hashes)) == 8 + 1
    assert record(house, "DE").sha256 == hashes[-1]


def test_a_recipient_that_another_program_changed_is_refused(house: House) -> None:
    house.site.rights.recipients.add("lobby", "Guard Co", contact="guard@example.org")
    tamper(house.site.home / DATA, "UPDATE recipient SET name = 'Nobody'")
    house.reopen()
    with pytest.raises(TamperError):
        record(house)
