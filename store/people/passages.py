"""Passages: when a person came in, by the minute, kept for that person to ask for (GDPR 15), and for nobody else.

A passage hangs on the consent and dies with it; before that, with the zone's `match_history_days`. Of people who
matched nobody there is none. No command lists passages but the answer to the person (`volens.rights.access_answer`).
Each is in the audit log as well, readable for as long and no longer (`volens.store.programs.decision_counts`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, insert, select

from volens.consent import ModelId, Purpose, ReceiptId, UnavailableError, format_time
from volens.store.log import audit_log
from volens.store.log.audit_log import forget_outlived
from volens.store.promises.zones_and_notices import zones
from volens.store.schema import data_tables as tables
from volens.store.store import Store, Transaction

_live = tables.live_consent.c
_passage = tables.passage.c
# Not an argument: between a door's request and its passage lie the models and the matching core, which need not know.
_ASKED_BY: Final[ContextVar[str | None]] = ContextVar("asked_by", default=None)


MATCHED: Final = "door.matched"


class Passed(StrEnum):
    """How somebody was known."""

    IDENTIFIED = "identify"
    VERIFIED = "verify"


def note_passages(store: Store, receipt_ids: Sequence[ReceiptId], how: Passed, model_id: ModelId) -> None:
    """Note that people came in, once a minute each. Called after the decision, which stands whatever happens here.

    A store that cannot be written now, or that somebody else is writing, is no reason to keep a door shut: then the
    passage is not noted. Nor is it where the consent ended meanwhile, or where the zone keeps no history.

    Raises:
        TamperError: the data file was replaced by an older one.
    """
    if not receipt_ids:
        return
    minute = store.now().replace(second=0)
    with suppress(UnavailableError):
        with store.read() as connection:
            new = connection.scalars(select(_live.receipt_id).where(*_missing(receipt_ids, how, minute))).all()
        if not new:
            return
        with store.write(wait=False) as tx:
            # Asked once more, under the write lock: a second door may have been faster, or a withdrawal.
            still = _missing(new, how, minute)
            columns = (_live.receipt_id, _live.subject_id, _live.purpose, tables.zone.c.match_history_days)
            query = select(*columns).join(tables.zone, tables.zone.c.purpose == _live.purpose).where(*still)
            for row in tx.connection.execute(query).all():
                _note(tx, row, how, model_id, minute)


@contextmanager
def asked_by(caller_id: str) -> Iterator[None]:
    """Say which door asks for the decisions made inside: it is noted with the passages that begin by them.

    Holds for this thread, or this task.
    """
    before = _ASKED_BY.set(caller_id)
    try:
        yield
    finally:
        _ASKED_BY.reset(before)


def _note(tx: Transaction, row: Any, how: Passed, model_id: ModelId, minute: datetime) -> None:  # noqa: ANN401  a row
    caller = _ASKED_BY.get()
    values = {"receipt_id": row.receipt_id, "subject_id": row.subject_id, "purpose": row.purpose}
    tx.connection.execute(
        insert(tables.passage),
        values | {"matched_at": minute, "kind": how.value, "model_id": model_id, "asked_by": caller},
    )
    _log_match(
        tx,
        ReceiptId(row.receipt_id),
        Purpose(row.purpose),
        how=how.value,
        model_id=model_id,
        minute=minute,
        asked_by=caller,
        ends_at=minute + timedelta(days=row.match_history_days),
    )


def _log_match(
    tx: Transaction,
    receipt_id: ReceiptId,
    zone: Purpose,
    *,
    how: str,
    model_id: ModelId,
    minute: datetime,
    asked_by: str | None,
    ends_at: datetime,
) -> None:
    """Log that somebody was known at a door. By the minute, as the passage is: the leaf shows its time to everybody."""
    details = {"receipt_id": receipt_id, "zone": zone, "kind": how, "minute": format_time(minute), "model": model_id}
    details |= {} if asked_by is None else {"asked_by": asked_by}
    audit_log.append(tx.connection, MATCHED, minute, details, receipt_id=receipt_id, random=tx.random, ends_at=ends_at)


def prune_passages(tx: Transaction) -> int:
    """Delete the passages that are past their zone's days; return how many. Called by the sweep.

    With them goes what opens the log's entries about them, and whatever else of the log is to be read for a time only.
    """
    gone = 0
    for zone in zones(tx.connection):
        oldest = tx.now - timedelta(days=zone.match_history_days)
        rows = delete(tables.passage).where(_passage.purpose == zone.purpose, _passage.matched_at < oldest)
        gone += tx.connection.execute(rows).rowcount
    forget_outlived(tx.connection, tx.now)
    return gone


def _missing(receipt_ids: Sequence[str], how: Passed, minute: object) -> list[ColumnElement[bool]]:
    noted = select(_passage.passage_id).where(
        _passage.receipt_id == _live.receipt_id, _passage.kind == how.value, _passage.matched_at == minute
    )
    keeps = select(tables.zone.c.purpose).where(tables.zone.c.match_history_days > 0)
    return [_live.receipt_id.in_(receipt_ids), _live.purpose.in_(keeps), ~noted.exists()]
