"""The embedded search engine: sketches in slabs that this module allocates and wipes, scanned by FAISS.

See docs/adr/0002 and 0016.

FAISS's own IndexBinaryFlat holds its codes in a buffer that it reallocates without zeroing, and `remove_ids` moves
every row behind the hole. Here a removal overwrites the row with the last row, zeroes the last row, and
shrinks: no copy remains. Slabs of fixed size are never moved, so a gallery grows without a second copy of itself.
"""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Final, NamedTuple, final

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

_BLOCK_DISTANCES: Final = 1 << 17
"""How many distances are computed before they are compared: half a megabyte, which stays in a cache."""

_Hits = tuple[NDArray[np.int32], NDArray[np.int64]]


@final
class _Near(NamedTuple):
    """Rows near some sketches: the numbers of the sketches (None for a single one), the distances, the rows."""

    query: NDArray[np.int64] | None
    distances: NDArray[np.int32]
    rows: NDArray[np.int64]

    @classmethod
    def joined(cls, several: Sequence["_Near"]) -> "_Near":
        if len(several) == 1:
            return several[0]
        queries = [one.query for one in several if one.query is not None]
        return cls(
            np.concatenate(queries) if queries else None,
            np.concatenate([one.distances for one in several]),
            np.concatenate([one.rows for one in several]),
        )

    def by_query(self, count: int) -> Iterator[_Hits]:
        """Yield distances and rows for each sketch, in the order of rows."""
        if self.query is None:
            yield self.distances, self.rows
            return
        order = np.argsort(self.query, kind="stable")
        ends = np.searchsorted(self.query[order], np.arange(count + 1)).tolist()
        for start, end in pairwise(ends):
            its = order[start:end]
            yield self.distances[its], self.rows[its]


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

        self._lock.acquire_shared()
        try:
            count = len(self._rows)
            if not count:
                return [Shortlist.empty(self._width) for _ in sketches]
            if count <= SLAB_ROWS and self._pool is None:
                near = _near(sketches, self._slabs[0][:count], distance, 0)
            else:
                near = self._scanned(sketches, distance)
            return [self._gather(*hits) for hits in near.by_query(len(sketches))]
        finally:
            self._lock.release_shared()

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

    def _scanned(self, sketches: SketchArray, distance: int) -> "_Near":
        def scan(part: tuple[int, slice]) -> _Near:
            slab, rows = part
            return _near(sketches, self._slabs[slab][rows], distance, slab * SLAB_ROWS + rows.start)

        parts = self._parts()
        return _Near.joined(list(self._pool.map(scan, parts) if self._pool and len(parts) > 1 else map(scan, parts)))

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


def _near(sketches: SketchArray, rows: SketchArray, distance: int, first: int) -> _Near:
    """Return the rows within a Hamming distance of each sketch; `first` is the number of the first row.

    All distances of a block of rows are computed, and then compared: FAISS's own range search takes as long with 512
    bits, and nearly twice as long with 1024 (docs/adr/0036).
    """
    queries, width = len(sketches), rows.shape[1]
    block = max(1, _BLOCK_DISTANCES // queries)
    distances = np.empty(queries * min(block, len(rows)), dtype=np.int32)
    found: list[_Near] = []
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # see `_one_thread`
    try:
        for start in range(0, len(rows), block):
            some = rows[start : start + block]
            its = distances[: queries * len(some)]
            # Missing in the package's stubs, but in its C++ interface (utils/hamming.h) and in every wheel.
            faiss.hammings(  # type: ignore[attr-defined]
                faiss.swig_ptr(sketches), faiss.swig_ptr(some), queries, len(some), width, faiss.swig_ptr(its)
            )
            near = np.flatnonzero(its <= distance)
            query, number = (None, near) if queries == 1 else np.divmod(near, len(some))
            found.append(_Near(query, its[near], number + (first + start)))
    finally:
        faiss.omp_set_num_threads(threads)
        distances.fill(0)
    return _Near.joined(found)


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
