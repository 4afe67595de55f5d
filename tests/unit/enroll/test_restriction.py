"""Restriction (GDPR 18): matching stops at once and everywhere, nothing is erased, and the person can lift it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from house import DIMENSION, MODEL, THRESHOLD, House, Person, no_models

from tests.unit.store.raw import DATA, peek
from volens import Site, verify_certificate
from volens.consent import (
    NoLiveConsentError,
    ProbeEmbedding,
    Purpose,
    ReceiptId,
    SubjectKey,
    TamperError,
    UnitVector,
    permit_probe,
)
from volens.consent.errors import ConsentRestrictedError
from volens.index import Gallery, admit_claim, identify, verify_claim
from volens.rights import answer_access, verify_answer
from volens.store.log import kinds_since
from volens.store.people.people_list import ConsentState
from volens.store.people.references import live_candidates, live_ids
from volens.store.promises import zone_of

LOBBY = Purpose("lobby")


@pytest.fixture
def other(house: House) -> Iterator[House]:
    """The same site in a second process."""
    site = Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes)
    with site:
        yield House.of(site)


def fill(house: House) -> None:
    """Warm up as a service does: rows of all people are in the hot set, verified."""
    house.site.feed.follow()
    while house.site.feed.fill_hot_sets():
        pass


def held(house: House, person: Person) -> list[object]:
    rows = peek(
        house.site.home / DATA,
        "SELECT sealed_embedding, sealed_name FROM biometric_reference NATURAL JOIN subject_profile"
        " WHERE receipt_id = ?",
        person.receipt_id,
    )
    return [*rows, len(house.store.keyring.wrapped_secrets([person.receipt_id]))]


def test_a_restricted_person_does_not_match_and_everything_is_kept(house: House) -> None:
    person, stayer = house.admit(), house.admit()
    assert house.sees(person)
    before = held(house, person)

    since = house.site.changes.restrict(person.receipt_id)

    assert since == house.clock()
    assert not house.sees(person)
    assert house.sees(stayer)
    assert held(house, person) == before
    house.reopen()
    assert not house.sees(person)
    assert house.site.changes.lift_restriction(person.receipt_id)
    assert house.sees(person)
    house.site.log.verify()


def test_a_repeated_call_changes_nothing_and_logs_nothing(house: House) -> None:
    person = house.admit()
    assert not house.site.changes.lift_restriction(person.receipt_id)
    first = house.site.changes.restrict(person.receipt_id)
    size = house.store.generation()
    house.clock.move(days=1)
    assert house.site.changes.restrict(person.receipt_id) == first
    assert house.store.generation() == size
    assert house.site.changes.restricted_since(person.receipt_id) == first
    assert house.site.changes.lift_restriction(person.receipt_id)
    assert not house.site.changes.lift_restriction(person.receipt_id)
    assert house.site.changes.restricted_since(person.receipt_id) is None
    with house.store.read() as connection:
        assert {"consent.restricted", "consent.resumed"} <= kinds_since(connection, 0)


@pytest.mark.parametrize("custody", ["operator", "subject_key", "badge"])
def test_a_claim_of_a_restricted_person_is_refused(house: House, custody: str) -> None:
    house.declare("vault", custody=custody)
    person = house.admit("vault")
    carried = None if custody == "operator" else person.carried
    assert house.verify(person, carried).match is not None
    house.site.changes.restrict(person.receipt_id)
    with pytest.raises(ConsentRestrictedError, match="paused"):
        house.verify(person, carried)
    house.site.changes.lift_restriction(person.receipt_id)
    assert house.verify(person, carried).match is not None


@pytest.mark.parametrize("is_warm", [True, False])
def test_another_process_stops_matching_with_the_commit(house: House, other: House, *, is_warm: bool) -> None:
    person, stayer = house.admit(), house.admit()
    assert other.sees(person)
    if is_warm:
        fill(other)
    for _ in range(2):
        house.site.changes.restrict(person.receipt_id)
        assert not other.sees(person)
        assert other.sees(stayer)
        other.site.changes.lift_restriction(person.receipt_id)
        assert house.sees(person)
        assert other.sees(person)


def test_an_idle_process_reads_again_only_the_rows_of_that_person(house: House, other: House) -> None:
    people = [house.admit() for _ in range(3)]
    assert other.sees(people[0])
    fill(other)
    (gallery,) = other.galleries.built().values()
    house.site.changes.restrict(people[0].receipt_id)
    other.site.feed.follow()
    assert gallery.restricted == {people[0].reference_id}
    assert len(gallery.hot) == 3
    with gallery.hot.borrowed_row() as row:
        assert all(gallery.hot.read(one.reference_id, row) for one in people if one.reference_id is not None)


def test_a_decision_that_runs_meanwhile_does_not_match(house: House, other: House) -> None:
    person = house.admit()
    assert house.sees(person)
    fill(house)
    with house.store.read() as connection:
        permit = permit_probe(zone_of(connection, LOBBY))

    def restrict_now(_gallery: Gallery) -> float:
        other.site.changes.restrict(person.receipt_id)
        return THRESHOLD

    probe = ProbeEmbedding(permit, UnitVector(person.face), MODEL)
    assert identify(house.store, house.galleries, probe, restrict_now, house.store.now()).match is None


def test_a_claim_that_runs_meanwhile_does_not_match(house: House) -> None:
    person = house.admit()
    with house.store.read() as connection:
        grant, zone = admit_claim(house.store, connection, person.take_home.receipt, None)
    house.site.changes.restrict(person.receipt_id)
    probe = ProbeEmbedding(permit_probe(zone), UnitVector(person.face), MODEL)
    with pytest.raises(ConsentRestrictedError, match="meanwhile"):
        verify_claim(house.store, grant, probe, THRESHOLD)


def test_the_store_refuses_what_a_gallery_proposes(house: House) -> None:
    person, stayer = house.admit(), house.admit()
    house.site.changes.restrict(person.receipt_id)
    ids = [one.reference_id for one in (person, stayer) if one.reference_id is not None]
    with house.store.read() as connection:
        gallery = house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
        assert all(one in gallery.engine for one in ids)
    with house.store.read_prepared() as snapshot:
        found = live_candidates(snapshot, LOBBY, MODEL, ids, house.store.now())
        assert set(found) == set(live_ids(snapshot, LOBBY, MODEL, ids, house.store.now())) == {stayer.reference_id}


def test_a_restriction_that_another_program_deletes_lets_nobody_in(house: House) -> None:
    person = house.admit()
    assert house.sees(person)
    fill(house)
    house.site.changes.restrict(person.receipt_id)
    assert not house.sees(person)
    with closing(sqlite3.connect(house.site.home / DATA)) as connection:
        connection.execute("DELETE FROM restriction")
        connection.commit()
    for _ in range(2):
        with pytest.raises(TamperError, match="restriction"):
            house.sees(person)
        with pytest.raises(TamperError):
            house.verify(person)
        house.reopen()
    assert house.withdraw(person).reason == "withdrawn"


def test_a_renewed_consent_stays_restricted(house: House) -> None:
    key = SubjectKey.from_seed(b"\7" * 32)
    given = house.site.give_consent(house.site.notice("lobby"), name="Ada", jurisdiction="FR", key=key)
    person = house.enroll(Person(given, house.face()))
    house.site.changes.restrict(person.receipt_id)
    done = house.site.changes.renew(person.receipt_id, house.site.notice("lobby"), key=key)
    new = Person(done.take_home, person.face)
    assert done.ended is not None
    certificate = verify_certificate(done.ended.certificate_path.read_bytes(), house.site.verifier_key)
    assert certificate.statement["continued"]["kept"] == {"restrictions": 1}
    assert not house.sees(new)
    assert house.site.changes.lift_restriction(new.receipt_id)
    assert house.sees(new)


def test_a_restricted_consent_is_withdrawn_and_corrected_as_any_other(house: House) -> None:
    person = house.admit()
    house.site.changes.restrict(person.receipt_id)
    house.site.changes.correct_name(person.receipt_id, "Ada Newname")
    assert not house.sees(person)
    erased = house.withdraw(person)
    certificate = verify_certificate(erased.certificate_path.read_bytes(), house.site.verifier_key)
    assert certificate.statement["destroyed"]["restrictions"] == 1
    assert peek(house.site.home / DATA, "SELECT * FROM restriction") == []


def test_nobody_is_enrolled_under_a_restricted_consent(house: House) -> None:
    person = house.invite()
    house.site.changes.restrict(person.receipt_id)
    with pytest.raises(ConsentRestrictedError):
        house.enroll(person)


def test_the_term_goes_on_running(house: House) -> None:
    person = house.admit()
    house.site.changes.restrict(person.receipt_id)
    house.clock.move(days=91)
    (expired,) = house.site.sweep().expired
    assert expired.reason == "expired"
    with pytest.raises(NoLiveConsentError):
        house.site.changes.lift_restriction(person.receipt_id)


def test_who_looks_is_told_that_it_is_paused(house: House) -> None:
    person = house.admit()
    since = house.site.changes.restrict(person.receipt_id)
    (entry,) = house.site.people.everyone()
    assert (entry.consent.state, entry.consent.restricted_at) == (ConsentState.RESTRICTED, since)
    told = house.site.rights.explain(code=person.code)
    assert any("you have paused your consent" in one for one in told.closed_because)
    answer = answer_access(house.store, [person.receipt_id])
    (searched,) = verify_answer(answer.data, house.site.verifier_key)["searched"]
    assert searched["rows"]["restriction"] == 1


@pytest.mark.parametrize("receipt_id", ["0" * 32, "ended"])
def test_without_a_consent_in_force_there_is_nothing_to_restrict(house: House, receipt_id: str) -> None:
    if receipt_id == "ended":
        person = house.admit()
        house.withdraw(person)
        receipt_id = person.receipt_id
    for change in (house.site.changes.restrict, house.site.changes.lift_restriction):
        with pytest.raises(NoLiveConsentError):
            change(ReceiptId(receipt_id))
