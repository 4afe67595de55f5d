"""`Site.cohorts`: erasure by order (plan, approve, execute, prove), orders to stop collecting, and the operators."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from volens.consent import RefusedError
from volens.erase.operator_key import OperatorKey, approve, change_approved
from volens.erase.order.dossier import write_dossier
from volens.erase.order.execution import AnswerRequests, execute, finish
from volens.erase.order.order_rows import Cohort, cohort_of, unfinished_cohorts
from volens.erase.order.plan import PLAN, Plan, count_selected, make_plan, read_plan
from volens.erase.order.proposals import (
    ProposedOrder,
    add_proposal,
    approve_proposal,
    list_proposals,
    the_proposal,
)
from volens.erase.order.selection import Selection
from volens.index import Installation
from volens.store import Transaction, promises
from volens.store.people.invitation_rows import cancel_invitations
from volens.store.promises import CollectionStop, Operator


@final
@dataclass(frozen=True, slots=True)
class CohortErased:
    """An order that was carried out, and the folder of its dossier."""

    cohort: Cohort
    dossier: Path


@final
class Cohorts:
    """Erasures of many people by order of an authority; see `volens.erase.order.execution`."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.store

    def plan(self, selection: Selection, key: OperatorKey | None = None) -> tuple[Plan, bytes]:
        """Make the plan of an erasure, a dry run; return it with the content of its file. See `make_plan`.

        With an operator's key, the plan is also approved.

        Raises:
            RefusedError: the key does not belong to an operator who may approve.
        """
        if key is not None and all(one.public_key != key.public_key for one in self.operators()):
            raise RefusedError(
                "this key does not belong to an operator who may approve; 'volens operator list' shows them"
            )
        plan = make_plan(self._store, selection)
        approvals = [] if key is None else [approve(key, plan.token, plan.cohort_id, self._store.now())]
        return plan, PLAN.to_file(plan.token, approvals)

    def read(self, plan: bytes) -> Plan:
        """Return the plan in a file.

        Raises:
            InputError: the file holds no plan.
            TamperError: the plan is not signed by this site.
        """
        return read_plan(PLAN.from_file(plan)[0], self._store.verifier_key)

    def count(self, selection: Selection) -> Mapping[str, Any]:
        """Do a dry run without a plan: return the counts as in `Plan.counts`. Nothing is signed or logged.

        Raises:
            UnknownError: there is no such zone.

        Cost: as `make_plan`.
        """
        return count_selected(self._store, selection)

    def propose(self, selection: Selection, officer: str) -> Plan:
        """Make a plan that a second privacy officer must approve; `officer` is the id of the first one's credential.

        Raises:
            UnknownError: there is no such zone.
        """
        plan = make_plan(self._store, selection)
        with self._store.write() as tx:
            add_proposal(tx, plan, officer)
        return plan

    def approve_proposal(self, cohort_id: str, officer: str) -> ProposedOrder:
        """Approve a proposed order as a second officer; see `volens.erase.order.proposals.approve_proposal`."""
        with self._store.write() as tx:
            plan = read_plan(the_proposal(tx.connection, cohort_id).plan, self._store.verifier_key)
            approve_proposal(tx, plan, officer)
            return the_proposal(tx.connection, cohort_id)

    def proposals(self) -> list[ProposedOrder]:
        """Return the proposed orders, approved or not, the newest first."""
        with self._store.read() as connection:
            return list_proposals(connection)

    def proposal(self, cohort_id: str) -> ProposedOrder:
        """Return a proposed order.

        Raises:
            UnknownError: there is none of this id.
            TamperError: its row or its entries in the log do not hold.
        """
        with self._store.read() as connection:
            return the_proposal(connection, cohort_id)

    def plan_of(self, proposed: ProposedOrder) -> Plan:
        """Return the plan of a proposed order, its signature checked."""
        return read_plan(proposed.plan, self._store.verifier_key)

    def plan_file(self, cohort_id: str) -> bytes:
        """Return the file of a proposed plan, for operators to sign; errors as `proposal`."""
        return PLAN.to_file(self.proposal(cohort_id).plan, [])

    def state_of(self, cohort_id: str) -> Cohort | None:
        """Return an order that was begun; None before."""
        with self._store.read() as connection:
            return cohort_of(connection, cohort_id)

    def execute(
        self,
        plan: bytes,
        approvals: Sequence[str],
        dossier: Path,
        *,
        answers: Path,
        answer_requests: AnswerRequests | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> CohortErased:
        """Carry out a plan, or continue it, and write its dossier; see `volens.erase.order.execution.execute`.

        `approvals` are of other operators, in addition to the one that the plan's file may hold. The folder `dossier`
        must not exist yet.
        """
        token, own = PLAN.from_file(plan)
        cohort = execute(
            self._installation,
            read_plan(token, self._store.verifier_key),
            [*own, *approvals],
            answers,
            answer_requests=answer_requests,
            progress=progress,
        )
        write_dossier(self._store, cohort, dossier)
        return CohortErased(cohort, dossier)

    def resume(self, progress: Callable[[int, int], None] | None = None) -> list[Cohort]:
        """Finish every order that was begun. Carrying out the plan again writes its dossier."""
        return [finish(self._installation, one.cohort_id, progress) for one in self.unfinished()]

    def unfinished(self) -> list[Cohort]:
        """Return the orders that were begun and not finished; members not erased yet are still matched."""
        with self._store.read() as connection:
            return unfinished_cohorts(connection)

    def stop_collecting(self, jurisdiction: str | None, zone: str | None) -> CollectionStop:
        """Refuse consent and enrollment from now on, and cancel open invitations; see `promises.stop_collecting`."""
        with self._store.write() as tx:
            stop = promises.stop_collecting(tx, jurisdiction, zone)
            cancel_invitations(tx, lambda one: stop.applies_to(one.jurisdiction, one.purpose))
            return stop

    def lift_stop(self, order_id: str, keys: Sequence[OperatorKey] = ()) -> None:
        """Allow consent and enrollment again. Needs the approval of as many operators as the site requires."""
        with self._changing({"change": "lift", "order_id": order_id}, keys) as (tx, approved):
            promises.lift_stop(tx, order_id, approved)

    def standing_stops(self) -> list[CollectionStop]:
        """Return the orders to stop collecting that are in force."""
        with self._store.read() as connection:
            return promises.standing_stops(connection)

    def add_operator(self, label: str, public_key: bytes, keys: Sequence[OperatorKey] = ()) -> None:
        """Add an operator who may approve. Needs the approval of as many operators as the site requires."""
        change: dict[str, str | int] = {"change": "add", "operator": label, "public_key": public_key.hex()}
        with self._changing(change, keys) as (tx, approved):
            promises.add_operator(tx, label, public_key, approved)

    def remove_operator(self, label: str, keys: Sequence[OperatorKey] = ()) -> None:
        """Remove an operator's right to approve. Needs the approval of as many operators as the site requires."""
        with self._changing({"change": "remove", "operator": label}, keys) as (tx, approved):
            promises.remove_operator(tx, label, approved)

    def require_operators(self, required: int, keys: Sequence[OperatorKey] = ()) -> None:
        """Set how many operators an order needs. Needs the approval of as many operators as were required before."""
        with self._changing({"change": "require", "required": required}, keys) as (tx, approved):
            promises.require_operators(tx, required, approved)

    def operators(self) -> list[Operator]:
        """Return the operators who may approve."""
        with self._store.read() as connection:
            return promises.list_operators(connection)

    def operators_required(self) -> int:
        """Return how many operators an order needs."""
        with self._store.read() as connection:
            return promises.operators_required(connection)

    @contextmanager
    def _changing(
        self, change: Mapping[str, str | int], keys: Sequence[OperatorKey]
    ) -> Generator[tuple[Transaction, Mapping[str, str | int]]]:
        with self._store.write() as tx:
            yield tx, change_approved(self._store, tx, change, keys)
