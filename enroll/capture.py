"""Capture: several photos of one person with consent become one embedding, or an error that says what to improve."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from volens.consent import ConsentedEmbedding, ConsentGrant, UnitVector, VolensError
from volens.consent.reason import Reason
from volens.face import (
    DetectedFace,
    DifferentPeopleError,
    EncodedImage,
    Extractor,
    ImageError,
    NoFaceError,
    Pixels,
    PoorQualityError,
    QualityReport,
    QualityRules,
    RgbImage,
    SeveralFacesError,
    TooFewPhotosError,
)
from volens.face.face_errors import NotLiveError
from volens.face.image import Photo, decoded
from volens.face.liveness import Liveness, Look
from volens.face.pixel_budget import FORM_PIXELS

MIN_PHOTOS: Final = 3
DEFAULT_RULES: Final = QualityRules()
_SAME_PICTURE: Final = 0.1
"""Mean difference of two aligned faces, in grey levels of 255, below which they are one picture.

It is low because a person who holds still differs from themselves by little more than the noise of the camera.
"""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceDraft:
    """The mean of the photos' embeddings, ready to be sealed; the caller wipes its vector after that.

    There is one quality report for each photo, in order. `few`: there were fewer than `MIN_PHOTOS`.
    """

    embedding: ConsentedEmbedding
    qualities: tuple[QualityReport, ...]
    few: bool


def capture_reference(
    photos: Sequence[Photo],
    grant: ConsentGrant,
    extractor: Extractor,
    *,
    rules: QualityRules = DEFAULT_RULES,
    liveness: Liveness | None = None,
    allow_few: bool = False,
    progress: Callable[[int, int], None] | None = None,
    count: Callable[[Sequence[UnitVector]], None] = lambda _: None,
) -> ReferenceDraft:
    """Make one embedding out of several photos of one person.

    1. There are 3 photos or more, and encoded ones have at most `FORM_PIXELS` by their headers.
    2. One photo at a time is decoded, shows exactly one face of good quality, which the model `liveness`, if there is
       one, takes for live, and is not the same picture as an earlier one. Only the face is kept, 112 by 112 pixels; all
       photos are checked before the first embedding is computed.
    3. Each photo's embedding is computed under the grant.
    4. Each photo agrees with the others: the median of its comparison scores with them reaches the 1:1 threshold. A
       median tolerates one unlucky pair of poses, but no mixture of two people: the photos of the person who has at
       most half of them score low against most of the others.
    5. The mean of the unit vectors is scaled to norm 1; the vectors behind it and the faces are wiped.

    Measured on the AT&T faces (39 people): three photos of one person are refused in 0.6 % of all choices (1.6 % if
    every pair had to agree instead of the median); of 1,482 mixtures 2 + 1 and as many 3 + 3, none is accepted.

    With `allow_few`, 1 or 2 photos are enough, and the reference is less reliable. `progress` is called with the number
    of photos done and the total, `count` with the embeddings of the single photos before they are wiped (5.).

    Raises:
        TypeError: `grant` is not a ConsentGrant, or a photo is no image; no photo was decoded, and no model was run.
        TooFewPhotosError: 1.
        ImageError: 1, or a photo is not a readable image.
        NoFaceError, SeveralFacesError, PoorQualityError, NotLiveError: 2; the message names the photo, by its file if
            it has one.
        DifferentPeopleError: 4.

    Not checked: liveness, without a model for it, and whether the face is the grant's owner's.
    """
    if not isinstance(grant, ConsentGrant):
        raise TypeError(f"got {type(grant).__name__}; expected a ConsentGrant; get one from volens.consent.gate.admit")
    for photo in photos:
        if not isinstance(photo, RgbImage | EncodedImage):
            raise TypeError(
                f"got a photo of type {type(photo).__name__}; expected RgbImage or EncodedImage; use read_image"
            )
    names = [_name(photo, number) for number, photo in enumerate(photos, start=1)]
    # 1.
    few = len(photos) < MIN_PHOTOS
    if not photos or (few and not allow_few):
        raise TooFewPhotosError(
            f"got {len(photos)} photos; expected {MIN_PHOTOS} or more; take more, or accept a less reliable reference "
            "with --allow-few"
        )
    _check_pixels(photos)
    # 2.
    crops: list[Pixels] = []
    qualities: list[QualityReport] = []
    vectors: list[UnitVector] = []
    try:
        for number, (name, photo) in enumerate(zip(names, photos, strict=True), start=1):
            with _about_photo(number):
                image = decoded(photo)
                face, quality = _one_good_face(image, name, extractor, rules)
                _check_live(image, face, name, liveness)
                crops.append(extractor.crop(image, face))
                _check_another_picture(crops, names)
            qualities.append(quality)
            del image  # before the next one is decoded
        # 3.
        for crop in crops:
            vectors.append(extractor.consented(crop, grant).vector)
            if progress:
                progress(len(vectors), len(photos))
        # 4. and 5.
        mean = _agreeing_mean(vectors, names, extractor.model.thresholds.claim_value)
        count(vectors)
    finally:
        for crop in crops:
            crop.fill(0)
        for vector in vectors:
            vector.wipe()
    embedding = ConsentedEmbedding(grant, mean, extractor.model.model_id)
    return ReferenceDraft(embedding, tuple(qualities), few)


@contextmanager
def _about_photo(number: int) -> Generator[None]:
    """Let an error of the block say which photo it is about."""
    try:
        yield
    except VolensError as error:
        error.number = number
        raise


def _name(photo: Photo, number: int) -> str:
    return photo.name if isinstance(photo, EncodedImage) else f"photo {number}"


def _check_pixels(photos: Sequence[Photo]) -> None:
    together = 0
    for number, photo in enumerate(photos, start=1):
        if isinstance(photo, EncodedImage):
            with _about_photo(number):
                together += photo.pixel_count
        if together > FORM_PIXELS:
            raise ImageError(
                f"photos 1 to {number} have more than {FORM_PIXELS // 10**6} million pixels together; expected "
                "at most that; send fewer photos, or scale them down",
                reason=Reason.PHOTO_TOO_MANY_PIXELS,
            )


def _one_good_face(
    photo: RgbImage, name: str, extractor: Extractor, rules: QualityRules
) -> tuple[DetectedFace, QualityReport]:
    found = extractor.search(photo, thorough=True)
    if not found:
        if (degrees := extractor.turned_by(photo)) is not None:
            raise PoorQualityError(
                f"{name} is not upright: a face is found if it is turned by {degrees} degrees; turn the photo, and "
                "check how the camera is mounted",
                reason=Reason.PHOTO_TURNED,
            )
        raise NoFaceError(
            f"{name} shows no face that the detector finds; expected one, upright and lit from the front; "
            "take it again",
            reason=Reason.PHOTO_NO_FACE,
        )
    if len(found) > 1:
        raise SeveralFacesError(
            f"{name} shows {len(found)} faces; expected one, of the person who agreed; take the photo again, "
            "or crop the other faces",
            reason=Reason.PHOTO_SEVERAL_FACES,
        )
    quality = extractor.assess(photo, found[0])
    try:
        rules.check(quality)
    except PoorQualityError as error:
        raise PoorQualityError(f"{name}: {error}", reason=error.reason) from None
    return found[0], quality


def _check_live(image: RgbImage, face: DetectedFace, name: str, liveness: Liveness | None) -> None:
    """Examine each photo alone, so that the person learns which one to take again."""
    if liveness is not None and not liveness.examine([Look(image, face, 0.0)]).passed:
        raise NotLiveError(
            f"{name}: the liveness model does not take this for a live face; expected a photo of the person, not of a "
            "print or a screen; take it again in good light",
            reason=Reason.PHOTO_NOT_LIVE,
        )


def _check_another_picture(crops: Sequence[Pixels], names: Sequence[str]) -> None:
    """Refuse the last picture if an earlier one is the same: it adds nothing to the reference."""
    last = crops[-1].astype(np.int16)
    for name, crop in zip(names, crops[:-1], strict=False):
        if float(np.abs(crop - last).mean()) < _SAME_PICTURE:
            raise PoorQualityError(
                f"{names[len(crops) - 1]} is the same picture as {name}; expected another one, with the head held a "
                "little differently; take it again",
                reason=Reason.PHOTO_REPEATED,
            )


def _agreeing_mean(vectors: Sequence[UnitVector], names: Sequence[str], threshold: float) -> UnitVector:
    """Return the normalised mean; `vectors` stay as they are.

    Raises:
        DifferentPeopleError: a photo does not agree with the others.
    """
    stack = np.stack([vector.array for vector in vectors])
    try:
        # Not `stack @ stack.T`: a BLAS copies the factors into a buffer of its own and does not clear it.
        scores = np.einsum("id,jd->ij", stack, stack)
        count = len(vectors)
        for row in range(count if count > 1 else 0):
            agreement = float(np.median(np.delete(scores[row], row)))
            if agreement < threshold:
                error = DifferentPeopleError(
                    f"{names[row]} does not seem to show the same person as the others: median comparison score "
                    f"{agreement:.2f}, expected {threshold:.2f} or more; use photos of one person, or take it again",
                    reason=Reason.PHOTO_OTHER_PERSON,
                )
                error.number = row + 1
                raise error
        mean = stack.mean(axis=0)
        try:
            return UnitVector.normalised(mean)
        finally:
            mean.fill(0)
    finally:
        stack.fill(0)
