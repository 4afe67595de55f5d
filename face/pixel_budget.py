"""Pixel budgets: how large an image may be, by what it is for, and at which size a JPEG of it is decoded.

A JPEG decoder can leave out the fine detail of each block of 8x8 pixels (scaled inverse DCT), and then returns an image
of half, a quarter or an eighth of the size, in less time and memory. All sizes are read from the header; no pixel is
decoded before they were checked.
"""

from dataclasses import dataclass
from typing import Final, final

from PIL import Image, JpegImagePlugin

from volens.face.face_errors import ImageError

MAX_PIXELS: Final = 40_000_000
"""Pixels of any image, by its header."""

FORM_PIXELS: Final = 200_000_000
"""Pixels of all encoded photos of one enrollment together, by their headers, so that one form occupies a thread for
seconds, not minutes."""

_REDUCTIONS: Final = (8, 4, 2)


@final
@dataclass(frozen=True, slots=True)
class PixelBudget:
    """The limits of one kind of image.

    Attributes:
        kind: for errors, such as "a frame of a door".
        max_pixels: as decoded, after a JPEG was reduced.
        longest_side_px: a JPEG is decoded at an eighth, a quarter or half of its size, as long as its longest side
            keeps so many pixels; None to decode it whole.
    """

    kind: str
    max_pixels: int
    longest_side_px: int | None = None

    def prepare(self, image: Image.Image, name: str) -> int:
        """Check the size of an opened image, and set the size at which it will be decoded; no pixel is decoded.

        Return by how much it is reduced: 1, 2, 4 or 8 pixels of the file for each side of a pixel.

        Raises:
            ImageError: it would have more pixels than `max_pixels`.
        """
        width, height = image.size
        reduced_by = self._reduction(image)
        if reduced_by > 1:
            image.draft(None, (width // reduced_by, height // reduced_by))
        if image.width * image.height > self.max_pixels:
            raise ImageError(
                f"{name} has {width * height / 10**6:.1f} million pixels; {self.kind} has at most "
                f"{self.max_pixels // 10**6} million, or {MAX_PIXELS // 10**6} million as JPEG; scale it down"
            )
        return reduced_by

    def _reduction(self, image: Image.Image) -> int:
        if self.longest_side_px is None or not isinstance(image, JpegImagePlugin.JpegImageFile):
            return 1
        longest = max(image.size)
        return next((one for one in _REDUCTIONS if longest // one >= self.longest_side_px), 1)


WHOLE_IMAGE: Final = PixelBudget("an image", MAX_PIXELS)
"""An image of the operator's own, decoded whole."""

ENROLLMENT_PHOTO: Final = PixelBudget("a photo", MAX_PIXELS, 3072)
"""A photo of an enrollment form: a face that the detector finds (10 px wide when the photo is scaled to 640 px) keeps
about the 20 px between its eyes that `QualityRules` asks for."""

DOOR_FRAME: Final = PixelBudget("a frame of a door", 16_000_000, 1920)
"""A frame of a door: three times the side that the detector sees, so that 4K (3840 px) is decoded at half its size."""
