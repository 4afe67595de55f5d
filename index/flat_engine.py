"""The embedded search engine: sketches in slabs that this module allocates and wipes, scanned by FAISS.

See docs/adr/0002 and 0016.

FAISS's own IndexBinaryFlat holds its codes in a buffer that it reallocates without zeroing, and `remove_ids` moves
every row behind the hole. Here a removal overwrites the row with the last row, zeroes the last row, and
shrinks: no copy remains. Slabs of fixed size are never moved, so a gallery grows without a second copy of itself.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Final, final

import faiss
import numpy as np
from numpy.typing import NDArray

from volens.consent import ReferenceId
from volens.index.projection import SketchArray
from volens.index.read_write_lock import ReadWriteLock
from volens.index.row_map import RowMap
from volens.index.search_engine import Shortlist

SLAB_ROWS: Final = 1 << 17
"""Rows of a slab: 8 MiB of 512-bit sketches. Smaller slabs cost more calls, larger ones scan no faster (measured)."""

_FIRST_ROWS: Final = 64

_SMALLEST_PART: Final = 1 << 15
"""The fewest rows worth a thread of their own: a twelfth of a millisecond of scanning."""

_Hits = tuple[NDArray[np.int32], NDArray[np.int64]]
_HitsPerSketch = list[_Hits]


@final
class FlatEngine:
    """A `SearchEngine` over slabs. Rows are numbered through all slabs without a gap; each id has one row.

    Scans hold a lock together, a change holds it exclusively: a scan sees a row before or after a change, never half
    of one.
    """

    def __init__(self, bits: int, *, threads: int = 1) -> None:
        """Make an empty engine for sketches of so many bits, a multiple of 8.

        `threads` may work on one scan. One is best if several doors search at the same time.
        """
        self._width = bits // 8
        self._slabs: list[SketchArray] = [np.zeros((_FIRST_ROWS, self._width), dtype=np.uint8)]
        self._ids: list[NDArray[np.int64]] = [np.zeros(_FIRST_ROWS, dtype=np.int64)]
        self._rows = RowMap()
        self._lock = ReadWriteLock()
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "scan") if threads > 1 else None

    def add_many(self, reference_ids: NDArray[np.int64], sketches: SketchArray) -> None:
        """Append rows: ids int64 (n,), sketches uint8 (n, bits / 8). All of them, or on an error none."""
        if len(np.unique(reference_ids)) != len(reference_ids):
            raise ValueError("got a reference twice; expected each once")
        with self._lock.exclusive():
            for reference_id in reference_ids.tolist():
                if reference_id in self._rows:
                    raise ValueError(f"reference {reference_id} is already in the gallery; remove it first")
            start, done = len(self._rows), 0
            while done < len(reference_ids):
                slab, at = divmod(start + done, SLAB_ROWS)
                self._make_room(slab, at)
                count = min(len(reference_ids) - done, len(self._slabs[slab]) - at)
                self._slabs[slab][at : at + count] = sketches[done : done + count]
                self._ids[slab][at : at + count] = reference_ids[done : done + count]
                done += count
            self._rows.put_new(reference_ids, start)

    def remove(self, reference_id: ReferenceId) -> bool:
        """Overwrite the row with the last row, zero the last row, shrink: O(1)."""
        with self._lock.exclusive():
            row = self._rows.pop(reference_id)
            if row is None:
                return False
            last = len(self._rows)
            (slab, at), (last_slab, last_at) = divmod(row, SLAB_ROWS), divmod(last, SLAB_ROWS)
            if row != last:
                self._slabs[slab][at] = self._slabs[last_slab][last_at]
                self._ids[slab][at] = self._ids[last_slab][last_at]
                self._rows.put(int(self._ids[slab][at]), row)
            self._slabs[last_slab][last_at] = 0
            self._ids[last_slab][last_at] = 0
            if not last_at and last_slab:
                del self._slabs[last_slab:], self._ids[last_slab:]  # all zero at this point
            return True

    def within(self, sketches: SketchArray, distance: int) -> list[Shortlist]:
        """Return the rows within a Hamming distance of each sketch, in the order of rows; one pass over all rows.

        Raises:
            ValueError: the distance is negative, or the sketches are of another shape or dtype.
        """
        if distance < 0:
            raise ValueError(f"got distance {distance}; expected 0 or more")
        sketches = self._checked(sketches)

        def scan(part: tuple[int, slice]) -> _HitsPerSketch:
            return _near(sketches, self._slabs[part[0]][part[1]], distance)

        with self._lock.shared():
            parts = self._parts()
            if not parts:
                return [Shortlist.empty(self._width) for _ in sketches]
            near = list(self._pool.map(scan, parts) if self._pool and len(parts) > 1 else map(scan, parts))
            firsts = [slab * SLAB_ROWS + rows.start for slab, rows in parts]
            return [
                self._gather(
                    np.concatenate([found[query][0] for found in near]),
                    np.concatenate([found[query][1] + first for found, first in zip(near, firsts, strict=True)]),
                )
                for query in range(len(sketches))
            ]

    def shortlists(self, sketches: SketchArray, k: int) -> list[Shortlist]:
        """Return the k nearest rows of each sketch; ties in no particular order.

        Raises:
            ValueError: k is less than 1, or the sketches are of another shape or dtype.
        """
        if k < 1:
            raise ValueError(f"got k {k}; expected 1 or more")
        sketches = self._checked(sketches)
        with self._lock.shared():
            if not len(self._rows):
                return [Shortlist.empty(self._width) for _ in sketches]
            if self._used() == 1:
                return list(map(self._gather, *self._scan(0, sketches, k)))
            per_slab = [self._scan(slab, sketches, k) for slab in range(self._used())]
            distances = np.concatenate([found for found, _ in per_slab], axis=1)
            rows = np.concatenate([found for _, found in per_slab], axis=1)
            order = np.argsort(distances, axis=1, kind="stable")[:, : min(k, len(self._rows))]
            return [self._gather(distances[query, chosen], rows[query, chosen]) for query, chosen in enumerate(order)]

    def copy(self) -> tuple[NDArray[np.int64], SketchArray]:
        """Return a consistent copy: ids, int64 (n,), and sketches, uint8 (n, bits / 8)."""
        with self._lock.shared():
            count = len(self._rows)
            ids, sketches = np.empty(count, dtype=np.int64), np.empty((count, self._width), dtype=np.uint8)
            for slab, (its_ids, its_sketches) in enumerate(zip(self._ids, self._slabs, strict=True)):
                rows = slice(slab * SLAB_ROWS, min(count, (slab + 1) * SLAB_ROWS))
                used = max(0, rows.stop - rows.start)
                ids[rows], sketches[rows] = its_ids[:used], its_sketches[:used]
            return ids, sketches

    def held(self) -> set[ReferenceId]:
        """Return the ids that have a row."""
        with self._lock.shared():
            return set(self._rows.ids())

    def buffers(self) -> Iterator[memoryview]:
        """Yield the memory of the slabs, unused rows included."""
        with self._lock.shared():
            for slab in self._slabs:
                yield slab.data.cast("B")

    def nbytes(self) -> int:
        """Return the memory that this engine uses, in bytes."""
        with self._lock.shared():
            held = sum(slab.nbytes for slab in self._slabs) + sum(ids.nbytes for ids in self._ids)
            return held + self._rows.nbytes()

    def __contains__(self, reference_id: ReferenceId) -> bool:
        return reference_id in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def _used(self) -> int:
        return -(-len(self._rows) // SLAB_ROWS)

    def _scan(self, slab: int, sketches: SketchArray, k: int) -> _Hits:
        first = slab * SLAB_ROWS
        count = min(len(self._rows) - first, SLAB_ROWS)
        with _one_thread():
            distances, rows = faiss.knn_hamming(sketches, self._slabs[slab][:count], min(k, count))
        return distances, rows + first

    def _gather(self, distances: NDArray[np.int32], rows: NDArray[np.int64]) -> Shortlist:
        if self._used() == 1:
            return Shortlist(self._ids[0][rows], distances, self._slabs[0][rows])
        ids = np.empty(len(rows), dtype=np.int64)
        sketches = np.empty((len(rows), self._width), dtype=np.uint8)
        slabs, within = np.divmod(rows, SLAB_ROWS)
        for slab in np.unique(slabs).tolist():
            chosen = np.flatnonzero(slabs == slab)
            ids[chosen] = self._ids[slab][within[chosen]]
            found = self._slabs[slab][within[chosen]]
            sketches[chosen] = found
            found.fill(0)
        return Shortlist(ids, distances, sketches)

    def _checked(self, sketches: SketchArray) -> SketchArray:
        if sketches.ndim != 2 or sketches.shape[1] != self._width or sketches.dtype != np.uint8:  # noqa: PLR2004
            raise ValueError(f"got sketches {sketches.dtype} {sketches.shape}; expected uint8 (n, {self._width})")
        return np.ascontiguousarray(sketches)

    def _parts(self) -> list[tuple[int, slice]]:
        """Return the parts to scan: whole slabs, or slabs split for the threads if there are few."""
        parts: list[tuple[int, slice]] = []
        cut = max(_SMALLEST_PART, -(-min(len(self._rows), SLAB_ROWS) // self._threads))
        for slab in range(self._used()):
            count = min(len(self._rows) - slab * SLAB_ROWS, SLAB_ROWS)
            parts += [(slab, slice(start, min(start + cut, count))) for start in range(0, count, cut)]
        return parts

    def _make_room(self, slab: int, row: int) -> None:
        """Allocate room for a row: the first slab doubles until it has full size, the others start with full size."""
        if slab == len(self._slabs):
            self._slabs.append(np.zeros((SLAB_ROWS, self._width), dtype=np.uint8))
            self._ids.append(np.zeros(SLAB_ROWS, dtype=np.int64))
        elif row == len(self._slabs[slab]):
            old = self._slabs[slab]
            self._slabs[slab] = np.zeros((2 * len(old), self._width), dtype=np.uint8)
            self._slabs[slab][: len(old)] = old
            old.fill(0)  # so that no sketch goes back to the allocator
            self._ids[slab] = np.concatenate([self._ids[slab], np.zeros_like(self._ids[slab])])


def _near(sketches: SketchArray, rows: SketchArray, distance: int) -> _HitsPerSketch:
    """Return, for each sketch, the distances and numbers of the rows within a Hamming distance.

    FAISS returns rows nearer than its radius, in its own memory; numbers and distances are copied out of it.
    """
    result = faiss.RangeSearchResult(len(sketches))
    with _one_thread():
        # Missing in the package's stubs, but in its C++ interface (utils/hamming.h) and in every wheel.
        faiss.hamming_range_search(  # type: ignore[attr-defined]
            faiss.swig_ptr(sketches),
            faiss.swig_ptr(rows),
            len(sketches),
            len(rows),
            distance + 1,
            rows.shape[1],
            result,
        )
    limits = faiss.rev_swig_ptr(result.lims, len(sketches) + 1).tolist()
    if not limits[-1]:
        return [(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))] * len(sketches)
    distances = faiss.rev_swig_ptr(result.distances, limits[-1]).astype(np.int32)
    numbers = faiss.rev_swig_ptr(result.labels, limits[-1]).astype(np.int64)
    return [(distances[a:b], numbers[a:b]) for a, b in pairwise(limits)]


@contextmanager
def _one_thread() -> Generator[None]:
    """Let OpenMP use only the calling thread, and restore its setting afterwards.

    OpenMP starts a team of threads for each calling thread, and waiting threads spin: on a busy processor a scan of a
    few rows then takes 5 to 20 ms (measured).
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
