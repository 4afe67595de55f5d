"""The hot set: a decision opens references from locked memory, which follows every change of the store and is wiped."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from declared_gates import open_gates
from house import DIMENSION, MODEL, THRESHOLD, House, Person, no_models
from sqlalchemy import update

from tests.unit.store.raw import DATA, seal_again, tamper
from volens import Site
from volens.consent import ProbeEmbedding, Purpose, ReferenceId, TamperError, UnitVector, permit_probe
from volens.consent.clocks import INACTIVE_AFTER_DAYS
from volens.consent.receipt import verify_stored
from volens.index import Galleries, Gallery, HotSet, identify
from volens.index.event_effects import changes_nothing, outdates_rows
from volens.index.hot_row import HotRow, row_bytes
from volens.service.sample_notice import publish_sample_notice
from volens.store.files.locked_memory import LockedMemory
from volens.store.keys import KeyId, Wrapped
from volens.store.people import StoredReceipt, live_candidates
from volens.store.promises import zone_of
from volens.store.schema.data_tables import last_interaction

LOBBY = Purpose("lobby")


def gallery(house: House, galleries: Galleries | None = None) -> Gallery:
    return (galleries or house.galleries).at(LOBBY, MODEL, DIMENSION)


def filled(house: House, galleries: Galleries | None = None) -> HotSet:
    """Return the hot set of the lobby with everybody in it."""
    galleries = galleries or house.galleries
    hot = gallery(house, galleries).hot
    while galleries.fill_hot_sets():
        pass
    return hot


def known(house: House, hot: HotSet) -> set[Person]:
    with hot.borrowed_row() as row:
        return {one.reference_id for one in house.people if one.reference_id and hot.read(one.reference_id, row)}  # type: ignore[misc]


def ids(*people: Person) -> set[object]:
    return {person.reference_id for person in people}


def content(hot: HotSet) -> bytes:
    return b"".join(bytes(buffer) for buffer in hot.buffers())


@pytest.fixture
def second(house: House) -> Iterator[House]:
    """Another process on the same home."""
    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes) as site:  # type: ignore[arg-type]
        yield House.of(site)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which SQLite adds every statement that it is given, by any connection made from now on."""
    given: list[str] = []
    original = sqlite3.dbapi2.connect

    def connect(*arguments: object, **named: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = original(*arguments, **named)  # type: ignore[call-overload]
        connection.set_trace_callback(given.append)
        return connection

    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect)
    return given


def test_a_decision_asks_the_databases_for_the_generation_and_nothing_else(house: House, statements: list[str]) -> None:
    people = [house.admit() for _ in range(5)]
    filled(house)
    with house.store.read() as connection:
        permit = permit_probe(zone_of(connection, LOBBY))
    house.store.drop_caches()  # closes the connections that are not traced
    assert gallery(house).generation == house.store.generation()

    for face, is_known in [(person.face, True) for person in people] + [(house.face(), False)]:
        statements.clear()
        probe = ProbeEmbedding(permit, UnitVector(face), MODEL)
        decision = identify(house.store, house.galleries, probe, THRESHOLD, house.store.now())
        assert (decision.match is not None) is is_known
        asked = [one for one in statements if not one.startswith("--")]  # a part of that statement
        assert len(asked) == 1 + is_known  # once more before a match: whether the person restricted it meanwhile
        assert all(one.startswith("SELECT (SELECT max(audit_event.seq)") for one in asked)


def test_the_first_decision_reads_a_reference_and_the_second_does_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = house.admit()
    asked = []
    monkeypatch.setattr(
        "volens.index.candidate_gate.live_candidates",
        lambda *given: (asked.append(given[3]), live_candidates(*given))[1],
    )

    for _ in range(3):
        assert house.sees(person)

    assert asked == [[person.reference_id]]


def test_a_row_has_secret_and_embedding_byte_for_byte_as_stored(house: House) -> None:
    person = house.admit()
    wrapped = house.store.keyring.wrapped([person.receipt_id])[person.receipt_id]
    with house.store.read() as connection:
        (stored,) = live_candidates(connection, LOBBY, MODEL, [ReferenceId(1)], house.store.now()).values()

    hot = filled(house)

    assert bytes(wrapped.box) + stored.sealed_embedding in content(hot)
    assert person.face.tobytes() not in content(hot)
    assert len(hot) == 1
    assert hot.nbytes() >= row_bytes(DIMENSION)


