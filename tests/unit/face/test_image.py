"""Image decoding: untrusted bytes become one RGB array or one error."""

import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from PIL import Image, ImageFile

from volens.face import EncodedImage, ImageError, RgbImage, decode, read_image
from volens.face.image import MAX_FILE_BYTES

RED_LEFT = np.zeros((20, 30, 3), dtype=np.uint8)
RED_LEFT[:, :15, 0] = 255


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """Build a PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF", "WEBP"])
def test_every_format_gives_rgb_in_the_same_order(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decode(encoded(RED_LEFT, kind, **options))
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    assert (image.width, image.height) == (30, 20)
    np.testing.assert_array_equal(image.pixels, RED_LEFT)


def test_a_jpeg_keeps_red_on_the_left() -> None:
    pixels = decode(encoded(RED_LEFT, "JPEG", quality=95)).pixels
    assert pixels[10, 3, 0] > 200
    assert pixels[10, 3, 2] < 50
    assert pixels[10, 27].max() < 50


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: to be shown rotated by 90 degrees clockwise
    image = decode(encoded(RED_LEFT, "JPEG", quality=95, exif=exif.tobytes()))
    assert (image.width, image.height) == (20, 30)
    assert image.pixels[3, 10, 0] > 200
    assert image.pixels[27, 10, 0] < 50


def test_grey_becomes_three_equal_channels() -> None:
    pixels = decode(encoded(np.full((20, 20), 77, dtype=np.uint8), "PNG")).pixels
    assert pixels.shape == (20, 20, 3)
    assert (pixels == 77).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight_and_are_not_clipped(kind: str) -> None:
    pixels = decode(encoded(np.full((20, 20), 0x4D80, dtype=np.uint16), kind)).pixels
    assert (pixels == 0x4D).all()


def test_a_sixteen_bit_pgm_is_not_clipped() -> None:
    data = b"P5\n20 20\n65535\n" + b"\x4d\x80" * 400
    assert (decode(data).pixels == 0x4D).all()


def test_transparency_becomes_white() -> None:
    rgba = np.zeros((20, 20, 4), dtype=np.uint8)
    rgba[:10, :, 3] = 255
    pixels = decode(encoded(rgba, "PNG")).pixels
    assert (pixels[:10] == 0).all()
    assert (pixels[10:] == 255).all()


def test_a_png_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(ImageError, match="more than 40 million pixels"):
        decode(png_claiming(50_000, 50_000), "bomb.png")


def test_too_many_pixels_are_refused_even_where_pillow_only_warns() -> None:
    with pytest.raises(ImageError, match="more than 40 million pixels"):
        decode(png_claiming(8_000, 5_001))
    with pytest.raises(ImageError, match="more than 40 million pixels"):
        decode(png_claiming(10_000, 10_000))


def test_a_tiny_image_is_refused() -> None:
    with pytest.raises(ImageError, match=r"dot\.png has 15x40 px; expected sides of 16 px"):
        decode(encoded(np.zeros((40, 15, 3), dtype=np.uint8), "PNG"), "dot.png")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"", "is empty", id="zero bytes"),
        pytest.param(b"hello, this is text, not a photo" * 10, "is text; expected JPEG, PNG", id="text"),
        pytest.param(bytes(range(200)), "not a readable image", id="nothing known"),
        pytest.param(encoded(RED_LEFT, "PNG")[:60], "damaged or truncated", id="truncated PNG"),
        pytest.param(encoded(RED_LEFT, "JPEG")[:-200], "damaged or truncated", id="truncated JPEG"),
        pytest.param(bytes(MAX_FILE_BYTES + 1), "larger than 32 MiB", id="too many bytes"),
        pytest.param(png_claiming(64, 64), "damaged or truncated", id="header that claims more rows than there are"),
    ],
)
def test_bytes_that_are_not_a_photo_are_refused_with_one_error(data: bytes, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence) as caught:
        decode(data, "x.bin")
    assert str(caught.value).startswith("x.bin ")
    assert "\n" not in str(caught.value)


def test_decoding_adds_one_warning_filter_and_adds_it_again_after_it_was_lost() -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for _ in range(3):
            decode(encoded(RED_LEFT, "PNG"))
        assert [(what, module.pattern) for what, _, _, module, _ in warnings.filters] == [("ignore", r"PIL\.")]
        warnings.resetwarnings()
        decode(encoded(RED_LEFT, "PNG"))
        assert len(warnings.filters) == 1


def test_one_image_is_decoded_while_another_is_still_being_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, entered, released = encoded(RED_LEFT, "PNG"), threading.Event(), threading.Event()
    load = ImageFile.ImageFile.load

    def held_up(image: ImageFile.ImageFile) -> object:
        if threading.current_thread() is thread:
            entered.set()
            assert released.wait(PATIENCE_S)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", held_up)
    thread = threading.Thread(target=decode, args=(slow,))
    thread.start()
    try:
        assert entered.wait(PATIENCE_S)
        assert decode(encoded(RED_LEFT, "PNG")).width == 30
        assert thread.is_alive()
    finally:
        released.set()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_the_pixels_of_an_encoded_image_are_counted_by_its_header() -> None:
    assert EncodedImage(png_claiming(6_000, 5_000)).pixel_count == 30_000_000  # its pixels cannot be decoded
    with pytest.raises(ImageError, match="more than 40 million pixels"):
        _ = EncodedImage(png_claiming(8_000, 5_001)).pixel_count


@pytest.mark.parametrize("kind", [Path, str])
def test_a_file_is_read_by_its_path_or_by_text(tmp_path: Path, kind: Callable[[Path], Path | str]) -> None:
    (tmp_path / "a.png").write_bytes(encoded(RED_LEFT, "PNG"))
    np.testing.assert_array_equal(read_image(kind(tmp_path / "a.png")).pixels, RED_LEFT)


def test_a_path_of_another_type_is_a_type_error_of_one_sentence() -> None:
    with pytest.raises(TypeError, match=r"got a path of type bytes; expected pathlib\.Path or str"):
        read_image(b"a.png")  # type: ignore[arg-type]


def test_missing_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path, sentence in [
        (tmp_path / "missing.png", "there is no file"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.png", "is not a regular file"),
        (Path("nul\0byte.png"), "cannot read"),
    ]:
        with pytest.raises(ImageError, match=sentence):
            read_image(path)


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError  # root, who runs many test machines, may read everything

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match="PermissionError"):
        read_image(path)


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(8 * 2**30)  # sparse: reading it whole would take 8 GiB of memory
    with pytest.raises(ImageError, match="larger than 32 MiB"):
        read_image(path)


def test_an_image_is_read_only_and_its_repr_shows_no_pixels() -> None:
    image = RgbImage(RED_LEFT)
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0] = 1
    assert repr(image) == "RgbImage()"


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.zeros((20, 20), dtype=np.uint8), id="grey"),
        pytest.param(np.zeros((20, 20, 4), dtype=np.uint8), id="four channels"),
        pytest.param(np.zeros((20, 20, 3), dtype=np.float32), id="floats"),
        pytest.param(np.zeros((15, 20, 3), dtype=np.uint8), id="too low"),
    ],
)
def test_an_array_of_another_shape_or_type_is_a_value_error(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        RgbImage(pixels)
