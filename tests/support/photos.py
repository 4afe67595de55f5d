"""Photos of an astronaut and of a group, cut out of installed packages: nothing of them is in the repository."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from enroll import RgbImage, read


def packaged(package: str, *parts: str) -> Path:
    """Return a file of an installed package without importing the package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*parts)


ASTRONAUT = packaged("skimage", "data", "astronaut.png")
GROUP = packaged("insightface", "data", "images", "t1.jpg")


def astronaut() -> RgbImage:
    return read(ASTRONAUT)


def group() -> RgbImage:
    return read(GROUP)


def views(image: RgbImage, count: int) -> Sequence[RgbImage]:
    """Return a photo as taken again: turned a little, lit a little differently, nearer and farther."""
    picture = Image.fromarray(image.pixels)
    seen = []
    for turn, gain, scale in ((0, 1.0, 1.0), (4, 1.1, 0.9), (-4, 0.9, 1.1), (2, 1.05, 0.8), (-6, 0.95, 1.2))[:count]:
        size = (round(picture.width * scale), round(picture.height * scale))
        turned = picture.resize(size).rotate(turn, Image.Resampling.BICUBIC)
        seen.append(RgbImage(np.clip(np.asarray(turned) * gain, 0, 255).astype(np.uint8)))
    return seen


def cropped(image: RgbImage, box: Sequence[float], margin: float = 0.8) -> RgbImage:
    """Return the part of a photo around a face."""
    x, y, width, height = box
    left, top = max(0, round(x - margin * width)), max(0, round(y - margin * height))
    right, bottom = round(x + (1 + margin) * width), round(y + (1 + margin) * height)
    return RgbImage(np.ascontiguousarray(image.pixels[top:bottom, left:right]))
