"""What light, distance, blur, covering and a turned head cost: ``python -m benchmarks.degradations FOLDER [--page]``.

The folder has one folder of photos for each person, such as the AT&T faces.

1. Each person is enrolled with the mean of the first three photos. The fourth one is the look at the door, unchanged
   and spoiled in each of the ways below; it is searched for among all people, at the threshold for so many (0.1 %).
2. *Found*: the detector finds a face that a door compares (not cut off, not turned by 90 degrees or more).
   *Identified*: its best reference is the person's own and reaches the threshold. *As another*: another's does.
   *Own score*: the mean score with the person's own reference, of the faces that were found.
   *Refused*: an enrollment refuses such a photo, because no face is found or a quality rule says so.
3. *Head turned* uses the photos as they are: all after the third, by how far the head is turned (`nose_offset`).
4. *Look-alikes*: how many people have a photo that reaches the threshold with the reference of another person.

5. Detection error trade-off (DET): FNIR and FPIR of each group of spoiled looks at every threshold, as a plot. A
   stranger is each person to the references of all others. A face that is not found counts as missed.

The spoiled photos are made from good ones, so what a real dark or distant scene adds (noise, colour) is missing. With
``--page``, the table of docs/accuracy.md and the plot docs/accuracy.svg are replaced. No embedding and no score of a
person is written.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias, final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import ENROLLED_PHOTOS, PAGE, mean_of, photo_arguments, put_in_page
from volens import Extractor, RgbImage, read_image
from volens.face import DetectedFace, Pixels, QualityRules, eye_distance_px
from volens.face.alignment import nose_offset
from volens.face.quality import is_cut_off
from volens.face.thresholds import SFACE
from volens.service.line_plot import Series, svg

BEGIN: Final = "<!-- begin: python -m benchmarks.degradations -->"
END: Final = "<!-- end: python -m benchmarks.degradations -->"
PLOT: Final = PAGE.with_suffix(".svg")
OFFSETS: Final = (0.0, 0.05, 0.1, 0.15, 1.0)
_HEAD: Final = ("look", "found", "identified", "as another", "own score", "refused at enrollment")
_GREY: Final = 110

Spoil: TypeAlias = Callable[[Pixels, DetectedFace], Pixels]
Person: TypeAlias = list[tuple[Pixels, DetectedFace]]
"""The photos of a person in which a face was found, with the largest face."""


def moved(length_px: int, right: int, down: int) -> Spoil:
    """Blur along a line of so many pixels, as a movement does."""

    def spoil(pixels: Pixels, _face: DetectedFace) -> Pixels:
        kernel = np.zeros((length_px, length_px), np.float32)
        for step in range(length_px):
            offset = step - length_px // 2
            kernel[length_px // 2 + down * offset, length_px // 2 + right * offset] = 1 / length_px
        return np.asarray(cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_REPLICATE))

    return spoil


def painted(colour: tuple[int, int, int], *box: float) -> Spoil:
    """Paint a rectangle: left, top, right, bottom, in eye distances from the right eye."""

    def spoil(pixels: Pixels, face: DetectedFace) -> Pixels:
        side, (x, y) = eye_distance_px(face.landmarks), face.landmarks[0]
        left, top, right, bottom = (
            round(float(start) + one * side) for start, one in zip((x, y, x, y), box, strict=True)
        )
        pixels = pixels.copy()
        pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = colour
        return pixels

    return spoil


def far(eyes_px: int, width: int, height: int) -> Spoil:
    """Scale the photo so that the eyes are so far apart, in the middle of a grey frame of a camera."""

    def spoil(pixels: Pixels, face: DetectedFace) -> Pixels:
        scale = eyes_px / eye_distance_px(face.landmarks)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how)[:height, :width]
        frame = np.full((height, width, 3), _GREY, dtype=np.uint8)
        top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
        frame[top : top + small.shape[0], left : left + small.shape[1]] = small
        return frame

    return spoil


def lit(factor: float) -> Spoil:
    """Multiply the light."""
    return lambda pixels, _: np.clip(pixels.astype(np.float32) * factor, 0, 255).astype(np.uint8)


def one_sided(pixels: Pixels, _face: DetectedFace) -> Pixels:
    """Light from one side: full on the left, a tenth on the right."""
    ramp = np.linspace(1.0, 0.1, pixels.shape[1], dtype=np.float32)[None, :, None]
    return np.asarray(np.clip(pixels * ramp, 0, 255).astype(np.uint8))


def blurred(sigma_px: float) -> Spoil:
    """Blur, as out of focus."""
    return lambda pixels, _: np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px))


def jpeg(quality: int) -> Spoil:
    """Compress."""

    def spoil(pixels: Pixels, _face: DetectedFace) -> Pixels:
        _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)

    return spoil


def tilted(degrees: float) -> Spoil:
    """Turn the photo in its plane, as a tilted head or camera."""

    def spoil(pixels: Pixels, _face: DetectedFace) -> Pixels:
        height, width = pixels.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        return np.asarray(cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE))

    return spoil


SPOILED: Final[dict[str, Spoil]] = {
    "untouched": lambda pixels, _: pixels,
    **{f"eyes {eyes} px apart in 640x480": far(eyes, 640, 480) for eyes in (8, 10, 12, 16, 24)},
    **{f"eyes {eyes} px apart in 1920x1080": far(eyes, 1920, 1080) for eyes in (16, 24, 32, 48)},
    **{f"light x {factor}": lit(factor) for factor in (0.5, 0.25, 0.12, 0.06, 1.6, 2.2, 3)},
    "light from one side": one_sided,
    **{f"out of focus, sigma {sigma} px": blurred(sigma) for sigma in (1, 2, 3, 4)},
    **{f"moved by {length} px": moved(length, 1, 0) for length in (7, 13, 21)},
    **{f"JPEG quality {quality}": jpeg(quality) for quality in (30, 10, 5)},
    **{f"head tilted by {degrees} degrees": tilted(degrees) for degrees in (10, 20, 30, 45)},
    "mask": painted((235, 235, 235), -0.45, 0.5, 1.45, 1.9),
    "sunglasses": painted((15, 15, 15), -0.45, -0.25, 1.45, 0.3),
    "cap": painted((40, 40, 40), -0.9, -2.0, 1.9, -0.3),
    "half of the face covered": painted((90, 90, 90), 0.5, -2.0, 3.0, 3.0),
}
"""Ways to spoil a photo; the AT&T photos are 92 pixels wide, with the eyes about 35 pixels apart."""


GROUPS: Final = {
    "far away": ("eyes",),
    "too dark, too bright": ("light",),
    "out of focus, moved, compressed": ("out of focus", "moved", "JPEG"),
    "head tilted": ("head tilted",),
    "covered": ("mask", "sunglasses", "cap", "half"),
}
"""Groups of looks for the plot, by the beginning of their names."""

_COLOURS: Final = ("#1f5fa8", "#c77700", "#b3261e", "#6a3d9a", "#2e7d32")


@final
@dataclass(frozen=True, slots=True)
class Look:
    """One look of an enrolled person: is a face found, its score with the own reference, and the best other score."""

    found: bool
    own: float
    other: float
    refused: bool


@final
@dataclass(frozen=True, slots=True)
class Looks:
    """Looks of one kind."""

    each: tuple[Look, ...]

    def missed(self, threshold: float) -> float:
        """Return the share that is not taken for the own reference (FNIR), failures to find a face included."""
        return float(np.mean([not (one.found and one.own >= max(threshold, one.other)) for one in self.each]))

    def accepted(self, threshold: float) -> float:
        """Return the share that another reference accepts (FPIR): to the others each person is a stranger."""
        return float(np.mean([one.found and one.other >= threshold for one in self.each]))

    def row(self, name: str, threshold: float) -> str:
        """Return the row of the table."""
        found = [one for one in self.each if one.found]
        another = sum(one.other >= max(threshold, one.own) for one in found) / len(self.each)
        refused = sum(one.refused for one in self.each) / len(self.each)
        shares = [f"{one:.0%}" for one in (len(found) / len(self.each), 1 - self.missed(threshold), another)]
        score = f"{np.mean([one.own for one in found]):.2f}" if found else "-"
        return f"| {' | '.join((name, *shares, score, f'{refused:.0%}'))} |"


@final
class Bench:
    """People from photos, enrolled with the first three."""

    def __init__(self, extractor: Extractor, people: Sequence[Person]) -> None:
        """Enroll all of `people`; each has four photos or more."""
        self._extractor = extractor
        self.people = people
        self._references = np.stack([self._reference(person) for person in people])
        self.threshold = SFACE.identification(len(people))

    def spoiled(self, spoil: Spoil) -> Looks:
        """Spoil the fourth photo of each person, and look at it."""
        return Looks(tuple(self._look(row, spoil(*person[ENROLLED_PHOTOS])) for row, person in enumerate(self.people)))

    def by_offset(self) -> Iterator[tuple[float, float, Looks]]:
        """Yield looks at the photos as they are, by how far the head is turned: from, up to, what became of them."""
        looks = [
            (abs(nose_offset(face.landmarks)), self._look(row, pixels))
            for row, person in enumerate(self.people)
            for pixels, face in person[ENROLLED_PHOTOS:]
        ]
        for low, high in pairwise(OFFSETS):
            some = [look for offset, look in looks if low <= offset < high]
            if some:
                yield low, high, Looks(tuple(some))

    def look_alikes(self) -> tuple[int, float]:
        """Return how many people have a photo that matches another person's reference, and the highest such score."""
        highest = [
            max(float(np.delete(self._references @ self._vector(*photo), row).max()) for photo in person)
            for row, person in enumerate(self.people)
        ]
        return sum(score >= self.threshold for score in highest), max(highest)

    def _reference(self, person: Person) -> NDArray[np.float32]:
        return mean_of([self._vector(*photo) for photo in person[:ENROLLED_PHOTOS]])

    def _vector(self, pixels: Pixels, face: DetectedFace) -> NDArray[np.float32]:
        # Neither probe nor reference: a figure.
        return self._extractor._embed_face(RgbImage(np.ascontiguousarray(pixels)), face).array  # noqa: SLF001

    def _look(self, row: int, pixels: Pixels) -> Look:
        image = RgbImage(np.ascontiguousarray(pixels))
        faces = self._extractor.search(image)
        refused = len(faces) != 1 or bool(list(QualityRules().problems(self._extractor.assess(image, faces[0]))))
        if not faces or is_cut_off(image, faces[0]) or self._extractor.is_turned(image, faces[0]):
            return Look(found=False, own=0.0, other=0.0, refused=refused)
        scores = self._references @ self._vector(image.pixels, faces[0])
        return Look(True, float(scores[row]), float(np.delete(scores, row).max()), refused)


