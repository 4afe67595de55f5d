"""The public retention policy: signed, without personal data, and with the numbers that the sweep applies."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from declared_gates import open_gates
from house import START, House

from volens.audit import VerifierKey
from volens.consent import InputError, TamperError, format_time
from volens.consent.clocks import LEGAL_SOURCES
from volens.rights import policy_page, verify_policy
from volens.service.sample_notice import publish_sample_notice

DAY = timedelta(days=1)


def zone_of(house: House, name: str = "lobby") -> dict[str, Any]:
    (found,) = [one for one in house.site.clocks.policy()["dpv:hasPersonalDataProcess"] if one["volens:zone"] == name]
    return dict(found)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House.build(tmp_path / "home")
    house.site.add_zone("long", custody="operator", justification="a", alternative="b", retention_days=1098)
    open_gates(house.site, "long")
    publish_sample_notice(house.site, "long", more="For long.")
    return house


def just_the_retention(house: House) -> tuple[str, str, int]:
    return "lobby", "expired", zone_of(house)["volens:retentionDays"]


def a_shorter_retention(house: House) -> tuple[str, str, int]:
    house.admit()  # people enrolled before agreed to a longer retention
    house.clock.move(days=1)
    house.site.clocks.shorten_retention("lobby", 33)
    house.site.sweep()
    return "lobby", "expired", zone_of(house)["volens:retentionDays"]


def inactivity(house: House) -> tuple[str, str, int]:
    return "long", "inactive", zone_of(house, "long")["volens:inactiveAfterDays"]


@pytest.mark.parametrize("case", [just_the_retention, a_shorter_retention, inactivity])
def test_the_days_in_the_policy_are_those_after_which_the_sweep_erases(
    house: House, case: Callable[[House], tuple[str, str, int]]
) -> None:
    zone, reason, days = case(house)
    person = house.admit(zone)
    house.clock.move(days=days, seconds=-1)
    before = [one.zone for one in house.site.sweep().expired]
    assert house.sees(person, zone)
    house.clock.move(seconds=1)
    assert house.site.sweep().reasons == {reason: 1}
    assert len(before) <= 1  # in the case with a shorter retention: the person enrolled a day earlier


def test_the_policy_states_the_end_of_older_consents_and_the_sweep_applies_it(house: House) -> None:
    person = house.admit()
    house.clock.move(hours=5)
    publish_sample_notice(house.site, "lobby", more="New.", supersedes_within_days=9)
    (asked,) = zone_of(house)["volens:askedAgain"]
    assert (asked["volens:noticeVersion"], asked["volens:withinDays"]) == (2, 9)
    end = START + 9 * DAY + timedelta(hours=5)
    assert asked["volens:olderConsentsEnd"] == format_time(end)
    house.clock.time = end - timedelta(seconds=1)
    assert house.site.sweep().expired == ()
    assert house.sees(person)
    house.clock.time = end
    assert house.site.sweep().reasons == {"superseded": 1}


def test_the_policy_lists_exactly_the_clocks_that_can_end_a_consent(house: House) -> None:
    for zone in house.site.clocks.policy()["dpv:hasPersonalDataProcess"]:
        assert [one["volens:reason"] for one in zone["volens:clocks"]] == [reason.value for reason in LEGAL_SOURCES]


def test_another_configuration_is_another_policy(house: House) -> None:
    seen = [json.dumps(house.site.clocks.policy())]
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=7)
    seen.append(json.dumps(house.site.clocks.policy()))
    assert zone_of(house, "lab")["dpv:hasStorageCondition"]["dpv:hasDuration"]["@value"] == "P7D"
    house.site.clocks.shorten_retention("lobby", 30)
    seen.append(json.dumps(house.site.clocks.policy()))
    assert zone_of(house)["dpv:hasStorageCondition"]["dpv:hasDuration"]["@value"] == "P30D"
    publish_sample_notice(house.site, "lobby", more="New.", supersedes_within_days=9)
    seen.append(json.dumps(house.site.clocks.policy()))
    assert len(set(seen)) == len(seen)


def test_the_policy_contains_no_personal_data_and_does_not_depend_on_people(house: House) -> None:
    before = house.site.clocks.policy()
    person = house.admit()
    after = house.site.clocks.policy()
    assert before == after
    text = house.site.clocks.signed_policy().decode()
    for secret in ("Canary", person.subject_id, person.receipt_id):
        assert secret not in text
        assert secret not in policy_page(after)


def test_the_signed_policy_verifies_with_the_sites_key_also_when_reformatted(house: House) -> None:
    signed, key = house.site.clocks.signed_policy(), house.site.verifier_key
    assert verify_policy(signed, key) == house.site.clocks.policy()
    assert verify_policy(json.dumps(json.loads(signed), sort_keys=True).encode(), key) == house.site.clocks.policy()


def test_a_changed_policy_or_one_of_another_site_does_not_verify(house: House, tmp_path: Path) -> None:
    signed, key = house.site.clocks.signed_policy(), house.site.verifier_key
    assert signed.count(b'"volens:retentionDays": 90') == 1
    changed = {
        "a number": signed.replace(b'"volens:retentionDays": 90', b'"volens:retentionDays": 91'),
        "a field more": signed.replace(b"{", b'{"more": 1,', 1),
        "a field less": signed.replace(b'  "volens:photos": "never stored",\n', b""),
    }
    for data in changed.values():
        assert data != signed
        with pytest.raises(TamperError, match="integrity:"):
            verify_policy(data, key)
    stranger = House.build(tmp_path / "other", seed=9).site.verifier_key
    with pytest.raises(TamperError, match="integrity:"):
        verify_policy(signed, VerifierKey(key.name, stranger.public_key))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"volens:signature": 1}',
        b'{"volens:signature": "a"}',
        b"\xff",
        b"[" * 100_000,
        b'{"a": 1, "a": 2, "volens:signature": "x"}',
        b'{"a": NaN, "volens:signature": "x"}',
        b" " * (4 * 1024 * 1024 + 1),
    ],
)
def test_a_file_without_a_policy_is_refused(house: House, data: bytes) -> None:
    with pytest.raises(InputError):
        verify_policy(data, house.site.verifier_key)


@pytest.mark.parametrize(
    ("level", "said"), [("none", ""), ("challenge", "turn the head"), ("pack", "a program checks")]
)
def test_the_policy_page_says_what_a_zone_does_against_photos(house: House, level: str, said: str) -> None:
    silent = policy_page(house.site.clocks.policy())
    house.site.zones.set_liveness("lobby", level)
    page = policy_page(house.site.clocks.policy())
    assert said not in silent or not said
    assert (said in page, page == silent) == (True, level == "none")


def test_the_policy_page_escapes_the_operators_text(house: House) -> None:
    house.site.add_zone("x", custody="operator", justification="a", alternative="<script>1", retention_days=7)
    page = policy_page(house.site.clocks.policy())
    assert "<script" not in page
    assert "&lt;script&gt;1" in page
    assert "Nothing is kept longer than 7 days" in page
