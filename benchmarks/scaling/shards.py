"""Measurement of a sharded gallery in several processes of this machine, to check the simulation against.

The parent sends a sketch to every process and waits for the last answer. Messages are plain bytes over pipes. Each
process is pinned to a core, in turn, because the scheduler would otherwise run two of them on one core.
"""

import os
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

import faiss
import numpy as np

from benchmarks.scaling.engines import fill, reach, sketches
from volens.index import FlatEngine

_ECHO: Final = b"echo"
_WARM_UP: Final = 20


def shards(counts: Sequence[int], rows: int, bits: int, queries: int, seed: int) -> dict[str, Any]:
    """Return raw observations of galleries for each number of shards, with the given rows in each.

    For each count: nanoseconds of whole answers, of the scan inside each process, and of an echo by all without a scan.
    """
    return {
        "rows": rows,
        "bits": bits,
        "runs": [{"shards": count, **_run(count, rows, bits, queries, seed)} for count in counts],
    }


def _run(count: int, rows: int, bits: int, queries: int, seed: int) -> dict[str, Any]:
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(count)]
    workers = [
        context.Process(target=serve, args=(there, rows, bits, [seed, number]), daemon=True)
        for number, (_, there) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    ends = [here for here, _ in pipes]
    try:
        for end in ends:
            end.recv_bytes()  # its shard is filled
        rng = np.random.default_rng([seed, count])
        answer_ns, echo_ns = [], []
        scan_ns: list[list[int]] = []
        # In turn, so that a disturbance falls on both.
        for _ in range(queries + _WARM_UP):
            taken, inside = ask(ends, sketches(1, bits, rng).tobytes())
            answer_ns.append(taken)
            scan_ns.append(inside)
            echo_ns.append(ask(ends, _ECHO)[0])
    finally:
        for end in ends:
            end.close()
        for worker, (_, there) in zip(workers, pipes, strict=True):
            there.close()
            worker.join(timeout=5)
            if worker.is_alive():
                worker.terminate()
                worker.join()
    return {"answer_ns": answer_ns[_WARM_UP:], "scan_ns": scan_ns[_WARM_UP:], "echo_ns": echo_ns[_WARM_UP:]}


def ask(ends: Sequence[Connection], message: bytes) -> tuple[int, list[int]]:
    """Send a message to all; return the nanoseconds until the last answer, and the scan time that each reports."""
    start = time.perf_counter_ns()
    for end in ends:
        end.send_bytes(message)
    answers = [end.recv_bytes() for end in ends]
    return time.perf_counter_ns() - start, [int.from_bytes(answer[:8]) for answer in answers]


def serve(end: Connection, rows: int, bits: int, seed: list[int]) -> None:
    """Run one shard until the pipe closes. An answer is the nanoseconds of the scan, ids and distances.

    The last number of the seed is that of the shard, which selects its core.
    """
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[seed[-1] % len(cores)]})
    faiss.omp_set_num_threads(1)
    engine = FlatEngine(bits)
    fill(engine, rows, bits, np.random.default_rng(seed))
    end.send_bytes(b"ready")
    while True:
        try:
            message = end.recv_bytes()
        except EOFError:
            return
        if message == _ECHO:
            end.send_bytes(bytes(8))
            continue
        start = time.perf_counter_ns()
        (found,) = engine.within(np.frombuffer(message, dtype=np.uint8)[None], reach(bits))
        taken = time.perf_counter_ns() - start
        end.send_bytes(taken.to_bytes(8) + found.ids.tobytes() + found.distances.tobytes())
