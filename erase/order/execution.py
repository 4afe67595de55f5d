"""Execution of an erasure by order: begun in one commit, one erasure for each member, finished in one commit.

1. The plan is signed by this site and has not expired; as many different operators as the site requires approved it.
   If a privacy officer proposed it, a second one approved it (`volens.erase.order.proposals`).
2. Open access requests of the members are answered first, because afterwards there is no data to answer with.
3. In one transaction: no person joined since the plan, no request is open, the consents are counted, the members are
   recorded, and a leaf of the audit log commits to plan, approvals and counts. From here on the order is in progress.
4. Each member's consent is erased like any other, with its own certificate.
5. In one transaction: every member has a certificate; the consents are counted again, and a leaf commits to the counts.
6. The dossier is written from the store; it can be written again at any time.

If the process is killed, the same call continues: before 3 it starts again, afterwards with the members not erased yet.
An expired plan cannot be begun, but can be finished. People who left since the plan do not stop it: they are erased
already, and their certificates belong to the dossier. People who joined do: they were neither counted nor approved.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

import rfc8785
from sqlalchemy import Connection

from volens.consent import (
    EndReason,
    ErasureIncompleteError,
    InputError,
    ReceiptId,
    RefusedError,
    TamperError,
    format_time,
)
from volens.consent import jws as consent_jws
from volens.erase.operator_key import check_approvals, token_sha256
from volens.erase.order import order_rows
from volens.erase.order.order_rows import Cohort
from volens.erase.order.plan import Plan, census, read_plan
from volens.erase.order.proposals import check_proposal_approved
from volens.erase.order.selection import (
    SelectedConsent,
    Selection,
    count_consents,
    members_sha256,
    select_left,
    select_live,
)
from volens.erase.procedure import erase_consents
from volens.index import Installation
from volens.store import Store, Transaction
from volens.store.log import log_size
from volens.store.promises import Operator, list_operators, operators_required, standing_stops

BEGUN: Final = "cohort.begun"
FINISHED: Final = "cohort.finished"
AnswerRequests: TypeAlias = Callable[[Sequence[ReceiptId], Path], int]
"""Writes the answers to the open requests of these consents into a folder, closes them, returns their number."""


def execute(
    installation: Installation,
    plan: Plan,
    approvals: Sequence[str],
    answers: Path,
    *,
    answer_requests: AnswerRequests | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Do steps 1 to 5, or those that are left.

    A plan in progress was approved when it was begun; its approvals are not checked again. `answers` is a folder
    outside the home, because the answers to open requests hold personal data; without `answer_requests`, open requests
    stop the order. `progress` is called with the number of people erased and the total.

    Raises:
        RefusedError: 1 or 2 does not hold, or people joined. Nothing was changed.
        ErasureIncompleteError: some people are erased, one erasure cannot be finished; call it again.
        UnavailableError: the store cannot be written; call it again.
    """
    store = installation.store
    if plan.site_id != store.site.controller.site_id:
        raise RefusedError("this plan is of another site; make one here")
    with store.read() as connection:
        cohort = order_rows.cohort_of(connection, plan.cohort_id)
    if cohort is None:
        # 1.
        if store.now() > plan.good_until:
            raise RefusedError(f"the plan expired at {format_time(plan.good_until)}; make a new one")
        with store.read() as connection:
            _approving(connection, plan, approvals)
        answered = _answer(installation, plan, answers, answer_requests)
        _begin(store, plan, approvals, answered)
    elif cohort.plan != plan.token:
        raise TamperError("integrity: another plan of the same id is in progress; make a new plan")
    elif cohort.finished_at is not None:
        return cohort
    else:
        _log_resumed(store, cohort)
    return finish(installation, plan.cohort_id, progress)


def finish(installation: Installation, cohort_id: str, progress: Callable[[int, int], None] | None = None) -> Cohort:
    """Do steps 4 and 5 of an order that is in progress; see `execute`."""
    # 4.
    store = installation.store
    with store.read() as connection:
        _in_progress(connection, cohort_id)
        left = order_rows.cohort_receipts(connection, cohort_id, unerased=True)
    erase_consents(installation, left, EndReason.ORDERED, progress)
    # 5.
    with store.read() as connection:
        selection = read_plan(_in_progress(connection, cohort_id).plan, store.verifier_key).selection
    before = _select_now(store, selection)
    with store.write() as tx:
        cohort = _in_progress(tx.connection, cohort_id)
        if cohort.finished_at is None:
            _finish(tx, cohort, selection, _select_again(tx, selection, before))
            cohort = _in_progress(tx.connection, cohort_id)
    return cohort


