"""Numbers for Prometheus: how long things take, how much there is, how much is overdue. No personal data.

Labels are names of operations, stages, zones and models, and nothing that a caller has sent.
"""

import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Final, final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from volens import Site
from volens.service.http.request_observer import RequestRecord

_STREAM: Final = 101
"""A stream is open for days; how long says nothing of how fast."""
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set to a folder where several workers count together (prometheus_client's multiprocess mode); any of them answers."""

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@final
class Metrics:
    """The numbers of one service, in a registry of their own."""

    def __init__(self, site: Site) -> None:
        """Count nothing yet."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "volens_requests", "Requests answered.", ("operation", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "volens_request_seconds",
            "From the end of the headers to the end of the answer.",
            ("operation",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._stages = Histogram(
            "volens_stage_seconds",
            "Stages of a decision: wait for a thread, decode the frame, decide; and what deciding is made of: detect "
            "faces, embed them, scan the gallery, compare who may be matched, verify a signature, note the visit.",
            ("stage",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._answers = self._registry if SHARED not in os.environ else CollectorRegistry()
        if SHARED in os.environ:
            MultiProcessCollector(self._answers)  # type: ignore[no-untyped-call]
        self._answers.register(_Standing(site))

    def __call__(self, seen: RequestRecord, /) -> None:
        """Count a request."""
        self._requests.labels(seen.operation, f"{seen.status // 100}xx").inc()
        if seen.status != _STREAM:
            self._seconds.labels(seen.operation).observe(seen.seconds)

    def stage(self, name: str, /) -> AbstractContextManager[object]:
        """Time a stage."""
        return self._stages.labels(name).time()

    def waited(self, since: float) -> None:
        """Note how long something waited for a thread, since a time of `time.perf_counter`."""
        self._stages.labels("wait").observe(time.perf_counter() - since)

    def text(self) -> bytes:
        """Return all numbers as Prometheus reads them."""
        return generate_latest(self._answers)


@final
class _Standing(Collector):
    """What there is, counted when somebody asks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterable[Metric]:
        status, outbox = self._site.status(), self._site.rights.outbox.state()
        now = self._site.rights.outbox.now()
        live = GaugeMetricFamily("volens_live_consents", "Consents in force.", labels=("zone",))
        references = GaugeMetricFamily("volens_references", "References in the gallery.", labels=("zone", "model"))
        for one in status.zones:
            live.add_metric((one.zone.purpose,), one.live_consents)
            for model, count in one.references.items():
                references.add_metric((one.zone.purpose, model), count)
        age = timedelta() if status.unfinished_since is None else now - status.unfinished_since
        lag = timedelta() if outbox.oldest_due_at is None else now - outbox.oldest_due_at
        applied = GaugeMetricFamily("volens_generation_applied", "Of the log, by each process.", labels=("process",))
        behind = GaugeMetricFamily("volens_process_lag_seconds", "How late each process follows.", labels=("process",))
        for process in status.processes:
            applied.add_metric((process.process_id,), process.generation)
            behind.add_metric((process.process_id,), process.lag.total_seconds())
        yield from (live, references, applied, behind)
        for name, said, number in (
            ("volens_unfinished_erasures", "Erasures that are not finished.", status.unfinished_erasures),
            ("volens_erasure_age_seconds", "Since the oldest of them last went on.", age.total_seconds()),
            ("volens_overdue_consents", "Consents that ran out and were not swept.", self._site.clocks.quick_due()[0]),
            ("volens_outbox_messages", "Messages that wait to be delivered.", outbox.waiting),
            ("volens_outbox_given_up", "Messages that were given up.", outbox.dead),
            ("volens_outbox_lag_seconds", "Since the oldest message is due.", max(0.0, lag.total_seconds())),
            ("volens_log_entries", "Entries of the audit log.", status.log_size),
            ("volens_generation", "What there is to apply: the size of the log.", status.log_size),
        ):
            yield GaugeMetricFamily(name, said, value=number)
