"""Image metadata: never a reason to refuse an image. Only the orientation is used, and only if it can be read."""

import zlib
from typing import Final

from PIL import Image
from PIL.ExifTags import Base as ExifTag

_UPRIGHT: Final = 1
_LAST_ORIENTATION: Final = 8

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LENGTH_AND_TYPE: Final = 8
_PNG_CHUNK: Final = 12
_TRANSPARENCY: Final = b"tRNS"
_EXIF: Final = b"eXIf"
_ANCILLARY: Final = 0x20

_START_OF_IMAGE: Final = b"\xff\xd8"
_MARKER: Final = 0xFF
_MARKER_AND_LENGTH: Final = 4
_FIRST_SEGMENT: Final = 0xC0
_START_OF_SCAN: Final = 0xDA
_APP0, _APP15, _COMMENT = 0xE0, 0xEF, 0xFE
# Application segments that decide how pixels are shown, with the size from which libjpeg reads them.
_NEEDED_IN_JPEG: Final = ((b"JFIF\0", 14), (b"Adobe", 12), (b"ICC_PROFILE\0", 15), (b"Exif\0\0", 14))


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) if there is none, or it cannot be read."""
    try:
        found = image.getexif().get(ExifTag.Orientation, _UPRIGHT)
    except Exception:  # noqa: BLE001  a reader of metadata may raise anything on hostile bytes
        return _UPRIGHT
    return found if isinstance(found, int) and _UPRIGHT <= found <= _LAST_ORIENTATION else _UPRIGHT


def without_metadata(data: bytes) -> bytes:
    """Return a JPEG or PNG without what is not needed to show its pixels upright; other files unchanged.

    Pillow refuses a PNG for a comment with a wrong checksum or a large one, and a JPEG for an application segment that
    is too short for its name. A file that is cut off stays so.
    """
    if data.startswith(_PNG_SIGNATURE):
        return _png_without_metadata(data)
    return _jpeg_without_metadata(data) if data.startswith(_START_OF_IMAGE) else data


def _png_without_metadata(data: bytes) -> bytes:
    parts = [_PNG_SIGNATURE]
    at = len(_PNG_SIGNATURE)
    while at + _LENGTH_AND_TYPE <= len(data):
        end = at + _PNG_CHUNK + int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        is_needed = not kind[0] & _ANCILLARY or kind == _TRANSPARENCY
        if is_needed or (kind == _EXIF and zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])):
            parts.append(data[at:end])
        at = end
    return b"".join(parts)


def _jpeg_without_metadata(data: bytes) -> bytes:
    parts = [_START_OF_IMAGE]
    at = len(_START_OF_IMAGE)
    while at + _MARKER_AND_LENGTH <= len(data) and data[at] == _MARKER:
        marker = data[at + 1]
        if marker == _MARKER:  # a fill byte
            at += 1
            continue
        if marker < _FIRST_SEGMENT or marker == _START_OF_SCAN:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == _COMMENT or _APP0 <= marker <= _APP15:
            body = data[at + _MARKER_AND_LENGTH : end]
            is_needed = any(body.startswith(name) and len(body) >= size for name, size in _NEEDED_IN_JPEG)
        else:
            is_needed = True
        if is_needed:
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, data[at:]])
