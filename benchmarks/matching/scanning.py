"""Scan of random sketches without a store, because enrolling ten million people would take too long."""

import time
from typing import Any, Final

import numpy as np

from benchmarks.matching.grid import Scan
from volens.index import SCAN_DEVIATIONS, FlatEngine, distance_bound

_CHUNK: Final = 1 << 18
_THRESHOLD: Final = 0.4


def observe_scan(scan: Scan, seed: int) -> dict[str, Any]:
    """Return nanoseconds of each scan, and the memory that the engine takes."""
    rng = np.random.default_rng(seed)
    engine = FlatEngine(scan.bits, threads=scan.threads)
    for start in range(0, scan.size, _CHUNK):
        ids = np.arange(start + 1, min(start + _CHUNK, scan.size) + 1, dtype=np.int64)
        engine.add_many(ids, rng.integers(0, 256, (len(ids), scan.bits // 8), dtype=np.uint8))
    distance = int(distance_bound(_THRESHOLD, scan.bits, SCAN_DEVIATIONS))
    spent = []
    for sketch in rng.integers(0, 256, (scan.count + 2, scan.bits // 8), dtype=np.uint8):
        start = time.perf_counter_ns()
        if scan.nearest:
            engine.shortlists(sketch[None], scan.nearest)
        else:
            engine.within(sketch[None], distance)
        spent.append(time.perf_counter_ns() - start)
    return {"ns": spent[2:], "nearest": scan.nearest, "size_bytes": engine.nbytes()}
