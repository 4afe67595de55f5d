"""Draws the decisions on a frame: boxes and labels. Labels, not only colours, tell a match from no match.

A label lies inside the picture and covers no face: it is placed below, above or beside its face, smaller if there is
little room, and in a strip under the picture if there is none.
"""

import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, final

from PIL import Image, ImageDraw

from volens import Identification, RgbImage
from volens.service.typeface import text_mask
from volens.store.files import write_private

MATCH: Final = (0, 124, 90)  # Okabe and Ito's bluish green, darker, and grey: distinct for colour-blind people, too
NO_MATCH: Final = (90, 90, 90)
_DARK: Final = (16, 22, 28)
_INK: Final = (255, 255, 255)
_SMALLEST_SIDE_PX: Final = 640
_SMALLEST_TEXT_PX: Final = 11
_SHRINK: Final = (1.0, 0.85, 0.7, 0.55)

Colour: TypeAlias = tuple[int, int, int]


class Area(NamedTuple):
    """A rectangle in pixels; right and bottom are not part of it."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Area") -> bool:
        """Return whether two rectangles share a pixel."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


_Positions: TypeAlias = Callable[[float, float, Area], Iterator[tuple[float, float]]]
"""Yields left upper corners for a label of a width and height in a frame, best first."""


@final
@dataclass(frozen=True, slots=True)
class _Label:
    text: str
    colour: Colour
    score: str = ""

    def drawn(self, size_px: int, widest_px: float) -> Image.Image:
        """Return the label; a text that is wider than `widest_px` is cut, with an ellipsis."""
        pad, text = max(3, size_px // 4), self.text
        # Apart from the name, which may be written from right to left.
        score, mask = text_mask(self.score, size_px), text_mask(text, size_px)
        while mask.width + score.width + 2 * pad > widest_px and len(text) > 1:
            text = text[:-1]
            mask = text_mask(f"{text.rstrip()}…", size_px)
        label = Image.new("RGB", (mask.width + score.width + 2 * pad, mask.height + pad), self.colour)
        label.paste(_INK, (pad, pad // 2), mask)
        label.paste(_INK, (pad + mask.width, pad // 2), score)
        return label


def annotated(
    image: RgbImage, found: Identification, names: Sequence[str | None], dashed: Collection[int] = ()
) -> Image.Image:
    """Return a copy of a frame with a box and a label on every face, with its name unless that is None.

    A small frame is enlarged. The boxes of the faces whose numbers are in `dashed` have a broken line.
    """
    scale = max(1, math.ceil(_SMALLEST_SIDE_PX / max(image.width, image.height)))
    picture = Image.fromarray(image.pixels).resize((scale * image.width, scale * image.height))
    frame = Area(0, 0, *picture.size)
    line, size = max(3, round(max(picture.size) / 240)), max(14, round(max(picture.size) / 48))
    boxes, labels = [], []
    for face, name in zip(found.faces, names, strict=True):
        x, y, width, height = (scale * side for side in face.box)
        boxes.append(_inside(Area(x, y, x + width, y + height), frame))
        if not face.is_decided:
            labels.append(_Label("looking", _DARK))
        elif face.match is None:
            labels.append(_Label("no match", NO_MATCH))
        else:
            labels.append(_Label(name or "match", MATCH, f"  {face.match.comparison_score:.2f}"))
    pen = ImageDraw.Draw(picture)
    for number, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        _outline(pen, box, label.colour, line, is_dashed=number in dashed)
    taken = list(boxes)
    rule = _Label(f"zone {found.purpose}: a match needs a score of {found.threshold:.2f} or more", _DARK)
    from_left = sorted(range(len(boxes)), key=lambda one: boxes[one])
    spots = [(labels[one], _beside(boxes[one], line)) for one in from_left] + [(rule, _corners)]
    strip = [label for label, positions in spots if not _place(picture, label, size, positions, taken)]
    return _with_strip(picture, strip, size)


def side_by_side(left: Image.Image, right: Image.Image, titles: tuple[str, str], caption: str) -> Image.Image:
    """Return two pictures of the same size side by side, with a title above each and a caption below both."""
    size = max(18, left.width // 34)
    bar, gap, width = 2 * size, max(8, left.width // 80), left.width + right.width
    lines = _wrapped(caption, round(0.8 * size), width)
    bottom = bar + max(left.height, right.height)
    line = round(1.2 * size)
    sheet = Image.new("RGB", (width + gap, bottom + len(lines) * line + size), _INK)
    for picture, title, x in ((left, titles[0], 0), (right, titles[1], left.width + gap)):
        sheet.paste(picture, (x, bar))
        sheet.paste(_DARK, (x + gap, bar // 8), text_mask(title, size))
    for number, text in enumerate(lines):
        sheet.paste(_DARK, (gap, bottom + number * line + size // 2), text_mask(text, round(0.8 * size)))
    return sheet


def write_png(picture: Image.Image, path: Path) -> None:
    """Write a picture with mode 0600, atomically; replaces an older file.

    Raises:
        UnavailableError: the disk fails.
    """
    data = BytesIO()
    picture.save(data, format="PNG")
    write_private(Path(os.path.abspath(path)), data.getvalue(), replace=True)  # noqa: PTH100  keeps links


def _inside(box: Area, frame: Area) -> Area:
    return Area(
        max(frame.left, box.left),
        max(frame.top, box.top),
        min(frame.right, box.right),
        min(frame.bottom, box.bottom),
    )


def _outline(pen: ImageDraw.ImageDraw, box: Area, colour: Colour, line: int, *, is_dashed: bool) -> None:
    """Draw a box on its inner edge, over a lighter one, so that it is seen on dark and on light pictures."""
    if box.right - box.left < line or box.bottom - box.top < line:
        return  # the face is outside the picture, but for its edge
    pen.rectangle(box, outline=_INK, width=line + max(1, line // 2))
    if not is_dashed:
        pen.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), outline=colour, width=line)
        return
    dash = 4 * line
    for at in range(int(box.left), int(box.right), 2 * dash):
        for y in (box.top, box.bottom - line):
            pen.rectangle((at, y, min(at + dash, box.right) - 1, y + line - 1), fill=colour)
    for at in range(int(box.top), int(box.bottom), 2 * dash):
        for x in (box.left, box.right - line):
            pen.rectangle((x, at, x + line - 1, min(at + dash, box.bottom) - 1), fill=colour)


def _beside(box: Area, gap: float) -> _Positions:
    """Return the positions for the label of a face, best first: below, above, right, left; slid into the frame."""

    def positions(width: float, height: float, frame: Area) -> Iterator[tuple[float, float]]:
        columns = (box.left, (box.left + box.right - width) / 2, box.right - width)
        rows = (box.bottom - height, (box.top + box.bottom - height) / 2, box.top)
        for y in (box.bottom + gap, box.top - gap - height):
            yield from ((min(max(x, frame.left), frame.right - width), y) for x in columns)
        for x in (box.right + gap, box.left - gap - width):
            yield from ((x, min(max(y, frame.top), frame.bottom - height)) for y in rows)

    return positions


def _corners(width: float, height: float, frame: Area) -> Iterator[tuple[float, float]]:
    for y in (frame.top, frame.bottom - height):
        for x in (frame.left, frame.right - width, (frame.right - width) / 2):
            yield x, y


def _place(picture: Image.Image, label: _Label, size: int, positions: _Positions, taken: list[Area]) -> bool:
    """Draw a label where it lies in the picture and overlaps nothing that is `taken`; return whether there is room."""
    frame = Area(0, 0, *picture.size)
    for shrink in _SHRINK:
        drawn = label.drawn(max(_SMALLEST_TEXT_PX, round(shrink * size)), math.inf)
        for x, y in positions(drawn.width, drawn.height, frame):
            area = Area(x, y, x + drawn.width, y + drawn.height)
            if _inside(area, frame) == area and not any(area.overlaps(other) for other in taken):
                picture.paste(drawn, (round(x), round(y)))
                taken.append(area)
                return True
    return False


def _with_strip(picture: Image.Image, labels: Sequence[_Label], size: int) -> Image.Image:
    """Return the picture with labels below it, in the order of the faces from left to right."""
    if not labels:
        return picture
    rows = [label.drawn(size, picture.width) for label in labels]
    sheet = Image.new("RGB", (picture.width, picture.height + sum(row.height + 2 for row in rows)), _DARK)
    sheet.paste(picture, (0, 0))
    y = picture.height + 2
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height + 2
    return sheet


def _wrapped(text: str, size_px: int, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_mask(longer, size_px).width > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
