"""Pixel types of decoded images to RGB: what cannot be converted rightly is refused, not guessed."""

from io import BytesIO
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from volens.face.face_errors import ImageError

Pixels: TypeAlias = NDArray[np.uint8]

_STRIP_ROWS: Final = 64
_EIGHT_BITS: Final = frozenset({"1", "L", "P", "RGB", "YCbCr", "RGBX"})
_WITH_ALPHA: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_SIXTEEN_BITS: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
# Tags of TIFF 6.0, and what they say of 16-bit grey that is read as it is meant.
_TIFF_GREY: Final = {258: (16,), 339: (1,), 262: 1}  # BitsPerSample, SampleFormat: unsigned, BlackIsZero


def to_rgb(image: Image.Image, name: str) -> Pixels:
    """Return pixels as uint8 (h, w, 3), RGB.

    Grey becomes RGB, 16 bits become 8, transparency becomes white. CMYK is converted by the profile in the file (ICC).

    Raises:
        ImageError: the type of pixels has no conversion that is surely right: floating point, 12 or 32 bits, L*a*b*,
            CMYK without a profile.
    """
    if image.mode in _SIXTEEN_BITS:
        _check_sixteen_bits(image, name)
        # PNG, TIFF and PGM store 16-bit grey as 0..65535; Pillow's own conversion would clip at 255.
        grey = (np.clip(np.asarray(image, dtype=np.int64), 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "CMYK":
        image = _from_cmyk(image, name)
    elif image.mode not in _EIGHT_BITS | _WITH_ALPHA:
        what = "floating-point pixels of unknown range" if image.mode == "F" else f"pixels of type {image.mode}"
        raise _refusal(name, what)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    return _copied(image if image.mode == "RGB" else image.convert("RGB"))


def _copied(image: Image.Image) -> Pixels:
    """Return the pixels of an RGB image, copied some rows at a time.

    A copy at once would hold Python's interpreter lock for as long as 100 MB take, and need three times the memory.
    """
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _check_sixteen_bits(image: Image.Image, name: str) -> None:
    if image.has_transparency_data:
        raise _refusal(name, "16-bit grey pixels with transparency")
    if image.format in {"PNG", "PPM"}:
        return  # Pillow scales what the header declares to 0..65535
    tags = getattr(image, "tag_v2", {})
    if any(tags.get(tag, expected if tag == 339 else None) != expected for tag, expected in _TIFF_GREY.items()):  # noqa: PLR2004
        raise _refusal(name, "grey pixels that are not 16 bits from black to white")


def _from_cmyk(image: Image.Image, name: str) -> Image.Image:
    profile = image.info.get("icc_profile")
    try:
        if profile:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass
    raise _refusal(name, "CMYK pixels without a usable colour profile")


def _refusal(name: str, what: str) -> ImageError:
    return ImageError(f"{name} has {what}; expected RGB or grey with 8 or 16 bits; save it as PNG or JPEG in RGB")