def test_a_withdrawn_person_is_overwritten_at_once(house: House) -> None:
    leaver, stayer = house.admit(), house.admit()
    hot = filled(house)
    assert known(house, hot) == ids(leaver, stayer)

    house.withdraw(leaver)

    assert known(house, hot) == ids(stayer)
    assert leaver.receipt_id.encode() not in content(hot)
    assert stayer.receipt_id.encode() in content(hot)
    assert not house.sees(leaver)
    assert house.sees(stayer)


def test_a_withdrawal_in_another_process_is_overwritten_by_the_next_decision(house: House, second: House) -> None:
    leaver, stayer = house.admit(), house.admit()
    second.people = house.people
    hot = filled(second)
    house.withdraw(leaver)

    assert second.look_at(second.face()).match is None

    assert known(second, hot) == ids(stayer)
    assert leaver.receipt_id.encode() not in content(hot)


def test_a_reader_of_an_older_snapshot_does_not_bring_a_person_back(house: House) -> None:
    leaver = house.admit()
    hot = filled(house)
    with house.store.read() as connection:
        (reference,) = live_candidates(connection, LOBBY, MODEL, [ReferenceId(1)], house.store.now()).values()
    wrapped = house.store.keyring.wrapped([leaver.receipt_id])[leaver.receipt_id]
    generation = house.store.generation()
    house.withdraw(leaver)

    hot.add(reference, wrapped, generation)

    assert len(hot) == 0
    assert not any(content(hot))


def test_an_older_row_does_not_replace_a_newer_one(house: House) -> None:
    person = house.admit()
    hot = filled(house)
    with house.store.read() as connection:
        (reference,) = live_candidates(connection, LOBBY, MODEL, [ReferenceId(1)], house.store.now()).values()
    wrapped = house.store.keyring.wrapped([person.receipt_id])[person.receipt_id]
    before = content(hot)

    hot.add(reference, wrapped, 1)

    assert content(hot) == before


def test_a_leaving_date_ends_a_match_that_the_hot_set_would_allow(house: House, second: House) -> None:
    person = house.admit()
    filled(second)
    assert second.sees(person)

    house.site.clocks.leave([person.receipt_id], house.clock.time + timedelta(days=1))
    assert second.sees(person)
    house.clock.move(days=1, seconds=1)

    assert not second.sees(person)


def test_a_consent_ends_at_its_second_without_any_event(house: House) -> None:
    person = house.admit()
    filled(house)
    house.clock.move(days=90, seconds=-1)
    assert house.sees(person)

    house.clock.move(seconds=1)

    assert not house.sees(person)


def test_inactivity_ends_a_match_and_a_visit_unknown_to_the_hot_set_postpones_it(house: House) -> None:
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=1098)
    open_gates(house.site, "lab")
    publish_sample_notice(house.site, "lab", more="x")
    person, absent = house.admit("lab"), house.admit("lab")
    for one in (person, absent):
        assert house.sees(one, "lab")
    house.clock.move(days=2)
    with house.store.write() as tx:  # as a visit writes it, which adds nothing to the log
        visited = tx.interaction(person.receipt_id, house.clock.time)
        tx.connection.execute(
            update(last_interaction).where(last_interaction.c.receipt_id == person.receipt_id).values(**visited)
        )
    house.clock.move(days=INACTIVE_AFTER_DAYS - 2)

    assert house.sees(person, "lab")
    assert not house.sees(absent, "lab")


def test_what_a_zone_requires_is_read_again_after_an_event_that_may_change_it(house: House, second: House) -> None:
    person = house.admit()
    assert second.sees(person)
    tamper(house.site.home / DATA, "UPDATE zone SET second_factor = 'pin' WHERE purpose = 'lobby'")
    assert second.sees(person)
    with house.store.write() as tx:
        tx.log("notice.published", {"zone": "lobby"})
    with pytest.raises(TamperError, match="integrity: the rows of zone"):
        second.sees(person)

    seal_again(house.store)

    assert second.look_at(person.face).factor_required


def test_visits_and_new_consents_do_not_make_rows_be_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.admit()
    filled(house)
    assert house.sees(person)
    monkeypatch.setattr("volens.index.candidate_gate.live_candidates", lambda *_: pytest.fail("a row was read"))
    house.invite()
    house.admit()
    for kind in ("door.matched", "request.opened", "factor.set"):
        with house.store.write() as tx:
            tx.log(kind, {"zone": "lobby"})

    assert house.sees(person)


