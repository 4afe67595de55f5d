"""A photo of six people, for tests and benchmarks on this machine.

It comes with the package insightface, which has no licence for it that we know of: it is never published, and the demo
does not use it.
"""

from importlib.util import find_spec
from pathlib import Path

from volens.face import RgbImage, read_image


def six_people_photo() -> RgbImage:
    """Return six faces, 1280x886."""
    spec = find_spec("insightface")  # not imported: it would load its own detector
    if spec is None or spec.origin is None:
        raise RuntimeError("the package insightface is missing; run 'make install'")
    return read_image(Path(spec.origin).parent / "data" / "images" / "t1.jpg")
