"""Figures derived from the raw observations, from the model and from the simulation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Self

import numpy as np

from benchmarks.scaling.fan_out import Hedge, Network, Times, answers, drawn, loaded, on_cores
from benchmarks.scaling.model import Scan

Document = Mapping[str, Any]

NETWORK: Final = Network()
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of a latency in milliseconds: 50th and 99th."""

    p50: float
    p99: float

    @classmethod
    def of(cls, times_ns: Sequence[int] | Times) -> Self:
        """Compute them from nanoseconds."""
        p50, p99 = np.percentile(np.asarray(times_ns, dtype=float) / 1e6, [50, 99])
        return cls(float(p50), float(p99))


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Input of the model and the simulation: sketches of 512 bits, one thread; the gate of 512 dimensions."""

    scans: Mapping[int, Times]
    contended: Mapping[int, Times]
    scan: Scan
    gate: Times

    @classmethod
    def of(cls, document: Document) -> Self:
        """Extract them from the raw observations."""
        kept = {
            size: entry
            for entry in document["engines"]
            if (entry["bits"], entry["threads"]) == (512, 1)
            for size in [entry["size"]]
        }
        (door,) = [one for one in document["doors"] if one["dimension"] == 512]  # noqa: PLR2004
        return cls(
            {size: np.array(entry["scan_ns"], dtype=float) for size, entry in kept.items()},
            {size: np.array(entry["two_at_once_ns"], dtype=float) for size, entry in kept.items()},
            fitted(document, 512),
            gate_ns(door),
        )

    def near(self, rows: float, *, contended: bool = False) -> tuple[Times, float]:
        """Return measured scans of the size nearest to a shard's, and by how much the shard's is expected to differ."""
        observed = self.contended if contended else self.scans
        size = min(observed, key=lambda one: abs(np.log(one / rows)))
        return observed[size], self.scan.ns(rows) / self.scan.ns(size)


def fitted(document: Document, bits: int) -> Scan:
    """Return the model of a scan by one thread."""
    seen = {one["size"]: one["scan_ns"] for one in document["engines"] if (one["bits"], one["threads"]) == (bits, 1)}
    return Scan.fitted(seen, bits // 8)


def gate_ns(door: Document) -> Times:
    """Return what whole identifications of enrolled people took beyond the scan; never below 0."""
    return np.asarray(np.maximum(np.array(door["genuine_ns"], dtype=float) - median(door["scan_ns"]), 0.0))


def fan_out(measured: Measured, size: int, shards: int, hedge: Hedge | None = None) -> tuple[Percentiles, float]:
    """Return answers of a gallery in so many unloaded shards, gate included, and the share of requests made twice."""
    rng = np.random.default_rng([SEED, size, shards])
    observed, scale = measured.near(size / shards)
    times, twice = answers(observed, shards, NETWORK, rng, scale=scale, hedge=hedge)
    return Percentiles.of(times + drawn(measured.gate, times.shape, rng)), twice


def probes_at(measured: Measured, size: int, shards: int, servers: int, busy: float) -> float:
    """Return the probes in a second at which the cores of each shard are busy for this share of the time."""
    observed, scale = measured.near(size / shards, contended=True)
    return busy * servers * 1e9 / (float(observed.mean()) * scale)


def under_load(measured: Measured, size: int, shards: int, servers: int, busy: float) -> Percentiles:
    """Return answers at such a load; scans are drawn from those of two doors at once, which share the memory."""
    rng = np.random.default_rng([SEED, size, shards, servers])
    observed, scale = measured.near(size / shards, contended=True)
    probes = probes_at(measured, size, shards, servers, busy)
    times = loaded(observed, shards, servers, probes, NETWORK, rng, scale=scale)
    return Percentiles.of(times + drawn(measured.gate, times.shape, rng))


@dataclass(frozen=True, slots=True)
class Check:
    """A gallery measured in several processes, and the predictions of the simulation for it."""

    shards: int
    measured: Percentiles
    from_engine: Percentiles
    from_processes: Percentiles

    def error(self, predicted: Percentiles) -> tuple[float, float]:
        """Return the relative error of a prediction, for p50 and p99."""
        return predicted.p50 / self.measured.p50 - 1, predicted.p99 / self.measured.p99 - 1


def checks(document: Document, measured: Measured) -> list[Check]:
    """Predict the measurements with several processes on this machine, in two ways.

    The first uses the data of the tables: scans of one engine for a single process, of two doors at once for several.
    The second uses the scans inside as many processes as there are cores, measured in the same minute, which excludes
    the differences between threads and processes, and between one minute and another. A prediction uses the echo time
    of the messages of its own run; the second also uses its scans, if it has no more processes than cores.
    """
    cores = document["machine"]["cores"]
    runs = {run["shards"]: run for run in document["shards"]["runs"]}
    full = max((count for count in runs if count <= cores), default=min(runs))
    found = []
    for count, run in runs.items():
        observed, scale = measured.near(document["shards"]["rows"], contended=count > 1)
        side_by_side = np.array(runs[min(full, count)]["scan_ns"], dtype=float).ravel()
        rng, echo = np.random.default_rng([SEED, count]), np.array(run["echo_ns"], dtype=float)
        predicted = [on_cores(times, count, cores, echo, rng) for times in (observed * scale, side_by_side)]
        found.append(Check(count, Percentiles.of(run["answer_ns"]), *map(Percentiles.of, predicted)))
    return found
