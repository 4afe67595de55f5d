"""The embedded engine: one flat buffer of sketches that we own, scanned by FAISS (docs/adr/0002).

FAISS's own IndexBinaryFlat holds its codes in a buffer that it reallocates without zeroing, and `remove_ids` moves
every row behind the hole. Here a removal is: overwrite the row with the last row, zero the last row, shrink. Nothing
stays.
"""

import threading
from collections.abc import Iterator
from typing import Final, final

import faiss
import numpy as np
from numpy.typing import NDArray

from consent import ReferenceId
from index.engine import Shortlist
from index.projection import SketchArray

_FIRST_ROWS: Final = 64


@final
class FlatEngine:
    """`Engine` over a flat buffer. Rows are contiguous; `ids[row]` and `rows[id]` are each other's inverse.

    One lock orders scans and changes, so that a scan never sees half a row.
    """

    def __init__(self, bits: int) -> None:
        """Make an empty engine for sketches of `bits` bits, a multiple of 8."""
        self._codes: SketchArray = np.zeros((_FIRST_ROWS, bits // 8), dtype=np.uint8)
        self._ids: NDArray[np.int64] = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self._rows: dict[int, int] = {}
        self._lock = threading.Lock()

    def add(self, reference_id: ReferenceId, sketch: SketchArray) -> None:
        """Append a row."""
        with self._lock:
            if reference_id in self._rows:
                raise ValueError(f"reference {reference_id} is already in the gallery; remove it first")
            row = len(self._rows)
            if row == len(self._codes):
                self._grow()
            self._codes[row] = sketch
            self._ids[row] = reference_id
            self._rows[reference_id] = row

    def remove(self, reference_id: ReferenceId) -> bool:
        """Overwrite the row with the last row, zero the last row, shrink: O(1)."""
        with self._lock:
            row = self._rows.pop(reference_id, None)
            if row is None:
                return False
            last = len(self._rows)
            if row != last:
                self._codes[row] = self._codes[last]
                self._ids[row] = self._ids[last]
                self._rows[int(self._ids[last])] = row
            self._codes[last] = 0
            self._ids[last] = 0
            return True

    def shortlist(self, sketch: SketchArray, k: int) -> Shortlist:
        """Scan all rows; ties in no order."""
        (shortlist,) = self.shortlists(sketch[None], k)
        return shortlist

    def shortlists(self, sketches: SketchArray, k: int) -> list[Shortlist]:
        """Scan all rows for many sketches at once, which takes a fraction of the time of many scans."""
        with self._lock:
            count = len(self._rows)
            k = min(k, count)
            if k < 1:
                return [Shortlist(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)) for _ in sketches]
            distances, rows = faiss.knn_hamming(sketches, self._codes[:count], k)
            return [Shortlist(self._ids[its], distances[at]) for at, its in enumerate(rows)]

    def held(self) -> set[ReferenceId]:
        """Return the ids that have a row."""
        with self._lock:
            return {ReferenceId(reference_id) for reference_id in self._rows}

    def buffers(self) -> Iterator[memoryview]:
        """Yield the codes, spare rows included."""
        with self._lock:
            yield self._codes.data.cast("B")

    def __contains__(self, reference_id: ReferenceId) -> bool:
        """Tell whether this id has a row."""
        return reference_id in self._rows

    def __len__(self) -> int:
        """Return the number of rows in use."""
        return len(self._rows)

    def _grow(self) -> None:
        codes = np.zeros((2 * len(self._codes), self._codes.shape[1]), dtype=np.uint8)
        codes[: len(self._codes)] = self._codes
        self._codes.fill(0)  # the old buffer goes back to the allocator without anybody's sketch
        self._codes = codes
        self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
