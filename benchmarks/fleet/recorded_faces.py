"""Recorded embeddings in place of the models: a picture carries a number, the extractor returns the vector of it.

The seam is `Extractor`, which takes a detector and an embedder (`FaceEmbedder`). Everything else of a node is the
product: it decodes the picture, crops it, measures its quality, and compares the vector. All faces are synthetic, made
from a seed.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.matching.population import MODEL as MODEL_ID
from volens.consent import UnitVector
from volens.consent.zone import FpirTarget
from volens.face import DetectedFace, Extractor, RgbImage, Thresholds, YuNetDetector
from volens.face.alignment import CROP_SIDE_PX, TEMPLATE
from volens.face.embedder import EmbeddingModel
from volens.face.pixel_types import Pixels
from volens.face.thresholds import ThresholdCurve

DIMENSION: Final = 128
THRESHOLD: Final = 0.44
"""One of 100 strangers is accepted in a gallery of 100,000 evenly spread faces (docs/scaling.md, error rates)."""
SCORES: Final = (0.6, 0.1)
"""Mean and standard deviation of the score of a person with their own reference."""
PHOTOS: Final = 3
"""Of each newcomer, for an enrollment."""
STRANGERS: Final = 2000

MODEL: Final = EmbeddingModel(
    MODEL_ID, DIMENSION, "none", Thresholds(THRESHOLD, {FpirTarget.ORDINARY: ThresholdCurve(THRESHOLD, 0.0)}, 100_000)
)

_BLOCKS: Final = (4, 7)
"""Rows and columns of blocks in the crop; each is a bit of the number, dark or light."""
_BLOCK_PX: Final = (CROP_SIDE_PX // _BLOCKS[0], CROP_SIDE_PX // _BLOCKS[1])
_DARK, _LIGHT, _NOISE = 70.0, 180.0, 12.0
_SURE: Final = 0.99
_ALIKE: Final = 0.35
_PHOTO_SCORE: Final = 0.9

FloatArray = NDArray[np.float32]


@final
@dataclass(frozen=True, slots=True, eq=False)
class RecordedFaces:
    """Embeddings by their numbers, float32 (n, 128), unit vectors.

    First those of people who are enrolled, one each, as a door sees them; then of strangers; then three of each
    newcomer, who is not enrolled yet.
    """

    vectors: FloatArray
    people: int

    @classmethod
    def made(cls, enrolled: FloatArray, newcomers: int, seed: int) -> Self:
        """Make them; a newcomer resembles no one who is enrolled, or enrollment would refuse them."""
        rng = np.random.default_rng([seed, 1])
        scores = np.clip(rng.normal(*SCORES, len(enrolled)), 0.0, _SURE)
        new = np.array([_unlike(enrolled, rng) for _ in range(newcomers)], np.float32).reshape(-1, DIMENSION)
        photos = np.repeat(new, PHOTOS, axis=0)
        parts = (
            _seen_again(enrolled, scores, rng),
            draw(STRANGERS, rng),
            _seen_again(photos, np.full(len(photos), _PHOTO_SCORE), rng),
        )
        return cls(np.concatenate(parts).astype(np.float32), len(enrolled))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; the vectors stay in the file until they are used."""
        vectors = np.load(path, mmap_mode="r")
        return cls(vectors, int(path.stem.rpartition("-")[2]))

    def write(self, folder: Path) -> Path:
        """Write them into a folder, and return the file."""
        path = folder / f"faces-{self.people}.npy"
        np.save(path, self.vectors)
        return path

    def strangers(self) -> range:
        """Return the numbers of strangers."""
        return range(self.people, self.people + STRANGERS)

    def newcomers(self) -> list[range]:
        """Return the numbers of the photos of each newcomer."""
        return [range(first, first + PHOTOS) for first in range(self.people + STRANGERS, len(self.vectors), PHOTOS)]

    def recognised(self, enrolled: FloatArray) -> NDArray[np.int64]:
        """Return the numbers of people whose score with their own reference is clearly above the threshold."""
        scores = np.einsum("ij,ij->i", self.vectors[: self.people], enrolled)
        return np.flatnonzero(scores > THRESHOLD + SCORES[1])


