"""Six people out of installed packages: the astronaut and five of the group, photographed four times each."""

from io import BytesIO
from typing import Final

from PIL import Image

from volens.face import Extractor, RgbImage
from volens.service import samples

_TILTED: Final = 1
"""The one of the group who holds her head too far to the side to be enrolled in every view."""


def actors(count: int) -> list[list[bytes]]:
    """Return four photos (JPEG) of each of some people, at most 6; the fourth is what a door sees."""
    group = samples.group()
    faces = Extractor.load_default().detect(group)
    upright = [face for number, face in enumerate(faces) if number != _TILTED]
    portraits = [samples.astronaut(), *(samples.around(group, face.box) for face in upright)]
    return [[_jpeg(view) for view in samples.views(portrait, 4)] for portrait in portraits[:count]]


def _jpeg(image: RgbImage) -> bytes:
    out = BytesIO()
    Image.fromarray(image.pixels).save(out, "JPEG", quality=92)
    return out.getvalue()
