"""The gallery compared with an exact oracle of ten lines, also after deletes, double deletes, re-adds and rebuilds."""

import numpy as np
import pytest
from house import DIMENSION, THRESHOLD, House
from numpy.typing import NDArray


class Oracle:
    """Exact search over the expected references."""

    def __init__(self) -> None:
        self.faces: dict[str, NDArray[np.float32]] = {}

    def look_at(self, face: NDArray[np.float32]) -> tuple[str | None, float]:
        scores = {subject: float(np.dot(face, known)) for subject, known in self.faces.items()}
        best = max(scores, key=scores.__getitem__, default=None)
        return (best, scores[best]) if best is not None and scores[best] >= THRESHOLD else (None, 0.0)


def agree(house: House, oracle: Oracle, faces: list[NDArray[np.float32]]) -> None:
    for face in faces:
        match = house.look_at(face, noise=0.0).match
        subject, score = oracle.look_at(face)
        assert (None if match is None else match.subject_id) == subject
        if match is not None:
            assert match.comparison_score == pytest.approx(score, abs=1e-5)


def probes(house: House, oracle: Oracle) -> list[NDArray[np.float32]]:
    """Return probes of all people at every similarity, down to strangers."""
    seen: list[NDArray[np.float32]] = []
    for face in oracle.faces.values():
        noises = (0.03, 0.08, 0.12, 0.15, 0.2)
        seen += [face + house.faces.standard_normal(DIMENSION).astype(np.float32) * noise for noise in noises]
    seen += [house.face() for _ in range(60)]
    return [(face / np.linalg.norm(face)).astype(np.float32) for face in seen]


def test_the_gallery_agrees_with_exact_search_after_any_order_of_changes(house: House) -> None:
    oracle = Oracle()
    for _ in range(70):  # more than one growth of the buffer
        person = house.admit()
        oracle.faces[person.subject_id] = person.face
    agree(house, oracle, probes(house, oracle))

    leavers = [house.people[i] for i in (0, 69, 33, 34, 68, 1)]  # first, last, neighbours
    for person in leavers:
        house.withdraw(person)
        house.withdraw(person)
        del oracle.faces[person.subject_id]
    agree(house, oracle, [*probes(house, oracle), *(person.face for person in leavers)])

    for person in leavers[:3]:  # the same face under a new consent
        again = house.invite()
        again.face = person.face
        house.enroll(again)
        oracle.faces[again.subject_id] = again.face
    agree(house, oracle, probes(house, oracle))

    house.reopen()
    agree(house, oracle, [*probes(house, oracle), *(person.face for person in leavers)])


def test_lookalikes_are_distinguished_by_the_exact_score(house: House) -> None:
    oracle = Oracle()
    first = house.admit()
    oracle.faces[first.subject_id] = first.face
    for closeness in (0.9, 0.95, 0.99):
        twin = house.invite()
        other = house.face()
        twin.face = (closeness * first.face + np.sqrt(1 - closeness**2) * other).astype(np.float32)
        twin.face /= np.linalg.norm(twin.face)
        house.enroll(twin)
        oracle.faces[twin.subject_id] = twin.face
    agree(house, oracle, probes(house, oracle))


def test_an_empty_gallery_matches_no_face(house: House) -> None:
    decision = house.look_at(house.face())

    assert decision.match is None
    assert decision.sealed_opened == 0
