"""Matching: the index only proposes candidates. Only live consent, the exact score and the signature open a door."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pytest
from house import DIMENSION, MODEL, THRESHOLD, House, Person
from numpy.typing import NDArray
from signing import sign_receipt

from tests.unit.store.raw import DATA, KEYRING, seal_again, tamper
from volens.consent import (
    ConsentGrant,
    InputError,
    ModelId,
    NoLiveConsentError,
    ProbeEmbedding,
    Purpose,
    ReceiptId,
    ReferenceId,
    SiteId,
    SubjectKey,
    TamperError,
    UnitVector,
    VolensError,
    WithdrawalCode,
    permit_probe,
)
from volens.consent._mint import MINT
from volens.consent.errors import DamagedDataError
from volens.consent.receipt import Controller, verify_receipt
from volens.index import Decision, Galleries, Projection, Shortlist, SketchArray, identify, opened, verify_claim
from volens.index.hot_row import HotRow
from volens.store.keys import GrantSecret, Keyring
from volens.store.people import SealedReference, add_consent, sealed_references
from volens.store.promises import zone_of

LOBBY = Purpose("lobby")


def probe(house: House, face: NDArray[np.float32], zone: str = "lobby", model: ModelId = MODEL) -> ProbeEmbedding:
    with house.store.read() as connection:
        permit = permit_probe(zone_of(connection, Purpose(zone)))
    return ProbeEmbedding(permit, UnitVector.normalised(face), model)


def look(house: House, galleries: Galleries, face: NDArray[np.float32], zone: str = "lobby") -> Decision:
    return identify(house.store, galleries, probe(house, face, zone), THRESHOLD, house.store.now())


def frozen(house: House) -> Galleries:
    """Return galleries that are built now and never follow the store again."""
    galleries = Galleries(house.store)
    with house.store.read() as connection:
        galleries.of(connection, LOBBY, MODEL, DIMENSION).generation = 10**9
    return galleries


@dataclass
class Forged:
    """An engine under an attacker's control: it proposes any reference, at any distance."""

    proposals: list[tuple[int, int]]

    def add(self, reference_id: ReferenceId, sketch: SketchArray) -> None:
        """Ignore the sketches."""

    def remove(self, reference_id: ReferenceId) -> bool:
        del reference_id
        return True

    def add_many(self, reference_ids: NDArray[np.int64], sketches: SketchArray) -> None:
        """Ignore the sketches."""

    def _all(self, sketch: SketchArray) -> Shortlist:
        """Return the probe's own sketch for every proposal, the highest possible similarity."""
        ids, distances = zip(*self.proposals, strict=True) if self.proposals else ((), ())
        sketches = np.repeat(sketch[None], len(ids), axis=0)
        return Shortlist(np.array(ids, dtype=np.int64), np.array(distances, dtype=np.int32), sketches)

    def within(self, sketches: SketchArray, distance: int) -> list[Shortlist]:
        del distance
        return [self._all(sketch) for sketch in sketches]

    def shortlists(self, sketches: SketchArray, k: int) -> list[Shortlist]:
        return self.within(sketches, k)

    def copy(self) -> tuple[NDArray[np.int64], SketchArray]:
        return np.empty(0, dtype=np.int64), np.empty((0, 16), dtype=np.uint8)

    def held(self) -> set[ReferenceId]:
        return set()

    def buffers(self) -> Iterator[memoryview]:
        return iter(())

    def __contains__(self, reference_id: ReferenceId) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.proposals)


def forged(house: House, proposals: list[tuple[int, int]]) -> Galleries:
    return Galleries(house.store, lambda _bits: Forged(proposals))


def everyone_at_0(house: House) -> list[tuple[int, int]]:
    return [(person.reference_id, 0) for person in house.people if person.reference_id is not None]


def no_match(decision: Decision) -> bool:
    return decision.match is None and decision.threshold == THRESHOLD


