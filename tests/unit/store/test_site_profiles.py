"""Profiles of a site: added, sealed and logged; they decide who can be asked in which zone."""

from collections.abc import Callable

import pytest
from house import House
from reading_log import opened

from tests.unit.store.raw import DATA, tamper
from volens.consent import InputError, RefusedError, TamperError
from volens.consent.reason import Reason

SWISS = """
code = "CH"
based_on = "EU"
law = "FADP"
not_checked = ["everything"]
names = { en = "Switzerland", fr = "Suisse", de = "Schweiz" }
checked = [{ where = "https://law.example", checked_on = 2026-11-30, what = "nothing yet" }]
"""
FORBIDS = f'forbidden_custodies = {{ operator = "Article 7" }}\n{SWISS}'.encode()
FRENCH = FORBIDS.replace(b'"CH"', b'"FR"').replace(b'"EU"', b'"FR"')


def test_a_profile_is_added_replaced_and_removed_and_logged(house: House) -> None:
    profiles = house.site.jurisdictions
    profiles.add(SWISS.encode())
    profiles.add(SWISS.replace("FADP", "new FADP").replace("\n", "\r\n").encode())
    house.reopen()
    catalogue = house.site.jurisdictions.catalogue()
    assert (catalogue.get("CH").law, catalogue.is_own("CH"), catalogue.is_own("FR")) == ("new FADP", True, False)
    assert house.site.jurisdictions.remove("ch").law == "new FADP"
    assert house.site.jurisdictions.catalogue().find("CH") is None
    added = opened(house.store, "jurisdiction.profile_added")
    assert [set(one) for one in added] == [{"jurisdiction", "sha256"}] * 2
    assert added[0]["sha256"] != added[1]["sha256"]
    assert opened(house.store, "jurisdiction.profile_removed") == [{"jurisdiction": "CH"}]
    house.site.log.verify_rows()


def test_a_profile_of_the_site_replaces_a_shipped_one_until_it_is_removed(house: House) -> None:
    house.site.jurisdictions.add(FRENCH)
    assert house.site.jurisdictions.catalogue().profile_of("FR-BRE").law == "FADP"
    house.site.jurisdictions.remove("FR")
    assert "Informatique" in house.site.jurisdictions.catalogue().profile_of("FR-BRE").law


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        (lambda site: site.jurisdictions.add(SWISS.encode()), "has this profile of CH already; nothing was changed"),
        (lambda site: site.jurisdictions.add(b"code = 'CH'"), "profile CH: got no names"),
        (lambda site: site.jurisdictions.remove("FR"), "added no profile of FR, and shipped ones stay"),
        (lambda site: site.jurisdictions.remove("JP"), "added no profile of JP"),
    ],
)
def test_what_changes_nothing_is_refused(house: House, act: Callable[[object], object], problem: str) -> None:
    house.site.jurisdictions.add(SWISS.encode())
    with pytest.raises(InputError, match=problem):
        act(house.site)
    assert len(opened(house.store, "jurisdiction.profile_added")) == 1


def test_a_person_of_an_unknown_law_can_agree_once_a_profile_is_added(house: House) -> None:
    with pytest.raises(RefusedError, match="no jurisdiction profile for CH-GE") as refused:
        house.invite(jurisdiction="CH-GE")
    assert refused.value.reason is Reason.NO_PROFILE
    house.site.jurisdictions.add(SWISS.encode())
    house.invite(jurisdiction="CH-GE")


def test_no_one_is_asked_in_a_zone_whose_custody_their_law_forbids(house: House) -> None:
    house.site.jurisdictions.add(FORBIDS)
    with pytest.raises(RefusedError, match=r"zone 'lobby' has custody 'operator', .* CH forbids \(Article 7\)") as no:
        house.invite(jurisdiction="CH")
    assert no.value.reason is Reason.CUSTODY_FORBIDDEN
    house.site.defaults.set(public_url="https://doors.example")
    with pytest.raises(RefusedError, match="Article 7"):
        house.site.invitations.invite("lobby", name="Ada Example", jurisdiction="CH", language="en")
    house.invite(jurisdiction="FR")
    assert house.site.jurisdictions.closed_zones(house.site.jurisdictions.catalogue().get("CH")) == ["lobby"]


def test_a_zone_is_not_added_with_a_custody_that_the_default_law_forbids(house: House) -> None:
    house.site.jurisdictions.add(FORBIDS)
    house.declare("vault")
    house.site.defaults.set(jurisdiction="CH")
    with pytest.raises(RefusedError, match=r"zone 'lab' has custody 'operator'.*Article 7"):
        house.declare("lab")
    house.declare("lab", custody="badge")
    house.site.defaults.set(jurisdiction="JP")
    house.site.add_zone("attic", custody="operator", justification="a", alternative="b", retention_days=9)


def test_a_profile_that_another_program_changed_is_noticed(house: House) -> None:
    house.site.jurisdictions.add(SWISS.encode())
    tamper(house.site.home / DATA, "UPDATE jurisdiction_profile SET text = replace(text, 'FADP', 'none')")
    house.reopen()
    with pytest.raises(TamperError, match="jurisdiction_profile"):
        house.site.jurisdictions.catalogue()


def test_a_profile_that_the_controller_names_is_not_removed(house: House) -> None:
    house.site.jurisdictions.add(SWISS.encode())
    house.site.declarations.declare({"jurisdictions": "FR, CH"})
    with pytest.raises(RefusedError, match="names CH, and no other profile covers it"):
        house.site.jurisdictions.remove("CH")
    assert house.site.jurisdictions.catalogue().is_own("CH")
    house.site.declarations.declare({"jurisdictions": "FR"})
    house.site.jurisdictions.remove("CH")


def test_the_clocks_of_an_own_profile_end_consents(house: House) -> None:
    shorter = SWISS.replace('"CH"', '"FR"').replace('"EU"', '"FR"')
    shorter += '[clocks]\ninactive_after_days = { days = 10, reason = "the works council asked for it" }\n'
    house.site.jurisdictions.add(shorter.encode())
    house.admit(jurisdiction="FR")
    house.clock.move(days=9)
    assert house.site.sweep().expired == ()
    house.clock.move(days=1)
    assert house.site.sweep().reasons == {"inactive": 1}
