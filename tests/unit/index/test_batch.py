"""Batch of probes: the decisions of single probes, with one scan and two queries."""

from collections.abc import Sequence

import numpy as np
import pytest
from house import MODEL, THRESHOLD, House
from numpy.typing import NDArray

from tests.unit.store.raw import DATA, seal_again, tamper
from volens.consent import (
    InputError,
    ModelId,
    ProbeEmbedding,
    Purpose,
    RefusedError,
    SubjectKey,
    TamperError,
    UnitVector,
    permit_probe,
)
from volens.index import Decision, FlatEngine, Shortlist, SketchArray, identify, identify_many
from volens.store.promises import zone_of

COUNT = 60


def probes(
    house: House, faces: Sequence[NDArray[np.float32]], zone: str = "lobby", model: ModelId = MODEL
) -> list[ProbeEmbedding]:
    with house.store.read() as connection:
        permit = permit_probe(zone_of(connection, Purpose(zone)))
    return [ProbeEmbedding(permit, UnitVector.normalised(face), model) for face in faces]


def decide(house: House, batch: Sequence[ProbeEmbedding]) -> list[Decision]:
    return identify_many(house.store, house.galleries, batch, THRESHOLD, house.store.now())


def mixed(house: House) -> list[NDArray[np.float32]]:
    """Return noisy faces of all people, one of them twice, and as many strangers, in random order."""
    rng = np.random.default_rng(5)
    faces = [person.face + 0.05 * rng.standard_normal(len(person.face)).astype(np.float32) for person in house.people]
    faces += [faces[0], *(house.face() for _ in house.people)]
    return [faces[one] for one in rng.permutation(len(faces))]


def test_a_batch_gives_the_same_decisions_as_single_probes(house: House) -> None:
    for _ in range(COUNT):
        house.admit()
    batch = probes(house, mixed(house))

    together = decide(house, batch)

    alone = [identify(house.store, house.galleries, one, THRESHOLD, house.store.now()) for one in batch]
    assert [one.match and one.match.receipt_id for one in together] == [
        one.match and one.match.receipt_id for one in alone
    ]
    assert [one.match and round(one.match.comparison_score, 5) for one in together] == [
        one.match and round(one.match.comparison_score, 5) for one in alone
    ]
    assert sum(one.match is not None for one in together) == COUNT + 1


def test_a_batch_costs_one_scan_and_the_first_time_two_queries(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(COUNT):
        house.admit()
    batch = probes(house, [person.face for person in house.people[:32]])
    decide(house, probes(house, [house.face()]))
    asked: list[str] = []
    scan, live = FlatEngine.within, "volens.index.candidate_gate.live_candidates"
    from volens.store.people import live_candidates  # noqa: PLC0415  the one that is watched

    def watched_scan(self: FlatEngine, sketches: SketchArray, distance: int) -> list[Shortlist]:
        asked.append(f"scan of {len(sketches)}")
        return scan(self, sketches, distance)

    def watched_live(*arguments: object) -> object:
        asked.append("consents")
        return live_candidates(*arguments)  # type: ignore[arg-type]

    keyring = type(house.store.keyring)
    secrets = keyring.wrapped

    def watched_secrets(self: object, wanted: object) -> object:
        asked.append("secrets")
        return secrets(self, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(FlatEngine, "within", watched_scan)
    monkeypatch.setattr(live, watched_live)
    monkeypatch.setattr(keyring, "wrapped", watched_secrets)

    assert all(one.match for one in decide(house, batch))
    assert asked == ["scan of 32", "consents", "secrets"]

    asked.clear()
    assert all(one.match for one in decide(house, batch))
    assert asked == ["scan of 32"]


def test_a_batch_does_not_match_after_a_withdrawal(house: House) -> None:
    leaver, stayer = house.admit(), house.admit()
    batch = probes(house, [leaver.face, stayer.face])
    assert all(one.match for one in decide(house, batch))

    house.withdraw(leaver)

    assert [one.match and one.match.receipt_id for one in decide(house, batch)] == [None, stayer.receipt_id]


def test_a_broken_signature_fails_the_whole_batch(house: House) -> None:
    person, other = house.admit(), house.admit()
    stranger = SubjectKey.from_seed(bytes(32)).public.jwk
    tamper(
        house.site.home / DATA, "UPDATE receipt SET subject_key = ? WHERE receipt_id = ?", stranger, person.receipt_id
    )
    seal_again(house.store)

    with pytest.raises(TamperError, match="a stored receipt does not verify"):
        decide(house, probes(house, [other.face, person.face]))


def test_a_batch_is_of_one_zone_and_one_model(house: House) -> None:
    house.admit()
    house.declare("lab")
    one, other_model = probes(house, [house.face()]), probes(house, [house.face()], model=ModelId("other@11111111"))
    for others in (probes(house, [house.face()], "lab"), other_model):
        with pytest.raises(InputError, match="got probes of different zones or models; expected a batch of one"):
            decide(house, one + others)
    assert decide(house, []) == []


def test_a_batch_for_a_zone_where_people_hold_their_keys_is_refused(house: House) -> None:
    house.declare("vault", custody="subject_key")
    with pytest.raises(RefusedError):
        decide(house, probes(house, [house.face(), house.face()], "vault"))


def test_a_probe_of_another_dimension_is_refused_in_one_sentence(house: House) -> None:
    house.admit()
    assert decide(house, probes(house, [house.face()]))[0].match is None

    with pytest.raises(
        InputError, match="got an embedding of 64 dimensions; the gallery of this zone and model has 128"
    ):
        decide(house, probes(house, [np.ones(64, dtype=np.float32)]))


def test_faces_are_read_in_any_memory_layout_and_never_written(house: House) -> None:
    person = house.admit()
    strided = np.repeat(person.face, 2)[::2]
    read_only = person.face.copy()
    read_only.flags.writeable = False
    wide = np.asfortranarray(np.stack([person.face.astype(np.float64)] * 3))[1]
    before = [face.copy() for face in (strided, read_only, wide)]

    decisions = decide(house, probes(house, [strided, read_only, wide]))

    assert [one.match and one.match.receipt_id for one in decisions] == [person.receipt_id] * 3
    for face, earlier in zip((strided, read_only, wide), before, strict=True):
        assert np.array_equal(face, earlier)
