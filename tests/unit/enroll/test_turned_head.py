"""A head turn before an enrollment: one person turned as asked, the reference is theirs, and no vector is left."""

from collections.abc import Callable

import pytest
from presentations import turning_head

from volens.consent import ConsentGrant, EnrollmentError, UnitVector
from volens.consent.embedding import ConsentedEmbedding
from volens.consent.reason import Reason
from volens.enroll import TurnedHead, capture_reference
from volens.face import DifferentPeopleError, Extractor, Pixels, RgbImage
from volens.face.head_turn import Side
from volens.service import samples


@pytest.fixture(scope="module")
def head(loaded: Extractor) -> dict[str, RgbImage]:
    return turning_head(loaded, samples.admiral())


@pytest.fixture
def computed(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> list[UnitVector]:
    """All vectors that are computed under a grant."""
    vectors = list[UnitVector]()
    compute: Callable[[Pixels, ConsentGrant], ConsentedEmbedding] = extractor.consented

    def noted(crop: Pixels, grant: ConsentGrant) -> ConsentedEmbedding:
        made = compute(crop, grant)
        vectors.append(made.vector)
        return made

    monkeypatch.setattr(extractor, "consented", noted)
    return vectors


def reference_of(photo: RgbImage, grant: ConsentGrant, extractor: Extractor) -> UnitVector:
    return capture_reference(samples.views(photo, 3), grant, extractor).embedding.vector


def frames(head: dict[str, RgbImage], first: str, second: str) -> list[RgbImage]:
    return [head[one] for one in ("ahead", first, "ahead", second, "ahead")]


def test_the_person_who_turned_the_head_is_accepted_and_no_vector_is_left(
    extractor: Extractor, grant: ConsentGrant, head: dict[str, RgbImage], computed: list[UnitVector]
) -> None:
    own = reference_of(samples.admiral(), grant, extractor)
    computed.clear()
    TurnedHead(Side.LEFT, frames(head, "left", "right")).check(extractor, grant, own)
    assert len(computed) == 6
    assert not any(vector.array.any() for vector in computed)
    assert own.array.any()


def test_photos_of_another_person_and_heads_that_did_not_turn_are_refused(
    extractor: Extractor, grant: ConsentGrant, head: dict[str, RgbImage], computed: list[UnitVector]
) -> None:
    own = reference_of(samples.admiral(), grant, extractor)
    other = reference_of(samples.astronaut(), grant, extractor)
    right = frames(head, "left", "right")
    computed.clear()
    with pytest.raises(DifferentPeopleError) as refused:
        TurnedHead(Side.LEFT, right).check(extractor, grant, other)
    assert refused.value.reason is Reason.HEAD_OF_ANOTHER
    wrong = (
        [head["ahead"]] * 5,
        frames(head, "right", "left"),
        right[:4],
        [*right, head["ahead"]],
        [*right[:4], samples.astronaut()],
        [*right[:4], samples.strangers()],
    )
    for shown in wrong:
        with pytest.raises(EnrollmentError) as refused_turn:
            TurnedHead(Side.LEFT, shown).check(extractor, grant, own)
        assert refused_turn.value.reason is Reason.HEAD_NOT_TURNED
    assert not any(vector.array.any() for vector in computed)