def people_in(extractor: Extractor, folder: Path) -> list[Person]:
    """Return the people of a folder who have four photos with a face or more.

    Raises:
        ImageError: a file in one of the folders is not a readable image.
    """
    people: list[Person] = []
    for one in sorted(one for one in folder.iterdir() if one.is_dir()):
        images = [read_image(path) for path in sorted(one.iterdir())]
        photos = [(image.pixels, face) for image in images for face in extractor.detect(image)[:1]]
        if len(photos) > ENROLLED_PHOTOS:
            people.append(photos)
    return people


def det_plot(looks: Mapping[str, Looks]) -> str:
    """Return the DET curves of each group of looks as SVG; an error that was not seen cannot be drawn."""
    series: list[Series] = []
    for (group, kinds), colour in zip(GROUPS.items(), _COLOURS, strict=True):
        some = Looks(tuple(look for name, its in looks.items() if name.startswith(kinds) for look in its.each))
        points = {(some.accepted(at), some.missed(at)) for at in np.arange(0.1, 0.9, 0.01).tolist()}
        drawn = sorted((point for point in points if min(point) > 0), key=lambda one: (one[0], -one[1]))
        if drawn:
            series.append(Series(f"{group} ({len(some.each)} looks)", drawn, colour, line=True))
    return svg(series, "strangers accepted (FPIR)", "enrolled people missed (FNIR)", legend_below=True)


