"""Capture: three good photos of one consenting person become one embedding, anything else is refused."""

import weakref
from collections.abc import Callable
from io import BytesIO
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from volens.consent import ConsentedEmbedding, ConsentGrant, UnitVector
from volens.consent.grant import ProbePermit
from volens.consent.reason import Reason
from volens.enroll import capture_reference
from volens.face import (
    DetectedFace,
    DifferentPeopleError,
    EncodedImage,
    Extractor,
    ImageError,
    NoFaceError,
    Pixels,
    PoorQualityError,
    QualityRules,
    RgbImage,
    SeveralFacesError,
    TooFewPhotosError,
)

EMPTY = RgbImage(np.full((200, 200, 3), 128, dtype=np.uint8))
SEVERAL_EMPTY = [RgbImage(np.full((200, 200, 3), 60 * number, dtype=np.uint8)) for number in range(4)]


@pytest.fixture(scope="session")
def three(astronaut: RgbImage, changed: Callable[..., RgbImage]) -> list[RgbImage]:
    """Three different photos of the astronaut."""
    return [astronaut, changed(astronaut, gain=0.8, turn_degrees=6), changed(astronaut, scale=0.8, turn_degrees=-5)]


class Watched(Extractor):
    """An embedder that records the embeddings that it returned."""

    def consented(self, crop: Pixels, grant: ConsentGrant) -> ConsentedEmbedding:
        embedding = super().consented(crop, grant)
        self.seen.append((embedding.vector.array.copy(), embedding.vector))
        return embedding

    seen: list[tuple[np.ndarray, UnitVector]]


@pytest.fixture
def watched() -> Watched:
    extractor = Watched.load_default()
    extractor.seen = []
    return extractor


def test_three_photos_become_the_mean_and_the_single_vectors_are_wiped(
    watched: Watched, three: list[RgbImage], grant: ConsentGrant
) -> None:
    reported: list[tuple[int, int]] = []
    draft = capture_reference(three, grant, watched, progress=lambda done, total: reported.append((done, total)))
    assert draft.embedding.grant is grant
    assert draft.embedding.model_id == watched.model.model_id
    assert (draft.few, len(draft.qualities)) == (False, 3)
    assert reported == [(1, 3), (2, 3), (3, 3)]
    mean = np.mean([copy for copy, _ in watched.seen], axis=0)
    np.testing.assert_allclose(draft.embedding.vector.array, mean / np.linalg.norm(mean), atol=1e-6)
    assert all(not vector.array.any() for _, vector in watched.seen)


def test_the_reference_is_recognised_in_another_photo(
    extractor: Extractor,
    three: list[RgbImage],
    astronaut: RgbImage,
    changed: Callable[..., RgbImage],
    grant: ConsentGrant,
    permit: ProbePermit,
) -> None:
    draft = capture_reference(three, grant, extractor)
    photo = changed(astronaut, gain=1.1, turn_degrees=9, scale=0.7)
    (probe,) = extractor.probes(photo, extractor.detect(photo), permit)
    score = float(probe.vector.array @ draft.embedding.vector.array)
    assert score > extractor.model.thresholds.identification(200)


