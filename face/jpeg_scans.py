"""JPEG scans: how often a file makes the decoder go over the whole image.

A progressive JPEG refines the image in several scans, and the decoder goes over all blocks in each of them, even if the
scan has only some bytes. A file of some MiB can have hundreds of thousands, and would keep a thread for hours. Source:
ITU-T T.81, annex B; libjpeg-turbo, "Two Issues with the JPEG Standard" (LJT-01-005).
"""

import re
from typing import Final

from volens.face.face_errors import ImageError

MAX_SCANS: Final = 32
"""Programs write 10 scans (libjpeg), at most about 20 (custom scripts of jpegtran)."""

# Inside a scan: stuffed zeros, fill bytes and restart markers are not the end of it.
_MARKER: Final = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
_SOS, _EOI = 0xDA, 0xD9
_WITHOUT_LENGTH: Final = frozenset({0x01, 0xD8})


def check_scans(data: bytes, name: str) -> None:
    """Check the number of scans of a JPEG; nothing is decoded.

    Raises:
        ImageError: more than `MAX_SCANS`.

    Not checked: whether the file is complete; the decoder does that. Cost: one search of the file for markers.
    """
    if scan_count(data) > MAX_SCANS:
        raise ImageError(
            f"{name} is a JPEG of more than {MAX_SCANS} scans; expected at most that; save it as an ordinary JPEG"
        )


def scan_count(data: bytes) -> int:
    """Return the number of scans of the first image in a JPEG file, at most `MAX_SCANS` + 1.

    What a file has after its first image, such as a video, does not count; nor do previews inside its metadata.
    """
    scans, at = 0, 2
    while scans <= MAX_SCANS and (found := _MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _EOI:
            break
        scans += marker == _SOS
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
    return scans
