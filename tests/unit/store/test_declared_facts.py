"""Declared facts: stored with the site and each zone, sealed, taken back, and never in the log by their value."""

import pytest
from house import House
from reading_log import opened

from tests.unit.store.raw import DATA, tamper
from volens.consent import InputError, RefusedError, TamperError, UnknownError
from volens.consent.declarations import SiteFact, ZoneFact


def test_facts_are_kept_until_they_are_taken_back(house: House) -> None:
    of = house.site.declarations
    of.declare({"dpo": "Dana Doe, dpo@example.org"})
    of.declare_zone("lobby", {"works-agreement": "2098-11-01", "context": "the server room\nand its cables"})
    house.reopen()
    of = house.site.declarations
    assert of.of_site() == {SiteFact.DPO: "Dana Doe, dpo@example.org", SiteFact.TRANSFERS: "none"}
    assert of.of_zone("lobby")[ZoneFact.WORKS_AGREEMENT] == "2098-11-01"
    assert of.declare({"dpo": ""}) == {SiteFact.TRANSFERS: "none"}
    house.site.log.verify_rows()


def test_the_log_has_the_names_of_facts_and_not_their_values(house: House) -> None:
    house.site.declarations.declare({"dpo": "Dana Doe", "address": "1 Main Street"})
    house.site.declarations.declare_zone("lobby", {"affected": "Erin and her staff"})
    assert opened(house.store, "site.declared")[1:] == [{"facts": "dpo, address"}]
    assert opened(house.store, "zone.declared")[-1] == {"zone": "lobby", "facts": "affected"}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "got no fact to declare"),
        ({"dpo_": "x"}, "did you mean dpo"),
        ({"works_agreement": "x"}, "there is no fact"),
        ({"dpo": "x" * 2001}, "expected 1 to 2000"),
        ({"dpo": "a\u202eb"}, "U\\+202E"),
    ],
)
def test_a_fact_of_the_site_that_is_not_valid_is_refused(house: House, facts: dict[str, str], words: str) -> None:
    before = house.site.declarations.of_site()
    with pytest.raises(InputError, match=words):
        house.site.declarations.declare(facts)
    assert house.site.declarations.of_site() == before


@pytest.mark.parametrize(
    ("fact", "text", "words"),
    [
        ("dpia", "1 November", "expected a date such as 2026-11-30"),
        ("face_wait_s", "1.5", "expected a number of seconds from 0 to 86400"),
        ("face_wait_s", "86401", "expected a number of seconds from 0 to 86400"),
        ("minors", "yes", "expected one of refused, guardian"),
    ],
)
def test_a_fact_of_a_zone_that_is_not_valid_is_refused(house: House, fact: str, text: str, words: str) -> None:
    before = house.site.declarations.of_zone("lobby")
    with pytest.raises(InputError, match=words):
        house.site.declarations.declare_zone("lobby", {"context": "a room", fact: text})
    assert house.site.declarations.of_zone("lobby") == before


def test_what_is_declared_already_and_unknown_zones_are_refused(house: House) -> None:
    house.site.declarations.declare({"dpo": "Dana Doe"})
    with pytest.raises(RefusedError, match="declared so already"):
        house.site.declarations.declare({"dpo": "Dana Doe"})
    with pytest.raises(UnknownError):
        house.site.declarations.declare_zone("attic", {"context": "a room"})
    with pytest.raises(UnknownError):
        house.site.declarations.of_zone("attic")


@pytest.mark.parametrize(
    "change", ["UPDATE site_declaration SET value = 'Mallory'", "UPDATE zone_declaration SET value = 'Mallory'"]
)
def test_a_fact_that_another_program_changed_is_refused(house: House, change: str) -> None:
    house.site.declarations.declare({"dpo": "Dana Doe"})
    house.site.declarations.declare_zone("lobby", {"context": "a room"})
    tamper(house.site.home / DATA, change)
    house.reopen()
    with pytest.raises(TamperError):
        _ = (house.site.declarations.of_site(), house.site.declarations.of_zone("lobby"))
