"""Erasures that run or finished lately, step by step, for the privacy officer; they name no person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import select

from volens.consent import EndReason, ReceiptId, UnknownError, parse_time
from volens.erase import ErasureState, states_of
from volens.erase.journal import entries
from volens.erase.proof import CERTIFICATE, verify_certificate
from volens.rights.erasure_progress import ErasureProgress, erasure_progress
from volens.store import Store
from volens.store.programs import Message, MessageKind, Outbox
from volens.store.schema import data_tables as tables

LATELY: Final = timedelta(days=30)
MAX_LISTED: Final = 50
MAX_UNANSWERED: Final = 200
_erasure, _certificate = tables.erasure.c, tables.certificate.c


@final
@dataclass(frozen=True, slots=True)
class ErasureSteps:
    """One erasure: how far it is, and when each step was done.

    Attributes:
        state: the last step that is done.
        done_at: the times of the steps that recorded one.
    """

    progress: ErasureProgress
    state: ErasureState
    done_at: Mapping[ErasureState, datetime]

    @property
    def is_running(self) -> bool:
        """Whether a step is left."""
        return self.state is not ErasureState.NOTIFIED


@final
@dataclass(frozen=True, slots=True)
class UnansweredErasure:
    """A recipient that was told of an erasure and has not acknowledged it.

    Attributes:
        told_at: when the certificate was issued, which names the recipient.
        message: the webhook message that is not delivered; None if it was, or if the recipient has no endpoint.
    """

    certificate_id: str
    recipient: str
    contact: str
    zone: str
    told_at: datetime
    message: Message | None


def list_erasures(store: Store) -> list[ErasureSteps]:
    """Return the erasures that run, and those of the last 30 days: running ones first, then the newest, at most 50.

    Renewals are left out: the person stays.

    Raises:
        TamperError: a certificate does not verify.
    """
    end = tables.consent_end.c
    query = (
        select(_erasure.receipt_id)
        .join(tables.consent_end, end.receipt_id == _erasure.receipt_id)
        .where(end.reason != EndReason.RENEWED.value)
        .where((_erasure.state != ErasureState.NOTIFIED.value) | (end.ended_at >= store.now() - LATELY))
        .order_by(_erasure.state == ErasureState.NOTIFIED.value, end.ended_at.desc(), _erasure.receipt_id)
        .limit(MAX_LISTED)
    )
    with store.read() as connection:
        found = [ReceiptId(one) for one in connection.scalars(query)]
        states = states_of(connection, found)
        running = {one: its.facts for one, its in entries(connection, found).items()}
    return [_steps(erasure_progress(store, one), states[one], running.get(one, {})) for one in found]


def one_erasure(store: Store, receipt_id: ReceiptId) -> ErasureSteps:
    """Return one erasure, of any age.

    Raises:
        NoLiveConsentError: there never was such a consent here.
        UnknownError: the consent has not ended.
    """
    progress = erasure_progress(store, receipt_id)
    with store.read() as connection:
        state = states_of(connection, [receipt_id]).get(receipt_id)
        facts = entries(connection, [receipt_id])
    if state is None:
        raise UnknownError("the consent of this erasure is in force; nothing is being erased")
    return _steps(progress, state, facts[receipt_id].facts)


def unanswered_erasures(store: Store) -> list[UnansweredErasure]:
    """Return which recipients have not acknowledged which erasure, the oldest first, at most 200.

    Raises:
        TamperError: a certificate does not verify.
    """
    answer, recipient, receipt = tables.acknowledgement.c, tables.recipient.c, tables.receipt.c
    query = (
        select(_certificate.receipt_id, _certificate.token, _certificate.issued_at, *tables.recipient.columns)
        .join(tables.receipt, receipt.receipt_id == _certificate.receipt_id)
        .join(tables.recipient, recipient.purpose == receipt.purpose)
        .outerjoin(
            tables.acknowledgement,
            (answer.receipt_id == _certificate.receipt_id) & (answer.recipient_id == recipient.recipient_id),
        )
        .where(answer.token.is_(None), recipient.added_at <= _certificate.issued_at)
        .order_by(_certificate.issued_at, _certificate.certificate_id, recipient.name)
        .limit(MAX_UNANSWERED)
    )
    waiting = {
        (one.receipt_id, one.endpoint.recipient_id): one
        for one in Outbox(store).list()
        if one.kind is MessageKind.SUBJECT_ERASED
    }
    with store.read() as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        certificate = verify_certificate(CERTIFICATE.to_file(row.token), store.verifier_key)
        if row.recipient_id in {one["recipient_id"] for one in certificate.statement["recipients"]}:
            message = waiting.get((ReceiptId(row.receipt_id), row.recipient_id))
            found.append(
                UnansweredErasure(
                    certificate.certificate_id, row.name, row.contact, row.purpose, row.issued_at, message
                )
            )
    return found


def _steps(progress: ErasureProgress, state: ErasureState, facts: Mapping[str, Any]) -> ErasureSteps:
    stated = facts if progress.certificate is None else progress.certificate.statement
    times = {ErasureState(name): parse_time(at) for name, at in stated.get("times", {}).items()}
    if progress.certificate is not None:
        times[ErasureState.CERTIFIED] = parse_time(progress.certificate.statement["issued_at"])
    if progress.ended_at is not None:
        times[ErasureState.STOPPED] = progress.ended_at
    return ErasureSteps(progress, state, times)
