"""Face detection: faces and their positions, at any size and shape of photo."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from volens.face import YUNET, DetectedFace, Extractor, ModelCache, ModelMissingError, RgbImage, YuNetDetector


@pytest.fixture(scope="module")
def detector() -> YuNetDetector:
    return YuNetDetector(ModelCache.default().read(YUNET.name))


def test_the_face_is_found_with_eyes_nose_and_mouth_in_place(detector: YuNetDetector, astronaut: RgbImage) -> None:
    (face,) = detector.detect(astronaut)
    assert face.detection_score > 0.9
    x, y, width, height = face.box
    assert (x, y, width, height) == pytest.approx((178, 62.6, 90.4, 113.9), abs=3)
    assert face.landmarks.shape == (5, 2)
    assert face.landmarks.dtype == np.float32
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
    assert (face.landmarks >= [x, y]).all()
    assert (face.landmarks <= [x + width, y + height]).all()


def test_six_people_are_six_faces_largest_first(detector: YuNetDetector, six_people: RgbImage) -> None:
    faces = detector.detect(six_people)
    areas = [face.box[2] * face.box[3] for face in faces]
    assert len(faces) == 6
    assert areas == sorted(areas, reverse=True)


def test_the_decoding_agrees_with_that_of_opencv(detector: YuNetDetector, six_people: RgbImage) -> None:
    # 640x443 px after scaling; OpenCV pads with black to multiples of 32 as we do.
    size = (640, round(six_people.height * 640 / six_people.width))
    small = cv2.resize(six_people.pixels, size, interpolation=cv2.INTER_AREA)
    oracle = cv2.FaceDetectorYN.create(str(ModelCache.default().status()[0].path), "", size, 0.6, 0.3, 1000)
    _, rows = oracle.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    expected = sorted(rows.tolist(), key=lambda row: -row[2] * row[3])
    faces = detector.detect(RgbImage(small))
    assert len(faces) == len(expected)
    for face, row in zip(faces, expected, strict=True):
        np.testing.assert_allclose(face.box, row[:4], atol=0.1)
        np.testing.assert_allclose(face.landmarks.ravel(), row[4:14], atol=0.1)
        assert face.detection_score == pytest.approx(row[14], abs=1e-3)


@pytest.mark.parametrize("scale", [0.2, 0.4, 1.7, 6.0])
def test_a_face_is_found_at_the_same_place_at_any_photo_size(
    detector: YuNetDetector, astronaut: RgbImage, changed: Callable[..., RgbImage], scale: float
) -> None:
    (at_full_size,) = detector.detect(astronaut)
    (face,) = detector.detect(changed(astronaut, scale=scale))
    np.testing.assert_allclose(face.landmarks / scale, at_full_size.landmarks, atol=7)


@pytest.mark.parametrize("turn", [-60, -45, -30, 0, 15, 30, 45, 60])
def test_a_known_rotation_is_measured_clockwise_positive(
    detector: YuNetDetector, astronaut: RgbImage, changed: Callable[..., RgbImage], turn: int
) -> None:
    photo = changed(astronaut, turn_degrees=-turn)  # OpenCV turns counter-clockwise
    assert detector.roll_degrees(photo, detector.detect(photo)[0]) == pytest.approx(turn, abs=15)


@pytest.mark.parametrize("turn", [180, 135, -135])
def test_the_roll_is_measured_over_the_whole_circle(
    detector: YuNetDetector, astronaut: RgbImage, changed: Callable[..., RgbImage], turn: int
) -> None:
    photo = changed(astronaut, turn_degrees=-turn)
    face = max(detector.detect(photo), key=lambda one: one.detection_score)
    assert (detector.roll_degrees(photo, face) - turn + 180) % 360 - 180 == pytest.approx(0, abs=20)
    assert detector.is_turned(photo, face)


@pytest.mark.parametrize("turn", [-40, -30, 0, 30, 40])
def test_a_tilted_face_is_not_turned(
    detector: YuNetDetector, astronaut: RgbImage, changed: Callable[..., RgbImage], turn: int
) -> None:
    photo = changed(astronaut, turn_degrees=-turn)
    assert not detector.is_turned(photo, detector.detect(photo)[0])


def test_an_upright_face_is_looked_at_once_to_know_that_it_is_not_turned(
    detector: YuNetDetector, six_people: RgbImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces, sides = detector.detect(six_people), list[int]()
    score = detector._score_in_middle
    monkeypatch.setattr(
        detector, "_score_in_middle", lambda blob, within: sides.append(blob.shape[3]) or score(blob, within)
    )
    assert not any(detector.is_turned(six_people, face) for face in faces)
    assert sides.count(96) == len(faces)
    assert len(sides) <= len(faces) + 4  # one of the six is looked at again, a little larger, at four angles


def test_a_face_that_is_found_at_no_angle_has_no_roll(detector: YuNetDetector, astronaut: RgbImage) -> None:
    (face,) = detector.detect(astronaut)
    assert detector.roll_degrees(RgbImage(np.zeros((512, 512, 3), dtype=np.uint8)), face) == 0


def test_sides_that_are_no_multiple_of_32_are_padded(detector: YuNetDetector, astronaut: RgbImage) -> None:
    cut = RgbImage(astronaut.pixels[: 512 - 13, : 512 - 101])
    (face,) = detector.detect(cut)
    (whole,) = detector.detect(astronaut)
    np.testing.assert_allclose(face.landmarks, whole.landmarks, atol=3)


def test_a_smaller_longest_side_misses_small_faces(detector: YuNetDetector, six_people: RgbImage) -> None:
    assert len(detector.detect(six_people, longest_side=64)) < 6


def test_a_higher_score_threshold_keeps_fewer_faces(detector: YuNetDetector, six_people: RgbImage) -> None:
    scores = sorted(face.detection_score for face in detector.detect(six_people))
    assert len(detector.detect(six_people, score_threshold=(scores[0] + scores[1]) / 2)) == 5
    assert detector.detect(six_people, score_threshold=1.0) == []


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.zeros((200, 300, 3), dtype=np.uint8), id="black"),
        pytest.param(np.full((16, 16, 3), 255, dtype=np.uint8), id="white and tiny"),
        pytest.param(np.full((16, 4000, 3), 90, dtype=np.uint8), id="a narrow strip"),
        pytest.param(np.random.default_rng(7).integers(0, 256, (240, 320, 3), dtype=np.uint8), id="noise"),
    ],
)
def test_a_photo_without_a_face_gives_no_face(detector: YuNetDetector, pixels: np.ndarray) -> None:
    assert detector.detect(RgbImage(pixels)) == []


def test_detection_is_deterministic_and_does_not_change_the_photo(extractor: Extractor, astronaut: RgbImage) -> None:
    before = astronaut.pixels.copy()
    first, again = extractor.detect(astronaut)[0], extractor.detect(astronaut)[0]
    np.testing.assert_array_equal(astronaut.pixels, before)
    np.testing.assert_array_equal(first.landmarks, again.landmarks)
    assert first.box == again.box


def test_the_repr_of_a_face_shows_its_box_and_no_landmarks(extractor: Extractor, astronaut: RgbImage) -> None:
    face: DetectedFace = extractor.detect(astronaut)[0]
    assert "landmarks" not in repr(face)


def test_bytes_that_are_not_a_model_are_refused() -> None:
    with pytest.raises(ModelMissingError, match="run 'volens models pull'"):
        YuNetDetector(b"not a model")


def test_zero_threads_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="0 threads"):
        YuNetDetector(b"", threads=0)
