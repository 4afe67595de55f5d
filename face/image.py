"""Image decoding: untrusted bytes become an RGB array or one ImageError."""

import re
import stat
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final, Self, TypeAlias

import numpy as np
from PIL import Image

from volens.consent.reason import Reason
from volens.face.face_errors import ImageError
from volens.face.image_formats import PHOTO_FORMATS, Formats, format_of, named
from volens.face.image_metadata import orientation, without_metadata
from volens.face.jpeg_scans import check_scans
from volens.face.pixel_budget import MAX_PIXELS, WHOLE_IMAGE, PixelBudget
from volens.face.pixel_types import Pixels, to_rgb

MAX_FILE_BYTES: Final = 32 * 2**20
MIN_SIDE_PX: Final = 16
_FILTER: Final = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_FILTERS: Final = threading.Lock()
# What the values of the EXIF orientation mean: transposed first (rows become columns), then flipped along these axes.
_TURNS: Final[dict[int, tuple[bool, tuple[int, ...]]]] = {
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}


@dataclass(frozen=True, slots=True, eq=False)
class RgbImage:
    """A photo or frame: uint8 (h, w, 3), RGB, 0..255, C-contiguous, read-only view; row 0 is the top.

    `reduced_by`: 1, or how many pixels of the file each side of a pixel stands for, if it was decoded at less size.
    """

    pixels: Pixels = field(repr=False)
    reduced_by: int = field(default=1, repr=False)

    def __post_init__(self) -> None:
        """Check shape and type; a wrong one is a bug of the caller.

        Raises:
            ValueError: the array is not uint8 (h, w, 3), or a side is shorter than `MIN_SIDE_PX`.
        """
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:  # noqa: PLR2004  (h, w, 3)
            raise ValueError(f"got pixels of shape {pixels.shape} and type {pixels.dtype}; expected uint8 (h, w, 3)")
        if min(pixels.shape[:2]) < MIN_SIDE_PX:
            raise ValueError(
                f"got an image of {pixels.shape[1]}x{pixels.shape[0]} px; expected sides of {MIN_SIDE_PX} px"
            )
        view = np.ascontiguousarray(pixels).view()
        view.flags.writeable = False
        object.__setattr__(self, "pixels", view)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    def in_file(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return a box (x, y, width, height) of this image in the pixels of the file that it was decoded from."""
        x, y, width, height = (side * self.reduced_by for side in box)
        return x, y, width, height


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImage:
    """An image file in memory that is not decoded yet; `name` is for error messages.

    Photos of an enrollment and frames of doors are passed like this, so that none is decoded before the consent or the
    zone was checked, and only one at a time is in memory as pixels. A service may decode it elsewhere, with `decoder`.
    """

    data: bytes = field(repr=False)
    name: str = "image"
    formats: Formats = PHOTO_FORMATS
    budget: PixelBudget = WHOLE_IMAGE
    decoder: "Decoder | None" = field(default=None, repr=False)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read one image file, at most `MAX_FILE_BYTES` of it, without decoding it.

        Raises:
            TypeError: `path` is neither a path nor text.
            ImageError: it is missing, a folder, not a regular file or unreadable.
        """
        if not isinstance(path, Path | str):
            raise TypeError(f"got a path of type {type(path).__name__}; expected pathlib.Path or str")
        path = Path(path)
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise ImageError(f"{path} is a folder; expected an image file; give a file")
            # Reading a pipe or a device could block or never end.
            if not stat.S_ISREG(mode):
                raise ImageError(f"{path} is not a regular file; expected an image file; give a file")
            with path.open("rb") as file:
                return cls(file.read(MAX_FILE_BYTES + 1), path.name)
        except FileNotFoundError:
            raise ImageError(f"there is no file {path}; check the path") from None
        except (OSError, ValueError) as error:
            raise ImageError(
                f"cannot read {path} ({type(error).__name__}); check the path and its permissions"
            ) from None

    @property
    def pixel_count(self) -> int:
        """Number of pixels that the header claims; no pixel is decoded.

        Raises:
            ImageError: see `decode`.
        """
        with _opened(self.data, self.name, self.formats) as image:
            count = image.width * image.height
            self.budget.prepare(image, self.name)
            return count

    def decode(self) -> RgbImage:
        """Decode the image; see `decode`.

        Raises:
            ImageError: too large, too small, truncated, or not an image.
        """
        run = decode if self.decoder is None else self.decoder
        return run(self.data, self.name, self.formats, self.budget)


Decoder: TypeAlias = Callable[[bytes, str, Formats, PixelBudget], RgbImage]
"""A function that decodes as `decode` does, with the same result and the same errors."""

Photo: TypeAlias = RgbImage | EncodedImage
"""A photo or frame, decoded or not."""


def decoded(photo: Photo) -> RgbImage:
    """Return a photo as pixels; an encoded one is decoded now.

    Raises:
        ImageError: see `decode`.
    """
    return photo.decode() if isinstance(photo, EncodedImage) else photo


def read_image(path: Path | str) -> RgbImage:
    """Read and decode one image file; reads at most `MAX_FILE_BYTES` into memory.

    Raises:
        TypeError: `path` is neither a path nor text.
        ImageError: it is missing, a folder, not a regular file, unreadable, or refused by `decode`.
    """
    return EncodedImage.read(path).decode()


def decode(
    data: bytes, name: str = "image", formats: Formats = PHOTO_FORMATS, budget: PixelBudget = WHOLE_IMAGE
) -> RgbImage:
    """Decode one image; the size in its header is checked against the limits before any pixel is decoded.

    The bytes are of one of the formats; at most `MAX_FILE_BYTES`, `MAX_PIXELS` and what the budget allows, sides from
    `MIN_SIDE_PX`; a JPEG has at most `MAX_SCANS` scans. EXIF orientation is applied if it can be read; no other
    metadata is used, and none decides whether an image is readable. Pixels become RGB as in `to_rgb`. Of an animation
    or a multi-page file, the first image is used. The first call adds a filter for warnings of Pillow, which are about
    metadata, to this process. Several threads decode at the same time.

    Raises:
        ImageError: too large, too small, truncated, of another format (the message names it), or not an image.

    Not checked: colour profiles (ICC), except those of CMYK; the pixels are treated as sRGB.
    """
    with _opened(data, name, formats) as image:
        is_transposed, flipped = _TURNS.get(orientation(image), (False, ()))
        reduced_by = budget.prepare(image, name)
        pixels = to_rgb(image, name)
        return RgbImage(np.flip(pixels.swapaxes(0, 1) if is_transposed else pixels, flipped), reduced_by)


@contextmanager
def _opened(data: bytes, name: str, formats: Formats) -> Generator[Image.Image]:
    """Yield an image whose header was checked; whatever a decoder raises inside the `with` becomes an ImageError."""
    if not data:
        raise ImageError(f"{name} is empty; expected {named(formats)}; take the photo again")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(
            f"{name} is larger than {MAX_FILE_BYTES // 2**20} MiB; expected at most that; save it smaller or as JPEG",
            reason=Reason.PHOTO_FILE_TOO_LARGE,
        )
    kind = format_of(data, name, formats)
    _ignore_warnings()
    try:
        with Image.open(BytesIO(without_metadata(data)), formats=(kind.plugin,)) as image:
            _check_size(image.size, name)
            if image.format == "JPEG":
                check_scans(data, name)
            yield image
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels(name) from None
    except Exception as error:  # noqa: BLE001  a decoder may raise anything on hostile bytes
        raise ImageError(
            f"{name} is damaged or truncated ({type(error).__name__}); expected a complete {kind.name} file; "
            "copy the file or take the photo again"
        ) from None


def _ignore_warnings() -> None:
    """Ignore the warnings of Pillow, for this process and for good: they are about metadata.

    It warns also about large images, which `_check_size` refuses. `warnings.catch_warnings` would restore the filters
    after each image, but it changes those of the whole process, so that only one thread at a time could decode.
    """
    if _FILTER not in warnings.filters:
        with _FILTERS:
            if _FILTER not in warnings.filters:
                warnings.filterwarnings("ignore", module=r"PIL\.")


def _too_many_pixels(name: str) -> ImageError:
    return ImageError(
        f"{name} has more than {MAX_PIXELS // 10**6} million pixels; expected at most that; scale it down",
        reason=Reason.PHOTO_TOO_MANY_PIXELS,
    )


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(name)
    if min(size) < MIN_SIDE_PX:
        raise ImageError(
            f"{name} has {width}x{height} px; expected sides of {MIN_SIDE_PX} px or more; use a larger photo",
            reason=Reason.PHOTO_TOO_FEW_PIXELS,
        )
