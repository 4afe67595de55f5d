"""Kinds of files by their first bytes, to name in an error what was sent instead of an image. Nothing is decoded."""

import re
from typing import Final

_BEGINNING_BYTES: Final = 4096

# Brands of ISO base media files (ISO/IEC 14496-12), by which HEIF, AVIF and videos differ.
_BRANDS: Final = (
    ((b"avif", b"avis"), "an AVIF image"),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "a HEIC image"),
    ((b"crx ",), "a raw photo of a camera (CR3)"),
)

_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"II+\x00", "a TIFF image"),
    (b"MM\x00+", "a TIFF image"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"8BPS", "a Photoshop image (PSD)"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "a Word document (RTF)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1aE\xdf\xa3", "a video (WebM or Matroska)"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
_ZIPS: Final = (
    (b"word/", "a Word document (docx)"),
    (b"xl/", "an Excel workbook (xlsx)"),
    (b"ppt/", "a PowerPoint file (pptx)"),
    (b"opendocument", "an OpenDocument file"),
)
_TEXTS: Final = (
    (re.compile(rb"--[^\r\n]{1,200}\r?\ncontent-disposition:", re.IGNORECASE), "an HTML form (multipart/form-data)"),
    (re.compile(rb"(<!doctype html|<html)", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"(<\?xml[^>]*>\s*(<!--.*?-->\s*)*)?(<!doctype svg|<svg)", re.IGNORECASE | re.DOTALL), "an SVG image"),
    (re.compile(rb"data:[a-z]+/[a-z0-9.+-]+;base64,", re.IGNORECASE), "a data: URL (base64 text)"),
    (re.compile(rb"(/9j/|iVBORw0KGgo|UklGR)[A-Za-z0-9+/\r\n]{20}"), "an image as base64 text"),
    (re.compile(rb"[\[{]\s*[\"\]}{]"), "JSON text"),
    (re.compile(rb"-----BEGIN "), "a key or certificate (PEM)"),
    (re.compile(rb"[A-Za-z0-9_.~%-]{1,64}=[^\s]*\Z"), "an HTML form (urlencoded)"),
)
_LF_IN_PNG: Final = b"\x89PNG\n\x1a\n"


def binary_kind(data: bytes) -> str | None:
    """Return what a binary file is, with its article: "a JPEG image"; None if its beginning is unknown, or text."""
    if data[4:8] == b"ftyp":
        brands = {data[at : at + 4] for at in (8, *range(16, min(int.from_bytes(data[:4]), 128), 4))}
        return next((name for known, name in _BRANDS if brands & set(known)), "a video (MP4 or MOV)")
    if data.startswith(b"RIFF"):
        return {b"WEBP": "a WebP image", b"AVI ": "a video (AVI)", b"WAVE": "a sound (WAV)"}.get(data[8:12])
    if data.startswith(b"PK\x03\x04"):
        return next((name for part, name in _ZIPS if part in data), "a zip archive")
    if data.startswith(_LF_IN_PNG):
        return "a PNG image whose line ends were changed"
    if re.match(rb"P[1-7]\s", data):
        return "a PNM image"
    return next((name for signature, name in _SIGNATURES if data.startswith(signature)), None)


def file_kind(data: bytes) -> str | None:
    """Return what a file is, with its article, also if it is a text that is often sent by mistake; None if unknown."""
    kind = binary_kind(data)
    if kind is not None:
        return kind
    beginning = data[:_BEGINNING_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if (kind := next((name for form, name in _TEXTS if form.match(beginning)), None)) is not None:
        return kind
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text in UTF-16"
    try:
        text = data[:_BEGINNING_BYTES].decode("utf-8", "strict" if len(data) <= _BEGINNING_BYTES else "ignore")
    except UnicodeDecodeError:
        return None
    return "text" if text and all(one.isprintable() or one in "\t\r\n\ufeff" for one in text) else None
