"""References: sealed under one consent, found under that consent, and unreadable once anything of it was changed."""

import sqlite3
from contextlib import closing, nullcontext

import pytest
from house import DIMENSION, MODEL, House, Person
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.unit.store.raw import DATA, drop_triggers, lawless, one, peek, remove_foreign_keys, tamper
from volens.consent import (
    ConsentedEmbedding,
    ModelId,
    NoLiveConsentError,
    Purpose,
    ReferenceId,
    RefusedError,
    TamperError,
    UnitVector,
    VolensError,
)
from volens.consent.errors import DamagedDataError
from volens.index import opened
from volens.service.sample_notice import publish_sample_notice
from volens.store.keys import sealing
from volens.store.people import (
    LiveConsents,
    add_reference,
    count_references,
    has_reference,
    live_candidates,
    reference_ids,
    references,
    references_in,
    sealed_references,
)
from volens.store.sqlite import SqliteSnapshot
from volens.store.sqlite.sqlite_snapshot import _compiled

LOBBY = Purpose("lobby")
OTHER_MODEL = ModelId("other@11111111")


def enroll_as(house: House, person: Person, model_id: ModelId) -> ReferenceId:
    embedding = ConsentedEmbedding(house.grant(person), UnitVector(person.face), model_id)
    with house.store.keyring.grant_secret(person.receipt_id) as secret, house.store.write() as tx:
        return add_reference(tx, embedding, secret, licence="none", photo_count=3)


def open_all(house: House, person: Person) -> list[list[float]]:
    with house.store.read() as connection:
        references = sealed_references(connection, [person.receipt_id])
    return [vector.array.tolist() for _, vector in opened(house.store, references)]


def test_a_reference_opens_as_the_embedding_it_was(house: House) -> None:
    person = house.admit()
    assert open_all(house, person) == [person.face.tolist()]


def test_no_file_contains_an_unsealed_embedding(house: House) -> None:
    person = house.admit()
    for file in house.site.home.iterdir():
        assert person.face.tobytes()[:16] not in file.read_bytes()


def swap_boxes(connection: sqlite3.Connection, ann: Person, bob: Person) -> None:
    query = "SELECT sealed_embedding FROM biometric_reference WHERE receipt_id = ?"
    boxes = [one(connection, query, person.receipt_id)[0] for person in (bob, ann)]
    for box, person in zip(boxes, (ann, bob), strict=True):
        connection.execute(
            "UPDATE biometric_reference SET sealed_embedding = ? WHERE receipt_id = ?", (box, person.receipt_id)
        )


def move_row(connection: sqlite3.Connection, ann: Person, bob: Person) -> None:
    """Give Ann's whole row to Bob: her face would open the door as him."""
    connection.execute("DELETE FROM biometric_reference WHERE receipt_id = ?", (bob.receipt_id,))
    connection.execute(
        "UPDATE biometric_reference SET receipt_id = ?, subject_id = ? WHERE receipt_id = ?",
        (bob.receipt_id, bob.subject_id, ann.receipt_id),
    )


def change_zone(connection: sqlite3.Connection, ann: Person, _bob: Person) -> None:
    """Let a consent for the lobby open the lab."""
    for table in ("biometric_reference", "live_consent", "receipt"):
        connection.execute(f"UPDATE {table} SET purpose = 'lab' WHERE receipt_id = ?", (ann.receipt_id,))  # noqa: S608  names of our own


def change_receipt(connection: sqlite3.Connection, ann: Person, _bob: Person) -> None:
    connection.execute("UPDATE receipt SET token = token || ' ' WHERE receipt_id = ?", (ann.receipt_id,))


def resign_receipt(connection: sqlite3.Connection, ann: Person, bob: Person) -> None:
    token, key = one(connection, "SELECT token, subject_key FROM receipt WHERE receipt_id = ?", bob.receipt_id)
    connection.execute(
        "UPDATE receipt SET token = ?, subject_key = ? WHERE receipt_id = ?", (token, key, ann.receipt_id)
    )


def change_subject(connection: sqlite3.Connection, ann: Person, _bob: Person) -> None:
    for table in ("biometric_reference", "live_consent", "receipt"):
        connection.execute(f"UPDATE {table} SET subject_id = ? WHERE receipt_id = ?", ("x" * 43, ann.receipt_id))  # noqa: S608  names of our own


def change_model(connection: sqlite3.Connection, ann: Person, _bob: Person) -> None:
    connection.execute("UPDATE biometric_reference SET model_id = 'x@1' WHERE receipt_id = ?", (ann.receipt_id,))


