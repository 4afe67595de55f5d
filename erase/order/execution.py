"""An erasure by order, carried out: begun in one commit, one person after the other, finished in one commit.

1. The plan is this site's, and good; as many different operators have approved it as the site asks for.
2. Open requests for access of those meant are answered first, for afterwards there is nothing to answer with.
3. In one transaction: nobody joined since the plan, no request is open, what is there is counted, the members are
   written down, and a leaf of the audit log commits to plan, approvals and counts. From here on the order is under way.
4. Each member's consent is erased like any other, with a certificate of its own.
5. In one transaction: every member has a certificate; what is there is counted again, and a leaf commits to that.
6. The dossier is written, from what the store has; it can be written again at any time.

Killed anywhere, the same call goes on: before 3 it starts anew, afterwards with whoever is not erased yet. A plan that
has run out is not begun, but finished. People who left by themselves since the plan do not stop it: they are erased
already, and their certificates belong to the dossier. People who joined do: they were not counted, nor approved.
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
from volens.erase.operator_key import check_approvals, known_keys, token_sha256
from volens.erase.order.order_rows import (
    Cohort,
    begin_cohort,
    cohort_certificates,
    cohort_of,
    cohort_receipts,
    receipts_with_open_requests,
    update_cohort,
)
from volens.erase.order.plan import Plan, census, read_plan
from volens.erase.order.selection import Selected, Selection, counted, members_sha256, select_left, select_live
from volens.erase.procedure import erase_consents
from volens.index import Galleries
from volens.store import Store, Transaction
from volens.store.log import log_size
from volens.store.promises import list_operators, operators_required, standing_stops

BEGUN: Final = "cohort.begun"
FINISHED: Final = "cohort.finished"
AnswerRequests: TypeAlias = Callable[[Sequence[ReceiptId], Path], int]
"""Answers the open requests of these consents into a folder, marks them answered, returns how many there were."""


def execute(
    store: Store,
    galleries: Galleries,
    home: Path,
    plan: Plan,
    approvals: Sequence[str],
    answers: Path,
    *,
    answer_requests: AnswerRequests | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Do steps 1 to 5, or those that are left.

    Args:
        store: of the site.
        galleries: of this process.
        home: see `erase_consent`.
        plan: as `read_plan` returned it.
        approvals: as signed; those of a plan that is under way are not asked for again.
        answers: a folder outside the home for the answers to open requests; they hold personal data.
        answer_requests: see `AnswerRequests`; without it, open requests stop the order.
        progress: called with how many are erased, of how many.

    Raises:
        RefusedError: 1 or 2 does not hold, or people joined. Nothing was changed.
        ErasureIncompleteError: some are erased, one is stuck; call it again.
        UnavailableError: the store refuses; call it again.
    """
    if plan.site_id != store.site.controller.site_id:
        raise RefusedError("got the plan of another site; make one here")
    with store.read() as connection:
        cohort = cohort_of(connection, plan.cohort_id)
    if cohort is None:
        _check(store, plan, approvals)
        answered = _answer(store, home, plan, answers, answer_requests)
        _begin(store, plan, approvals, answered)
    elif cohort.plan != plan.token:
        raise TamperError("integrity: another plan of the same id is under way; make a new plan")
    elif cohort.finished_at is not None:
        return cohort
    else:
        _go_on(store, cohort)
    return finish(store, galleries, home, plan.cohort_id, progress)


