"""Disclosures of names to staff: on which days a person's name was shown, and to whom (GDPR 15(1)(c); access log).

A listing or search of people shows names to the desk, the operator or the privacy officer. It leaves:

* the log leaf `people.shown`, with each listing, search or page: to whom, for which zone, how many people. It names no
  person, and stays;
* a row of `name_disclosure` for each person shown, at most one a day for each reader. It is deleted after 366 days, or
  when the consent ends.

The rows are what the person gets in the answer to an access request. They are not leaves, because a listing of ten
thousand people would add ten thousand leaves that can never be deleted. What was searched for is recorded nowhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from sqlalchemy import Connection, delete, insert, select

from volens.consent import Purpose, ReceiptId
from volens.store.schema import data_tables as tables
from volens.store.schema.personal_tables import OWNER
from volens.store.transaction import Transaction

SHOWN: Final = "people.shown"
KEPT_DAYS: Final = 366
COMMAND_LINE: Final = "command line"
"""The reader, where it is the operator's command line and not a credential."""
_BATCH: Final = 500

_live = tables.live_consent.c
_shown = tables.name_disclosure.c


def add_disclosures(
    tx: Transaction, receipt_ids: Iterable[ReceiptId], *, shown_to: str, zone: Purpose | None, how: str
) -> set[ReceiptId]:
    """Record that the names of people are about to be shown; return those whose consent still exists.

    `how` is ``list``, ``search`` or ``person``; `shown_to` the id of the caller, or `COMMAND_LINE`; `zone` the only
    zone that was looked at, or None for all. Cost: one leaf, and three statements for each 500 people.
    """
    wanted, today = list(receipt_ids), tx.now.replace(hour=0, minute=0, second=0)
    left: set[ReceiptId] = set()
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        owners = tx.connection.execute(
            select(*(_live[name] for name in OWNER)).where(_live.receipt_id.in_(batch))
        ).mappings()
        rows = [dict(row) for row in owners]
        left |= {ReceiptId(row["receipt_id"]) for row in rows}
        already = set(
            tx.connection.scalars(
                select(_shown.receipt_id).where(
                    _shown.receipt_id.in_(batch), _shown.shown_on == today, _shown.shown_to == shown_to
                )
            )
        )
        new = [row | {"shown_on": today, "shown_to": shown_to} for row in rows if row["receipt_id"] not in already]
        if new:
            tx.connection.execute(insert(tables.name_disclosure), new)
    tx.log(SHOWN, {"how": how, "shown_to": shown_to, "zone": zone or "", "people": len(left)})
    return left


@final
@dataclass(frozen=True, slots=True)
class Disclosure:
    """A day on which the name of a person was shown to a reader, for that person.

    `reader` is the present label of the credential; None for the operator's command line.
    """

    day: datetime
    reader: str | None


def disclosures_of(connection: Connection, receipt_id: ReceiptId) -> list[Disclosure]:
    """Return to whom the name of a consent was shown, the newest day first."""
    credential = tables.api_credential.c
    is_reader = credential.credential_id == _shown.shown_to
    rows = connection.execute(
        select(_shown.shown_on, credential.label)
        .join_from(tables.name_disclosure, tables.api_credential, is_reader, isouter=True)
        .where(_shown.receipt_id == receipt_id)
        .order_by(_shown.shown_on.desc(), credential.label)
    )
    return [Disclosure(row.shown_on, row.label) for row in rows]


def prune_disclosures(tx: Transaction) -> int:
    """Delete the rows that are older than `KEPT_DAYS`; return how many. Called by the sweep."""
    oldest = tx.now - timedelta(days=KEPT_DAYS)
    return tx.connection.execute(delete(tables.name_disclosure).where(_shown.shown_on < oldest)).rowcount