def change_id(connection: sqlite3.Connection, ann: Person, _bob: Person) -> None:
    connection.execute("UPDATE biometric_reference SET reference_id = 99 WHERE receipt_id = ?", (ann.receipt_id,))


def change_byte(connection: sqlite3.Connection, ann: Person, _bob: Person) -> None:
    query = "SELECT sealed_embedding FROM biometric_reference WHERE receipt_id = ?"
    box = bytearray(one(connection, query, ann.receipt_id)[0])
    box[100] ^= 1
    connection.execute(
        "UPDATE biometric_reference SET sealed_embedding = ? WHERE receipt_id = ?", (bytes(box), ann.receipt_id)
    )


def cut_off(connection: sqlite3.Connection, ann: Person, _bob: Person) -> None:
    connection.execute(
        "UPDATE biometric_reference SET sealed_embedding = x'01' WHERE receipt_id = ?", (ann.receipt_id,)
    )


TAMPERINGS = {
    "two sealed embeddings exchanged": swap_boxes,
    "a row moved to another person": move_row,
    "another zone": change_zone,
    "a changed receipt": change_receipt,
    "another person's receipt": resign_receipt,
    "another data subject": change_subject,
    "another model": change_model,
    "another reference id": change_id,
    "a changed byte": change_byte,
    "an embedding cut off": cut_off,
}


@pytest.mark.parametrize("case", TAMPERINGS)
def test_an_embedding_does_not_open_where_anything_of_its_consent_was_changed(house: House, case: str) -> None:
    ann, bob = house.admit(), house.admit()
    with lawless(house.site.home / DATA) as connection:
        TAMPERINGS[case](connection, ann, bob)
    victim = bob if case == "a row moved to another person" else ann

    with pytest.raises(VolensError, match="integrity: a sealed value") as caught:
        open_all(house, victim)
    assert type(caught.value) in {TamperError, DamagedDataError}
    assert not any(word in str(caught.value) for word in (ann.receipt_id, ann.subject_id, "lobby", "Ada"))


@pytest.mark.parametrize("case", sorted(set(TAMPERINGS) - {"another zone", "another model"}))
@pytest.mark.parametrize("built", [True, False])
def test_a_changed_consent_does_not_match(house: House, case: str, built: bool) -> None:  # noqa: FBT001
    ann, bob = house.admit(), house.admit()
    probe = ann.face
    if built:
        with house.store.read() as connection:  # the gallery holds the sketches of before
            house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
    with lawless(house.site.home / DATA) as connection:
        TAMPERINGS[case](connection, ann, bob)
    if not built:
        house.reopen()

    # A gallery built before may propose an id that is erased now: then there is no match, also of no other person.
    gone = built and case == "another reference id"
    with nullcontext() if gone else pytest.raises(TamperError, match="integrity: a sealed value"):
        assert house.look_at(probe).match is None


@pytest.mark.parametrize("case", sorted(TAMPERINGS))
def test_what_was_changed_in_the_file_is_noticed_when_it_is_read_again(house: House, case: str) -> None:
    ann, bob = house.admit(), house.admit()
    assert house.sees(ann)  # from now on her row is in the hot set, as it was sealed
    with lawless(house.site.home / DATA) as connection:
        TAMPERINGS[case](connection, ann, bob)
    match = house.look_at(ann.face).match
    assert match is not None
    assert match.receipt_id == ann.receipt_id

    publish_sample_notice(house.site, "lobby", more="Another text.")  # an event that may concern everybody

    gone = case in {"another zone", "another model"}
    with nullcontext() if gone else pytest.raises(TamperError, match="integrity: a sealed value"):
        assert house.look_at(ann.face).match is None


@pytest.mark.parametrize("case", ["another zone", "another model"])
def test_a_row_under_another_zone_or_model_opens_no_door_at_all(house: House, case: str) -> None:
    ann, bob = house.admit(), house.admit()
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=9)
    with lawless(house.site.home / DATA) as connection:
        TAMPERINGS[case](connection, ann, bob)
    house.reopen()

    assert house.look_at(ann.face).match is None
    if case == "another zone":
        with pytest.raises(TamperError, match="integrity: a sealed value"):
            house.look_at(ann.face, "lab")
    assert house.sees(bob)


def test_reference_ids_are_never_reused(house: House) -> None:
    people = [house.admit() for _ in range(3)]
    assert [person.reference_id for person in people] == [1, 2, 3]

    house.withdraw(people[2])
    house.withdraw(people[1])
    assert house.admit().reference_id == 4
    for person in (one_left for one_left in house.people if one_left not in people[1:]):
        house.withdraw(person)
    house.reopen()  # also not after a restart, with an empty table

    assert house.admit().reference_id == 5


