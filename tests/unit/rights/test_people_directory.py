"""The directory of people: who is listed, found and shown, and what each look at names leaves behind."""

import sqlite3
import unicodedata
from contextlib import closing

import pytest
from declared_gates import open_gates
from house import House
from reading_log import kinds, opened

from tests.unit.store.raw import DATA, tamper
from volens.consent import InputError, NoLiveConsentError, Purpose, UnavailableError, UnknownError
from volens.rights import held_under
from volens.service.sample_notice import publish_sample_notice
from volens.store.people.disclosures import KEPT_DAYS, SHOWN, add_disclosures
from volens.store.people.people_list import ConsentFilter, ConsentState
from volens.store.programs import Role
from volens.store.schema import data_tables as tables


def names(house: House, part: str, zone: str | None = None) -> list[str | None]:
    found = house.site.people.find(part, zone=None if zone is None else Purpose(zone))
    return [one.name for one in found.entries]


def listed(house: House, wanted: ConsentFilter) -> set[str]:
    return {one.consent.receipt_id for one in house.site.people.everyone(wanted)}


def test_a_list_tells_people_with_photos_from_those_without(house: House) -> None:
    invited, enrolled = house.invite(), house.admit()

    states = {one.consent.receipt_id: one.consent.state for one in house.site.people.everyone()}
    assert states == {invited.receipt_id: ConsentState.CONSENTED, enrolled.receipt_id: ConsentState.ENROLLED}
    assert listed(house, ConsentFilter(is_enrolled=True)) == {enrolled.receipt_id}
    assert listed(house, ConsentFilter(is_enrolled=False)) == {invited.receipt_id}


def test_a_person_of_a_badge_zone_counts_as_enrolled_and_has_a_badge(house: House) -> None:
    house.declare("lab", custody="badge")
    house.admit("lab")
    (entry,) = house.site.people.everyone(ConsentFilter(zone=Purpose("lab")))
    assert (entry.consent.state, entry.consent.has_badge, entry.consent.references) == ("enrolled", True, 1)


@pytest.mark.parametrize(("days", "expected"), [(60, 0), (61, 1), (90, 2)])
def test_a_list_can_be_narrowed_to_consents_that_end_soon(house: House, days: int, expected: int) -> None:
    house.invite()
    house.clock.move(days=29)
    house.invite()
    assert len(listed(house, house.site.people.ends_within(days))) == expected


def test_inactivity_counts_as_an_end_though_its_row_ends_later(house: House) -> None:
    house.site.add_zone("attic", custody="operator", justification="a", alternative="b", retention_days=1098)
    open_gates(house.site, "attic")
    publish_sample_notice(house.site, "attic", more="x")
    person = house.invite("attic")
    house.clock.move(days=1090)

    assert listed(house, house.site.people.ends_within(5)) == {person.receipt_id}
    (entry,) = house.site.people.everyone()
    assert entry.consent.end_reason == "inactive"


def test_a_consent_whose_time_is_over_is_listed_as_ended_until_the_sweep(house: House) -> None:
    house.invite()
    house.clock.move(days=91)
    assert [one.consent.state for one in house.site.people.everyone()] == [ConsentState.ENDED]
    house.site.sweep()
    assert house.site.people.everyone() == []


def test_a_changed_row_is_shown_as_damaged_and_hides_nobody_else(house: House) -> None:
    changed, other = house.invite(), house.admit()
    longer = "UPDATE live_consent SET expires_at = '2199-01-01T00:00:00Z' WHERE receipt_id = ?"
    tamper(house.site.home / DATA, longer, changed.receipt_id)

    states = {one.consent.receipt_id: one.consent.state for one in house.site.people.everyone()}
    assert states == {changed.receipt_id: ConsentState.DAMAGED, other.receipt_id: ConsentState.ENROLLED}


@pytest.mark.parametrize(
    "sought", ["müller", "MÜLLER", unicodedata.normalize("NFD", "Müller"), "ller", "  eva   müller "]
)
def test_a_name_is_found_by_a_part_in_any_case_and_unicode_form(house: House, sought: str) -> None:
    for name in ("Eva Müller", "Eva Neu", "Bernd Schwarz"):
        house.invite(name=name)
    assert names(house, sought) == ["Eva Müller"]


def test_a_search_returns_people_by_name_and_in_one_zone_only(house: House) -> None:
    house.declare("lab")
    house.invite(name="Eva Neu")
    house.invite(name="Eva Alt")
    house.invite("lab", name="Eva Labor")
    assert names(house, "eva") == ["Eva Alt", "Eva Labor", "Eva Neu"]
    assert names(house, "eva", "lab") == ["Eva Labor"]
    assert names(house, "nobody") == []


def test_a_search_for_nothing_and_an_unknown_zone_are_refused(house: House) -> None:
    with pytest.raises(InputError, match="give a part of the name"):
        house.site.people.find(" \n")
    with pytest.raises(UnknownError, match="no zone 'attic'"):
        house.site.people.find("a", zone=Purpose("attic"))
    with pytest.raises(InputError, match="expected 0 to 3660"):
        house.site.people.ends_within(-1)
    assert SHOWN not in kinds(house.store)


