"""Faces of a run: synthetic with a given spectrum, or computed from photos and completed from the fitted distribution.

Real embeddings are not random directions: few directions carry most of the variance, which makes strangers more
similar and the search harder. So synthetic faces have a spectrum: the variance in direction k falls as 1 / (k + 20),
which in 512 dimensions gives two strangers a score with a standard deviation of 0.06, as face models do.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volens.face.thresholds import SFACE

FloatArray = NDArray[np.float32]

SPECTRUM_OFFSET: Final = 20
_THRESHOLD: Final = 0.4
_SHRINKAGE: Final = 0.05
_CHUNK: Final = 100_000
_PEOPLE_ENROLLED: Final = 30
_PHOTOS_ENROLLED: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A probe of the benchmark.

    Attributes:
        face: float32 (d,), unit norm.
        kind: "genuine" or "stranger", as it was generated; the correct answer is that of the exact search.
    """

    face: FloatArray
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """A distribution of faces: a mean, and a matrix that gives normal numbers their covariance.

    Attributes:
        mean: float64 (d,).
        factor: float64 (d, d).
        scores: mean and standard deviation of a person's score with their own reference.
        name: a word for it.
        said: description, for the record.
        real: embeddings of photos of some people, by person, a list of float32 (d,) each; empty where there are none.
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    scores: tuple[float, float]
    name: str
    said: str
    real: dict[str, list[FloatArray]]

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return unit vectors, float32 (count, d)."""
        dimension = len(self.mean)
        faces = np.empty((count, dimension), dtype=np.float32)
        factor, mean = self.factor.astype(np.float32), self.mean.astype(np.float32)
        for start in range(0, count, _CHUNK):
            normals = rng.standard_normal((min(_CHUNK, count - start), dimension), dtype=np.float32)
            some = normals @ factor + mean
            faces[start : start + _CHUNK] = some / np.linalg.norm(some, axis=1, keepdims=True)
        return faces

    def references(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return the faces of all enrolled people: the real people first, then drawn ones."""
        faces = self.draw(count, rng)
        for row, person in enumerate(self._enrolled()[:count]):
            faces[row] = _unit(np.mean(self.real[person][:_PHOTOS_ENROLLED], axis=0))
        return faces

    def probes(self, references: FloatArray, count: int, rng: np.random.Generator) -> list[Probe]:
        """Return half genuine probes and half strangers, in turn; then the photos of real people, if there are any."""
        mean, deviation = self.scores
        strangers = self.draw(count, rng)
        made = []
        for number in range(count // 2):
            face = references[int(rng.integers(len(references)))]
            score = float(np.clip(rng.normal(mean, deviation), -1.0, 0.99))
            away = strangers[2 * number] - (strangers[2 * number] @ face) * face
            seen = score * face + np.sqrt(1 - score * score) * _unit(away)
            made += [Probe(_unit(seen), "genuine"), Probe(strangers[2 * number + 1], "stranger")]
        for person, photos in self.real.items():
            known = person in self._enrolled()
            for face in photos[_PHOTOS_ENROLLED if known else 0 :]:
                made.append(Probe(face, "genuine" if known else "stranger"))
        return made

    def _enrolled(self) -> list[str]:
        return sorted(self.real)[:_PEOPLE_ENROLLED]


def distribution(data: str, dimension: int, photos: Path | None) -> Distribution:
    """Return the distribution of the faces of a run.

    Raises:
        ValueError: the model for photos gives embeddings of another dimension.
    """
    if data == "made-up":
        return made_up(dimension)
    if photos is None or not photos.is_dir():
        return stand_in(dimension)
    found = fitted(photos)
    if len(found.mean) != dimension:
        raise ValueError(f"got {dimension} dimensions; expected {len(found.mean)}, as the model gives")
    return found


def threshold_of(data: str, size: int) -> float:
    """Return the threshold of a run: SFace's own for photos, 0.4 for synthetic faces."""
    return _THRESHOLD if data == "made-up" else SFACE.identification(size)


def made_up(dimension: int) -> Distribution:
    """Return the distribution with the given spectrum, centred."""
    variances = 1 / (np.arange(1, dimension + 1) + SPECTRUM_OFFSET)
    said = f"made up, variance in direction k falls as 1 / (k + {SPECTRUM_OFFSET}); genuine scores 0.6, sd 0.1"
    return Distribution(np.zeros(dimension), np.diag(np.sqrt(variances)), (0.6, 0.1), "made-up", said, {})


def stand_in(dimension: int) -> Distribution:
    """Return a replacement if there are no photos: the same spectrum, with genuine scores as SFace gave on photos."""
    drawn = made_up(dimension)
    said = (
        f"no photos here; made up, variance in direction k falls as 1 / (k + {SPECTRUM_OFFSET}); "
        "genuine scores 0.85, sd 0.08"
    )
    return Distribution(drawn.mean, drawn.factor, (0.85, 0.08), "stand-in", said, {})


def fitted(folder: Path) -> Distribution:
    """Return the distribution fitted to photos, one folder for each person; embeddings stay in memory.

    Raises:
        ModelMissingError: the models are not installed.
    """
    real = {person: photos for person, photos in embedded(folder).items() if len(photos) > _PHOTOS_ENROLLED}
    everything = np.concatenate([np.stack(photos) for photos in real.values()]).astype(np.float64)
    dimension = everything.shape[1]
    covariance = np.cov(everything, rowvar=False)
    # The photos may be too few for a covariance of full rank, so a small multiple of the identity is added.
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.trace(covariance) / dimension * np.eye(dimension)
    values, vectors = np.linalg.eigh(covariance)
    factor = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    own = [
        float(_unit(np.mean(photos[:_PHOTOS_ENROLLED], axis=0)) @ photo)
        for photos in real.values()
        for photo in photos[_PHOTOS_ENROLLED:]
    ]
    scores = (float(np.mean(own)), float(np.std(own)))
    said = (
        f"SFace on {len(everything)} photos of {len(real)} people, filled up from their mean and covariance; "
        f"genuine scores {scores[0]:.2f}, sd {scores[1]:.2f}, as on the photos"
    )
    return Distribution(everything.mean(axis=0), factor, scores, "photos", said, real)


def embedded(folder: Path) -> dict[str, list[FloatArray]]:
    """Return the embedding of the largest face of each photo, by person: one folder for each. They stay in memory.

    A photo without a face is left out.

    Raises:
        ModelMissingError: the models are not installed.
        ImageError: a file in one of the folders is not a readable image.
    """
    from volens import Extractor, read_image  # noqa: PLC0415  the models are needed only here

    extractor = Extractor.load_default()
    found: dict[str, list[FloatArray]] = {}
    for person in sorted(one for one in folder.iterdir() if one.is_dir()):
        for photo in sorted(person.iterdir()):
            image = read_image(photo)
            for face in extractor.detect(image)[:1]:
                vector = extractor._embed_face(image, face)  # noqa: SLF001  neither probe nor reference: a figure
                found.setdefault(person.name, []).append(vector.array.copy())
                vector.wipe()
    return found


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
