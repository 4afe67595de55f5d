"""Visits in the data file: when a person passed a door, by the minute, for that person's own access request (GDPR 15).

A visit is one passage of one person at the doors of one zone. It begins with a match of a person who did not match
within the last 10 s (`VISIT`), and lasts until that person has not matched for 10 s; identification (1:N) and
verification (1:1) count apart. At its beginning `volens.identify.visit_recorder` writes, in one transaction:

| record | at most once | kept until |
|---|---|---|
| `last_interaction`, the date of the last visit | a day | the consent ends |
| a row of `passage`, if the zone keeps a history | a minute, for 1:N and for 1:1 | it is `match_history_days` old |
| a leaf `door.matched` in a shard of the log, whose opening dies with the row | with each row | the shard ends |
| a `door.decision` message in the outbox, if a recipient wants it | 10 s | it is delivered |

All of it ends with the consent. A face that matches no person leaves no record. Visits are told to the person only: in
the answer to an access request, and in an explanation (`volens.rights.decision_explanation`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from volens.consent import DataSubjectId, ModelId, Purpose, ReceiptId, format_time
from volens.store.log.shard_log import erase_outdated_shard_openings
from volens.store.prepared_query import InList, PreparedQuery, ReadSnapshot
from volens.store.promises.zones_and_notices import inspect_zones
from volens.store.schema import data_tables as tables
from volens.store.schema.personal_tables import OWNER
from volens.store.transaction import Transaction

VISIT: Final = timedelta(seconds=10)
"""A person who matches again within this time is still on the same visit."""

MATCHED: Final = "door.matched"
PLACE: Final = "visits"
"""Each zone has shards of its own in the log: ``visits/lobby``."""

_live = tables.live_consent.c
_interaction = tables.last_interaction.c
_passage = tables.passage.c
_zone = tables.zone.c
_UNRECORDED: Final = PreparedQuery(
    select(
        _live.receipt_id,
        _live.subject_id,
        _live.purpose,
        _zone.match_history_days,
        _interaction.interacted_at < bindparam("day"),
        (_zone.match_history_days > 0)
        & ~exists().where(
            _passage.receipt_id == _live.receipt_id,
            _passage.kind == bindparam("kind"),
            _passage.matched_at == bindparam("minute"),
        ),
    )
    .join_from(tables.live_consent, tables.zone, _zone.purpose == _live.purpose)
    .join(tables.last_interaction, _interaction.receipt_id == _live.receipt_id)
    .where(InList(_live.receipt_id, "receipt_ids"))
)


_VISITED: Final = (
    update(tables.last_interaction)
    .where(_interaction.receipt_id == bindparam("of"))
    .values(interacted_at=bindparam("at"), mac=bindparam("under"))
)


class VisitKind(StrEnum):
    """How the person was recognised: by identification (1:N) or by verification of a claim (1:1)."""

    IDENTIFIED = "identify"
    VERIFIED = "verify"


@final
class UnrecordedVisit(NamedTuple):
    """A visit of a person whose consent is in force, with the records that are missing.

    Attributes:
        match_history_days: how long the zone keeps visits.
        needs_interaction: the date of the last visit is not today.
        needs_passage: the zone keeps a history, and no row of this minute and kind is there.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    match_history_days: int
    needs_interaction: bool
    needs_passage: bool


def unrecorded_visits(
    connection: Connection | ReadSnapshot, receipt_ids: Iterable[ReceiptId], kind: VisitKind, now: datetime
) -> list[UnrecordedVisit]:
    """Return the visits, of those people whose consent is in force, of which a record is missing. One query."""
    rows = _UNRECORDED.rows(
        connection,
        {
            "day": format_time(_day(now)),
            "kind": kind.value,
            "minute": format_time(_minute(now)),
            "receipt_ids": list(receipt_ids),
        },
    )
    return [visit for visit in map(UnrecordedVisit._make, rows) if visit.needs_interaction or visit.needs_passage]


def add_visits(
    tx: Transaction,
    visits: Sequence[UnrecordedVisit],
    kind: VisitKind,
    model_id: ModelId,
    caller: str | None,
    now: datetime,
) -> None:
    """Write what is missing of some visits: interaction, row and log leaf.

    The leaf carries the minute, as the row does: a leaf shows its time to every reader of the log. `visits` was read in
    the same transaction with the same `kind` and `now`. `caller` requested the decision; None for a program on this
    machine.
    """
    minute, asked_by = _minute(now), {} if caller is None else {"asked_by": caller}
    returning = [one.receipt_id for one in visits if one.needs_interaction]
    if returning:
        tx.connection.execute(_VISITED, [{"of": one} | _named(tx.interaction(one, _day(now))) for one in returning])
    for one in visits:
        if not one.needs_passage:
            continue
        row = {name: getattr(one, name) for name in OWNER} | {"matched_at": minute, "kind": kind.value}
        tx.connection.execute(insert(tables.passage), row | {"model_id": model_id, "asked_by": caller})
        details = {"receipt_id": one.receipt_id, "zone": one.purpose, "kind": kind.value}
        details |= {"minute": format_time(minute), "model": model_id, **asked_by}
        kept_for = timedelta(days=one.match_history_days)
        tx.shards.append(f"{PLACE}/{one.purpose}", kept_for, MATCHED, minute, [details], receipt_id=one.receipt_id)


@final
@dataclass(frozen=True, slots=True)
class KeptVisit:
    """A visit that is still kept, for the person: `minute` is its beginning, `door` the present label of the door.

    `door` is None if a program on the site's own machine decided.
    """

    minute: datetime
    kind: VisitKind
    door: str | None


def visits_since(connection: Connection, receipt_id: ReceiptId, since: datetime) -> list[KeptVisit]:
    """Return the visits of one consent that are kept, from a time on, the newest first."""
    door = tables.api_credential.c
    rows = connection.execute(
        select(_passage.matched_at, _passage.kind, door.label)
        .join_from(tables.passage, tables.api_credential, door.credential_id == _passage.asked_by, isouter=True)
        .where(_passage.receipt_id == receipt_id, _passage.matched_at >= since)
        .order_by(_passage.matched_at.desc(), _passage.kind)
    )
    return [KeptVisit(row.matched_at, VisitKind(row.kind), row.label) for row in rows]


def prune_visits(tx: Transaction) -> int:
    """Delete the visits that are older than their zone's `match_history_days`; return how many. Called by the sweep.

    The openings of their log leaves are deleted too, and every other opening in a shard whose term has passed.
    """
    deleted = 0
    for zone, _problem in inspect_zones(tx.connection):
        oldest = tx.now - timedelta(days=zone.match_history_days)
        rows = delete(tables.passage).where(_passage.purpose == zone.purpose, _passage.matched_at < oldest)
        deleted += tx.connection.execute(rows).rowcount
    erase_outdated_shard_openings(tx.connection, tx.now)
    return deleted


def _named(interaction: Mapping[str, object]) -> dict[str, object]:
    """Return a last interaction under the names of the parameters of `_VISITED`."""
    return {"at": interaction["interacted_at"], "under": interaction["mac"]}


def _day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0)


def _minute(now: datetime) -> datetime:
    return now.replace(second=0)
