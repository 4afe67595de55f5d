"""What the policy says of laws, rights and contacts comes from the processing record, and not from people."""

from typing import Any

import pytest
from house import House

from volens.consent.law import CLOCK_NAMES, ProfileCatalogue
from volens.erase.pages import LANGUAGES, PageLanguage, PageWords
from volens.rights import policy_page


def zone_of(house: House, name: str = "lobby") -> dict[str, Any]:
    (found,) = [one for one in house.site.clocks.policy()["dpv:hasPersonalDataProcess"] if one["volens:zone"] == name]
    return dict(found)


def test_only_a_zone_that_compares_one_face_is_published_as_verification(house: House) -> None:
    house.declare("pins", second_factor="pin")
    house.declare("badges", custody="badge")
    house.declare("phones", custody="subject_key")
    purposes = {zone: zone_of(house, zone)["dpv:hasPurpose"] for zone in ("lobby", "pins", "badges", "phones")}
    searches, verifies = ["dpv:EnforceAccessControl"], ["dpv:EnforceAccessControl", "dpv:IdentityVerification"]
    assert purposes == {"lobby": searches, "pins": searches, "badges": verifies, "phones": verifies}
    assert zone_of(house)["volens:comparison"] == "biometric identification (1:N)"


def test_law_rights_and_authority_are_those_of_the_declared_jurisdictions(house: House) -> None:
    house.site.declarations.declare({"jurisdictions": "US-IL, FR"})
    illinois, france = house.site.clocks.policy()["volens:jurisdictions"]
    assert illinois["volens:lawfulBasis"].startswith("written release, BIPA")
    assert "restriction" not in illinois["volens:rights"]
    assert illinois["dpv:hasAuthority"]["dpv:hasContact"] == "https://illinoisattorneygeneral.gov/"
    assert france["volens:rights"] == [right.value for right in ProfileCatalogue().get("FR").rights]
    assert zone_of(house)["dpv:hasLegalBasis"] == ["dpv:ExplicitlyExpressedConsent", "eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"]
    assert zone_of(house)["dpv:hasRight"][-1] == "eu-gdpr:A77"


def test_a_site_in_illinois_alone_names_no_article_of_the_gdpr(house: House) -> None:
    house.site.declarations.declare({"jurisdictions": "US-IL"})
    policy = house.site.clocks.policy()
    assert zone_of(house)["dpv:hasRight"] == []
    assert "eu-gdpr:" not in str(policy["dpv:hasPersonalDataProcess"])
    page = policy_page(policy)
    assert "GDPR" not in page
    assert "740 ILCS 14/15" in page


def test_the_shorter_term_of_a_law_is_stated_for_its_people(house: House) -> None:
    house.site.declarations.declare({"jurisdictions": "FR, US-CO"})
    house.site.add_zone("long", custody="operator", justification="a", alternative="b", retention_days=1098)
    terms = {
        one["volens:jurisdiction"]: one["volens:maxTermDays"] for one in zone_of(house, "long")["volens:byJurisdiction"]
    }
    assert terms == {"FR": 1098, "US-CO": 730}
    assert "at most 730 days: Colorado, United States" in policy_page(house.site.clocks.policy())


def test_what_the_controller_declared_is_stated_and_the_rest_is_left_out(house: House) -> None:
    house.site.declarations.declare({"jurisdictions": "FR", "dpo": "Dana <Doe>", "transfers": "none"})
    house.site.declarations.declare_zone("lobby", {"alternative_time": "as long", "human_way": "ring at the desk"})
    policy = house.site.clocks.policy()
    controller = policy["dpv:hasDataController"]
    assert (controller["dpv:hasDataProtectionOfficer"], controller["volens:transfers"]) == ("Dana <Doe>", "none")
    assert "dpv:hasAddress" not in controller
    page = policy_page(policy)
    assert "Data protection officer: Dana &lt;Doe&gt;" in page
    assert "time: as long" in page
    assert "If the door does not let you in: ring at the desk" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_a_public_policy_is_the_law_a_missing_incident_protocol_shows(
    house: House, language: PageLanguage
) -> None:
    words = PageWords("retention_policy", language)
    house.site.declarations.declare({"jurisdictions": "FR"})
    assert words.text("incidents") not in policy_page(house.site.clocks.policy(), language)
    house.site.declarations.declare({"jurisdictions": "FR, US-CO"})
    page = policy_page(house.site.clocks.policy(), language)
    assert words.text("incident_no_contact") in page
    assert words.text("incident_no_protocol") in page
    house.site.declarations.declare({"incident_contact": "Erin", "incident_protocol": "We tell everyone in 72 hours."})
    page = policy_page(house.site.clocks.policy(), language)
    assert words.text("incident_contact", contact="Erin") in page
    assert "We tell everyone in 72 hours." in page
    assert words.text("incident_no_protocol") not in page


def test_every_clock_of_every_law_is_stated_with_words_and_its_source(house: House) -> None:
    words = PageWords("retention_policy", "de")
    assert all(f"period {name}" in words for name in CLOCK_NAMES)
    for one in house.site.clocks.policy()["volens:jurisdictions"]:
        clocks = ProfileCatalogue().get(one["volens:profile"]).clocks
        stated = {each["volens:clock"]: (each["volens:days"], each["dct:source"]) for each in one["volens:periods"]}
        assert stated == {name: (clocks.days(name), clocks.reasons[name]) for name in CLOCK_NAMES}
