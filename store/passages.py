"""Passages: when a person came in, by the minute, kept for that person to ask for (GDPR 15), and for nobody else.

A passage hangs on the consent and dies with it; before that, with the zone's `match_history_days`. Of people who
matched nobody there is none. No command lists passages but the answer to the person (`erase.access_answer`).
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, insert, literal, select

from consent import ModelId, ReceiptId, UnavailableError
from store import schema as tables
from store.columns import UtcDateTime
from store.promises import zones
from store.store import Store, Transaction

_live = tables.live_consent.c
_passage = tables.passage.c


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
        with store.write(hurried=True) as tx:
            # Asked once more, under the write lock: a second door may have been faster, or a withdrawal.
            row = select(
                _live.receipt_id,
                _live.subject_id,
                _live.purpose,
                literal(minute, UtcDateTime),
                literal(how.value),
                literal(model_id),
            ).where(*_missing(new, how, minute))
            columns = ["receipt_id", "subject_id", "purpose", "matched_at", "kind", "model_id"]
            tx.connection.execute(insert(tables.passage).from_select(columns, row))


def prune_passages(tx: Transaction) -> int:
    """Delete the passages that are past their zone's days; return how many. Called by the sweep."""
    gone = 0
    for zone in zones(tx.connection):
        oldest = tx.now - timedelta(days=zone.match_history_days)
        rows = delete(tables.passage).where(_passage.purpose == zone.purpose, _passage.matched_at < oldest)
        gone += tx.connection.execute(rows).rowcount
    return gone


def _missing(receipt_ids: Sequence[str], how: Passed, minute: object) -> list[ColumnElement[bool]]:
    noted = select(_passage.passage_id).where(
        _passage.receipt_id == _live.receipt_id, _passage.kind == how.value, _passage.matched_at == minute
    )
    keeps = select(tables.zone.c.purpose).where(tables.zone.c.match_history_days > 0)
    return [_live.receipt_id.in_(receipt_ids), _live.purpose.in_(keeps), ~noted.exists()]
