"""Photos to try Volens with, out of installed packages: an astronaut (NASA, public domain) and a group of six."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from volens.consent import UnavailableError
from volens.face import RgbImage, read_image

# Turned by degrees, lit by a factor, scaled: what differs from one photo to the next at a desk.
_VIEWS = ((0, 1.0, 1.0), (4, 1.1, 0.9), (-4, 0.9, 1.1), (3, 1.05, 0.85), (-6, 0.95, 1.2))
_MARGIN = 0.8


def astronaut() -> RgbImage:
    """Return one person, 512x512."""
    return read_image(_packaged("skimage", "data", "astronaut.png"))


def group() -> RgbImage:
    """Return six people, 1280x886."""
    return read_image(_packaged("insightface", "data", "images", "t1.jpg"))


def views(image: RgbImage, count: int) -> list[RgbImage]:
    """Return a photo as if taken again up to five times: turned a little, lit differently, nearer and farther."""
    picture = Image.fromarray(image.pixels)
    seen = []
    for turn_degrees, gain, scale in _VIEWS[:count]:
        size = (round(picture.width * scale), round(picture.height * scale))
        turned = picture.resize(size).rotate(turn_degrees, Image.Resampling.BICUBIC)
        seen.append(RgbImage(np.clip(np.asarray(turned) * gain, 0, 255).astype(np.uint8)))
    return seen


def around(image: RgbImage, box: Sequence[float]) -> RgbImage:
    """Return the part of a photo around a face's box (x, y, width, height)."""
    x, y, width, height = box
    left, top = max(0, round(x - _MARGIN * width)), max(0, round(y - _MARGIN * height))
    right, bottom = round(x + (1 + _MARGIN) * width), round(y + (1 + _MARGIN) * height)
    return RgbImage(np.ascontiguousarray(image.pixels[top:bottom, left:right]))


def _packaged(package: str, *parts: str) -> Path:
    spec = find_spec(package)  # finds the package without importing it
    path = Path(spec.origin).parent.joinpath(*parts) if spec is not None and spec.origin is not None else None
    if path is None or not path.is_file():
        raise UnavailableError(
            f"the photos of the demo come with {package}, which is not installed; run 'make install', or install "
            "volens with the extra 'demo'"
        )
    return path
