"""Formats, metadata and pixel types: what is not taken is named, and only the pixels decide about an image."""

import sys
import types
import zipfile
import zlib
from importlib.util import find_spec
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFile

from volens.face import EncodedImage, ImageError, decode
from volens.face.image_formats import NETWORK_FORMATS, PHOTO_FORMATS

RED_LEFT = np.zeros((20, 30, 3), dtype=np.uint8)
RED_LEFT[:, :15, 0] = 255
PORTRAIT, TURNED = (20, 30), (30, 20)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(kind: str, **options: object) -> bytes:
    return encoded(Image.fromarray(RED_LEFT), kind, **options)


def zipped(name: str) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


def media(brand: bytes) -> bytes:
    """Build the beginning of an ISO base media file."""
    return (24).to_bytes(4) + b"ftyp" + brand + bytes(4) + b"miaf" + brand + bytes(200)


FORM = b'--4f2a\r\nContent-Disposition: form-data; name="frame"; filename="a.jpg"\r\n\r\n\xff\xd8\xff\xe0'


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (picture("GIF"), "is a GIF image; .* save it as JPEG or PNG"),
        (picture("TIFF"), "is a TIFF image"),
        (picture("BMP"), "is a BMP image"),
        (picture("PPM"), "is a PNM image"),
        (picture("ICO", sizes=[(16, 16)]), r"is an icon \(ICO\)"),
        (picture("AVIF"), "is an AVIF image"),
        (picture("JPEG2000"), "is a JPEG 2000 image"),
        (media(b"heic"), "is a HEIC image"),
        (media(b"mif1"), "is a HEIC image"),
        (media(b"isom"), r"is a video \(MP4 or MOV\)"),
        (media(b"qt  "), r"is a video \(MP4 or MOV\)"),
        (b"\xff\x0a" + bytes(40), "is a JPEG XL image"),
        (b"8BPS\x00\x01" + bytes(40), "is a Photoshop image"),
        (b"%PDF-1.7\n%\xe2\xe3", "is a PDF document"),
        (b"\x1f\x8b\x08" + bytes(40), "is compressed with gzip"),
        (zipped("photo.jpg"), "is a zip archive"),
        (zipped("word/document.xml"), r"is a Word document \(docx\)"),
        (zipped("xl/workbook.xml"), "is an Excel workbook"),
        (FORM, r"is an HTML form \(multipart/form-data\); .* send the image itself as the body, not a form"),
        (b"receipt=eyJ&photo=abc", r"is an HTML form \(urlencoded\)"),
        (b"<!DOCTYPE html><html><body>Sign in", "is an HTML page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg xmlns="x"/>', "is an SVG image"),
        (b"data:image/jpeg;base64,/9j/4AAQ", r"is a data: URL"),
        (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "is an image as base64 text"),
        (b'{"frame": "x"}', "is JSON text"),
        (b"-----BEGIN PRIVATE KEY-----\n", "is a key or certificate"),
        ("photo".encode("utf-16"), "is text in UTF-16"),
        (b"a letter, without any picture", "is text"),
        (b"\x89PNG\n\x1a\n" + bytes(40), "is a PNG image whose line ends were changed"),
        (b"MZ\x90\x00" + bytes(40), "is a program"),
    ],
)
def test_a_file_that_is_not_taken_is_named_by_what_it_is(data: bytes, sentence: str) -> None:
    with pytest.raises(ImageError, match=f"the frame {sentence}") as caught:
        decode(data, "the frame", NETWORK_FORMATS)
    assert "expected JPEG, PNG or WebP" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "BMP", "PPM", "TIFF"])
def test_the_operators_own_photos_may_have_any_listed_format(kind: str) -> None:
    image = decode(picture(kind))
    assert (image.width, image.height) == (30, 20)
    assert image.pixels[10, 3, 0] > 180
    assert image.pixels[10, 27].max() < 80


def test_the_suffix_of_a_name_does_not_decide() -> None:
    assert decode(picture("PNG"), "photo.jpg").width == 30


def test_a_heic_photo_is_read_or_the_extra_is_named() -> None:
    if find_spec("pillow_heif") is None:
        with pytest.raises(
            ImageError, match=r"is a HEIC image, which needs the extra 'heif': pip install 'volens\[heif"
        ):
            decode(media(b"heic"))
        return
    from pillow_heif import from_pillow  # noqa: PLC0415  an extra

    buffer = BytesIO()
    from_pillow(Image.fromarray(RED_LEFT)).save(buffer, quality=95)
    image = decode(buffer.getvalue())
    assert (image.width, image.height) == (30, 20)
    assert image.pixels[10, 3, 0] > 180
    with pytest.raises(ImageError, match="is damaged or truncated"):
        decode(buffer.getvalue()[:-40])


class _ClaimedSize(ImageFile.ImageFile):
    """A decoder in the place of the extra's: the header claims a size, and decoding is an error."""

    format = "HEIF"

    def _open(self) -> None:
        self._size, self._mode = (8_000, 5_001), "RGB"

    def load(self) -> None:
        raise AssertionError("decoded before the size was checked")