def test_pages_have_everyone_once(house: House) -> None:
    people = {house.invite().receipt_id for _ in range(5)}
    seen: list[str] = []
    last = ""
    while True:
        page = house.site.people.page(after=last, limit=2)
        seen += [one.consent.receipt_id for one in page.entries]
        if page.last is None:
            break
        last = page.last
    assert (len(seen), set(seen)) == (5, people)


def test_a_person_is_shown_with_what_is_set_up_and_with_ended_consents(house: House) -> None:
    person = house.admit()
    house.site.link_external_id(person.receipt_id, "4711")
    by_id, by_receipt = (house.site.people.show(one) for one in (person.subject_id, person.receipt_id))
    assert by_id == by_receipt
    (entry,) = by_id.in_force
    assert (entry.name, entry.consent.is_linked, entry.consent.second_factor) == ("Ada Canary Example", True, None)

    erased = house.withdraw(person)
    record = house.site.people.show(person.subject_id)
    assert record.in_force == ()
    (ended,) = record.ended
    assert (ended.reason, ended.certificate_id) == ("withdrawn", erased.certificate_id)


def test_a_caller_of_another_zone_does_not_learn_that_a_person_exists(house: House) -> None:
    house.declare("lab")
    person = house.admit()
    for who in (person.subject_id, "0" * 43):
        with pytest.raises(NoLiveConsentError) as error:
            house.site.people.show(who, zone=Purpose("lab"))
        assert "no person of this id" in str(error.value)


def test_every_look_at_names_is_logged_with_reader_zone_and_number(house: House) -> None:
    person = house.invite(name="Eva Müller")
    house.site.people.everyone(ConsentFilter(zone=Purpose("lobby")), shown_to="desk-1")
    house.site.people.find("müll", shown_to="desk-1")
    house.site.people.find("zzz")
    house.site.people.show(person.subject_id)

    logged = opened(house.store, SHOWN)
    assert [(one["how"], one["shown_to"], one["zone"], one["people"]) for one in logged] == [
        ("list", "desk-1", "lobby", 1),
        ("search", "desk-1", "", 1),
        ("search", "command line", "", 0),
        ("person", "command line", "", 1),
    ]
    assert "müll" not in str(logged).casefold()
    house.site.log.verify()


def test_a_person_sees_in_the_answer_on_which_day_the_name_was_shown_to_whom(house: House) -> None:
    person, other = house.invite(name="Eva Müller"), house.invite(name="Bernd Schwarz")
    credential, _ = house.site.programs.credentials.issue(label="front desk", role=Role.DESK, zone="lobby")
    for _ in range(3):
        house.site.people.find("müller", shown_to=credential.credential_id)

    def shown(receipt_id: str) -> list[dict[str, object]]:
        with house.store.read() as connection:
            held = held_under(house.store, connection, receipt_id)  # type: ignore[arg-type]
        assert held is not None
        return held.rows["name_disclosure"]

    day = house.clock.time.strftime("%Y-%m-%dT00:00:00Z")
    assert shown(person.receipt_id) == [{"shown_on": day, "shown_to": credential.credential_id, "reader": "front desk"}]
    assert shown(other.receipt_id) == []


def test_the_days_are_deleted_after_a_year_and_with_the_consent(house: House) -> None:
    house.site.add_zone("attic", custody="operator", justification="a", alternative="b", retention_days=1000)
    open_gates(house.site, "attic")
    publish_sample_notice(house.site, "attic", more="x")
    person, gone = house.invite("attic"), house.invite("attic")
    house.site.people.everyone()

    def rows() -> list[str]:
        with house.store.read() as connection:
            return list(connection.execute(tables.name_disclosure.select()).scalars())

    house.withdraw(gone)
    assert rows() == [person.receipt_id]
    house.clock.move(days=KEPT_DAYS + 1)
    house.site.sweep()
    assert rows() == []


def test_a_name_that_cannot_be_recorded_as_shown_is_not_shown(impatient: House) -> None:
    impatient.invite()
    with closing(sqlite3.connect(impatient.site.home / DATA, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError):
            impatient.site.people.everyone()
        other.execute("ROLLBACK")


def test_a_consent_that_ends_while_it_is_read_is_not_recorded(house: House) -> None:
    person = house.invite()
    house.withdraw(person)
    with house.store.write() as tx:
        assert add_disclosures(tx, [person.receipt_id], shown_to="x", zone=None, how="list") == set()


def test_a_name_that_does_not_open_is_counted_and_stops_nothing(house: House) -> None:
    person, other = house.invite(name="Eva Alt"), house.invite(name="Eva Neu")
    swapped = "UPDATE subject_profile SET sealed_name = zeroblob(length(sealed_name)) WHERE receipt_id = ?"
    tamper(house.site.home / DATA, swapped, person.receipt_id)

    found = house.site.people.find("eva")
    assert ([one.consent.receipt_id for one in found.entries], found.unopened) == ([other.receipt_id], 1)
    assert {one.consent.receipt_id: one.name for one in house.site.people.everyone()} == {
        person.receipt_id: None,
        other.receipt_id: "Eva Neu",
    }
