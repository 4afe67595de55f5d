"""What a search engine must do for a gallery. It sees keyed sketches only, and cannot cause a match."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, Self, final

import numpy as np
from numpy.typing import NDArray

from volens.consent import ReferenceId
from volens.consent.embedding import FloatArray
from volens.index.projection import SketchArray


@final
@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """Proposals, nearest first: ids int64 (m,), Hamming distances int32 (m,), and a copy of their sketches.

    The copy is uint8 (m, bits / 8); the caller wipes it.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.int32]
    sketches: SketchArray

    @classmethod
    def empty(cls, width: int) -> Self:
        """Return no proposals, of sketches of `width` bytes."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, width), np.uint8))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Ids, int64 (m,), that a gallery proposes, and `Projection.estimates` of their scores, float32, highest first."""

    ids: NDArray[np.int64]
    estimates: FloatArray


NO_PROPOSALS: Final = Proposals(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


class SearchEngine(Protocol):
    """Holds one sketch for each reference."""

    def add_many(self, reference_ids: NDArray[np.int64], sketches: SketchArray) -> None:
        """Add sketches: ids int64 (n,), uint8 (n, bits / 8). ValueError if an id has one: then none is added."""
        ...

    def remove(self, reference_id: ReferenceId) -> bool:
        """Remove a sketch so that its bytes are nowhere in the engine; False if there was none."""
        ...

    def within(self, sketches: SketchArray, distance: int) -> list[Shortlist]:
        """Return all that differ from a sketch in at most so many bits, of each of several: uint8 (n, bits / 8)."""
        ...

    def shortlists(self, sketches: SketchArray, k: int) -> list[Shortlist]:
        """Return the k nearest, or all if there are fewer, of each of several sketches: uint8 (n, bits / 8)."""
        ...

    def copy(self) -> tuple[NDArray[np.int64], SketchArray]:
        """Return ids and sketches of one moment, in copies that the caller wipes."""
        ...

    def held(self) -> set[ReferenceId]:
        """Return the ids that have a sketch."""
        ...

    def buffers(self) -> Iterator[memoryview]:
        """Yield the memory that holds sketches, spare room included, for an erasure to search."""
        ...

    def __contains__(self, reference_id: ReferenceId) -> bool: ...

    def __len__(self) -> int: ...