def test_the_limit_of_pixels_holds_for_heic_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = types.ModuleType("pillow_heif")
    vars(extra)["register_heif_opener"] = lambda **_: Image.register_open("HEIF", _ClaimedSize)
    monkeypatch.setitem(sys.modules, "pillow_heif", extra)
    for registry in (Image.OPEN, Image.ID):
        monkeypatch.setattr(Image, "OPEN" if registry is Image.OPEN else "ID", registry.copy())
    with pytest.raises(ImageError, match="more than 40 million pixels"):
        decode(media(b"heic"))
    with pytest.raises(ImageError, match="more than 40 million pixels"):
        _ = EncodedImage(media(b"heic")).pixel_count


def jpeg_with(segment: bytes, marker: int = 0xE1) -> bytes:
    data = picture("JPEG", quality=95)
    return data[:2] + bytes([0xFF, marker]) + (len(segment) + 2).to_bytes(2) + segment + data[2:]


def png_with(kind: bytes, body: bytes, *, checksum: bytes | None = None) -> bytes:
    data = picture("PNG")
    crc = zlib.crc32(kind + body).to_bytes(4) if checksum is None else checksum
    return data[:33] + len(body).to_bytes(4) + kind + body + crc + data[33:]


def exif(orientation: object = 1) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010E] = "x" * 40
    return block.tobytes()