def table(bench: Bench, spoiled: Mapping[str, Looks]) -> str:
    """Return what was measured, as Markdown."""
    rows = [looks.row(name, bench.threshold) for name, looks in spoiled.items()]
    for low, high, looks in bench.by_offset():
        upto = f"{low:.2f} to {high:.2f}" if high < 1 else f"{low:.2f} and more"
        rows.append(looks.row(f"head turned, offset {upto} ({len(looks.each)} looks)", bench.threshold))
    alike, highest = bench.look_alikes()
    head = "\n".join(f"| {' | '.join(one)} |" for one in (_HEAD, ("---",) * len(_HEAD)))
    return (
        f"{head}\n" + "\n".join(rows) + f"\n\n{len(bench.people)} people, {ENROLLED_PHOTOS} photos enrolled, one look "
        f"each; threshold {bench.threshold:.3f}. Look-alikes: {alike} of {len(bench.people)} people have a photo that "
        f"reaches it with the reference of another person; the highest score is {highest:.2f}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table or write it into the page."""
    parser = photo_arguments("What light, distance, blur and covering cost the default model.")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"got {given.folder}, which is no folder; expected one with a folder of photos for each person")
    extractor = Extractor.load_default()
    people = people_in(extractor, given.folder)
    if not people:
        parser.error(f"got {given.folder} without a person of four photos with a face; expected one or more")
    bench = Bench(extractor, people)
    spoiled = {name: bench.spoiled(spoil) for name, spoil in SPOILED.items()}
    found = table(bench, spoiled)
    if given.page:
        PLOT.write_text(det_plot(spoiled), encoding="utf-8")
        put_in_page(BEGIN, END, found)
    sys.stdout.write(found + "\n")


if __name__ == "__main__":
    main()
