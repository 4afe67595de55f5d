"""Fan-out simulation of a sharded gallery: every probe goes to all shards, and the answer waits for the slowest.

Times of a shard are drawn from measured ones. The network is assumed, because there is one machine: a log-normal round
trip, whose median and spread are arguments. Times are in nanoseconds; the same seed gives the same.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

QUERIES: Final = 4_000


@dataclass(frozen=True, slots=True)
class Network:
    """Round trip to a shard and back.

    Attributes:
        median_ns: half of the round trips are shorter.
        sigma: of the logarithm; 0.5 makes the 99th percentile 3.2 times the median.
    """

    median_ns: float = 250_000.0
    sigma: float = 0.5

    def drawn(self, shape: tuple[int, ...], rng: np.random.Generator) -> Times:
        """Return independent round trips."""
        return np.asarray(rng.lognormal(math.log(self.median_ns), self.sigma, shape))


@dataclass(frozen=True, slots=True)
class Hedge:
    """Hedged request: a second replica of a shard gets the probe if the first has not answered after this share."""

    after: float = 0.95


def drawn(observed: Times, shape: tuple[int, ...], rng: np.random.Generator, scale: float = 1.0) -> Times:
    """Return times drawn from measured ones, each as likely as it was seen, and scaled to another size of shard."""
    return np.asarray(rng.choice(observed, size=shape) * scale)


def answers(
    observed: Times,
    shards: int,
    network: Network,
    rng: np.random.Generator,
    *,
    scale: float = 1.0,
    hedge: Hedge | None = None,
    queries: int = QUERIES,
) -> tuple[Times, float]:
    """Return the times of answers from unloaded shards, and the additional requests of a hedge, as a share.

    Args:
        observed: measured scans of one shard.
        shards: number of shards.
        network: between the coordinator and the shards.
        rng: seeded by the caller.
        scale: expected scan of these shards over that of the measured ones.
        hedge: when a second replica gets the probe; None for never.
        queries: number of queries to simulate.
    """
    shape = (queries, shards)
    first = drawn(observed, shape, rng, scale) + network.drawn(shape, rng)
    if hedge is None:
        return first.max(axis=1), 0.0
    wait = float(np.quantile(first, hedge.after))
    second = wait + drawn(observed, shape, rng, scale) + network.drawn(shape, rng)
    return np.minimum(first, np.where(first > wait, second, np.inf)).max(axis=1), float(np.mean(first > wait))


def loaded(
    observed: Times,
    shards: int,
    servers: int,
    probes_per_s: float,
    network: Network,
    rng: np.random.Generator,
    *,
    scale: float = 1.0,
    queries: int = QUERIES,
) -> Times:
    """Return the times of answers when probes come at random (Poisson) and queue at each shard in their order.

    Every shard gets every probe, so all of them are equally loaded; each has `servers` cores that scan one probe each.
    The first tenth of the queries fills the queues and is not returned.
    """
    arrives = np.cumsum(rng.exponential(1e9 / probes_per_s, queries))
    service = drawn(observed, (queries, shards), rng, scale)
    free = np.zeros((shards, servers))
    every_shard = np.arange(shards)
    finished = np.empty((queries, shards))
    for query, at in enumerate(arrives):
        server = free.argmin(axis=1)
        free[every_shard, server] = finished[query] = np.maximum(free[every_shard, server], at) + service[query]
    times = finished - arrives[:, None] + network.drawn((queries, shards), rng)
    return np.asarray(times.max(axis=1)[queries // 10 :])


def on_cores(
    observed: Times, shards: int, cores: int, overhead: Times, rng: np.random.Generator, *, queries: int = QUERIES
) -> Times:
    """Return the times of answers when shards share the cores of one machine, which a test on one machine can check.

    Shards are tied to cores in turn; the answer waits for the core that is done last. `overhead` are measured times of
    the same messages without a scan.
    """
    service = drawn(observed, (queries, shards), rng)
    busy = np.stack([service[:, core::cores].sum(axis=1) for core in range(cores)], axis=1)
    return np.asarray(busy.max(axis=1) + drawn(overhead, (queries,), rng))
