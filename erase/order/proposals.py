"""Dual control of erasure orders over the service: one privacy officer proposes a plan, another one approves it.

This comes on top of the signatures of operators (`volens.erase.operator_key`), of which a site may require none. A
proposal counts only if its row is authenticated, and its approval only with its entry in the audit log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import Connection, insert, select, update

from volens.consent import RefusedError, TamperError, UnknownError, format_time
from volens.erase.operator_key import token_sha256
from volens.erase.order.plan import Plan
from volens.store import Transaction, seals_of
from volens.store.log.referenced_leaf import check_logged
from volens.store.schema import Scope
from volens.store.schema import data_tables as tables

PROPOSED: Final = "cohort.proposed"
APPROVED: Final = "cohort.approved"
_table = tables.proposed_order


@final
@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """A plan that was proposed. The fields are the columns of the table, in their order.

    Attributes:
        plan: as the site signed it.
        proposed_by: the id of the credential of the officer who proposed it.
        log_index: the entry of the log that says so; `approval_index` is that of the approval.
        approved_by: the id of another credential; None while it waits for approval.
    """

    cohort_id: str
    plan: str
    proposed_by: str
    proposed_at: datetime
    log_index: int
    approved_by: str | None
    approved_at: datetime | None
    approval_index: int | None


def check_second_officer(proposed_by: str, approving: str) -> None:
    """Refuse an approval by the officer who proposed the order.

    Raises:
        RefusedError: both are the same credential.

    Not checked: that two credentials belong to two people. The operator who issues them is responsible for that.
    """
    if proposed_by == approving:
        raise RefusedError("you proposed this order yourself; another privacy officer approves it, signed in as such")


def add_proposal(tx: Transaction, plan: Plan, officer: str) -> None:
    """Record that an officer proposes a plan that the site just signed, and log it."""
    with tx.changing(Scope.PROPOSAL, [plan.cohort_id]):
        index, _event = tx.log(PROPOSED, _facts(plan.cohort_id, plan.token, officer))
        tx.connection.execute(
            insert(_table).values(
                cohort_id=plan.cohort_id, plan=plan.token, proposed_by=officer, proposed_at=tx.now, log_index=index
            )
        )


def approve_proposal(tx: Transaction, plan: Plan, officer: str) -> None:
    """Record the approval of a second officer, and log it.

    Raises:
        UnknownError: there is no such proposal.
        RefusedError: the officer proposed it, it was approved before, or the plan expired.
    """
    found = proposal_of(tx.connection, plan.cohort_id)
    if found is None:
        raise _unknown()
    check_second_officer(found.proposed_by, officer)
    if found.approved_by is not None:
        raise RefusedError("this order was approved before; nothing was changed")
    if tx.now > plan.good_until:
        raise RefusedError(f"the plan expired at {format_time(plan.good_until)}; propose the order again")
    with tx.changing(Scope.PROPOSAL, [plan.cohort_id]):
        index, _event = tx.log(APPROVED, _facts(plan.cohort_id, found.plan, officer))
        tx.connection.execute(
            update(_table)
            .where(_table.c.cohort_id == plan.cohort_id)
            .values(approved_by=officer, approved_at=tx.now, approval_index=index)
        )


def proposal_of(connection: Connection, cohort_id: str) -> ProposedOrder | None:
    """Return a proposal; None if this order was not proposed to a second officer.

    Raises:
        TamperError: its row does not verify, or the log does not say what the row says.
    """
    seals = seals_of(connection)
    sealed = seals.verified(connection, Scope.PROPOSAL, [cohort_id]).get(cohort_id)
    if sealed is None:
        return None
    (row,) = sealed.records(_table)
    found = ProposedOrder(*row.values())
    proposed = _facts(cohort_id, found.plan, found.proposed_by)
    check_logged(connection, seals.keyring, found.log_index, (PROPOSED,), proposed)
    if found.approved_by is not None:
        approved = _facts(cohort_id, found.plan, found.approved_by)
        check_logged(connection, seals.keyring, found.approval_index or 0, (APPROVED,), approved)
        check_second_officer(found.proposed_by, found.approved_by)
    return found


def the_proposal(connection: Connection, cohort_id: str) -> ProposedOrder:
    """Return a proposal.

    Raises:
        UnknownError: there is none of this id.
        TamperError: as `proposal_of`.
    """
    found = proposal_of(connection, cohort_id)
    if found is None:
        raise _unknown()
    return found


def list_proposals(connection: Connection) -> list[ProposedOrder]:
    """Return all proposals, the newest first; see `proposal_of`."""
    ids = connection.scalars(select(_table.c.cohort_id).order_by(_table.c.proposed_at.desc(), _table.c.cohort_id))
    return [found for one in ids.all() if (found := proposal_of(connection, one)) is not None]


def check_proposal_approved(connection: Connection, plan: Plan) -> None:
    """Refuse a plan that was proposed and that no second officer has approved. Other plans need operators only.

    Raises:
        RefusedError: it waits for approval.
        TamperError: another plan of this id was proposed; or as `proposal_of`.
    """
    found = proposal_of(connection, plan.cohort_id)
    if found is None:
        return
    if found.plan != plan.token:
        raise TamperError("integrity: another plan of this id was proposed; propose the order again")
    if found.approved_by is None:
        raise RefusedError("this order waits for the approval of a second privacy officer; nothing was erased")


def _facts(cohort_id: str, token: str, officer: str) -> Mapping[str, Any]:
    return {"cohort_id": cohort_id, "plan_sha256": token_sha256(token), "officer": officer}


def _unknown() -> UnknownError:
    return UnknownError("there is no proposed order of this id; 'volens erase proposed' shows them")