def test_an_erasure_wraps_others_again_and_the_hot_set_is_filled_with_that(house: House) -> None:
    leaver, *stayers = (house.admit() for _ in range(4))
    hot = filled(house)
    before = house.store.keyring.wrapped([one.receipt_id for one in stayers])
    house.withdraw(leaver)
    assert all(bytes(one.box) in content(hot) for one in before.values())

    assert filled(house) is hot

    after = house.store.keyring.wrapped([one.receipt_id for one in stayers])
    for old, new in zip(before.values(), after.values(), strict=True):
        assert old.key_id != new.key_id
        assert bytes(old.box) not in content(hot)
        assert bytes(new.box) in content(hot)
    assert all(house.sees(person) for person in stayers)


def test_an_event_of_a_kind_that_is_unknown_makes_every_row_be_read_again() -> None:
    known_kinds = {"consent.given", "consent.ended", "reference.enrolled", "door.matched", "erasure.certified"}
    assert not outdates_rows(known_kinds)
    assert not changes_nothing(known_kinds)
    assert changes_nothing(known_kinds - {"consent.ended", "reference.enrolled"})
    for kind in (
        "leaving.set",
        "zone.retention_shortened",
        "notice.published",
        "keys.rotated",
        "store.restored",
        "x.y",
        "",
    ):
        assert outdates_rows({kind})
        assert not changes_nothing({kind})


def test_a_rotation_of_the_store_key_is_followed(house: House, second: House) -> None:
    people = [house.admit() for _ in range(3)]
    second.people = house.people
    filled(second)
    assert all(second.sees(person) for person in people)

    house.site.keys.rotate()

    assert all(second.sees(person) for person in people)
    assert all(house.sees(person) for person in people)


def test_a_secret_that_was_wrapped_again_is_read_again(house: House) -> None:
    person = house.admit()
    hot = filled(house)
    with hot.borrowed_row() as row:
        assert hot.read(ReferenceId(1), row)
        facts = row.facts
    with house.store.read() as connection:
        (reference,) = live_candidates(connection, LOBBY, MODEL, [ReferenceId(1)], house.store.now()).values()
    wrapped = house.store.keyring.wrapped([person.receipt_id])[person.receipt_id]
    other = Wrapped(KeyId(77, 77), wrapped.box)  # a key that this process does not have
    hot.add(reference, other, facts.as_of)

    assert house.sees(person)

    with hot.borrowed_row() as row:
        assert hot.read(ReferenceId(1), row)
        assert (row.facts.bucket_id, row.facts.key_number) == wrapped.key_id


def test_an_erasure_of_another_person_makes_a_row_be_read_again_with_its_new_key(house: House) -> None:
    person, other = house.admit(), house.admit()
    hot = filled(house)
    assert house.sees(person)
    with hot.borrowed_row() as row:
        assert hot.read(person.reference_id, row)  # type: ignore[arg-type]
        before = row.facts
        house.withdraw(other)
        assert not row.open(house.store.keyring)

        assert house.sees(person)

        assert hot.read(person.reference_id, row)  # type: ignore[arg-type]
        assert (row.facts.bucket_id, row.facts.key_number) == (before.bucket_id, before.key_number + 1)
    assert not house.sees(other)


def test_a_signature_is_verified_once_for_the_exact_bytes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.admit()
    verified = []
    original = StoredReceipt.verified
    monkeypatch.setattr(StoredReceipt, "verified", lambda self: (verified.append(self.token), original(self))[1])

    for _ in range(3):
        assert house.sees(person)
    assert verified == [person.take_home.receipt.token]

    publish_sample_notice(house.site, "lobby", more="Another text.")
    assert house.sees(person)  # read again, and verified again
    assert len(verified) == 2

    tamper(house.site.home / DATA, "UPDATE receipt SET subject_key = zeroblob(32)")
    publish_sample_notice(house.site, "lobby", more="A third text.")
    with pytest.raises(TamperError, match="integrity"):
        house.sees(person)


def test_the_term_of_a_verified_receipt_is_checked_at_every_decision(house: House) -> None:
    person = house.admit()
    tamper(house.site.home / DATA, "UPDATE live_consent SET expires_at = '2199-01-01T00:00:00Z'")
    seal_again(house.store)
    filled(house)
    assert house.sees(person)
    house.clock.move(days=91)

    with pytest.raises(TamperError, match="integrity: the matched person's receipt is for another site, zone or time"):
        house.sees(person)


