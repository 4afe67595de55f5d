"""Image formats that are decoded: one list for photos and one for what arrives over the network, with their names."""

from dataclasses import dataclass
from typing import Final, TypeAlias, final

from volens.face.face_errors import ImageError
from volens.face.file_kinds import file_kind


@final
@dataclass(frozen=True, slots=True)
class ImageFormat:
    """One format.

    Attributes:
        name: for people.
        kinds: what `file_kind` calls such files.
        plugin: Pillow's name of the decoder.
        suffixes: of such files in a folder, in lower case.
    """

    name: str
    kinds: tuple[str, ...]
    plugin: str
    media_type: str
    suffixes: tuple[str, ...]


Formats: TypeAlias = tuple[ImageFormat, ...]

_JPEG: Final = ImageFormat("JPEG", ("a JPEG image",), "JPEG", "image/jpeg", (".jpg", ".jpeg"))
_PNG: Final = ImageFormat("PNG", ("a PNG image",), "PNG", "image/png", (".png",))
_WEBP: Final = ImageFormat("WebP", ("a WebP image",), "WEBP", "image/webp", (".webp",))
_HEIC: Final = ImageFormat("HEIC", ("a HEIC image",), "HEIF", "image/heic", (".heic", ".heif"))
_AVIF: Final = ImageFormat("AVIF", ("an AVIF image",), "AVIF", "image/avif", (".avif",))
_BMP: Final = ImageFormat("BMP", ("a BMP image",), "BMP", "image/bmp", (".bmp",))
_PNM: Final = ImageFormat("PPM or PGM", ("a PNM image",), "PPM", "image/x-portable-anymap", (".ppm", ".pgm", ".pnm"))
_TIFF: Final = ImageFormat("TIFF", ("a TIFF image",), "TIFF", "image/tiff", (".tif", ".tiff"))

NETWORK_FORMATS: Final[Formats] = (_JPEG, _PNG, _WEBP)
"""What the HTTP service and a door's folder take: formats that every camera and browser writes."""

PHOTO_FORMATS: Final[Formats] = (*NETWORK_FORMATS, _HEIC, _AVIF, _BMP, _PNM, _TIFF)
"""What the operator's own files may be. HEIC needs the extra `heif`."""


def named(formats: Formats) -> str:
    """Return the names in a sentence: "JPEG, PNG or WebP"."""
    *others, last = [one.name for one in formats]
    return f"{', '.join(others)} or {last}"


def format_of(data: bytes, name: str, formats: Formats) -> ImageFormat:
    """Return which of the formats a file has, by its first bytes; the suffix of its name does not count.

    Raises:
        ImageError: it has none of them; the message says what it is instead, and what to do.
    """
    kind = file_kind(data)
    found = next((one for one in formats if kind in one.kinds), None)
    if found is None:
        expected = f"expected {named(formats)}"
        if kind is None:
            raise ImageError(f"{name} is not a readable image; {expected}; give another file")
        if kind == "an HTML form (multipart/form-data)":
            raise ImageError(f"{name} is {kind}; {expected}; send the image itself as the body, not a form")
        advice = "save it as JPEG or PNG" if kind.endswith("image") else "give the photo itself"
        raise ImageError(f"{name} is {kind}; {expected}; {advice}")
    if found is _HEIC:
        _load_heif(name)
    return found


def _load_heif(name: str) -> None:
    try:
        import pillow_heif  # noqa: PLC0415  an extra
    except ImportError:
        raise ImageError(
            f"{name} is a HEIC image, which needs the extra 'heif': pip install 'volens[heif]'; or save it as JPEG"
        ) from None
    pillow_heif.register_heif_opener(thumbnails=False)  # again each time is harmless
