"""Defaults of a site: set, sealed, logged, and used where nothing is given."""

import pytest
from house import House
from reading_log import opened

from tests.unit.store.raw import DATA, tamper
from volens.consent import InputError, TamperError


def test_defaults_are_kept_one_by_one_and_logged(house: House) -> None:
    house.site.defaults.set(jurisdiction="FR", time_zone="Europe/Paris")
    house.site.defaults.set(jurisdiction="DE")
    house.reopen()
    found = house.site.defaults.get()
    assert (found.zone, found.jurisdiction, found.time_zone) == (None, "DE", "Europe/Paris")
    assert house.site.defaults.time_zone().key == "Europe/Paris"
    assert opened(house.store, "site.defaults_set")[-1] == {"jurisdiction": "DE"}
    house.site.log.verify_rows()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"zone": "Lobby East"},
        {"jurisdiction": "France"},
        {"time_zone": "Paris"},
        {"time_zone": "../etc"},
        {"public_url": "http://doors.example.com"},
    ],
)
def test_a_default_that_is_not_valid_is_refused(house: House, wrong: dict[str, str]) -> None:
    with pytest.raises(InputError):
        house.site.defaults.set(**wrong)


def test_the_zone_is_the_one_given_the_default_or_the_only_one(house: House) -> None:
    zone = house.site.defaults.zone
    assert (zone(None), zone("lab")) == ("lobby", "lab")
    house.declare("lab")
    with pytest.raises(InputError, match=r"zones: lab, lobby\), or set a default"):
        zone(None)
    house.site.defaults.set(zone="lab")
    assert zone(None) == "lab"


def test_a_removed_zone_is_no_candidate(house: House) -> None:
    house.declare("lab")
    house.site.zones.remove("lab")
    assert house.site.defaults.zone(None) == "lobby"


def test_without_a_default_the_jurisdiction_must_be_given(house: House) -> None:
    assert house.site.defaults.jurisdiction("FR") == "FR"
    with pytest.raises(InputError, match="volens defaults set --jurisdiction FR"):
        house.site.defaults.jurisdiction(None)
    assert house.site.defaults.time_zone().key == "UTC"


def test_the_public_url_is_kept_as_a_browser_states_it(house: House) -> None:
    assert house.site.defaults.public_url() is None
    house.site.defaults.set(public_url="https://Doors.example.com/")
    found = house.site.defaults.public_url()
    assert found is not None
    assert (found.origin, found.rp_id) == ("https://doors.example.com", "doors.example.com")


def test_a_default_that_another_program_changed_is_refused(house: House) -> None:
    house.site.defaults.set(jurisdiction="FR")
    tamper(house.site.home / DATA, "UPDATE site_default SET value = 'US'")
    house.reopen()
    with pytest.raises(TamperError):
        house.site.defaults.get()
