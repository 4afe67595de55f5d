"""Face image quality: unchanged photos pass, and each kind of degradation is refused by its own rule."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from volens.consent.reason import Reason
from volens.face import (
    DetectedFace,
    Extractor,
    PoorQualityError,
    QualityReport,
    QualityRules,
    RgbImage,
    eye_distance_px,
)
from volens.face.alignment import TEMPLATE, nose_offset
from volens.face.quality import assess

RULES = QualityRules()
GOOD = QualityReport(
    detection_score=0.93,
    eye_distance_px=47.0,
    roll_degrees=1.0,
    roll_score=0.93,
    nose_offset=0.05,
    sharpness=0.07,
    directional_sharpness=0.02,
    mean_luma=150.0,
    clipped_dark=0.0,
    clipped_bright=0.0,
    inside_photo=1.0,
    flat_eyes_px=5,
    flat_mouth_px=5,
)


def test_unchanged_photos_pass(extractor: Extractor, astronaut: RgbImage, six_people: RgbImage) -> None:
    RULES.check(extractor.assess(astronaut, extractor.detect(astronaut)[0]))
    found = [extractor.assess(six_people, face) for face in extractor.detect(six_people)]
    # One of them looks aside.
    assert sorted(problem.reason for one in found for problem in RULES.problems(one)) == [Reason.PHOTO_PROFILE]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param({"blur_px": 5.0}, "the face is blurred", id="blur of a tenth of the eye distance"),
        pytest.param({"blur_px": 10.0}, "the face is blurred", id="heavy blur"),
        pytest.param({"gain": 1.5}, "the face is over-exposed", id="too bright"),
        pytest.param({"gain": 2.0}, "the face is over-exposed", id="much too bright"),
        pytest.param({"gain": 0.1}, "the face is under-exposed", id="too dark"),
        pytest.param({"scale": 0.3}, "the face is too small", id="too far away"),
        pytest.param({"moved_px": 18}, "the face is blurred", id="moved to the side"),
        pytest.param({"moved_px": -18}, "the face is blurred", id="moved up or down"),
        pytest.param({"turn_degrees": 45.0}, "the head is tilted by [345][0-9] degrees", id="head on the shoulder"),
        pytest.param({"turn_degrees": -45.0}, "the head is tilted by [345][0-9] degrees", id="on the other shoulder"),
    ],
)
def test_a_degraded_photo_is_refused_for_its_degradation(
    extractor: Extractor,
    astronaut: RgbImage,
    changed: Callable[..., RgbImage],
    spoil: dict[str, float],
    sentence: str,
) -> None:
    photo = changed(astronaut, **spoil)
    face = extractor.detect(photo)[0]
    with pytest.raises(PoorQualityError, match=sentence):
        RULES.check(extractor.assess(photo, face))


PAINTED = {
    "a bar over the eyes": ((-0.5, -0.28, 1.5, 0.28), Reason.PHOTO_EYES_COVERED),
    "dark glasses": ((-0.38, -0.3, 1.38, 0.3), Reason.PHOTO_EYES_COVERED),
    "a bar over the mouth": ((-0.2, 0.9, 1.2, 1.5), Reason.PHOTO_MOUTH_COVERED),
    "a mask": ((-0.4, 0.75, 1.4, 1.9), Reason.PHOTO_MOUTH_COVERED),
}
"""What is painted: left, top, right, bottom in eye distances from the right eye, and what it covers."""


@pytest.mark.parametrize("what", PAINTED)
@pytest.mark.parametrize("colour", [(0, 0, 0), (120, 170, 215), (128, 128, 128)])
def test_what_covers_eyes_or_mouth_is_named(
    extractor: Extractor, six_people: RgbImage, what: str, colour: tuple[int, int, int]
) -> None:
    box, covered = PAINTED[what]
    found: list[list[Reason]] = []
    for face in extractor.detect(six_people):
        if abs(nose_offset(face.landmarks)) > 0.2:
            continue  # the mouth is not where it is painted
        side = eye_distance_px(face.landmarks)
        left, top, right, bottom = (round(float(face.landmarks[0][n % 2]) + one * side) for n, one in enumerate(box))
        pixels = six_people.pixels.copy()
        pixels[max(0, top) : bottom, max(0, left) : right] = colour
        report = assess(RgbImage(pixels), face, roll=0.0)
        found.append([problem.reason for problem in RULES.problems(report)])

    assert len(found) >= 3
    assert all(covered in reasons for reasons in found), found


@pytest.mark.parametrize(
    ("left", "top", "right", "bottom"),
    [
        pytest.param(0, 117, 512, 512, id="begins below the eyes"),
        pytest.param(0, 110, 512, 512, id="begins at the eyes"),
        pytest.param(0, 0, 512, 120, id="ends above the mouth"),
        pytest.param(0, 0, 512, 130, id="ends at the nose"),
        pytest.param(220, 0, 512, 512, id="only the left half"),
        pytest.param(0, 0, 225, 512, id="only the right half"),
    ],
)
def test_a_face_that_is_cut_off_by_the_photos_edge_is_refused(
    extractor: Extractor, astronaut: RgbImage, left: int, top: int, right: int, bottom: int
) -> None:
    cut = RgbImage(astronaut.pixels[top:bottom, left:right])
    (face,) = extractor.detect(cut)
    with pytest.raises(PoorQualityError, match="partly outside the photo"):
        RULES.check(extractor.assess(cut, face))


@pytest.mark.parametrize(
    ("left", "top", "right", "bottom"),
    [
        pytest.param(0, 75, 512, 512, id="without hair"),
        pytest.param(0, 0, 512, 175, id="at the chin"),
        pytest.param(182, 0, 512, 512, id="without the right ear"),
        pytest.param(0, 0, 265, 512, id="without the left ear"),
    ],
)
def test_a_face_at_the_photos_edge_passes(
    extractor: Extractor, astronaut: RgbImage, left: int, top: int, right: int, bottom: int
) -> None:
    cut = RgbImage(astronaut.pixels[top:bottom, left:right])
    (face,) = extractor.detect(cut)
    RULES.check(extractor.assess(cut, face))


def test_each_of_six_people_upside_down_is_refused_for_that(extractor: Extractor, people: list[RgbImage]) -> None:
    refused = 0
    for person in people:
        turned = RgbImage(np.ascontiguousarray(person.pixels[::-1, ::-1]))
        for face in extractor.detect(turned):
            assert extractor.is_turned(turned, face)
            with pytest.raises(PoorQualityError, match="the photo is not upright"):
                RULES.check(replace(GOOD, roll_degrees=extractor.assess(turned, face).roll_degrees))
            refused += 1
    assert refused >= 4  # the detector does not find all of them


@pytest.mark.parametrize("blur", [0.1, 0.2])
def test_blur_is_refused_for_each_of_six_people(
    extractor: Extractor, six_people: RgbImage, changed: Callable[..., RgbImage], blur: float
) -> None:
    for face in extractor.detect(six_people):
        report = assess(changed(six_people, blur_px=blur * eye_distance_px(face.landmarks)), face, roll=0.0)
        assert Reason.PHOTO_BLURRED in [problem.reason for problem in RULES.problems(report)]


def test_sharpness_falls_with_blur_but_not_with_darkness_or_size(
    extractor: Extractor, astronaut: RgbImage, changed: Callable[..., RgbImage]
) -> None:
    face = extractor.detect(astronaut)[0]
    falling = [assess(changed(astronaut, blur_px=sigma), face, roll=0.0).sharpness for sigma in (0, 1, 2, 3, 5, 8, 12)]
    assert falling == sorted(falling, reverse=True)
    assert assess(changed(astronaut, gain=0.4), face, roll=0.0).sharpness == pytest.approx(falling[0], rel=0.1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"detection_score": 0.69}, "hard to detect"),
        ({"eye_distance_px": 19.9}, "too small"),
        ({"roll_degrees": 30.1}, "tilted"),
        ({"roll_degrees": -30.1}, "tilted"),
        ({"nose_offset": 0.351}, "turned aside: the nose is 0.35 eye distances from the middle"),
        ({"nose_offset": -0.351}, "turned aside"),
        ({"sharpness": 0.0079}, "blurred"),
        ({"directional_sharpness": 0.0025}, "blurred by a movement"),
        ({"flat_eyes_px": 101}, "the eyes are covered"),
        ({"flat_mouth_px": 301}, "the mouth is covered"),
        ({"mean_luma": 24.9}, "under-exposed"),
        ({"clipped_dark": 0.51}, "under-exposed"),
        ({"mean_luma": 225.1}, "over-exposed"),
        ({"clipped_bright": 0.26}, "over-exposed"),
        ({"inside_photo": 0.94}, "partly outside the photo: 94% of it is inside"),
        ({"roll_degrees": -179.9}, "not upright: the face is turned by 180 degrees"),
        ({"roll_degrees": 60.1}, "not upright"),
    ],
)
def test_a_value_just_beyond_each_limit_is_refused_with_one_error(change: dict[str, float], sentence: str) -> None:
    RULES.check(GOOD)
    with pytest.raises(PoorQualityError, match=sentence) as caught:
        RULES.check(replace(GOOD, **change))
    assert "expected" in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"detection_score": 0.7},
        {"eye_distance_px": 20.0},
        {"roll_degrees": 30.0},
        {"roll_degrees": -30.0},
        {"nose_offset": 0.35},
        {"sharpness": 0.008},
        {"directional_sharpness": 0.0026},
        {"flat_eyes_px": 100},
        {"flat_mouth_px": 300},
        {"mean_luma": 25.0},
        {"mean_luma": 225.0},
        {"clipped_dark": 0.5},
        {"clipped_bright": 0.25},
        {"inside_photo": 0.95},
    ],
)
def test_a_face_exactly_on_a_limit_passes(change: dict[str, float]) -> None:
    RULES.check(replace(GOOD, **change))


def test_a_roll_that_is_a_guess_is_the_last_reason() -> None:
    turned = replace(GOOD, roll_degrees=170.0, sharpness=0.001)
    assert [one.reason for one in RULES.problems(turned)] == [Reason.PHOTO_TURNED, Reason.PHOTO_BLURRED]
    unsure = replace(turned, roll_score=0.8)
    assert [one.reason for one in RULES.problems(unsure)] == [Reason.PHOTO_BLURRED, Reason.PHOTO_TURNED]


def test_a_flat_patch_has_no_sharpness() -> None:
    flat = RgbImage(np.full((112, 112, 3), 120, dtype=np.uint8))
    face = DetectedFace((0, 0, 112, 112), TEMPLATE.astype(np.float32), 1.0)
    report = assess(flat, face, roll=0.0)
    assert report.sharpness == 0
    assert report.mean_luma == 120
    assert report.clipped_dark == report.clipped_bright == 0


def test_the_edge_of_the_photo_does_not_count_as_sharp() -> None:
    # A soft slope from 60 to 180, cut off in the middle of the face.
    slope = np.linspace(60, 180, 112)[:, None, None] * np.ones((1, 60, 3))
    face = DetectedFace((0, 0, 112, 112), TEMPLATE.astype(np.float32), 1.0)
    assert assess(RgbImage(slope.round().astype(np.uint8)), face, roll=0.0).sharpness < RULES.min_sharpness
