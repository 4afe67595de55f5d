"""Erasure by order, as a site offers it: plan, approve, carry out, prove; stop collecting; who may approve."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from volens.consent import RefusedError
from volens.erase.operator_key import OperatorKey, approve, change_approved
from volens.erase.order.dossier import write_dossier
from volens.erase.order.execution import AnswerRequests, execute, finish
from volens.erase.order.order_rows import Cohort, unfinished_cohorts
from volens.erase.order.plan import Plan, make_plan, plan_file, read_plan, read_plan_file
from volens.erase.order.selection import Selection
from volens.index import Galleries
from volens.store import Store, Transaction
from volens.store.promises import (
    CollectionStop,
    Operator,
    add_operator,
    lift_stop,
    list_operators,
    operators_required,
    remove_operator,
    require_operators,
    standing_stops,
    stop_collecting,
)


@final
@dataclass(frozen=True, slots=True)
class CohortErased:
    """An order that was carried out, and where its dossier is."""

    cohort: Cohort
    dossier: Path


@final
class Cohorts:
    """Erasures of many by order, and what belongs to them. `Site.cohorts` makes it."""

    def __init__(self, store: Store, galleries: Galleries, home: Path) -> None:
        """Work on what an open site has."""
        self._store = store
        self._galleries = galleries
        self._home = home

    def plan(self, selection: Selection, key: OperatorKey | None = None) -> tuple[Plan, bytes]:
        """Do a dry run; see `make_plan`. With the key of an operator, it is their approval as well.

        Returns:
            The plan, and the content of its file.

        Raises:
            RefusedError: the key is of nobody who may approve.
        """
        if key is not None and all(one.public_key != key.public_key for one in self.operators()):
            raise RefusedError("got the key of nobody who may approve; 'volens operator list' shows who may")
        plan = make_plan(self._store, selection)
        approvals = [] if key is None else [approve(key, plan.token, plan.cohort_id, self._store.now())]
        return plan, plan_file(plan.token, approvals)

    def read(self, plan: bytes) -> Plan:
        """Return the plan in a file.

        Raises:
            InputError: it is none.
            TamperError: it is not signed by this site.
        """
        return read_plan(read_plan_file(plan)[0], self._store.verifier_key)

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
        """Carry a plan out, or go on with it, and write its dossier; see `volens.erase.order.execution`.

        Args:
            plan: the content of its file.
            approvals: of other operators, beside the one that the plan may carry.
            dossier: a folder that is not there yet.
            answers: a folder outside the home for the answers to open requests.
            answer_requests: answers them; without it open requests stop the order.
            progress: called with how many are erased, of how many.
        """
        token, own = read_plan_file(plan)
        cohort = execute(
            self._store,
            self._galleries,
            self._home,
            read_plan(token, self._store.verifier_key),
            [*own, *approvals],
            answers,
            answer_requests=answer_requests,
            progress=progress,
        )
        write_dossier(self._store, cohort, dossier)
        return CohortErased(cohort, dossier)

    def resume(self, progress: Callable[[int, int], None] | None = None) -> list[Cohort]:
        """Finish every order that was begun; their dossiers are written by carrying the plan out again."""
        return [finish(self._store, self._galleries, self._home, one.cohort_id, progress) for one in self.under_way()]

    def under_way(self) -> list[Cohort]:
        """Return the orders that were begun and not finished: who is left of them is still matched."""
        with self._store.read() as connection:
            return unfinished_cohorts(connection)

    def stop_collecting(self, jurisdiction: str | None, zone: str | None) -> CollectionStop:
        """Refuse consent and enrollment from now on; see `volens.store.promises.stop_collecting`."""
        with self._store.write() as tx:
            return stop_collecting(tx, jurisdiction, zone)

    def lift_stop(self, order_id: str, keys: Sequence[OperatorKey] = ()) -> None:
        """Allow them again; a change that needs as many operators as the site asks for."""
        with self._changing({"change": "lift", "order_id": order_id}, keys) as (tx, approved):
            lift_stop(tx, order_id, approved)

    def standing_stops(self) -> list[CollectionStop]:
        """Return the orders to stop collecting that stand."""
        with self._store.read() as connection:
            return standing_stops(connection)

    def add_operator(self, label: str, public_key: bytes, keys: Sequence[OperatorKey] = ()) -> None:
        """Let somebody approve; a change that needs as many operators as the site asks for."""
        change: dict[str, str | int] = {"change": "add", "operator": label, "public_key": public_key.hex()}
        with self._changing(change, keys) as (tx, approved):
            add_operator(tx, label, public_key, approved)

    def remove_operator(self, label: str, keys: Sequence[OperatorKey] = ()) -> None:
        """Take somebody's right to approve; a change that needs as many operators as the site asks for."""
        with self._changing({"change": "remove", "operator": label}, keys) as (tx, approved):
            remove_operator(tx, label, approved)

    def require_operators(self, required: int, keys: Sequence[OperatorKey] = ()) -> None:
        """Set how many operators an order needs; a change that needs as many as the site asks for until now."""
        with self._changing({"change": "require", "required": required}, keys) as (tx, approved):
            require_operators(tx, required, approved)

    def operators(self) -> list[Operator]:
        """Return who may approve."""
        with self._store.read() as connection:
            return list_operators(connection)

    def operators_required(self) -> int:
        """Return how many operators an order needs."""
        with self._store.read() as connection:
            return operators_required(connection)

    @contextmanager
    def _changing(
        self, change: Mapping[str, str | int], keys: Sequence[OperatorKey]
    ) -> Generator[tuple[Transaction, Mapping[str, str | int]]]:
        with self._store.write() as tx:
            yield tx, change_approved(self._store, tx, change, keys)