def draw(count: int, rng: np.random.Generator) -> FloatArray:
    """Return so many evenly spread faces."""
    faces = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    return np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), dtype=np.float32)


def frame_of(number: int) -> bytes:
    """Return a small JPEG that carries a number, as a door sends it."""
    return _jpeg(_crop_of(number))


def photo_of(number: int) -> bytes:
    """Return a larger JPEG that carries a number, and is sharp enough for an enrollment."""
    luma = np.kron(_crop_of(number), np.ones((2, 2)))
    return _jpeg(luma + np.random.default_rng(number).normal(0, _NOISE, luma.shape))


def number_in(crop: Pixels) -> int:
    """Return the number that a picture carries, from its aligned crop."""
    (rows, columns), (height, width) = _BLOCKS, _BLOCK_PX
    means = crop.reshape(rows, height, columns, width * 3).mean(axis=(1, 3))
    return sum(1 << place for place, bit in enumerate((means > (_DARK + _LIGHT) / 2).ravel().tolist()) if bit)


def recorded_extractor(faces: RecordedFaces) -> Extractor:
    """Return an extractor that returns recorded embeddings."""
    return Extractor(RecordedDetector(), RecordedEmbedder(faces))


@final
class RecordedDetector(YuNetDetector):
    """Finds one upright face in the middle of every picture, at no cost."""

    def __init__(self) -> None:
        """Load nothing."""

    def detect(self, image: RgbImage, **_: object) -> list[DetectedFace]:
        """Return the face."""
        scale = image.width / CROP_SIDE_PX
        landmarks = np.asarray(scale * TEMPLATE + (scale - 1) / 2, dtype=np.float32)
        return [DetectedFace((0.0, 0.0, float(image.width), float(image.height)), landmarks, _SURE)]

    def roll(self, image: RgbImage, face: DetectedFace) -> tuple[float, float]:
        """Return that it is upright."""
        del image, face
        return 0.0, _SURE

    def is_turned(self, image: RgbImage, face: DetectedFace) -> bool:
        """Return that it is not."""
        del image, face
        return False


@final
class RecordedEmbedder:
    """Returns the recorded embedding of the number in a crop."""

    model = MODEL

    def __init__(self, faces: RecordedFaces) -> None:
        self._faces = faces

    def embed(self, aligned: Pixels) -> UnitVector:
        """Return the embedding."""
        return UnitVector(self._faces.vectors[number_in(aligned)])


def _unlike(enrolled: FloatArray, rng: np.random.Generator) -> FloatArray:
    while True:
        (face,) = draw(1, rng)
        if float((enrolled @ face).max(initial=-1.0)) < _ALIKE:
            return np.asarray(face, dtype=np.float32)


def _seen_again(faces: FloatArray, scores: NDArray[np.float64], rng: np.random.Generator) -> FloatArray:
    """Return a vector for each face that has this score with it."""
    away = rng.standard_normal(faces.shape)
    away -= np.einsum("ij,ij->i", away, faces)[:, None] * faces
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    seen = scores[:, None] * faces + np.sqrt(1 - scores**2)[:, None] * away
    return np.asarray(seen / np.linalg.norm(seen, axis=1, keepdims=True), dtype=np.float32)


def _crop_of(number: int) -> NDArray[np.float64]:
    bits = np.array([number >> place & 1 for place in range(_BLOCKS[0] * _BLOCKS[1])], dtype=bool).reshape(_BLOCKS)
    return np.asarray(np.kron(np.where(bits, _LIGHT, _DARK), np.ones(_BLOCK_PX)), dtype=np.float64)


def _jpeg(luma: NDArray[np.float64]) -> bytes:
    out = BytesIO()
    pixels = np.clip(luma, 0, 255).astype(np.uint8)
    Image.fromarray(np.stack([pixels] * 3, axis=2)).save(out, "JPEG", quality=90)
    return out.getvalue()
