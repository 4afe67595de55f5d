"""Draws the decisions on a frame: boxes and labels. Labels, not only colours, tell a match from no match."""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from volens import Identification, RgbImage
from volens.store.files import write_private

MATCH: Final = (0, 158, 115)  # Okabe and Ito's bluish green and grey: distinct for colour-blind people, too
NO_MATCH: Final = (110, 110, 110)
_INK: Final = (255, 255, 255)


def annotated(image: RgbImage, found: Identification, names: Sequence[str | None]) -> Image.Image:
    """Return a copy of a frame with a box and a label on every face, with its name unless that is None."""
    picture = Image.fromarray(image.pixels).copy()
    pen = ImageDraw.Draw(picture)
    size = max(12, round(max(picture.size) / 55))
    font = ImageFont.load_default(size)
    for face, name in zip(found.faces, names, strict=True):
        x, y, width, height = face.box
        colour, label = NO_MATCH, "no match"
        if face.match is not None:
            colour, label = MATCH, f"{name or 'match'}  {face.match.comparison_score:.2f}"
        pen.rectangle((x, y, x + width, y + height), outline=colour, width=max(2, size // 5))
        _label(pen, (x, y + height), label, colour, font)
    _label(pen, (4, 4), f"zone {found.purpose}, threshold {found.threshold:.2f}", (0, 0, 0), font)
    return picture


def side_by_side(left: Image.Image, right: Image.Image, titles: tuple[str, str]) -> Image.Image:
    """Return two pictures of the same size side by side, with a title above each."""
    font = ImageFont.load_default(max(16, left.width // 40))
    bar = 2 * max(16, left.width // 40)
    sheet = Image.new("RGB", (left.width + right.width + 8, max(left.height, right.height) + bar), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for picture, title, x in ((left, titles[0], 0), (right, titles[1], left.width + 8)):
        sheet.paste(picture, (x, bar))
        pen.text((x + 6, bar // 4), title, fill=(0, 0, 0), font=font)
    return sheet


def write_png(picture: Image.Image, path: Path) -> None:
    """Write a picture with mode 0600, atomically; replaces an older file.

    Raises:
        UnavailableError: the disk fails.
    """
    data = BytesIO()
    picture.save(data, format="PNG")
    write_private(Path(os.path.abspath(path)), data.getvalue(), replace=True)  # noqa: PTH100  keeps links


def _label(
    pen: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    """Draw a label at a corner, moved so that it lies in the picture: a face may reach the picture's edge."""
    left, top, right, bottom = pen.textbbox(corner, text, font=font)
    width, height = pen.im.size
    x = max(3 - left, min(0, width - 4 - right))
    y = max(3 - top, min(0, height - 4 - bottom))
    pen.rectangle((left + x - 3, top + y - 3, right + x + 3, bottom + y + 3), fill=colour)
    pen.text((corner[0] + x, corner[1] + y), text, fill=_INK, font=font)