def test_a_known_face_matches_with_the_exact_score(house: House) -> None:
    people = [house.admit() for _ in range(5)]
    for person in people:
        seen = UnitVector.normalised(person.face + np.float32(0.05) * house.face()).array
        decision = look(house, house.galleries, seen)

        match = decision.match
        assert match is not None
        assert (match.reference_id, match.receipt_id) == (person.reference_id, person.receipt_id)
        assert match.subject_id == person.subject_id
        assert match.comparison_score == pytest.approx(float(person.face @ seen), abs=1e-6)
        assert decision.threshold == THRESHOLD
        assert decision.sealed_opened == 1


@pytest.mark.parametrize(("score", "matches"), [(THRESHOLD + 0.001, True), (THRESHOLD - 0.001, False)])
def test_the_threshold_decides_by_the_exact_score(house: House, score: float, matches: bool) -> None:  # noqa: FBT001
    person = house.admit()
    for _ in range(20):
        assert (look(house, house.galleries, at_score(house, person.face, score)).match is not None) is matches


def at_score(house: House, face: NDArray[np.float32], score: float) -> NDArray[np.float32]:
    other = house.face().astype(np.float64)
    other -= other @ face * face
    other /= np.linalg.norm(other)
    return (score * face + math.sqrt(1 - score**2) * other).astype(np.float32)


def test_an_erased_person_in_a_stale_gallery_does_not_match(house: House) -> None:
    leaver, stayer = house.admit(), house.admit()
    stale = frozen(house)
    house.withdraw(leaver)

    with house.store.read() as connection:
        gallery = stale.of(connection, LOBBY, MODEL, DIMENSION)
    (proposals,) = gallery.propose([leaver.face], 0, THRESHOLD)
    assert proposals.ids.tolist() == [leaver.reference_id]
    decision = look(house, stale, leaver.face)
    assert no_match(decision)
    assert decision.sealed_opened == 0
    match = look(house, stale, stayer.face).match
    assert match is not None
    assert match.subject_id == stayer.subject_id


def test_an_expired_consent_does_not_match_before_the_sweep(house: House) -> None:
    person = house.admit()
    house.clock.move(days=90, seconds=-1)
    assert house.sees(person)

    house.clock.move(seconds=1)

    decision = look(house, house.galleries, person.face)
    assert no_match(decision)
    assert decision.sealed_opened == 0


def test_a_consent_for_one_zone_does_not_match_in_another(house: House) -> None:
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=9)
    person = house.admit()

    for galleries in (house.galleries, forged(house, everyone_at_0(house))):
        decision = look(house, galleries, person.face, "lab")
        assert no_match(decision)
        assert decision.sealed_opened == 0


def test_a_reference_of_another_model_is_never_compared(house: House) -> None:
    person = house.admit()
    other = probe(house, person.face, model=ModelId("other@11111111"))
    for galleries in (house.galleries, forged(house, everyone_at_0(house))):
        decision = identify(house.store, galleries, other, THRESHOLD, house.store.now())
        assert no_match(decision)
        assert decision.sealed_opened == 0


def test_an_engine_that_proposes_everyone_cannot_make_a_stranger_match(house: House) -> None:
    people = [house.admit() for _ in range(20)]
    liar = forged(house, everyone_at_0(house))

    for _ in range(10):
        decision = look(house, liar, house.face())
        assert no_match(decision)
        assert decision.sealed_opened == 20
    for person in people[::7]:
        match = look(house, liar, person.face).match
        assert match is not None
        assert match.subject_id == person.subject_id


@pytest.mark.parametrize(
    "proposals",
    [
        [],
        [(0, 0), (-1, 0), (99, 0), (2**62, 0)],
        [(1, 0)] * 16,
        [(1, -5), (2, -(2**31))],
        [(1, 2**31 - 1)],
    ],
    ids=["no proposal", "unknown ids", "one id repeated", "negative distances", "a huge distance"],
)
def test_an_engine_that_returns_nonsense_cannot_make_a_stranger_match(
    house: House, proposals: list[tuple[int, int]]
) -> None:
    house.admit(), house.admit()
    assert no_match(look(house, forged(house, proposals), house.face()))