def test_without_a_grant_no_model_runs(three: list[RgbImage], permit: ProbePermit) -> None:
    for wrong in (None, permit):
        with pytest.raises(TypeError, match="expected a ConsentGrant"):
            capture_reference(three, wrong, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_photos_are_refused(
    extractor: Extractor, three: list[RgbImage], grant: ConsentGrant, count: int
) -> None:
    with pytest.raises(TooFewPhotosError, match=rf"got {count} photos; expected 3 or more.*--allow-few"):
        capture_reference(three[:count], grant, extractor)
    assert extractor.embeddings_computed == 0


@pytest.mark.parametrize("count", [1, 2])
def test_few_photos_are_taken_on_demand_and_marked(
    extractor: Extractor, three: list[RgbImage], grant: ConsentGrant, count: int
) -> None:
    draft = capture_reference(three[:count], grant, extractor, allow_few=True)
    assert (len(draft.qualities), draft.few) == (count, True)


def test_no_photo_at_all_is_refused_even_on_demand(extractor: Extractor, grant: ConsentGrant) -> None:
    with pytest.raises(TooFewPhotosError, match="got 0 photos"):
        capture_reference([], grant, extractor, allow_few=True)


def test_a_photo_without_a_face_is_named_and_nothing_is_embedded(
    extractor: Extractor, three: list[RgbImage], grant: ConsentGrant
) -> None:
    with pytest.raises(NoFaceError, match="photo 3 shows no face"):
        capture_reference([*three[:2], EMPTY], grant, extractor)
    assert extractor.embeddings_computed == 0


def test_a_photo_with_bystanders_is_named_with_the_count_and_not_embedded(
    extractor: Extractor, three: list[RgbImage], six_people: RgbImage, grant: ConsentGrant
) -> None:
    with pytest.raises(SeveralFacesError, match="photo 2 shows 6 faces; expected one"):
        capture_reference([three[0], six_people, three[1]], grant, extractor)
    assert extractor.embeddings_computed == 0


def test_a_poor_photo_is_named_with_its_reason(
    extractor: Extractor,
    three: list[RgbImage],
    astronaut: RgbImage,
    changed: Callable[..., RgbImage],
    grant: ConsentGrant,
) -> None:
    with pytest.raises(PoorQualityError, match="photo 2: the face is blurred"):
        capture_reference([three[0], changed(astronaut, blur_px=6), three[1]], grant, extractor)
    assert extractor.embeddings_computed == 0


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_that_is_not_upright_is_named(
    extractor: Extractor, three: list[RgbImage], grant: ConsentGrant, quarters: int
) -> None:
    turned = RgbImage(np.ascontiguousarray(np.rot90(three[1].pixels, quarters)))
    with pytest.raises(PoorQualityError, match=r"photo 2.* is not upright") as caught:
        capture_reference([three[0], turned, three[2]], grant, extractor)
    assert (caught.value.reason, caught.value.number) == (Reason.PHOTO_TURNED, 2)
    assert extractor.embeddings_computed == 0


def test_the_same_picture_twice_is_named(extractor: Extractor, three: list[RgbImage], grant: ConsentGrant) -> None:
    again = RgbImage(three[0].pixels.copy())
    with pytest.raises(
        PoorQualityError, match="photo 3 is the same picture as photo 1; expected another one"
    ) as caught:
        capture_reference([three[0], three[1], again], grant, extractor)
    assert (caught.value.reason, caught.value.number) == (Reason.PHOTO_REPEATED, 3)
    assert extractor.embeddings_computed == 0


def test_two_pictures_of_a_person_who_holds_still_are_two(
    extractor: Extractor, three: list[RgbImage], grant: ConsentGrant
) -> None:
    noise = np.random.default_rng(3).integers(-2, 3, three[0].pixels.shape)
    again = RgbImage(np.clip(three[0].pixels + noise, 0, 255).astype(np.uint8))
    assert len(capture_reference([three[0], three[1], again], grant, extractor).qualities) == 3


def test_a_site_may_set_its_own_limits(extractor: Extractor, three: list[RgbImage], grant: ConsentGrant) -> None:
    with pytest.raises(PoorQualityError, match="photo 1: the face is too small"):
        capture_reference(three, grant, extractor, rules=QualityRules(min_eye_distance_px=90))


def test_a_stranger_among_the_photos_is_named_and_every_vector_is_wiped(
    watched: Watched, three: list[RgbImage], people: list[RgbImage], grant: ConsentGrant
) -> None:
    with pytest.raises(DifferentPeopleError, match="does not seem to show the same person") as caught:
        capture_reference([three[0], people[0], three[1]], grant, watched)
    assert "photo 2" in str(caught.value)
    assert len(watched.seen) == 3
    assert all(not vector.array.any() for _, vector in watched.seen)


def test_no_mixture_of_two_people_passes_however_many_photos_of_each(
    extractor: Extractor,
    three: list[RgbImage],
    people: list[RgbImage],
    changed: Callable[..., RgbImage],
    grant: ConsentGrant,
) -> None:
    other = [people[0], changed(people[0], gain=0.8), changed(people[0], turn_degrees=5)]
    for ours in (1, 2, 3):
        for theirs in (1, 2, 3):
            with pytest.raises(DifferentPeopleError):
                capture_reference([*three[:ours], *other[:theirs]], grant, extractor, allow_few=True)


def test_one_pair_of_unlike_poses_is_forgiven_if_the_others_agree(grant: ConsentGrant) -> None:
    # Angles between unit vectors: 0 and 65 degrees score 0.42, below 0.45; both score 0.84 with the one between.
    extractor = Scripted([0.0, 32.5, 65.0])
    draft = capture_reference(SEVERAL_EMPTY[:3], grant, extractor, rules=ANYTHING)
    assert len(draft.qualities) == 3


def test_an_embedding_that_agrees_with_half_of_the_others_only_is_refused(grant: ConsentGrant) -> None:
    extractor = Scripted([0.0, 0.0, 90.0, 90.0])
    with pytest.raises(DifferentPeopleError, match="photo 1"):
        capture_reference(SEVERAL_EMPTY, grant, extractor, rules=ANYTHING)


class OneAtATime(EncodedImage):
    """Notes how many decoded photos are alive when the next one is decoded."""

    decoded: ClassVar[list[weakref.ref[Pixels]]]
    counted: ClassVar[list[int]]

    def decode(self) -> RgbImage:
        self.counted.append(sum(one() is not None for one in self.decoded))
        image = super().decode()
        self.decoded.append(weakref.ref(image.pixels))
        return image


def png(image: RgbImage) -> bytes:
    out = BytesIO()
    Image.fromarray(image.pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def test_encoded_photos_are_decoded_one_at_a_time(
    extractor: Extractor, three: list[RgbImage], grant: ConsentGrant
) -> None:
    OneAtATime.decoded, OneAtATime.counted = [], []
    draft = capture_reference([OneAtATime(png(photo)) for photo in three], grant, extractor)
    assert OneAtATime.counted == [0, 0, 0]
    plain = capture_reference(three, grant, extractor)
    np.testing.assert_array_equal(draft.embedding.vector.array, plain.embedding.vector.array)


def test_photos_with_too_many_pixels_together_are_refused_before_decoding(
    extractor: Extractor, grant: ConsentGrant
) -> None:
    OneAtATime.decoded, OneAtATime.counted = [], []
    blank = OneAtATime(png(RgbImage(np.zeros((5_000, 7_000, 3), dtype=np.uint8))))
    with pytest.raises(ImageError, match="photos 1 to 6 have more than 200 million pixels together"):
        capture_reference([blank] * 8, grant, extractor)
    assert OneAtATime.counted == []


ANYTHING = QualityRules(
    min_detection_score=0,
    min_eye_distance_px=0,
    max_roll_degrees=180,
    max_nose_offset=9,
    min_sharpness=0,
    min_directional_sharpness=0,
    min_mean_luma=0,
    max_clipped_dark=1,
    max_flat_eyes_px=9999,
    max_flat_mouth_px=9999,
)


class Scripted(Extractor):
    """Finds one face everywhere, and gives unit vectors at the given angles."""

    def __init__(self, degrees: list[float]) -> None:
        loaded = Extractor.load_default()
        super().__init__(loaded._detector, loaded._embedder)
        self.degrees = list(degrees)

    def search(self, image: RgbImage, *, thorough: bool = False) -> list[DetectedFace]:  # noqa: ARG002  the same face everywhere
        landmarks = np.array([[80, 80], [120, 80], [100, 100], [85, 120], [115, 120]], dtype=np.float32)
        return [DetectedFace((60, 60, 80, 80), landmarks, 1.0)]

    def consented(self, crop: Pixels, grant: ConsentGrant) -> ConsentedEmbedding:  # noqa: ARG002  the script decides
        angle = np.deg2rad(self.degrees.pop(0))
        return ConsentedEmbedding(grant, UnitVector([np.cos(angle), np.sin(angle)]), self.model.model_id)
