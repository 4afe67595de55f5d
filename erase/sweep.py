"""The sweep: consents whose clock has run out are erased, begun erasures are finished, stray secrets destroyed.

1. Erasures that were begun are finished, under their own reasons; orders under way reach whoever is left of them.
2. Every consent in force is checked against its clocks (`volens.consent.clocks`); expired ones are erased, by reason.
3. What ends without a consent ending is cleared away: secrets that belong to nobody, passages past their days.

The clocks are read from the facts, not from the row that matching goes by: a row that ends too late is swept as
well.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, final

from volens.consent import EndReason, ErasureIncompleteError, ReceiptId, TamperError, VolensError
from volens.consent.clocks import LEGAL_SOURCES
from volens.erase.journal import unfinished
from volens.erase.order.execution import finish
from volens.erase.order.order_rows import cohort_receipts, unfinished_cohorts
from volens.erase.procedure import erase_consents, resume_all
from volens.erase.proof.certify import Erased
from volens.index import Galleries
from volens.store import Store
from volens.store.people import clocked, live_receipts
from volens.store.people.passages import prune_passages
from volens.store.programs.idempotency_store import prune_answers

STRAY_AFTER: Final = timedelta(hours=1)
"""A secret is made just before its consent is recorded; after a crash between the two it belongs to nobody."""

DUE_SOON: Final = timedelta(days=30)
STALE_AFTER: Final = timedelta(days=1)
"""How long a consent may outlive its clock before somebody is alarmed: a sweep a day was missed."""

Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did.

    Attributes:
        expired: consents of which a clock ran out, each with its reason.
        resumed: erasures that were begun before.
    """

    expired: tuple[Erased, ...]
    resumed: tuple[Erased, ...]
    stray_secrets: int

    @property
    def reasons(self) -> dict[str, int]:
        """How many of `expired` for which reason."""
        return dict(sorted(Counter(one.reason for one in self.expired).items()))


@final
@dataclass(frozen=True, slots=True)
class DueReport:
    """What a sweep would do, in numbers; by reason, in the order of the clocks.

    Attributes:
        now: clocks that have run out.
        soon: clocks that run out until `until`.
        begun: erasures to be finished.
    """

    now: Mapping[EndReason, int]
    soon: Mapping[EndReason, int]
    begun: int
    until: datetime


def _quiet(_done: int, _total: int) -> None:
    return


def sweep(store: Store, galleries: Galleries, home: Path, progress: Progress = _quiet) -> SweepReport:
    """Do all that is due now; what fails is left for the next sweep.

    Args:
        store: of the site.
        galleries: of this process.
        home: see `erase_consent`.
        progress: called with how much is done, of how much, in people; see `erase_consents`. What it raises ends the
            sweep there; the journal goes on from it.

    Raises:
        ErasureIncompleteError, TamperError: an erasure could not be finished; all others were.
    """
    with store.read() as connection:
        begun = unfinished(connection)
        orders = {
            one.cohort_id: set(cohort_receipts(connection, one.cohort_id, unerased=True)).difference(begun)
            for one in unfinished_cohorts(connection)
        }
    ended = _ended(store, but=set().union(*orders.values()))
    total = len(begun) + sum(map(len, orders.values())) + sum(map(len, ended.values()))
    work = _Work(store, galleries, home, progress, total)
    # 1.
    resumed = work.resume(begun)
    for cohort_id, left in orders.items():
        work.finish(cohort_id, len(left))
    # 2.
    expired = [erased for reason, ids in ended.items() for erased in work.erase(ids, reason)]
    # 3.
    stray_secrets = _clear_away(store)
    if work.stuck is not None:
        raise work.stuck
    return SweepReport(tuple(expired), tuple(resumed), stray_secrets)


def due(store: Store, within: timedelta = DUE_SOON) -> DueReport:
    """Return what a sweep would end now, and what comes due; changes nothing."""
    now = store.now()
    past: Counter[EndReason] = Counter()
    soon: Counter[EndReason] = Counter()
    with store.read() as connection:
        begun = len(unfinished(connection))
        for one in clocked(connection):
            deadline = one.deadline
            if deadline.at <= now:
                past[deadline.reason] += 1
            elif deadline.at <= now + within:
                soon[deadline.reason] += 1
    return DueReport(_in_order(past), _in_order(soon), begun, now + within)


def outliving(store: Store, grace: timedelta = STALE_AFTER) -> dict[EndReason, int]:
    """Return how many consents are still there although their clock ran out more than `grace` ago, by reason.

    Matching them has stopped; the data has not gone. Whoever runs the sweep must look.
    """
    limit = store.now() - grace
    with store.read() as connection:
        deadlines = [one.deadline for one in clocked(connection)]
    return _in_order(Counter(one.reason for one in deadlines if one.at < limit))


@final
class _Work:
    """The erasures of one sweep. One that is stuck must not keep the others from being erased; it is told last."""

    def __init__(self, store: Store, galleries: Galleries, home: Path, progress: Progress, total: int) -> None:
        self._store = store
        self._galleries = galleries
        self._home = home
        self._progress = progress
        self._total = total
        self._tried = 0
        self.stuck: VolensError | None = None

    def resume(self, receipt_ids: Sequence[ReceiptId]) -> list[Erased]:
        return self._tried_all(
            len(receipt_ids),
            lambda advance: resume_all(self._store, self._galleries, self._home, receipt_ids, advance),
        )

    def finish(self, cohort_id: str, count: int) -> None:
        def act(advance: Progress) -> list[Erased]:
            finish(self._store, self._galleries, self._home, cohort_id, advance)
            return []

        self._tried_all(count, act)

    def erase(self, receipt_ids: Sequence[ReceiptId], reason: EndReason) -> list[Erased]:
        return self._tried_all(
            len(receipt_ids),
            lambda advance: erase_consents(self._store, self._galleries, self._home, receipt_ids, reason, advance),
        )

    def _tried_all(self, count: int, act: Callable[[Progress], list[Erased]]) -> list[Erased]:
        try:
            return act(lambda done, _of_these: self._progress(self._tried + done, self._total))
        except (ErasureIncompleteError, TamperError) as error:
            self.stuck = self.stuck or error
            return []
        finally:
            self._tried += count


def _ended(store: Store, but: AbstractSet[ReceiptId]) -> dict[EndReason, list[ReceiptId]]:
    now = store.now()
    ended: dict[EndReason, list[ReceiptId]] = {reason: [] for reason in LEGAL_SOURCES}
    with store.read() as connection:
        for one in clocked(connection):
            if one.deadline.at <= now and one.receipt_id not in but:
                ended[one.deadline.reason].append(one.receipt_id)
    return {reason: ids for reason, ids in ended.items() if ids}


def _clear_away(store: Store) -> int:
    """End what lives by a clock of its own; whatever else has one is ended here."""
    with store.write() as tx:
        prune_passages(tx)
        prune_answers(tx)
    kept = store.keyring.kept(store.now() - STRAY_AFTER)
    with store.read() as connection:
        stray = kept - set(live_receipts(connection))
    return store.keyring.destroy_all(stray)


def _in_order(counts: Counter[EndReason]) -> dict[EndReason, int]:
    return {reason: counts[reason] for reason in LEGAL_SOURCES if counts[reason]}