def test_a_receipt_that_does_not_verify_is_reported_when_the_person_matches(house: House) -> None:
    person, other = house.admit(), house.admit()
    tamper(
        house.site.home / DATA, "UPDATE receipt SET subject_key = zeroblob(32) WHERE receipt_id = ?", person.receipt_id
    )

    assert len(filled(house)) == 2
    assert house.sees(other)
    with pytest.raises(TamperError, match="integrity"):
        house.sees(person)


def test_the_receipts_that_were_verified_are_those_of_their_people(house: House) -> None:
    people = [house.admit() for _ in range(3)]
    hot = filled(house)
    for person in people:
        with hot.borrowed_row() as row:
            assert person.reference_id is not None
            assert hot.read(person.reference_id, row)
            facts = row.facts
        receipt = verify_stored(person.take_home.receipt.token, person.take_home.receipt.claims.subject_key)
        assert (facts.receipt_id, facts.subject_id) == (person.receipt_id, person.subject_id)
        assert facts.receipt_sha256 == receipt.sha256
        assert facts.receipt_until == receipt.claims.expires_at.timestamp()


def test_working_memory_is_wiped_after_each_decision(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.admit()
    filled(house)
    used: list[HotRow] = []
    original = HotRow.open

    def watched(self: HotRow, keyring: object) -> bool:
        is_open = original(self, keyring)  # type: ignore[arg-type]
        assert self.vector.tobytes() == person.face.tobytes()
        used.append(self)
        return is_open

    monkeypatch.setattr(HotRow, "open", watched)
    assert house.sees(person)
    assert house.sees(person)

    assert used[0] is used[1]
    assert not used[0].vector.any()
    assert not any(used[0].copy)
    assert not any(used[0]._secret.buffer)


def test_closing_a_site_gives_back_the_memory_of_its_hot_sets(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.admit()
    hot = filled(house)
    wiped: list[bytes] = []
    original = LockedMemory.wipe

    def watched(self: LockedMemory) -> None:
        original(self)
        wiped.append(bytes(self.view))

    monkeypatch.setattr(LockedMemory, "wipe", watched)
    (before,) = hot.buffers()
    assert any(before)

    house.galleries.close()

    assert wiped == [bytes(1 << 20)[: len(wiped[0])]]
    assert len(hot) == 0
    assert not list(hot.buffers())


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_full_hot_set_replaces_its_oldest_row_and_decides_alike(house: House, limit: int) -> None:
    people = [house.admit() for _ in range(6)]
    its = gallery(house)
    its.hot = HotSet(LOBBY, MODEL, DIMENSION, its.engine.__contains__, limit * row_bytes(DIMENSION))

    for _ in range(2):
        for person in people:
            assert house.sees(person)
            assert len(its.hot) <= limit

    house.withdraw(people[0])
    assert not house.sees(people[0])
    assert all(house.sees(person) for person in people[1:])


def test_without_memory_for_a_row_every_decision_reads_the_store(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_size: int) -> object:
        raise OSError

    people = [house.admit() for _ in range(3)]
    hot = gallery(house).hot
    monkeypatch.setattr("volens.index.hot_set.LockedMemory", refused)

    for _ in range(2):
        assert all(house.sees(person) for person in people)
    assert len(hot) == 0


def test_a_row_of_another_size_is_not_kept_and_reported_at_a_match(house: House) -> None:
    person, other = house.admit(), house.admit()
    gallery(house)
    tamper(
        house.site.home / DATA,
        "UPDATE biometric_reference SET sealed_embedding = zeroblob(77) WHERE receipt_id = ?",
        person.receipt_id,
    )

    assert len(filled(house)) == 1
    assert house.sees(other)
    with pytest.raises(TamperError, match="integrity: a sealed value has another length"):
        house.sees(person)


def test_rows_that_were_freed_are_used_again(house: House) -> None:
    hot = filled(house)
    for _ in range(4):
        house.withdraw(house.admit())
        stayer = house.admit()
        filled(house)
    assert house.sees(stayer)
    assert hot.nbytes() <= 2 << 20
    assert len(hot) == 4


def test_opened_embeddings_are_compared_exactly(house: House) -> None:
    person = house.admit()
    filled(house)
    decision = house.look_at(person.face, noise=0.0)
    assert decision.match is not None
    assert decision.match.comparison_score == pytest.approx(float(np.dot(person.face, person.face)), abs=1e-6)
