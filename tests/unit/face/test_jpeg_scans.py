"""JPEG scans: a file that makes the decoder go over the image thousands of times is refused before it is decoded."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFile

from volens.face import EncodedImage, ImageError
from volens.face.jpeg_scans import MAX_SCANS, scan_count

_SOS = b"\xff\xda"
_EOI = b"\xff\xd9"


def jpeg(**options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return out.getvalue()


def with_scans(count: int) -> bytes:
    """Return a progressive JPEG whose last scan, a refinement, is repeated."""
    whole = jpeg(progressive=True)
    last = whole.rindex(_SOS)
    scan = whole[last : whole.rindex(_EOI)]
    return whole[:last] + scan * (count - scan_count(whole) + 1) + _EOI


def after_the_header(data: bytes, inserted: bytes) -> bytes:
    return data[:2] + inserted + data[2:]


SEGMENT_OF_SCANS = b"\xff\xe1" + (2 + 3 * 5 * 100).to_bytes(2, "big") + (_SOS + b"\x00") * 500


@pytest.mark.parametrize(
    ("data", "scans"),
    [
        pytest.param(jpeg(), 1, id="baseline"),
        pytest.param(jpeg(restart_marker_blocks=1), 1, id="with restart markers"),
        pytest.param(jpeg(progressive=True), 10, id="progressive"),
        pytest.param(with_scans(MAX_SCANS), MAX_SCANS, id="as many as are taken"),
        pytest.param(with_scans(MAX_SCANS + 1), MAX_SCANS + 1, id="one more"),
        pytest.param(with_scans(500), MAX_SCANS + 1, id="counting ends at one more"),
        pytest.param(after_the_header(jpeg(), SEGMENT_OF_SCANS), 1, id="a preview in the metadata"),
        pytest.param(jpeg() + _SOS * 500, 1, id="a video after the image"),
        pytest.param(jpeg().replace(_SOS, b"\xff\xff\xff\xda"), 1, id="fill bytes before a marker"),
        pytest.param(after_the_header(with_scans(500), b"\xff\x01"), MAX_SCANS + 1, id="a marker without a length"),
        pytest.param(jpeg()[:-2], 1, id="cut off"),
        pytest.param(b"\xff\xd8\xff", 0, id="three bytes"),
    ],
)
def test_the_scans_of_the_first_image_are_counted(data: bytes, scans: int) -> None:
    assert scan_count(data) == scans


def test_too_many_scans_are_refused_before_a_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EncodedImage(with_scans(MAX_SCANS)).decode().width == 96

    def never(_: ImageFile.ImageFile) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    with pytest.raises(ImageError, match="the frame is a JPEG of more than 32 scans"):
        EncodedImage(with_scans(MAX_SCANS + 1), "the frame").decode()
