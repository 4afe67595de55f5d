"""Pixel budgets: what an image may be is read from its header, and a JPEG is decoded at a reduced size."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFile

from volens.face import EncodedImage, ImageError
from volens.face.pixel_budget import DOOR_FRAME, ENROLLMENT_PHOTO, WHOLE_IMAGE, PixelBudget


def image(width: int, height: int, kind: str, **options: object) -> bytes:
    """Return an image whose left half is white."""
    pixels = np.zeros((height, width), dtype=np.uint8)
    pixels[:, : width // 2] = 255
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("budget", "kind", "size", "decoded"),
    [
        pytest.param(WHOLE_IMAGE, "JPEG", (7000, 5000), (7000, 5000), id="the operator's own files are decoded whole"),
        pytest.param(ENROLLMENT_PHOTO, "JPEG", (4032, 3024), (4032, 3024), id="a photo of a telephone"),
        pytest.param(ENROLLMENT_PHOTO, "JPEG", (7000, 5000), (3500, 2500), id="a photo of 35 million pixels"),
        pytest.param(ENROLLMENT_PHOTO, "PNG", (7000, 5000), (7000, 5000), id="a PNG cannot be reduced"),
        pytest.param(DOOR_FRAME, "JPEG", (1920, 1080), (1920, 1080), id="a camera of 2 million pixels"),
        pytest.param(DOOR_FRAME, "JPEG", (3839, 2160), (3839, 2160), id="a pixel less than 4K"),
        pytest.param(DOOR_FRAME, "JPEG", (3840, 2160), (1920, 1080), id="4K"),
        pytest.param(DOOR_FRAME, "JPEG", (2160, 3841), (1080, 1921), id="4K, upright and odd"),
        pytest.param(DOOR_FRAME, "JPEG", (8000, 5000), (2000, 1250), id="40 million pixels"),
        pytest.param(DOOR_FRAME, "PNG", (4600, 3400), (4600, 3400), id="a PNG within the budget"),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_size_that_its_use_needs(
    budget: PixelBudget, kind: str, size: tuple[int, int], decoded: tuple[int, int]
) -> None:
    encoded = EncodedImage(image(*size, kind), "it", budget=budget)
    result = encoded.decode()
    assert encoded.pixel_count == size[0] * size[1]
    assert (result.width, result.height) == decoded
    assert result.reduced_by == round(size[0] / decoded[0])
    assert result.pixels[0, 3].min() > 240
    assert result.pixels[0, -3].max() < 15


def test_a_progressive_jpeg_and_one_that_was_turned_are_reduced_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown rotated by 90 degrees clockwise
    data = image(4000, 3000, "JPEG", progressive=True, exif=exif.tobytes())
    result = EncodedImage(data, "it", budget=DOOR_FRAME).decode()
    assert (result.width, result.height, result.reduced_by) == (1500, 2000, 2)
    assert result.pixels[3, 0].min() > 240
    assert result.pixels[-3, 0].max() < 15


def test_a_box_of_a_reduced_image_is_returned_in_the_pixels_of_the_file() -> None:
    reduced = EncodedImage(image(8000, 5000, "JPEG"), "it", budget=DOOR_FRAME).decode()
    assert reduced.in_file((10.0, 20.0, 30.0, 40.5)) == (40.0, 80.0, 120.0, 162.0)
    whole = EncodedImage(image(800, 500, "JPEG"), "it", budget=DOOR_FRAME).decode()
    assert whole.in_file((10.0, 20.0, 30.0, 40.5)) == (10.0, 20.0, 30.0, 40.5)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "PPM"])
def test_a_frame_beyond_the_budget_is_refused_by_its_header(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = image(4700, 3500, kind)

    def never(_: ImageFile.ImageFile) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    frame = EncodedImage(data, "the frame", budget=DOOR_FRAME)
    for use in (frame.decode, lambda: frame.pixel_count):
        with pytest.raises(ImageError, match=r"16\.4 million pixels; a frame of a door has at most 16 million"):
            use()
