"""Reads QR codes from images: a photo of a phone or of paper, or the file itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from volens.consent import InputError
from volens.face import RgbImage

# OpenCV's two detectors miss different codes, and each misses codes at one size that it reads at another.
_SCALES: Final = (1.0, 0.5, 1.5, 2.0, 0.75)
_SCALES_OF_A_FRAME: Final = (1.0, 0.5)
_STREAM_SIDE_PX: Final = 1280


def qr_texts(path: Path) -> list[str]:
    """Return the text of every QR code in an image, each once.

    Raises:
        InputError: the file is not an image, or no QR code in it can be read.
    """
    from volens.face import read_image  # noqa: PLC0415  loads OpenCV

    for texts in _attempts(read_image(path)):
        if texts:
            return list(dict.fromkeys(texts))
    raise InputError(f"found no readable QR code in {path}; photograph it flat, close and in good light")


def qr_texts_in(frame: RgbImage) -> list[str]:
    """Return the texts of the QR codes that are found at once in a frame of a camera; the next frame may show more."""
    return next((list(dict.fromkeys(texts)) for texts in _attempts(frame, _SCALES_OF_A_FRAME) if texts), [])


def qr_texts_at_door(frame: RgbImage) -> list[str]:
    """Return the same for a frame of a stream, of which a large one is made smaller first.

    Cost: about 40 ms at 640x480, and 85 ms from 1280x720 on.
    """
    import cv2  # noqa: PLC0415  as below

    factor = _STREAM_SIDE_PX / max(frame.width, frame.height)
    if factor >= 1:
        return qr_texts_in(frame)
    size = (max(1, round(frame.width * factor)), max(1, round(frame.height * factor)))
    smaller = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
    return qr_texts_in(RgbImage(np.asarray(smaller, dtype=np.uint8)))


def _attempts(image: RgbImage, scales: Sequence[float] = _SCALES) -> Iterator[list[str]]:
    import cv2  # noqa: PLC0415  a withdrawal must work even if OpenCV cannot be imported

    detectors = (cv2.QRCodeDetector(), cv2.QRCodeDetectorAruco())
    for scale in scales:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = (
            image.pixels
            if scale == 1
            else cv2.resize(image.pixels, None, fx=scale, fy=scale, interpolation=interpolation)
        )
        found: list[str] = []
        for detector in detectors:
            try:
                _seen, texts, _points, _straight = detector.detectAndDecodeMulti(scaled)
                found += [text for text in texts if text] or [detector.detectAndDecode(scaled)[0]]
            except (cv2.error, UnicodeDecodeError):  # a damaged code, or not a code
                continue
        yield [text for text in found if text]
