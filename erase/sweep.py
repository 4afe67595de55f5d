"""The sweep: erases expired consents, finishes begun erasures, deletes orphaned secrets and other outdated rows.

1. Revocations that were received are carried out; erasures that were begun are finished under their own reasons;
   unfinished orders are applied to their remaining members.
2. Every consent in force is checked against its expiry clocks (`volens.consent.clocks`); expired ones are erased, by
   reason.
3. Evidence whose period is over is deleted (`volens.erase.outdated_evidence`).
4. Data with a clock of its own is deleted: secrets without a consent, visits older than their zone's history, and the
   shards of the audit log in which they were (`volens.erase.outdated_shards`). A
   root key that an erasure could not replace, because its holder did not answer, is replaced now if it answers.

The clocks are computed from the recorded facts, not from the expiry column that matching uses, so a wrong value there
does not keep a consent. Consents whose rows do not verify are closed and end with the term that the person signed at
the latest; the sweep reports them after it has done everything else.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar, final

from volens.consent import EndReason, ErasureIncompleteError, ReceiptId, TamperError, VolensError
from volens.consent.clocks import LEGAL_SOURCES
from volens.erase.journal import unfinished
from volens.erase.order.execution import finish
from volens.erase.order.order_rows import cohort_receipts, unfinished_cohorts
from volens.erase.outdated_evidence import delete_outdated_evidence
from volens.erase.outdated_shards import delete_ended_shards
from volens.erase.procedure import erase_consents, resume
from volens.erase.proof.certify import Erased
from volens.erase.revocations import carry_out_pending
from volens.index import Installation
from volens.store import Store
from volens.store.keys import destroy_secrets, renew_root_key
from volens.store.people import clocked, live_receipts
from volens.store.people.consents import inspect_consents
from volens.store.people.disclosures import prune_disclosures
from volens.store.people.invitation_rows import prune_invitations
from volens.store.people.visits import prune_visits
from volens.store.programs.idempotency_store import prune_responses

STRAY_AFTER: Final = timedelta(hours=1)
"""A secret is made just before its consent is recorded; a crash between the two leaves an orphan."""

DUE_SOON: Final = timedelta(days=30)
STALE_AFTER: Final = timedelta(days=1)
"""How long a consent may outlive its clock before the alarm is raised: the daily sweep was missed."""

Progress = Callable[[int, int], None]
Result = TypeVar("Result")


@final
@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did.

    Attributes:
        expired: consents that a clock ended, each with its reason.
        resumed: erasures that were begun before.
        stray_secrets: how many orphaned secrets were deleted.
        outdated: how much was deleted because its period was over, by kind.
    """

    expired: tuple[Erased, ...]
    resumed: tuple[Erased, ...]
    stray_secrets: int
    outdated: Mapping[str, int] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, int]:
        """How many of `expired` ended for each reason."""
        return dict(sorted(Counter(one.reason for one in self.expired).items()))


@final
@dataclass(frozen=True, slots=True)
class DueReport:
    """How many consents a sweep would end, by reason, in the order of the clocks.

    Attributes:
        soon: consents whose clock runs out before `until`.
        begun: erasures to be finished.
    """

    now: Mapping[EndReason, int]
    soon: Mapping[EndReason, int]
    begun: int
    until: datetime


def sweep(installation: Installation, progress: Progress = lambda _done, _total: None) -> SweepReport:
    """Do everything that is due now. An erasure that fails is left for the next sweep.

    `progress` is called with the number of people done and the total; see `erase_consents`. An exception that it raises
    ends the sweep; the journal continues from there.

    Raises:
        ErasureIncompleteError, TamperError: an erasure could not be finished, or the rows of a consent that is not due
            do not verify; everything else was done.
    """
    store = installation.store
    with store.read() as connection:
        begun = unfinished(connection)
        orders = {
            one.cohort_id: set(cohort_receipts(connection, one.cohort_id, unerased=True)).difference(begun)
            for one in unfinished_cohorts(connection)
        }
    ended, problems = _expired(store, but=set().union(*orders.values()))
    total = len(begun) + sum(map(len, orders.values())) + sum(map(len, ended.values()))
    tried, stuck = 0, list[VolensError](problems)

    def attempt(count: int, act: Callable[[Progress], Result]) -> Result | None:
        """Do a part; if it fails, the others are done nevertheless, and its error is raised last."""
        nonlocal tried
        try:
            return act(lambda done, _of_these: progress(tried + done, total))
        except (ErasureIncompleteError, TamperError) as error:
            stuck.append(error)
            return None
        finally:
            tried += count

    # 1.
    attempt(0, lambda _progress: carry_out_pending(installation))
    resumed = attempt(len(begun), partial(resume, installation, begun)) or []
    for cohort_id, left in orders.items():
        attempt(len(left), partial(finish, installation, cohort_id))
    # 2.
    expired: list[Erased] = []
    for reason, ids in ended.items():
        expired += attempt(len(ids), partial(erase_consents, installation, ids, reason)) or []
    # 3.
    outdated = attempt(0, lambda _progress: delete_outdated_evidence(store)) or {}
    # 4.
    attempt(0, lambda _progress: delete_ended_shards(store))
    stray_secrets, vanished = _delete_outdated(store)
    stuck += vanished
    if stuck:
        raise stuck[0]
    return SweepReport(tuple(expired), tuple(resumed), stray_secrets, outdated)


def due(store: Store, within: timedelta = DUE_SOON) -> DueReport:
    """Return how many consents a sweep would end now and soon; changes nothing."""
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
    """Return how many consents still exist although their clock ran out more than `grace` ago, by reason.

    Matching them has stopped, but the data is not erased: the operator must check why the sweep did not run.
    """
    limit = store.now() - grace
    with store.read() as connection:
        deadlines = [one.deadline for one in clocked(connection)]
    return _in_order(Counter(one.reason for one in deadlines if one.at < limit))


def _expired(store: Store, but: AbstractSet[ReceiptId]) -> tuple[dict[EndReason, list[ReceiptId]], list[TamperError]]:
    """Return the consents that are due, by reason, and what is wrong with those that stay."""
    now, problems = store.now(), list[TamperError]()
    ended: dict[EndReason, list[ReceiptId]] = {reason: [] for reason in LEGAL_SOURCES}
    with store.read() as connection:
        for one in clocked(connection):
            if one.deadline.at <= now and one.receipt_id not in but:
                ended[one.deadline.reason].append(one.receipt_id)
            elif one.problem is not None:
                problems.append(one.problem)
    return {reason: ids for reason, ids in ended.items() if ids}, problems


def _delete_outdated(store: Store) -> tuple[int, list[TamperError]]:
    """Delete data that has a clock of its own: visits, stored responses, invitations, orphaned secrets.

    Return how many secrets. The secret of a consent whose rows vanished is kept, and the error about it returned: a
    restore can bring the rows back.
    """
    with store.write() as tx:
        prune_visits(tx)
        prune_disclosures(tx)
        prune_responses(tx)
        prune_invitations(tx)
    kept = store.keyring.kept(store.now() - STRAY_AFTER)
    with store.read() as connection:
        stray = kept - set(live_receipts(connection))
        vanished = inspect_consents(connection, stray)
    problems = [one for one in vanished.values() if isinstance(one, TamperError)]
    if gone := stray - vanished.keys():
        destroy_secrets(store.keyring, gone, store.random, store.now())
    renew_root_key(store.keyring, store.random, store.now())
    return len(gone), problems


def _in_order(counts: Counter[EndReason]) -> dict[EndReason, int]:
    return {reason: counts[reason] for reason in LEGAL_SOURCES if counts[reason]}
