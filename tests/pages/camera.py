"""The browser's camera in tests: a video file of sample photos, which is never committed."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from volens.face import RgbImage

SIZE = (640, 480)
FRAMES_OF_EACH = 15


class CameraFile:
    """A motion JPEG that chromium plays again and again as the picture of the camera.

    The browser reads it when a page opens the camera, so a change counts from the next opening. It maps the file into
    memory while it plays, so a change is another file under the same name: if this one became shorter, the browser's
    process for the camera can die, and with it some of the next openings (seen).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.show_nothing()

    def show(self, photos: Sequence[RgbImage]) -> None:
        """Show some photos in turn, half a second each, whole, on a grey background."""
        self._write([_framed(photo) for photo in photos])

    def show_nothing(self) -> None:
        """Show an even grey: no face."""
        self._write([Image.new("RGB", SIZE, (128, 128, 128))])

    @staticmethod
    def save(photo: RgbImage, path: Path) -> None:
        """Save a photo for an upload."""
        Image.fromarray(np.asarray(photo.pixels)).save(path)

    def _write(self, frames: Sequence[Image.Image]) -> None:
        video = bytearray()
        noise = np.random.default_rng(1)
        for frame in frames:
            for _ in range(FRAMES_OF_EACH):
                # As of a real camera: no two frames are the same.
                pixels = np.asarray(frame, np.int16) + noise.integers(-1, 2, (SIZE[1], SIZE[0], 1), np.int16)
                out = BytesIO()
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=92, subsampling=1)
                video += out.getvalue()
        new = self.path.with_suffix(".new")
        new.write_bytes(video)
        new.replace(self.path)


def _framed(photo: RgbImage) -> Image.Image:
    picture = Image.fromarray(np.asarray(photo.pixels))
    picture.thumbnail(SIZE)
    frame = Image.new("RGB", SIZE, (128, 128, 128))
    frame.paste(picture, ((SIZE[0] - picture.width) // 2, (SIZE[1] - picture.height) // 2))
    return frame