def test_a_reference_after_the_end_of_the_consent_is_refused(house: House) -> None:
    person = house.invite()
    grant = house.grant(person)
    with house.store.keyring.grant_secret(person.receipt_id) as secret:
        house.withdraw(person)
        embedding = ConsentedEmbedding(grant, UnitVector(person.face), MODEL)
        with (
            pytest.raises(
                NoLiveConsentError, match="the consent ended while the photos were processed; nothing was stored"
            ),
            house.store.write() as tx,
        ):
            add_reference(tx, embedding, secret, licence="none", photo_count=3)
    assert peek(house.site.home / DATA, "SELECT count(*) FROM biometric_reference") == [(0,)]


def test_a_reference_after_expiry_is_refused_before_the_sweep(house: House) -> None:
    person = house.invite()
    grant = house.grant(person)
    house.clock.move(days=90)

    with pytest.raises(NoLiveConsentError, match="the consent ended while the photos were processed"):
        house.enroll(person, grant)


@pytest.mark.parametrize("ended", ["withdrawn", "expired"])
def test_the_code_refuses_it_even_without_the_rules_of_the_database(
    house: House, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    person = house.invite()
    grant = house.grant(person)
    house.site.close()
    remove_foreign_keys(house.site.home / DATA)
    for rule in ("needs_live_consent", "needs_an_unexpired_consent"):
        drop_triggers(house.site.home / DATA, f"biometric_reference_{rule}")
    monkeypatch.setattr("volens.store.sqlite.database.CatalogueCheck.check", lambda *_: None)
    house.reopen()
    with house.store.keyring.grant_secret(person.receipt_id) as secret:
        if ended == "withdrawn":
            house.withdraw(person)
        else:
            house.clock.move(days=90)
        embedding = ConsentedEmbedding(grant, UnitVector(person.face), MODEL)
        with pytest.raises(NoLiveConsentError, match="nothing was stored"), house.store.write() as tx:
            add_reference(tx, embedding, secret, licence="none", photo_count=3)
    assert peek(house.site.home / DATA, "SELECT count(*) FROM biometric_reference") == [(0,)]


@pytest.mark.parametrize("ended", ["withdrawn", "expired"])
def test_the_database_refuses_it_even_if_the_code_does_not(
    house: House, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    person = house.invite()
    grant = house.grant(person)
    with house.store.keyring.grant_secret(person.receipt_id) as secret:
        if ended == "withdrawn":
            house.withdraw(person)
        else:
            house.clock.move(days=91)
        far = grant.expires_at.replace(year=9998)
        monkeypatch.setattr(LiveConsents, "live_until", lambda *_: far)
        embedding = ConsentedEmbedding(grant, UnitVector(person.face), MODEL)
        with pytest.raises(NoLiveConsentError, match="nothing was stored"), house.store.write() as tx:
            add_reference(tx, embedding, secret, licence="none", photo_count=3)
    assert peek(house.site.home / DATA, "SELECT count(*) FROM biometric_reference") == [(0,)]


@pytest.mark.parametrize(
    "change",
    [
        "SET sealed_embedding = zeroblob(64)",
        "SET receipt_id = receipt_id",
        "SET reference_id = reference_id + 1",
        "SET enrolled_at = '2000-01-01T00:00:00Z'",
    ],
)
def test_a_reference_is_never_changed(house: House, change: str) -> None:
    person = house.admit()
    with pytest.raises(IntegrityError, match="biometric_reference is not changed"), house.store.write() as tx:
        tx.connection.execute(text(f"UPDATE biometric_reference {change}"))
    assert house.sees(person)


def test_a_reference_is_not_replaced_by_one_without_consent(house: House) -> None:
    person = house.admit()
    statement = (
        "INSERT OR REPLACE INTO biometric_reference SELECT reference_id, ?, subject_id, purpose, model_id, "
        "model_licence, sealed_embedding, photo_count, enrolled_at FROM biometric_reference"
    )
    with (
        closing(sqlite3.connect(house.site.home / DATA)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="needs an unexpired consent"),
    ):
        connection.execute(statement, ("f" * 32,))
    assert house.sees(person)


def test_one_reference_of_each_model_under_one_consent(house: House) -> None:
    person = house.admit()
    with pytest.raises(RefusedError, match="already has a reference of this model; to enroll again") as caught:
        house.enroll(person)
    assert type(caught.value) is RefusedError
    assert enroll_as(house, person, OTHER_MODEL) == 2

    with house.store.read() as connection:
        assert has_reference(connection, person.receipt_id, MODEL)
        assert not has_reference(connection, person.receipt_id, ModelId("x@1"))
        assert count_references(connection, LOBBY) == {MODEL: 1, OTHER_MODEL: 1}
        assert reference_ids(connection, LOBBY, MODEL) == {1}
        assert reference_ids(connection, LOBBY, OTHER_MODEL) == {2}
        assert [kept.reference_id for kept in sealed_references(connection, [person.receipt_id])] == [1, 2]
    assert open_all(house, person) == [person.face.tolist()] * 2


def test_candidates_are_those_with_live_consent_of_this_zone_and_model_now(house: House) -> None:
    stayer, leaver = house.admit(), house.admit()
    enroll_as(house, stayer, OTHER_MODEL)
    house.clock.move(days=1)
    later = house.admit()
    house.withdraw(leaver)
    now, ids = house.store.now(), [ReferenceId(number) for number in range(1, 9)]
    end = stayer.take_home.receipt.claims.expires_at

    with house.store.read() as connection:
        cases = {
            (LOBBY, MODEL, now): {stayer.reference_id, later.reference_id},
            (LOBBY, OTHER_MODEL, now): {ReferenceId(3)},
            (Purpose("lab"), MODEL, now): set(),
            (LOBBY, ModelId("x@1"), now): set(),
            (LOBBY, MODEL, end): {later.reference_id},
        }
        for (purpose, model_id, at), expected in cases.items():
            assert set(live_candidates(connection, purpose, model_id, ids, at)) == expected
        assert live_candidates(connection, LOBBY, MODEL, [], now) == {}


def test_references_are_read_in_batches(house: House) -> None:
    people = [house.admit() for _ in range(5)]
    wanted = [person.reference_id for person in people if person.reference_id is not None]
    others = [ReferenceId(number) for number in range(100, 1500)]  # one query takes 500 ids at most

    with house.store.read() as connection:
        asked = [*wanted[:2], *others[:700], *wanted[2:3], *others[700:], *wanted[3:]]
        found = list(references_in(connection, LOBBY, MODEL, asked))
        assert list(references_in(connection, Purpose("lab"), MODEL, wanted)) == []

    assert [reference.reference_id for reference in found] == wanted


def test_a_consent_in_force_finds_its_reference_only_together_with_its_whole_key(house: House) -> None:
    """A row whose owner is not exactly a consent in force is not even read."""
    ann, bob = house.admit(), house.admit()
    tamper(
        house.site.home / DATA,
        "UPDATE biometric_reference SET subject_id = ? WHERE receipt_id = ?",
        bob.subject_id,
        ann.receipt_id,
    )
    with house.store.read() as connection:
        assert sealed_references(connection, [ann.receipt_id]) == []
        assert set(live_candidates(connection, LOBBY, MODEL, [ReferenceId(1), ReferenceId(2)], house.store.now())) == {
            2
        }


def test_each_embedding_is_sealed_under_a_key_of_its_own(house: House) -> None:
    ann, bob = house.admit(), house.admit()
    with house.store.read() as connection:
        (mine,) = sealed_references(connection, [ann.receipt_id])
    owner = mine.receipt
    context = sealing.reference_context(
        mine.reference_id, owner.receipt_id, owner.subject_id, owner.purpose, mine.model_id
    )
    into = bytearray(len(mine.sealed_embedding) - sealing.OVERHEAD_BYTES)
    with (
        house.store.keyring.grant_secret(bob.receipt_id) as other,
        other.reference_key(owner.sha256, MODEL) as key,
        pytest.raises(TamperError, match="does not open"),
    ):
        sealing.open_into(mine.sealed_embedding, key, context, into)
    with house.store.keyring.grant_secret(ann.receipt_id) as own, own.reference_key(owner.sha256, MODEL) as key:
        sealing.open_into(mine.sealed_embedding, key, context, into)
    assert bytes(into) == ann.face.tobytes()


def test_candidates_are_found_by_their_ids_not_by_a_scan(house: House) -> None:
    with house.store.read_prepared() as snapshot:
        assert isinstance(snapshot, SqliteSnapshot)
        sql, names, _fixed = _compiled(references._CANDIDATES)
        plan = snapshot._connection.execute(f"EXPLAIN QUERY PLAN {sql}", ["[]"] * len(names)).fetchall()

    said = [str(row[-1]) for row in plan]
    assert any(one.startswith("SEARCH biometric_reference ") and "rowid=?" in one for one in said), said