def spoilt(block: bytes, at: int, *values: int) -> bytes:
    return block[:at] + bytes(values) + block[at + len(values) :]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(jpeg_with(spoilt(exif(), 14, 0xFF, 0xFF)), id="JPEG, EXIF with too many tags"),
        pytest.param(jpeg_with(spoilt(exif(), 10, 0xFF, 0xFF, 0xFF, 0)), id="JPEG, EXIF with an offset past the end"),
        pytest.param(jpeg_with(exif()[:-9]), id="JPEG, EXIF that is cut off"),
        pytest.param(jpeg_with(b"Exif\0\0"), id="JPEG, empty EXIF"),
        pytest.param(jpeg_with(exif(0)), id="JPEG, orientation 0"),
        pytest.param(jpeg_with(exif(99)), id="JPEG, orientation 99"),
        pytest.param(jpeg_with(b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta"), id="JPEG, XMP that is cut off"),
        pytest.param(jpeg_with(b"JFIF\0", 0xE0), id="JPEG, short JFIF"),
        pytest.param(jpeg_with(b"ICC_PROFILE\0", 0xE2), id="JPEG, short profile"),
        pytest.param(jpeg_with(b"MPF\0II*\0\x08\0\0\0\x05\0" + bytes(30), 0xE2), id="JPEG, broken list of pictures"),
        pytest.param(jpeg_with(b"Photoshop 3.0\x008BIM\x03\xed\0\0", 0xED), id="JPEG, broken Photoshop block"),
        pytest.param(jpeg_with(b"Adobe\0", 0xEE), id="JPEG, short Adobe"),
        pytest.param(jpeg_with(b"\xff\xfe\x00", 0xFE), id="JPEG, comment"),
        pytest.param(png_with(b"tEXt", b"a\0b", checksum=b"abcd"), id="PNG, comment with a wrong checksum"),
        pytest.param(png_with(b"zTXt", b"a\0\0" + zlib.compress(bytes(70 << 20))), id="PNG, huge comment"),
        pytest.param(png_with(b"iCCP", b"a\0\0" + zlib.compress(bytes(70 << 20))), id="PNG, huge profile"),
        pytest.param(png_with(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff"), id="PNG, EXIF with too many tags"),
        pytest.param(png_with(b"eXIf", b"junk", checksum=b"abcd"), id="PNG, EXIF with a wrong checksum"),
        pytest.param(picture("WEBP", quality=95, exif=spoilt(exif(), 14, 0xFF, 0xFF)), id="WebP, EXIF"),
        pytest.param(
            picture("AVIF", quality=95, exif=exif()).replace(exif()[6:], spoilt(exif(), 14, 0xFF, 0xFF)[6:]),
            id="AVIF, EXIF",
        ),
    ],
)
def test_metadata_that_cannot_be_read_is_ignored(data: bytes) -> None:
    image = decode(data)
    assert (image.width, image.height) == (30, 20)
    assert image.pixels[10, 3, 0] > 180
    assert image.pixels[10, 27].max() < 80


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [
        (1, TURNED, (10, 3)),
        (2, TURNED, (10, 27)),
        (3, TURNED, (10, 27)),
        (4, TURNED, (10, 3)),
        (5, PORTRAIT, (3, 10)),
        (6, PORTRAIT, (3, 10)),
        (7, PORTRAIT, (27, 10)),
        (8, PORTRAIT, (27, 10)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_each_orientation_turns_the_pixels_as_pillow_does(
    kind: str, orientation: int, size: tuple[int, int], red_at: tuple[int, int]
) -> None:
    from PIL import ImageOps  # noqa: PLC0415  the oracle

    marked = RED_LEFT.copy()
    marked[:8, :8] = (0, 255, 0)
    data = encoded(Image.fromarray(marked), kind, exif=exif(orientation), **({} if kind == "PNG" else {"quality": 95}))
    image = decode(data)
    oracle = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert (image.width, image.height) == size == oracle.size
    np.testing.assert_array_equal(image.pixels, np.asarray(oracle.convert("RGB")))
    assert image.pixels[red_at][0] > 180


def tiff(pixels: np.ndarray, **tags: int) -> bytes:
    numbers = {"bits": 258, "sample": 339, "photometric": 262}
    return encoded(Image.fromarray(pixels), "TIFF", tiffinfo={numbers[name]: value for name, value in tags.items()})


def patched(data: bytes, tag: int, value: int) -> bytes:
    """Change the value of a short tag of a little-endian TIFF."""
    at = data.index(tag.to_bytes(2, "little") + b"\x03\x00\x01\x00\x00\x00")
    return data[: at + 8] + value.to_bytes(2, "little") + data[at + 10 :]


GREY16 = np.full((20, 20), 0x4D80, dtype=np.uint16)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(tiff(np.ones((20, 20), dtype=np.float32)), "floating-point pixels", id="float"),
        pytest.param(tiff(np.ones((20, 20), dtype=np.int32)), "grey pixels that are not 16 bits", id="32 bits"),
        pytest.param(patched(tiff(GREY16), 262, 0), "grey pixels that are not 16 bits", id="16 bits, white is zero"),
        pytest.param(patched(tiff(GREY16), 258, 12), "grey pixels that are not 16 bits", id="12 bits"),
        pytest.param(
            encoded(Image.new("LAB", (20, 20)), "TIFF"), r"pixels of type LAB; expected RGB or grey", id="L*a*b*"
        ),
        pytest.param(encoded(Image.new("CMYK", (20, 20)), "TIFF"), "CMYK pixels without a usable", id="CMYK, TIFF"),
        pytest.param(encoded(Image.new("CMYK", (20, 20)), "JPEG"), "CMYK pixels without a usable", id="CMYK, JPEG"),
        pytest.param(
            encoded(Image.new("CMYK", (20, 20)), "JPEG", icc_profile=b"junk" * 50), "CMYK pixels", id="broken profile"
        ),
    ],
)
def test_pixels_that_cannot_be_read_rightly_are_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(ImageError, match=f"x has {sentence}"):
        decode(data, "x")


def half_clear(mode: str) -> Image.Image:
    rgba = np.zeros((20, 20, 4), dtype=np.uint8)
    rgba[:10, :, 3] = 255
    return Image.fromarray(rgba).convert(mode)


def indexed(transparency: int | bytes) -> bytes:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.paste(0, (0, 0, 20, 10))
    return encoded(image, "PNG", transparency=transparency)


@pytest.mark.parametrize(
    ("data", "top", "bottom"),
    [
        pytest.param(encoded(half_clear("RGBA"), "PNG"), 0, 255, id="RGBA"),
        pytest.param(encoded(half_clear("LA"), "PNG"), 0, 255, id="grey with alpha"),
        pytest.param(encoded(half_clear("RGBA"), "WEBP", lossless=True), 0, 255, id="WebP with alpha"),
        pytest.param(indexed(1), 0, 255, id="palette, one colour clear"),
        pytest.param(indexed(b"\xff\x00"), 0, 255, id="palette, each colour with its alpha"),
        pytest.param(encoded(Image.new("1", (20, 20), 1), "PNG"), 255, 255, id="one bit"),
        pytest.param(encoded(Image.new("L", (20, 20), 77), "PNG"), 77, 77, id="grey"),
        pytest.param(tiff(GREY16), 0x4D, 0x4D, id="16-bit TIFF"),
        pytest.param(encoded(Image.fromarray(GREY16), "PNG"), 0x4D, 0x4D, id="16-bit PNG"),
        pytest.param(b"P5\n20 20\n4095\n" + b"\x08\x00" * 400, 127, 128, id="PGM with 12 bits"),
        pytest.param(b"P5\n20 20\n65535\n" + b"\x4d\x80" * 400, 0x4D, 0x4D, id="PGM with 16 bits"),
        pytest.param(b"P6\n20 20\n65535\n" + b"\x4d\x80" * 1200, 0x4D, 0x4E, id="PPM with 16 bits"),
    ],
)
def test_pixel_types_that_have_one_meaning_are_converted(data: bytes, top: int, bottom: int) -> None:
    pixels = decode(data).pixels
    assert pixels.shape == (20, 20, 3)
    assert abs(int(pixels[3, 5, 1]) - top) <= 1
    assert abs(int(pixels[15, 5, 1]) - bottom) <= 1


def test_each_media_type_and_suffix_belongs_to_one_format() -> None:
    for names in ([one.media_type for one in PHOTO_FORMATS], [name for one in PHOTO_FORMATS for name in one.suffixes]):
        assert len(names) == len(set(names))
    assert set(NETWORK_FORMATS) < set(PHOTO_FORMATS)
