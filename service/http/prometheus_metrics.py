"""Prometheus metrics: durations, amounts and what is overdue. No personal data.

Labels are names of operations, stages, zones, models and processes; never anything that a caller has sent.
"""

import math
import os
import time
from collections import Counter as Counts
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from typing import Final, final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from volens import Site
from volens.consent import TamperError, VolensError
from volens.site_fleet import AlarmKind
from volens.store.programs.clock_exchange import ClockOffset

_SWITCHING_PROTOCOLS: Final = 101
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: a folder in which several workers count together (prometheus_client's multiprocess mode)."""

_MEASURED_EVERY_S: Final = 3600.0

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@final
@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took since the service started, in all its workers.

    Attributes:
        of: the stage or the operation.
        counts: how many took no longer than each bound of `_BUCKETS_S`, and longer than the one before; the last
            number is of those that took longer than every bound.
    """

    of: str
    counts: tuple[int, ...]

    @property
    def bounds_s(self) -> tuple[float, ...]:
        """The upper bounds of `counts`, in seconds; infinite for the last."""
        return (*_BUCKETS_S, math.inf)

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def quantile_s(self, share: float) -> float:
        """Return the bound, in seconds, that `share` (0 to 1) of all did not exceed; infinite beyond the last bound."""
        reached = accumulate(self.counts)
        return next(bound for bound, so_far in zip(self.bounds_s, reached, strict=True) if so_far >= share * self.total)


@final
class Metrics:
    """The metrics of one service, in their own registry."""

    def __init__(self, site: Site) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "volens_requests", "Requests answered.", ("operation", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "volens_request_seconds",
            "Seconds from the end of the headers to the end of the response.",
            ("operation",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._stages = Histogram(
            "volens_stage_seconds",
            "Seconds of each stage of a decision: wait for a thread, decode the frame, decide; and of decide: "
            "detect faces, embed them, scan the gallery, compare candidates, verify a signature, note the visit.",
            ("stage",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._exported = self._registry if SHARED not in os.environ else CollectorRegistry()
        if SHARED in os.environ:
            MultiProcessCollector(self._exported)  # type: ignore[no-untyped-call]
        self._exported.register(_SiteCollector(site))

    def count(self, operation: str, status: int, seconds: float) -> None:
        """Count a request and its duration; a stream is open for days, so its duration is not a measure of speed."""
        self._requests.labels(operation, f"{status // 100}xx").inc()
        if status != _SWITCHING_PROTOCOLS:
            self._seconds.labels(operation).observe(seconds)

    def stage(self, name: str, /) -> AbstractContextManager[object]:
        """Time a stage."""
        return self._stages.labels(name).time()

    def waited(self, since: float) -> None:
        """Count the time since `since` (of `time.perf_counter`) as waiting for a thread."""
        self._stages.labels("wait").observe(time.perf_counter() - since)

    def stages(self) -> list[Durations]:
        """Return how long each stage of a decision took."""
        return self._durations(self._stages, "volens_stage_seconds", "stage")

    def operations(self) -> list[Durations]:
        """Return how long the requests of each operation took."""
        return self._durations(self._seconds, "volens_request_seconds", "operation")

    def _durations(self, own: Histogram, name: str, label: str) -> list[Durations]:
        shared = MultiProcessCollector(CollectorRegistry()) if SHARED in os.environ else None  # type: ignore[no-untyped-call]
        families = own.collect() if shared is None else shared.collect()  # type: ignore[no-untyped-call]
        reached: dict[str, dict[float, float]] = {}
        for sample in (one for family in families for one in family.samples if one.name == f"{name}_bucket"):
            reached.setdefault(sample.labels[label], {})[float(sample.labels["le"])] = sample.value
        found = []
        for of, by_bound in sorted(reached.items()):
            so_far = [int(by_bound[bound]) for bound in sorted(by_bound)]
            counts = tuple(here - before for here, before in zip(so_far, (0, *so_far[:-1]), strict=True))
            if so_far[-1]:
                found.append(Durations(of, counts))
        return found

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._exported)


@final
class _SiteCollector(Collector):
    """Metrics about the state of the site, computed when Prometheus scrapes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._measured: tuple[float, list[Metric]] | None = None

    def _error_rates(self) -> list[Metric]:
        """Return the measured error rates of zones. Counts of many people are opened, so at most once an hour."""
        now = time.monotonic()
        if self._measured is None or now - self._measured[0] > _MEASURED_EVERY_S:
            rates = GaugeMetricFamily(
                "volens_fpir",
                "Share of strangers accepted in one look, as measured, with the ends of the 95 % interval over people.",
                labels=("zone", "bound"),
            )
            targets = GaugeMetricFamily("volens_fpir_target", "Share that the zone aims at.", labels=("zone",))
            people = GaugeMetricFamily("volens_fpir_people", "People whose scores were measured.", labels=("zone",))
            with suppress(VolensError):  # 'volens doctor' says what is wrong; the other metrics must go on
                for one in self._site.zones.measured(self._site.model):
                    people.add_metric((one.zone.purpose,), one.people)
                    if one.enough:
                        targets.add_metric((one.zone.purpose,), one.target)
                        for bound in ("value", "low", "high"):
                            rates.add_metric((one.zone.purpose, bound), getattr(one.now.fpir, bound))
            self._measured = (now, [rates, targets, people])
        return self._measured[1]

    def _fleet(self) -> list[Metric]:
        """Return the metrics of nodes and doors. A door is named by the id of its credential."""
        alarms = GaugeMetricFamily("volens_fleet_alarms", "What is wrong with nodes and doors.", labels=("kind",))
        silent = GaugeMetricFamily(
            "volens_door_silent_seconds", "Seconds since the last sign of each door.", labels=("door",)
        )
        offset = GaugeMetricFamily(
            "volens_door_clock_offset_seconds",
            "How far the clock of each door is ahead, and by how much that may be wrong.",
            labels=("door", "bound"),
        )
        node_offset = GaugeMetricFamily(
            "volens_process_clock_offset_seconds",
            "How far the clock of each process is ahead of the database server's, and by how much that may be wrong.",
            labels=("process", "bound"),
        )
        left = GaugeMetricFamily(
            "volens_certificate_seconds_left",
            "Seconds until the certificate of each process ends.",
            labels=("process",),
        )
        with suppress(TamperError):  # a row of a credential; the other metrics must go on
            fleet = self._site.fleet()
            found = Counts(one.kind for one in fleet.alarms())
            for kind in AlarmKind:
                alarms.add_metric((kind.value,), found[kind])
            for node in fleet.nodes:
                _add_offset(node_offset, node.process_id, node.offset)
                if node.certificate_until is not None:
                    left.add_metric((node.process_id,), (node.certificate_until - fleet.now).total_seconds())
            for door in fleet.doors:
                if door.report is not None:
                    silent.add_metric((door.door_id,), (fleet.now - door.report.seen_at).total_seconds())
                    _add_offset(offset, door.door_id, door.report.offset)
        return [alarms, silent, offset, node_offset, left]

    def collect(self) -> Iterable[Metric]:
        status, outbox = self._site.status(), self._site.programs.outbox.state()
        live = GaugeMetricFamily("volens_live_consents", "Live consents.", labels=("zone",))
        references = GaugeMetricFamily("volens_references", "References in the gallery.", labels=("zone", "model"))
        for one in status.zones:
            live.add_metric((one.zone.purpose,), one.live_consents)
            for model, count in one.references.items():
                references.add_metric((one.zone.purpose, model), count)
        age = timedelta() if status.unfinished_since is None else self._site.now() - status.unfinished_since
        lag = timedelta() if outbox.oldest_due_at is None else self._site.now() - outbox.oldest_due_at
        applied = GaugeMetricFamily(
            "volens_generation_applied", "Log generation that each process has applied.", labels=("process",)
        )
        behind = GaugeMetricFamily(
            "volens_process_lag_seconds", "Seconds by which each process is behind.", labels=("process",)
        )
        for process in status.processes:
            applied.add_metric((process.process_id,), process.generation)
            behind.add_metric((process.process_id,), process.lag.total_seconds())
        yield from (live, references, applied, behind, *self._error_rates(), *self._fleet())
        pending, pending_s = self._site.stops.overdue()
        for name, description, number in (
            (
                "volens_pending_stops",
                "Withdrawals obeyed by this process that the store could not record yet.",
                pending,
            ),
            ("volens_pending_stop_age_seconds", "Seconds since the oldest of them was received.", pending_s),
            ("volens_stop_reserve", "1 if disk space is reserved for withdrawals.", self._site.stops.reserve.is_kept()),
            ("volens_unfinished_erasures", "Unfinished erasures.", status.unfinished_erasures),
            (
                "volens_erasure_age_seconds",
                "Seconds since the oldest unfinished erasure made progress.",
                age.total_seconds(),
            ),
            ("volens_overdue_consents", "Expired consents that were not swept.", self._site.clocks.quick_due()[0]),
            ("volens_outbox_messages", "Messages waiting for delivery.", outbox.waiting),
            ("volens_outbox_given_up", "Messages whose delivery was given up.", outbox.dead),
            ("volens_outbox_lag_seconds", "Seconds since the oldest message was due.", max(0.0, lag.total_seconds())),
            ("volens_log_entries", "Entries of the audit log.", status.log_size),
            ("volens_generation", "Newest log generation: the size of the log.", status.log_size),
        ):
            yield GaugeMetricFamily(name, description, value=number)


def _add_offset(family: GaugeMetricFamily, about: str, offset: ClockOffset | None) -> None:
    if offset is not None:
        family.add_metric((about, "value"), offset.offset_ms / 1000)
        family.add_metric((about, "uncertainty"), offset.uncertainty_ms / 1000)
