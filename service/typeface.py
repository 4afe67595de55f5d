"""Text in all scripts for pictures and PDF: a chain of fonts, of which the first that has a letter draws it.

1. FiraGO, from the package pymupdf-fonts: Latin, Greek, Cyrillic, Georgian, Arabic, Hebrew, Thai and Devanagari, shaped
   by Raqm (joined letters, right to left).
2. The font that is built into OpenCV: Chinese, Japanese and Korean.
3. The fonts of this machine, such as Debian's fonts-noto-core.

A letter that none of them has is drawn as a box. See docs/adr/0047.
"""

import math
import unicodedata
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

REGULAR: Final = "FiraGO-Regular"
BOLD: Final = "FiraGO-Bold"
_BUFFERS: Final = {REGULAR: "figo", BOLD: "figbo"}

_FOLDERS: Final = (
    *("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    *("/System/Library/Fonts", "/Library/Fonts", "C:/Windows/Fonts"),
)
_SUFFIXES: Final = (".ttf", ".otf", ".ttc")
_PROBE_PX: Final = 24
_LACKING: Final = "\U0010ffff"
"""No character: fonts draw it as they draw each letter that they lack."""

_OPENCV: Final = "OpenCV"
_Source: TypeAlias = Path | str
"""A font file of this machine, or `REGULAR`, or `_OPENCV`."""


@cache
def embedded_font(name: str) -> bytes:
    """Return the TrueType file of `REGULAR` or `BOLD`."""
    from pymupdf_fonts import fontbuffers  # noqa: PLC0415  ships no types, and decompresses what is asked for

    data: bytes = fontbuffers[_BUFFERS[name]]()
    return data


def text_mask(text: str, size_px: int) -> Image.Image:
    """Return one line of text as a mask (mode L, 255 is ink): as wide as the text, 1.4 times `size_px` high.

    Text from right to left is reordered within each font's part, not across parts.
    """
    parts = list(_parts(text))
    ascent, height = math.ceil(1.05 * size_px), math.ceil(1.4 * size_px)
    drawn = [_drawn(source, part, size_px, ascent, height) for source, part in parts]
    mask = Image.new("L", (max(1, sum(one.width for one in drawn)), height))
    x = 0
    for one in drawn:
        mask.paste(one, (x, 0))
        x += one.width
    return mask


def unknown_letters(text: str) -> list[str]:
    """Return the letters that no font of this machine has, each once."""
    return [one for one in dict.fromkeys(text) if not _joins(one) and _source(one) is None]


def missing_letters(text: str) -> list[str]:
    """Return the letters that a PDF cannot show: FiraGO lacks them, or they need shaping (marks, right to left)."""
    composed = unicodedata.normalize("NFC", text)
    return [
        one
        for one in dict.fromkeys(composed)
        if unicodedata.category(one) in {"Mn", "Mc"}
        or unicodedata.bidirectional(one) in {"R", "AL", "AN"}
        or (not one.isspace() and not _has(REGULAR, one))
    ]


def _parts(text: str) -> Iterator[tuple[_Source, str]]:
    """Split text into parts of one font each; marks and blanks stay with the letter before them."""
    sources: list[_Source] = []
    # Without this a name of two lines would be drawn over two lines.
    line = "".join(" " if unicodedata.category(one) in {"Cc", "Zl", "Zp"} else one for one in text)
    for letter in line:
        last = sources[-1] if sources else REGULAR
        sources.append(last if _joins(letter) else _source(letter) or REGULAR)
    at = 0
    for source, group in groupby(sources):
        length = len(list(group))
        yield source, line[at : at + length]
        at += length


def _joins(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) in {"Mn", "Mc", "Me", "Cf"}


@cache
def _source(letter: str) -> _Source | None:
    """Return the first font that has a letter."""
    sources: tuple[_Source, ...] = (REGULAR, _OPENCV, *_installed())
    for source in sources:
        if _has(source, letter):
            return source
    return None


@cache
def _installed() -> tuple[Path, ...]:
    """Return the font files of this machine, regular sans-serif ones first."""
    files = {
        path for folder in _FOLDERS for path in Path(folder).expanduser().rglob("*") if path.suffix.lower() in _SUFFIXES
    }

    def rank(path: Path) -> tuple[bool, bool, str]:
        return ("Regular" not in path.stem, "Sans" not in path.stem, path.name)

    return tuple(sorted(files, key=rank))


def _has(source: _Source, letter: str) -> bool:
    if source == _OPENCV:
        return _opencv(letter, _PROBE_PX, _PROBE_PX, 2 * _PROBE_PX).tobytes() != _missing(source)
    try:
        drawn = bytes(_font(source, _PROBE_PX).getmask(letter))
    except OSError:
        return False  # a file that FreeType cannot read
    return drawn != _missing(source) and any(drawn)


@cache
def _missing(source: _Source) -> bytes:
    if source == _OPENCV:
        return _opencv("?", _PROBE_PX, _PROBE_PX, 2 * _PROBE_PX).tobytes()
    return bytes(_font(source, _PROBE_PX).getmask(_LACKING))


@cache
def _font(source: _Source, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(source) if isinstance(source, Path) else BytesIO(embedded_font(source)), size_px)


def _drawn(source: _Source, text: str, size_px: int, ascent: int, height: int) -> Image.Image:
    if source == _OPENCV:
        return _opencv(text, size_px, ascent, height)
    font = _font(source, size_px)
    mask = Image.new("L", (max(1, math.ceil(font.getlength(text))), height))
    ImageDraw.Draw(mask).text((0, ascent), text, fill=255, font=font, anchor="ls")
    return mask


def _opencv(text: str, size_px: int, ascent: int, height: int) -> Image.Image:
    import cv2  # noqa: PLC0415  slow to load, and few names need it

    pixels = np.zeros((height, 2 * size_px * (len(text) + 1), 3), np.uint8)
    (end, _), drawn = cv2.putText(pixels, text, (0, ascent), (255, 255, 255), cv2.FontFace("uni"), size_px)
    return Image.fromarray(np.ascontiguousarray(np.asarray(drawn, np.uint8)[:, : max(1, end), 0]))
