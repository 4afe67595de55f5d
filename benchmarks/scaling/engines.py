"""Measurement of the engine without a store, at sizes that no store is filled to. Sketches are random bits."""

import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np

from volens.consent import ReferenceId
from volens.index import SCAN_DEVIATIONS, FlatEngine, SketchArray, distance_bound

BATCH: Final = 32
"""Probes of one batch."""

LEAST: Final = 30
MOST: Final = 1000
_CHUNK: Final = 1 << 16
_WARM_UP: Final = 3
_THRESHOLD: Final = 0.5
_CHANGES: Final = 500

Said = Callable[[str], None]


def engines(
    sizes: Sequence[int], bits: Sequence[int], seconds: float, seed: int, said: Said
) -> Iterator[dict[str, Any]]:
    """Yield the observations of each engine: scans by one thread and by two, memory, batches, adding, removing.

    Args:
        sizes: rows.
        bits: of a sketch.
        seconds: of queries to each; at least 30 queries, at most 1000.
        seed: of sketches and queries.
        said: called with a description of each measurement.
    """
    for row_bits, size, threads in product(bits, sizes, (1, 2)):
        said(f"{size} x {row_bits} bits, threads {threads}")
        rng = np.random.default_rng([seed, size, row_bits])
        before = resident_bytes()
        engine = FlatEngine(row_bits, threads=threads)
        fill(engine, size, row_bits, rng)
        seen: dict[str, Any] = {
            "bits": row_bits,
            "size": size,
            "threads": threads,
            "engine_bytes": engine.nbytes(),
            "resident_bytes": resident_bytes() - before,
            "scan_ns": scans(engine, row_bits, seconds, rng),
        }
        if threads == 1:
            seen["two_at_once_ns"] = two_at_once(engine, row_bits, seconds, seed)
            seen["batch_ns"] = batches(engine, row_bits, seconds, rng)
            seen |= changes(engine, size, row_bits, rng)
        yield seen
        del engine


def fill(engine: FlatEngine, size: int, bits: int, rng: np.random.Generator) -> None:
    """Add rows of random bits; ids count from 1, as in a store."""
    for start in range(0, size, _CHUNK):
        count = min(_CHUNK, size - start)
        engine.add_many(np.arange(start + 1, start + count + 1), sketches(count, bits, rng))


def reach(bits: int) -> int:
    """Return the distance within which a scan returns sketches, at a threshold of 0.5."""
    return int(distance_bound(_THRESHOLD, bits, SCAN_DEVIATIONS))


def sketches(count: int, bits: int, rng: np.random.Generator) -> SketchArray:
    """Return random sketches."""
    return rng.integers(0, 256, (count, bits // 8), dtype=np.uint8)


def scans(engine: FlatEngine, bits: int, seconds: float, rng: np.random.Generator) -> list[int]:
    """Return the nanoseconds of one query after the other."""
    seen: list[int] = []
    started = time.perf_counter()
    while len(seen) < LEAST + _WARM_UP or (len(seen) < MOST and time.perf_counter() - started < seconds):
        query = sketches(1, bits, rng)
        start = time.perf_counter_ns()
        engine.within(query, reach(bits))
        seen.append(time.perf_counter_ns() - start)
    return seen[_WARM_UP:]


def two_at_once(engine: FlatEngine, bits: int, seconds: float, seed: int) -> list[int]:
    """Return the nanoseconds of queries of two doors that send probes all the time, each in its own thread."""
    generators = [np.random.default_rng([seed, number]) for number in range(2)]
    with ThreadPoolExecutor(2, initializer=faiss.omp_set_num_threads, initargs=(1,)) as pool:
        doors = list(pool.map(lambda rng: scans(engine, bits, seconds / 2, rng), generators))
    return [taken for door in doors for taken in door]


def batches(engine: FlatEngine, bits: int, seconds: float, rng: np.random.Generator) -> list[int]:
    """Return the nanoseconds of batches of `BATCH` queries."""
    seen: list[int] = []
    started = time.perf_counter()
    while len(seen) < _WARM_UP + 3 or (len(seen) < MOST // BATCH and time.perf_counter() - started < seconds):
        queries = sketches(BATCH, bits, rng)
        start = time.perf_counter_ns()
        engine.within(queries, reach(bits))
        seen.append(time.perf_counter_ns() - start)
    return seen[_WARM_UP:]


def changes(engine: FlatEngine, size: int, bits: int, rng: np.random.Generator) -> dict[str, list[int]]:
    """Return the nanoseconds of adding one row, and of removing a random one."""
    added: list[int] = []
    removed: list[int] = []
    for number, row in enumerate(sketches(min(_CHANGES, size), bits, rng)):
        start = time.perf_counter_ns()
        engine.add_many(np.array([size + 1 + number], dtype=np.int64), row[None])
        added.append(time.perf_counter_ns() - start)
    for one in rng.permutation(size)[:_CHANGES].tolist():
        start = time.perf_counter_ns()
        engine.remove(ReferenceId(one + 1))
        removed.append(time.perf_counter_ns() - start)
    return {"add_ns": added, "remove_ns": removed}


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # memory freed by an earlier engine must not hide the allocation of this one
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
