"""Synthetic people: random unit vectors. Their bytes occur nowhere else, and they are not the face of a person."""

from dataclasses import dataclass
from typing import final

import numpy as np

from benchmarks.deletion.contestant import FloatArray


@final
@dataclass(frozen=True, slots=True)
class People:
    """All people of a run.

    Attributes:
        faces: float32 (count, dimension), unit norm, one row for each person.
        deleted: the people who will be deleted.
        kept: as many who will not be deleted; the search must find them.
    """

    faces: FloatArray
    deleted: tuple[int, ...]
    kept: tuple[int, ...]
    seed: int

    @classmethod
    def made_up(cls, count: int, deleted: int, dimension: int, seed: int) -> "People":
        """Make people. The last one enrolled is deleted first, the others are spread over the order of enrollment."""
        rng = np.random.default_rng(seed)
        faces = rng.standard_normal((count, dimension)).astype(np.float32)
        faces /= np.linalg.norm(faces, axis=1, keepdims=True)
        # The last row is a special case in an index that fills a hole with its last row.
        chosen = [count - 1, *(int(one) for one in rng.permutation(count - 1))][: 2 * deleted]
        return cls(faces, tuple(chosen[:deleted]), tuple(chosen[deleted:]), seed)

    def probe(self, person: int, turn: int) -> FloatArray:
        """Return a probe of a person as from a camera: score about 0.8, no four bytes in common with the reference."""
        rng = np.random.default_rng([self.seed, person, turn])
        away: FloatArray = rng.standard_normal((1, self.faces.shape[1])).astype(np.float32)[0]
        away /= np.linalg.norm(away)
        seen = 0.8 * self.faces[person] + 0.6 * away
        return np.asarray(seen / np.linalg.norm(seen), dtype=np.float32)
