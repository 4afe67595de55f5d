"""People from samples: the astronaut and some of the group, with four photos each."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from benchmarks.group_photo import six_people_photo
from volens.face import Extractor, QualityRules, RgbImage
from volens.service import samples


def actors(count: int) -> list[list[bytes]]:
    """Return four photos (JPEG) of each of some people, at most 5; the fourth is the frame of a door.

    Left out are people of the group whose head is turned too far for enrollment in one of the views.

    Raises:
        ValueError: so many people cannot be enrolled.
    """
    group, extractor = six_people_photo(), Extractor.load_default()
    portraits = [samples.astronaut(), *(samples.around(group, face.box) for face in extractor.detect(group))]
    found = [views for views in (samples.views(one, 4) for one in portraits) if _can_be_enrolled(views, extractor)]
    if len(found) < count:
        raise ValueError(f"got {count} people; expected at most {len(found)}")
    return [[_jpeg(view) for view in views] for views in found[:count]]


def _can_be_enrolled(views: Sequence[RgbImage], extractor: Extractor) -> bool:
    for view in views:
        faces = extractor.detect(view)
        if len(faces) != 1 or next(QualityRules().problems(extractor.assess(view, faces[0])), None):
            return False
    return True


def _jpeg(image: RgbImage) -> bytes:
    out = BytesIO()
    Image.fromarray(image.pixels).save(out, "JPEG", quality=92)
    return out.getvalue()