def sha256_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document in canonical JSON, as the log commits to it."""
    return sha256(rfc8785.dumps(dict(document))).hexdigest()


def ids_sha256(certificate_ids: Sequence[str]) -> str:
    """Return the SHA-256 that identifies a set of certificates."""
    return sha256("\n".join(sorted(certificate_ids)).encode("ascii")).hexdigest()


def _approving(connection: Connection, plan: Plan, approvals: Sequence[str]) -> list[Operator]:
    """Return the operators who approved a plan, as many as the site requires now."""
    check_proposal_approved(connection, plan)
    known = {one.label: one for one in list_operators(connection)}
    keys = {label: one.public_key for label, one in known.items()}
    required, between = operators_required(connection), (plan.made_at, plan.good_until)
    return [known[label] for label in check_approvals(approvals, plan.token, keys, required=required, between=between)]


def _answer(installation: Installation, plan: Plan, answers: Path, answer_requests: AnswerRequests | None) -> int:
    # 2.
    with installation.store.read() as connection:
        inside = [one.receipt_id for one in select_live(connection, plan.selection) if one.inside]
        requested = order_rows.receipts_with_open_requests(connection, inside)
    if not requested:
        return 0
    if answer_requests is None:
        raise RefusedError(f"{len(requested)} of the people selected have open access requests; answer them first")
    if answers.absolute().is_relative_to(installation.home.absolute()):
        raise InputError(
            "this folder for answers is inside the home, where the search would find them; choose a folder outside"
        )
    return answer_requests(requested, answers)


def _begin(store: Store, plan: Plan, approvals: Sequence[str], answered: int) -> None:
    # 3.
    selected = _select_now(store, plan.selection)
    with store.write() as tx:
        # Checked again under the write lock, because an operator may have been removed meanwhile.
        approving = _approving(tx.connection, plan, approvals)
        people = _select_again(tx, plan.selection, selected)
        inside = [one for one in people if one.inside]
        left = _left_since(tx, plan, inside)
        requested = order_rows.receipts_with_open_requests(tx.connection, [one.receipt_id for one in inside])
        if requested:
            raise RefusedError(f"{len(requested)} access requests were opened meanwhile; carry out the plan again")
        before = census(people) | {
            "measured_at": format_time(tx.now),
            "left_since_plan": sorted(one.receipt.sha256.hex() for one in left),
            "requests_answered": answered,
            "operators_required": operators_required(tx.connection),
            "approved_by": [
                {
                    "operator": one.label,
                    "public_key": consent_jws.b64url(one.public_key),
                    "approval_sha256": token_sha256(approval),
                }
                for one, approval in zip(approving, approvals, strict=True)
            ],
        }
        details: dict[str, str | int] = {
            "cohort_id": plan.cohort_id,
            "plan_sha256": token_sha256(plan.token),
            "before_sha256": sha256_of(before),
        }
        index, _event = tx.log(BEGUN, details)
        head, _note = tx.sign_log()
        facts = {
            "before": before,
            "operator_indexes": [one.log_index for one in approving],
            "begun_index": index,
            "begun_size": head.size,
            "resumed": 0,
        }
        members = [one.receipt_id for one in (*inside, *left)]
        order_rows.begin_cohort(tx, plan.cohort_id, plan.token, approvals, members, facts)


def _left_since(tx: Transaction, plan: Plan, inside: Sequence[SelectedConsent]) -> list[SelectedConsent]:
    """Return planned members whose consent has ended since; refuse if a consent was not in the plan."""
    if members_sha256(plan.salt, (one.receipt.sha256 for one in inside)) == plan.members:
        return []
    left = select_left(tx.connection, plan.selection, plan.made_at)
    if members_sha256(plan.salt, (one.receipt.sha256 for one in (*inside, *left))) == plan.members:
        return left
    planned = plan.counts["cohort"]["consents"]
    raise RefusedError(
        f"the plan counted {planned} consents, and those in force now ({len(inside)}) do not match it; place an order "
        "to stop collecting (--stop-collecting), then make a new plan"
    )


def _log_resumed(store: Store, cohort: Cohort) -> None:
    with store.write() as tx:
        tx.log("cohort.resumed", {"cohort_id": cohort.cohort_id})
        facts = dict(cohort.facts)
        order_rows.update_cohort(tx, cohort.cohort_id, facts | {"resumed": facts["resumed"] + 1}, finished=False)


def _finish(tx: Transaction, cohort: Cohort, selection: Selection, people: Sequence[SelectedConsent]) -> None:
    members = set(order_rows.cohort_receipts(tx.connection, cohort.cohort_id))
    certificates = list(order_rows.cohort_certificates(tx.connection, cohort.cohort_id))
    if len(certificates) != len(members):
        raise ErasureIncompleteError(
            f"{len(certificates)} of {len(members)} members of the cohort have a certificate; carry out the plan again"
        )
    stops = [one for one in standing_stops(tx.connection) if one.covers(selection.jurisdiction, selection.zone)]
    after = {
        "measured_at": format_time(tx.now),
        "cohort": count_consents([one for one in people if one.receipt_id in members]),
        "outside": count_consents([one for one in people if not one.inside]),
        "joined_since": sum(one.inside and one.receipt_id not in members for one in people),
        "certificates": len(certificates),
        "resumed": cohort.facts["resumed"],
        "collecting_stopped_by": [one.document() | {"placed_at": format_time(one.placed_at)} for one in stops],
    }
    details: dict[str, str | int] = {
        "cohort_id": cohort.cohort_id,
        "after_sha256": sha256_of(after),
        "certificates_sha256": ids_sha256(certificates),
    }
    index, _event = tx.log(FINISHED, details)
    head, _note = tx.sign_log()
    facts = dict(cohort.facts) | {
        "after": after,
        "finished_index": index,
        "finished_size": head.size,
        "stop_indexes": [one.log_index for one in stops],
    }
    order_rows.update_cohort(tx, cohort.cohort_id, facts, finished=True)


def _select_now(store: Store, selection: Selection) -> tuple[int, list[SelectedConsent]]:
    """Return the size of the log and every live consent.

    Called before the write lock is taken, because checking ten thousand signatures takes seconds.
    """
    with store.read() as connection:
        return log_size(connection), select_live(connection, selection)


def _select_again(
    tx: Transaction, selection: Selection, before: tuple[int, list[SelectedConsent]]
) -> list[SelectedConsent]:
    """Return the earlier selection if the log did not grow: every consent, end and enrollment is logged."""
    size, people = before
    return people if log_size(tx.connection) == size else select_live(tx.connection, selection)


def _in_progress(connection: Connection, cohort_id: str) -> Cohort:
    cohort = order_rows.cohort_of(connection, cohort_id)
    if cohort is None:
        raise InputError("no cohort of this id is in progress; carry out its plan")
    return cohort