def finish(
    store: Store,
    galleries: Galleries,
    home: Path,
    cohort_id: str,
    progress: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Do steps 4 and 5 of an order that is under way; see `execute`."""
    # 4.
    with store.read() as connection:
        left = cohort_receipts(connection, cohort_id, unerased=True)
    erase_consents(store, galleries, home, left, EndReason.ORDERED, progress)
    # 5.
    with store.read() as connection:
        selection = read_plan(_under_way(connection, cohort_id).plan, store.verifier_key).selection
    seen = _seen(store, selection)
    with store.write() as tx:
        cohort = _under_way(tx.connection, cohort_id)
        if cohort.finished_at is None:
            _finish(tx, cohort, selection, _still(tx, selection, seen))
            cohort = _under_way(tx.connection, cohort_id)
    return cohort


def sha256_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document in canonical JSON, as the log commits to it."""
    return sha256(rfc8785.dumps(dict(document))).hexdigest()


def ids_sha256(certificate_ids: Sequence[str]) -> str:
    """Return the SHA-256 that stands for a set of certificates."""
    return sha256("\n".join(sorted(certificate_ids)).encode("ascii")).hexdigest()


def _check(store: Store, plan: Plan, approvals: Sequence[str]) -> list[str]:
    # 1.
    with store.read() as connection:
        known, required = known_keys(list_operators(connection)), operators_required(connection)
    if store.now() > plan.good_until:
        raise RefusedError(f"the plan was good until {format_time(plan.good_until)}; make a new one")
    return check_approvals(approvals, plan.token, known, required=required, between=(plan.made_at, plan.good_until))


def _answer(store: Store, home: Path, plan: Plan, answers: Path, answer_requests: AnswerRequests | None) -> int:
    # 2.
    with store.read() as connection:
        inside = [one.receipt_id for one in select_live(connection, plan.selection) if one.inside]
        asked = receipts_with_open_requests(connection, inside)
    if not asked:
        return 0
    if answer_requests is None:
        raise RefusedError(f"{len(asked)} of those meant have open requests for access; answer them first")
    if answers.absolute().is_relative_to(home.absolute()):
        raise InputError("got a folder for answers inside the home, where the search would find them; choose another")
    return answer_requests(asked, answers)


def _begin(store: Store, plan: Plan, approvals: Sequence[str], answered: int) -> None:
    # 3.
    seen = _seen(store, plan.selection)
    with store.write() as tx:
        # Once more, for an operator may have been removed meanwhile; now the write lock is ours.
        known, required = known_keys(list_operators(tx.connection)), operators_required(tx.connection)
        labels = check_approvals(
            approvals, plan.token, known, required=required, between=(plan.made_at, plan.good_until)
        )
        everybody = _still(tx, plan.selection, seen)
        inside = [one for one in everybody if one.inside]
        left = _left_since(tx, plan, inside)
        asked = receipts_with_open_requests(tx.connection, [one.receipt_id for one in inside])
        if asked:
            raise RefusedError(f"{len(asked)} requests for access came in meanwhile; carry the plan out again")
        before = census(everybody) | {
            "measured_at": format_time(tx.now),
            "left_since_plan": sorted(one.receipt.sha256.hex() for one in left),
            "requests_answered": answered,
            "operators_required": required,
            "approved_by": [
                {
                    "operator": label,
                    "public_key": consent_jws.b64url(known[label]),
                    "approval_sha256": token_sha256(approval),
                }
                for label, approval in zip(labels, approvals, strict=True)
            ],
        }
        details: dict[str, str | int] = {
            "cohort_id": plan.cohort_id,
            "plan_sha256": token_sha256(plan.token),
            "before_sha256": sha256_of(before),
        }
        index, _event = tx.log(BEGUN, details)
        head, _note = tx.sign_log()
        facts = {"before": before, "begun_index": index, "begun_size": head.size, "resumed": 0}
        members = [one.receipt_id for one in (*inside, *left)]
        begin_cohort(tx, plan.cohort_id, plan.token, approvals, members, facts)


def _left_since(tx: Transaction, plan: Plan, inside: Sequence[Selected]) -> list[Selected]:
    """Return who was planned for and has left; refuse if there is anybody who was not planned for."""
    if members_sha256(plan.salt, (one.receipt.sha256 for one in inside)) == plan.members:
        return []
    left = select_left(tx.connection, plan.selection, plan.made_at)
    if members_sha256(plan.salt, (one.receipt.sha256 for one in (*inside, *left))) == plan.members:
        return left
    planned = plan.counts["cohort"]["consents"]
    raise RefusedError(
        f"the plan counted {planned} consents, and those there now ({len(inside)}) are not the same or fewer; place an "
        "order to stop collecting (--stop-collecting), then make a new plan"
    )


def _go_on(store: Store, cohort: Cohort) -> None:
    with store.write() as tx:
        tx.log("cohort.resumed", {"cohort_id": cohort.cohort_id})
        facts = dict(cohort.facts)
        update_cohort(tx, cohort.cohort_id, facts | {"resumed": facts["resumed"] + 1}, finished=False)


def _finish(tx: Transaction, cohort: Cohort, selection: Selection, everybody: Sequence[Selected]) -> None:
    members = set(cohort_receipts(tx.connection, cohort.cohort_id))
    certificates = list(cohort_certificates(tx.connection, cohort.cohort_id))
    if len(certificates) != len(members):
        raise ErasureIncompleteError(
            f"{len(certificates)} of {len(members)} members of the cohort have a certificate; carry the plan out again"
        )
    stops = [one for one in standing_stops(tx.connection) if one.covers(selection.jurisdiction, selection.zone)]
    after = {
        "measured_at": format_time(tx.now),
        "cohort": counted([one for one in everybody if one.receipt_id in members]),
        "outside": counted([one for one in everybody if not one.inside]),
        "joined_since": sum(one.inside and one.receipt_id not in members for one in everybody),
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
    update_cohort(tx, cohort.cohort_id, facts, finished=True)


def _seen(store: Store, selection: Selection) -> tuple[int, list[Selected]]:
    """Look at everybody before the write lock is taken, for ten thousand signatures take seconds."""
    with store.read() as connection:
        return log_size(connection), select_live(connection, selection)


def _still(tx: Transaction, selection: Selection, seen: tuple[int, list[Selected]]) -> list[Selected]:
    """Return what was seen if nothing happened since; every consent, end and enrollment is in the log."""
    size, everybody = seen
    return everybody if log_size(tx.connection) == size else select_live(tx.connection, selection)


def _under_way(connection: Connection, cohort_id: str) -> Cohort:
    cohort = cohort_of(connection, cohort_id)
    if cohort is None:
        raise InputError("there is no such cohort under way; carry out its plan")
    return cohort
