"""Counting scores at an enrollment: with whom a new person's photos are compared, and that no vector is kept."""

import numpy as np
import pytest
from house import House, Person

from volens.consent import UnitVector
from volens.enroll import ReferencePlacement
from volens.enroll.score_counting import count_into, own_scores
from volens.face.embedder import SFACE_MODEL
from volens.store.people.score_counts import ScoreCounts


@pytest.fixture
def staffed(house: House) -> House:
    house.model_id = SFACE_MODEL.model_id
    for _ in range(6):
        house.admit()
    return house


def counted(house: House, photos: list[UnitVector], person: Person | None = None) -> ScoreCounts:
    """Count the scores of a person's photos; by default of a new one."""
    person = person or house.invite()
    grant, counts = house.grant(person), ScoreCounts.none()
    with house.store.read() as connection:
        placement = ReferencePlacement.of(connection, person.take_home.receipt, grant, None, None)
    count_into(counts, house.site.installation, placement, SFACE_MODEL)(photos)
    return counts


def test_each_photo_is_compared_with_the_mean_of_the_others() -> None:
    first, second, third = (np.eye(4, dtype=np.float32)[row] for row in range(3))
    photos = np.stack([first, first, second])
    assert own_scores(photos) == pytest.approx([2**-0.5, 2**-0.5, 0.0])
    assert np.array_equal(photos, np.stack([first, first, second])), "the caller's vectors stay as they are"
    assert len(own_scores(third[None])) == 0


def test_every_photo_is_compared_with_everyone_else_in_force(staffed: House) -> None:
    look_alike = UnitVector(staffed.people[2].face)
    counts = counted(staffed, [look_alike, UnitVector(staffed.face())])
    assert (counts.others.sum(), counts.others[-2:].sum()) == (2 * 6, 1)

    staffed.site.changes.restrict(staffed.people[2].receipt_id)
    staffed.withdraw(staffed.people[3])
    counts = counted(staffed, [look_alike])
    assert (counts.others.sum(), counts.others[-2:].sum()) == (4, 0), "neither the paused nor the erased consent"


def test_a_person_is_not_compared_with_their_own_reference(staffed: House) -> None:
    person = staffed.people[0]
    counts = counted(staffed, [UnitVector(person.face)], person)
    assert (counts.others.sum(), counts.others[-2:].sum()) == (5, 0)


def test_no_more_references_are_opened_than_the_bound_and_always_the_same(
    staffed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.enroll.score_counting.MOST_COMPARED", 3)
    photo = UnitVector(staffed.face())
    first, again = counted(staffed, [photo]), counted(staffed, [photo])
    assert first.others.sum() == 3
    assert np.array_equal(first.others, again.others)


def test_where_people_hold_the_key_nothing_is_compared(staffed: House) -> None:
    staffed.declare("lab", custody="subject_key")
    person = staffed.invite("lab")
    grant, counts = staffed.grant(person), ScoreCounts.none()
    with staffed.store.read() as connection:
        secret = person.take_home.secret
        placement = ReferencePlacement.of(connection, person.take_home.receipt, grant, secret, None)
    count_into(counts, staffed.site.installation, placement, SFACE_MODEL)([UnitVector(staffed.face())] * 3)
    assert not counts
