"""Six people from samples: the astronaut and five of the group, with four photos each."""

from io import BytesIO
from typing import Final

from PIL import Image

from benchmarks.group_photo import six_people_photo
from volens.face import Extractor, RgbImage
from volens.service import samples

_TILTED: Final = 1
"""Index of a person of the group whose head is turned too far for enrollment in every view."""


def actors(count: int) -> list[list[bytes]]:
    """Return four photos (JPEG) of each of some people, at most 6; the fourth is the frame of a door."""
    group = six_people_photo()
    faces = Extractor.load_default().detect(group)
    upright = [face for number, face in enumerate(faces) if number != _TILTED]
    portraits = [samples.astronaut(), *(samples.around(group, face.box) for face in upright)]
    return [[_jpeg(view) for view in samples.views(portrait, 4)] for portrait in portraits[:count]]


def _jpeg(image: RgbImage) -> bytes:
    out = BytesIO()
    Image.fromarray(image.pixels).save(out, "JPEG", quality=92)
    return out.getvalue()
