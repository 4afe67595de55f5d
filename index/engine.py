"""What a search engine must do for a gallery. It sees keyed sketches only, and cannot cause a match."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from consent import ReferenceId
from index.projection import SketchArray


@final
@dataclass(frozen=True, slots=True, eq=False)
class Shortlist:
    """Proposals, nearest first: ids int64 (m,) and Hamming distances int32 (m,)."""

    ids: NDArray[np.int64]
    distances: NDArray[np.int32]


class Engine(Protocol):
    """Holds one sketch for each reference."""

    def add(self, reference_id: ReferenceId, sketch: SketchArray) -> None:
        """Hold a sketch; ValueError if this id has one."""
        ...

    def remove(self, reference_id: ReferenceId) -> bool:
        """Let go of a sketch so that its bytes are nowhere in the engine; False if there was none."""
        ...

    def shortlist(self, sketch: SketchArray, k: int) -> Shortlist:
        """Return the k nearest, or all if there are fewer."""
        ...

    def shortlists(self, sketches: SketchArray, k: int) -> list[Shortlist]:
        """Do the same for many sketches, uint8 (n, bits / 8)."""
        ...

    def held(self) -> set[ReferenceId]:
        """Return the ids that have a sketch."""
        ...

    def buffers(self) -> Iterator[memoryview]:
        """Yield the memory that holds sketches, spare room included, for an erasure to search."""
        ...

    def __contains__(self, reference_id: ReferenceId) -> bool:
        """Tell whether this id has a sketch."""
        ...

    def __len__(self) -> int:
        """Return the number of sketches."""
        ...
