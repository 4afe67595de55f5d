"""People from samples: the astronaut and some of the group, with four photos each."""

from io import BytesIO

from PIL import Image

from benchmarks.group_photo import six_people_photo
from volens.face import Extractor, QualityRules, RgbImage, decode
from volens.service import samples


def actors(count: int) -> list[list[bytes]]:
    """Return four photos (JPEG) of each of some people, at most 4; the fourth is the frame of a door.

    Left out are people of the group whose head is turned too far for enrollment in one of the views.

    Raises:
        ValueError: so many people cannot be enrolled.
    """
    group, extractor = six_people_photo(), Extractor.load_default()
    portraits = [samples.astronaut(), *(samples.around(group, face.box) for face in extractor.detect(group))]
    people = [[_jpeg(view) for view in samples.views(one, 4)] for one in portraits]
    found = [photos for photos in people if all(_can_be_enrolled(photo, extractor) for photo in photos)]
    if len(found) < count:
        raise ValueError(f"got {count} people; expected at most {len(found)}")
    return found[:count]


def _can_be_enrolled(photo: bytes, extractor: Extractor) -> bool:
    image = decode(photo)
    faces = extractor.detect(image)
    return len(faces) == 1 and next(QualityRules().problems(extractor.assess(image, faces[0])), None) is None


def _jpeg(image: RgbImage) -> bytes:
    out = BytesIO()
    Image.fromarray(image.pixels).save(out, "JPEG", quality=92)
    return out.getvalue()
