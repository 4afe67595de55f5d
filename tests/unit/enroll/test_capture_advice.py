"""Advice on the person's own pictures: the first thing that is wrong, and the pose."""

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from house import House

from volens.consent import ConsentGrant, NoLiveConsentError
from volens.enroll import advise_capture
from volens.enroll.capture_advice import Advice, Pose, advise
from volens.face import DetectedFace, Extractor, ImageError, RgbImage
from volens.face.alignment import nose_offset
from volens.face.image import EncodedImage
from volens.service import samples


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor.load_default()


@pytest.fixture
def grant(house: House) -> ConsentGrant:
    return house.grant(house.invite())


def scaled(image: RgbImage, factor: float) -> RgbImage:
    return RgbImage(cv2.resize(image.pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR))


def framed(image: RgbImage) -> RgbImage:
    """Return the face large in the picture, as a phone sees it."""
    return RgbImage(np.ascontiguousarray(image.pixels[20:260, 100:340]))


def brighter(image: RgbImage, gain: float, offset: float = 0) -> RgbImage:
    return RgbImage(np.clip(image.pixels * gain + offset, 0, 255).astype(np.uint8))


def turned(image: RgbImage, amount: float) -> RgbImage:
    """Move the nose to a side of the face, which is what a turned head looks like to the landmarks."""
    face = Extractor.load_default().detect(image)[0]
    (nose_x, nose_y), (_x, _y, width, height) = face.landmarks[2], face.box
    rows, columns = np.mgrid[0 : image.height, 0 : image.width].astype(np.float32)
    far = np.hypot((columns - nose_x) / (width / 2), (rows - nose_y + 4) / (height * 0.55))
    moved = columns - (amount * width * np.clip(1 - far**2, 0, 1) ** 2).astype(np.float32)
    return RgbImage(cv2.remap(image.pixels, moved, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


PERSON = samples.astronaut()
NEAR = framed(PERSON)
LARGE = scaled(PERSON, 1.5)


@pytest.mark.parametrize(
    ("picture", "advice"),
    [
        (PERSON, Advice.GOOD),
        (NEAR, Advice.GOOD),
        (RgbImage(np.full((480, 640, 3), 128, np.uint8)), Advice.NO_FACE),
        (samples.group(), Advice.ONE_PERSON),
        (scaled(PERSON, 0.5), Advice.CLOSER),
        (RgbImage(np.ascontiguousarray(PERSON.pixels[55:185, 160:290])), Advice.FARTHER),
        (RgbImage(np.ascontiguousarray(PERSON.pixels[:, 225:])), Advice.WHOLE_FACE),
        (brighter(PERSON, 0.08), Advice.MORE_LIGHT),
        (brighter(PERSON, 1.0, 140), Advice.LESS_LIGHT),
        (RgbImage(cv2.GaussianBlur(LARGE.pixels, (0, 0), 5)), Advice.HOLD_STILL),
        (RgbImage(np.asarray(samples.Image.fromarray(PERSON.pixels).rotate(40))), Advice.UPRIGHT),
    ],
    ids=lambda one: one.value if isinstance(one, Advice) else "",
)
def test_the_first_thing_that_is_wrong_is_said(
    extractor: Extractor, grant: ConsentGrant, picture: RgbImage, advice: Advice
) -> None:
    assert advise(picture, grant, extractor) is advice


@pytest.mark.parametrize(
    ("amount", "pose", "advice"),
    [
        (0, Pose.STRAIGHT, Advice.GOOD),
        (0, Pose.LEFT, Advice.TURN_LEFT),
        (0, Pose.RIGHT, Advice.TURN_RIGHT),
        (0.25, Pose.LEFT, Advice.GOOD),
        (0.25, Pose.STRAIGHT, Advice.LOOK_STRAIGHT),
        (0.25, Pose.RIGHT, Advice.TURN_RIGHT),
        (-0.2, Pose.RIGHT, Advice.GOOD),
        (-0.2, Pose.ANY, Advice.GOOD),
    ],
)
def test_a_pose_is_told_by_the_nose_between_the_eyes(
    extractor: Extractor, grant: ConsentGrant, amount: float, pose: Pose, advice: Advice
) -> None:
    assert advise(turned(LARGE, amount), grant, extractor, pose) is advice


@pytest.mark.parametrize(("nose_x", "offset"), [(50.0, 0.0), (60.0, 0.25), (40.0, -0.25)])
def test_the_offset_is_in_eye_distances_and_signed(nose_x: float, offset: float) -> None:
    landmarks = np.array([[30, 40], [70, 40], [nose_x, 60], [35, 80], [65, 80]], np.float32)
    face = DetectedFace((0, 0, 100, 100), landmarks, 0.9)
    assert nose_offset(face.landmarks) == pytest.approx(offset)


def test_without_a_grant_nothing_is_computed(extractor: Extractor) -> None:
    with pytest.raises(TypeError, match="ConsentGrant"):
        advise(PERSON, cast("ConsentGrant", object()), extractor)


def test_a_picture_is_decoded_only_after_the_receipt_was_admitted(house: House, extractor: Extractor) -> None:
    person = house.invite()
    receipt = person.take_home.receipt
    with pytest.raises(ImageError):
        advise_capture(house.site.installation, lambda: extractor, receipt, EncodedImage(b"no image"))
    house.withdraw(person)
    with pytest.raises(NoLiveConsentError):
        advise_capture(house.site.installation, lambda: extractor, receipt, EncodedImage(b"no image"))


def test_advice_computes_no_embedding(house: House, extractor: Extractor, tmp_path: Path) -> None:
    before = extractor.embeddings_computed
    picture = tmp_path / "photo.png"
    samples.Image.fromarray(PERSON.pixels).save(picture)
    person = house.invite()
    image = EncodedImage.read(picture)
    assert advise_capture(house.site.installation, lambda: extractor, person.take_home.receipt, image) is Advice.GOOD
    assert extractor.embeddings_computed == before
