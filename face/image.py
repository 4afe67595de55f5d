"""Image decoding: untrusted bytes become an RGB array or one ImageError."""

import re
import stat
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base as ExifTag

from volens.face.face_errors import ImageError

Pixels: TypeAlias = NDArray[np.uint8]

MAX_FILE_BYTES: Final = 32 * 2**20
MAX_PIXELS: Final = 40_000_000
MIN_SIDE_PX: Final = 16
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF")
_FORMAT_NAMES: Final = "JPEG, PNG, WebP, BMP, PPM, PGM or TIFF"
_FILTER: Final = ("error", None, Warning, re.compile(r"PIL\."), 0)
_FILTERS: Final = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class RgbImage:
    """A photo or frame: uint8 (h, w, 3), RGB, 0..255, C-contiguous, read-only view; row 0 is the top."""

    pixels: Pixels = field(repr=False)

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


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImage:
    """An image file in memory that is not decoded yet; `name` is for error messages.

    Photos of an enrollment are passed like this, so that none is decoded before the consent was checked, and only one
    at a time is in memory as pixels.
    """

    data: bytes = field(repr=False)
    name: str = "image"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one image file, at most `MAX_FILE_BYTES` of it, without decoding it.

        Raises:
            ImageError: it is missing, a folder, not a regular file or unreadable.
        """
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
        with _opened(self.data, self.name) as image:
            return image.width * image.height

    def decode(self) -> RgbImage:
        """Decode the image; see `decode`.

        Raises:
            ImageError: too large, too small, truncated, or not an image.
        """
        return decode(self.data, self.name)


def read_image(path: Path) -> RgbImage:
    """Read and decode one image file; reads at most `MAX_FILE_BYTES` into memory.

    Raises:
        ImageError: it is missing, a folder, not a regular file, unreadable, or refused by `decode`.
    """
    return EncodedImage.read(path).decode()


def decode(data: bytes, name: str = "image") -> RgbImage:
    """Decode one image; the size in its header is checked against the limits before any pixel is decoded.

    The bytes are JPEG, PNG, WebP, BMP, PPM, PGM or TIFF; at most `MAX_FILE_BYTES`, `MAX_PIXELS`, sides from
    `MIN_SIDE_PX`. EXIF orientation is applied, grey becomes RGB, 16 bits become 8, transparency becomes white. Of an
    animation or a multi-page file, the first image is used. An image that Pillow warns about is refused: the first call
    adds a warning filter for the modules of Pillow to this process. Several threads decode at the same time.

    Raises:
        ImageError: too large, too small, truncated, or not an image.

    Not checked: colour profiles (ICC); the pixels are treated as sRGB.
    """
    with _opened(data, name) as image:
        turned = image if image.getexif().get(ExifTag.Orientation, 1) == 1 else ImageOps.exif_transpose(image)
        return RgbImage(_to_rgb(turned, name))


@contextmanager
def _opened(data: bytes, name: str) -> Generator[Image.Image]:
    """Yield an image whose header was checked; whatever a decoder raises inside the `with` becomes an ImageError."""
    if not data:
        raise ImageError(f"{name} is empty; expected {_FORMAT_NAMES}; take the photo again")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(
            f"{name} is larger than {MAX_FILE_BYTES // 2**20} MiB; expected at most that; save it smaller or as JPEG"
        )
    _refuse_warnings()
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            _check_size(image.size, name)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a readable image; expected {_FORMAT_NAMES}; give another file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(_too_many_pixels(name)) from None
    except Exception as error:  # noqa: BLE001  a decoder may raise anything on hostile bytes
        raise ImageError(
            f"{name} is damaged or truncated ({type(error).__name__}); expected a complete {_FORMAT_NAMES} file; "
            "copy the file or take the photo again"
        ) from None


def _refuse_warnings() -> None:
    """Make the warnings of Pillow errors, for this process and for good.

    `warnings.catch_warnings` would restore the filters after each image, but it changes those of the whole process, so
    that only one thread at a time could decode.
    """
    if _FILTER not in warnings.filters:
        with _FILTERS:
            if _FILTER not in warnings.filters:
                warnings.filterwarnings("error", module=r"PIL\.")


def _too_many_pixels(name: str) -> str:
    return f"{name} has more than {MAX_PIXELS // 10**6} million pixels; expected at most that; scale it down"


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_many_pixels(name))
    if min(size) < MIN_SIDE_PX:
        raise ImageError(
            f"{name} has {width}x{height} px; expected sides of {MIN_SIDE_PX} px or more; use a larger photo"
        )


def _to_rgb(image: Image.Image, name: str) -> Pixels:
    if image.mode == "F":
        raise ImageError(f"{name} has floating-point pixels of unknown range; expected 8 or 16 bits; save it as PNG")
    if image.mode == "I" or image.mode.startswith("I;16"):
        # PNG, TIFF and PGM store 16-bit grey as 0..65535; Pillow's own conversion would clip at 255.
        grey = (np.clip(np.asarray(image, dtype=np.int64), 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)