def test_a_stranger_does_not_match(house: House) -> None:
    for _ in range(30):
        house.admit()
    decisions = [look(house, house.galleries, house.face()) for _ in range(60)]

    assert all(no_match(decision) for decision in decisions)
    # Most strangers open none: the sketch distance says that no candidate can reach the threshold.
    assert sum(decision.sealed_opened for decision in decisions) < 15


def test_a_stranger_far_from_all_references_unwraps_no_secret(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        house.admit()
    with house.store.read() as connection:
        house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
    monkeypatch.setattr(HotRow, "open", lambda *_: pytest.fail("a secret was unwrapped"))

    assert look(house, house.galleries, house.face()) == Decision(None, THRESHOLD, 0)


def test_every_sealed_embedding_that_was_opened_is_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(10):
        house.admit()
    count = []
    original = HotRow.open

    def watched(self: HotRow, keyring: Keyring) -> bool:
        count.append(self.facts.reference_id)
        return original(self, keyring)

    with house.store.read() as connection:
        house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
    monkeypatch.setattr(HotRow, "open", watched)
    for galleries in (house.galleries, forged(house, everyone_at_0(house))):
        with house.store.read() as connection:
            galleries.of(connection, LOBBY, MODEL, DIMENSION)
        for person in house.people:
            count.clear()
            assert look(house, galleries, person.face).sealed_opened == len(count) >= 1


def lookalikes(house: House, face: NDArray[np.float32]) -> Person:
    """Admit 40 people who resemble a face, and one who resembles it more but has a more distant sketch."""
    projection = Projection(house.store.keyring.projection_seed(MODEL), DIMENSION)

    def distance(other: NDArray[np.float32]) -> int:
        return int(np.unpackbits(projection.sketch(other) ^ projection.sketch(face)).sum())

    middle = 128
    others = [other for _ in range(200) if distance(other := at_score(house, face, 0.92)) < middle][:40]
    assert len(others) == 40
    right = next(right for _ in range(200) if distance(right := at_score(house, face, 0.93)) > middle)
    for other in others:
        person = house.invite()
        person.face = other
        house.enroll(person)
    person = house.invite()
    person.face = right
    return house.enroll(person)


def test_the_right_reference_is_found_among_40_lookalikes(house: House) -> None:
    face = house.face()
    right = lookalikes(house, face)
    with house.store.read() as connection:
        gallery = house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
    (nearest,) = gallery.engine.shortlists(gallery.projection.sketch(face)[None], 40)
    assert right.reference_id not in nearest.ids

    decision = look(house, house.galleries, face)

    assert decision.match is not None
    assert decision.match.subject_id == right.subject_id
    assert 1 <= decision.sealed_opened <= 41


def test_the_probe_is_read_and_never_written(house: House) -> None:
    person = house.admit()
    mine = probe(house, person.face)
    before = hashlib.sha256(mine.vector.array.tobytes()).digest()

    identify(house.store, house.galleries, mine, THRESHOLD, house.store.now())

    assert hashlib.sha256(mine.vector.array.tobytes()).digest() == before


def test_a_winner_with_a_broken_signature_is_tampering(house: House) -> None:
    person, other = house.admit(), house.admit()
    stranger = SubjectKey.from_seed(bytes(32)).public.jwk
    grant, seen = house.grant(person), probe(house, person.face)  # admitted before the row was changed
    statement = "UPDATE receipt SET subject_key = ? WHERE receipt_id = ?"
    tamper(house.site.home / DATA, statement, stranger, person.receipt_id)
    seal_again(house.store)

    with pytest.raises(TamperError, match="integrity") as caught:
        house.sees(person)
    assert type(caught.value) in {TamperError, DamagedDataError}, "a receipt that is stored is no mistake of a caller"
    with pytest.raises(TamperError, match="integrity"):
        verify_claim(house.store, grant, seen, THRESHOLD)
    assert house.sees(other)


def test_a_winner_whose_row_outlasts_the_receipt_is_tampering(house: House) -> None:
    person = house.admit()
    for table in ("live_consent", "receipt"):
        tamper(house.site.home / DATA, f"UPDATE {table} SET expires_at = '2199-01-01T00:00:00Z'")  # noqa: S608  names of our own
    seal_again(house.store)
    house.clock.move(days=91)

    with pytest.raises(TamperError, match="integrity: the matched person's receipt is for another site, zone or time"):
        house.sees(person)


def test_a_winner_with_a_receipt_for_another_site_is_tampering(house: House) -> None:
    key = SubjectKey.from_seed(bytes(32))
    now = house.store.now()
    with house.store.read() as connection:
        zone = zone_of(connection, LOBBY)
    elsewhere = Controller(SiteId("elsewhere"), "Other Ltd", "x@example.org")
    signed = sign_receipt(
        zone,
        house.site.notice("lobby"),
        elsewhere,
        receipt_id=ReceiptId("e" * 32),
        jurisdiction="FR",
        key=key,
        now=now,
    )
    receipt = verify_receipt(signed, key.public)
    kept = house.store.keyring.new_grant_secret(receipt.claims.receipt_id, house.bits.randbytes, now)
    with kept as secret, house.store.write() as tx:
        add_consent(tx, receipt, WithdrawalCode.generate(house.bits.randbytes), "Eve", secret)
    grant = ConsentGrant(
        receipt.claims.receipt_id,
        receipt.claims.subject_id,
        LOBBY,
        now,
        receipt.claims.expires_at,
        receipt.sha256,
        mint=MINT,
    )
    eve = Person(None, house.face())  # type: ignore[arg-type]
    house.enroll(eve, grant)

    with pytest.raises(TamperError, match="integrity: the matched person's receipt is for another site, zone or time"):
        look(house, house.galleries, eve.face)


def references(house: House) -> list[SealedReference]:
    with house.store.read() as connection:
        return [one for person in house.people for one in sealed_references(connection, [person.receipt_id])]


def test_embeddings_and_secrets_are_wiped_one_after_the_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [house.admit() for _ in range(3)]
    secrets: list[GrantSecret] = []
    original = type(house.store.keyring).grant_secrets

    def watched(self: object, wanted: object) -> object:
        given = original(self, wanted)  # type: ignore[arg-type]
        secrets.extend(given.values())
        return given

    monkeypatch.setattr(type(house.store.keyring), "grant_secrets", watched)
    vectors = []
    for (reference, vector), person in zip(opened(house.store, references(house)), people, strict=True):
        assert reference.reference_id == person.reference_id
        assert vector.array.tolist() == person.face.tolist()
        assert not any(earlier.array.any() for earlier in vectors)
        vectors.append(vector)

    assert len(vectors) == len(secrets) == 3
    assert not any(vector.array.any() for vector in vectors)
    assert not any(any(secret.buffer) for secret in secrets)


@pytest.mark.parametrize("how", ["breaks off", "fails"])
def test_opened_embeddings_are_wiped_however_the_iteration_ends(house: House, how: str) -> None:
    for _ in range(3):
        house.admit()
    seen: list[UnitVector] = []

    def use() -> None:
        iteration = opened(house.store, references(house))
        for _, vector in iteration:
            seen.append(vector)
            if how == "fails":
                iteration.throw(RuntimeError("the caller failed"))  # type: ignore[attr-defined]
            if how == "breaks off":
                break
        iteration.close()  # type: ignore[attr-defined]

    if how == "fails":
        with pytest.raises(RuntimeError, match="the caller failed"):
            use()
    else:
        use()
    assert len(seen) == 1
    assert not seen[0].array.any()


def test_a_reference_whose_secret_was_destroyed_is_left_out(house: House) -> None:
    leaver, stayer = house.admit(), house.admit()
    before = references(house)  # a snapshot from before the withdrawal
    house.withdraw(leaver)

    assert [one.reference_id for one, _ in opened(house.store, before)] == [stayer.reference_id]


def test_a_reference_in_force_without_its_secret_is_tampering(house: House) -> None:
    person = house.admit()
    tamper(house.site.home / KEYRING, "DELETE FROM grant_secret")
    with pytest.raises(TamperError, match="the keyring has no secret for a consent in force"):
        list(opened(house.store, references(house)))
    with pytest.raises(TamperError, match="the keyring has no secret for a consent in force"):
        claim(house, person, person.face)


def claim(
    house: House, person: Person, face: NDArray[np.float32], zone: str = "lobby", model: ModelId = MODEL
) -> Decision:
    return verify_claim(house.store, house.grant(person), probe(house, face, zone, model), THRESHOLD)


def test_a_claim_matches_the_person_and_no_other(house: House) -> None:
    ann, bob = house.admit(), house.admit()

    decision = claim(house, ann, at_score(house, ann.face, 0.8))

    match = decision.match
    assert match is not None
    assert (match.subject_id, match.receipt_id) == (ann.subject_id, ann.receipt_id)
    assert match.reference_id == ann.reference_id
    assert match.comparison_score == pytest.approx(0.8, abs=1e-5)
    assert claim(house, ann, bob.face) == Decision(None, THRESHOLD, 1)
    assert claim(house, ann, house.face()) == Decision(None, THRESHOLD, 1)
    assert claim(house, ann, at_score(house, ann.face, THRESHOLD - 0.001)).match is None
    assert claim(house, ann, at_score(house, ann.face, THRESHOLD + 0.001)).match is not None


def test_a_claim_needs_a_probe_for_its_own_zone(house: House) -> None:
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=9)
    person = house.admit()
    with pytest.raises(InputError, match="got a probe for zone 'lab'; expected one for 'lobby'"):
        claim(house, person, person.face, "lab")


def test_a_claim_without_an_enrolled_reference_is_refused(house: House) -> None:
    person = house.invite()
    with pytest.raises(
        NoLiveConsentError, match="no reference is enrolled under this consent; enroll the person first"
    ):
        claim(house, person, person.face)
    house.enroll(person)
    with pytest.raises(NoLiveConsentError, match="no reference is enrolled under this consent"):
        claim(house, person, person.face, model=ModelId("other@11111111"))


def test_a_grant_from_before_the_withdrawal_does_not_verify(house: House) -> None:
    person = house.admit()
    grant, seen = house.grant(person), probe(house, person.face)
    house.withdraw(person)
    with pytest.raises(NoLiveConsentError, match="no reference is enrolled under this consent"):
        verify_claim(house.store, grant, seen, THRESHOLD)


def test_a_claim_does_not_go_past_a_broken_seal(house: House) -> None:
    ann, bob = house.admit(), house.admit()
    tamper(
        house.site.home / DATA,
        "UPDATE biometric_reference SET sealed_embedding = "
        "(SELECT sealed_embedding FROM biometric_reference WHERE receipt_id = ?) WHERE receipt_id = ?",
        bob.receipt_id,
        ann.receipt_id,
    )
    for face in (ann.face, bob.face):
        with pytest.raises(VolensError, match="integrity: a sealed value") as caught:
            claim(house, ann, face)
        assert type(caught.value) in {TamperError, DamagedDataError}


def test_consent_is_checked_at_the_given_time(house: House) -> None:
    person = house.admit()
    seen = probe(house, person.face)
    ends: datetime = person.take_home.receipt.claims.expires_at
    assert identify(house.store, house.galleries, seen, THRESHOLD, house.store.now()).match is not None
    assert identify(house.store, house.galleries, seen, THRESHOLD, ends).match is None
