"""Read model of the consents in force: who is enrolled, who has no photos yet, whose consent ends soon.

The ids come from indexed columns, a page at a time; the facts of a page are verified (`inspect_consents`), so that a
row that another program changed is shown as damaged. Names are sealed: `open_names` opens those of a page.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, final

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from volens.consent import Custody, DataSubjectId, EndReason, Purpose, ReceiptId, TamperError
from volens.consent.clocks import INACTIVE_AFTER_DAYS
from volens.store.people.consents import open_name, stored_receipts
from volens.store.people.deadlines import ClockedConsent, clocked
from volens.store.promises.jurisdiction_clocks import clocks_in, jurisdictions_in_use
from volens.store.promises.zones_and_notices import inspect_zones
from volens.store.schema import data_tables as tables
from volens.store.store import Store

PAGE: Final = 500
"""Consents that are read, and names that are open, at one time."""

_live = tables.live_consent.c
_REFERENCES: Final = (tables.biometric_reference, tables.badge)


class ConsentState(StrEnum):
    """How far a person has come under a consent."""

    CONSENTED = "consented"
    """In force, without photos: no reference, and no badge."""
    ENROLLED = "enrolled"
    RESTRICTED = "restricted"
    """In force, and paused by the person (GDPR 18): nothing is matched or enrolled until they resume it."""
    ENDED = "ended"
    """A clock has run out: no longer matched, and the next sweep erases it."""
    DAMAGED = "damaged"
    """Its rows do not verify: it is closed until the data file is restored."""


class WantedState(StrEnum):
    """The states by which a list of people can be filtered."""

    INVITED = "invited"
    """Invited, without an answer yet: no consent, so no `ConsentFilter` finds them."""
    CONSENTED = "consented"
    ENROLLED = "enrolled"
    RESTRICTED = "restricted"


@final
@dataclass(frozen=True, slots=True)
class ConsentFilter:
    """Which consents are wanted.

    Attributes:
        zone: of this zone; None for all.
        is_enrolled: with or without a reference or badge; None for both.
        is_restricted: paused by the person or not; None for both.
        ends_before: that end before this moment, or have ended already and wait for the sweep; None for all.
        subject_id: of this person; None for all.
    """

    zone: Purpose | None = None
    is_enrolled: bool | None = None
    is_restricted: bool | None = None
    ends_before: datetime | None = None
    subject_id: DataSubjectId | None = None


@final
@dataclass(frozen=True, slots=True)
class ListedConsent:
    """A consent in force, without the name.

    Attributes:
        given_at: None if the stored receipt cannot be read.
        ends_at: the earliest of its expiry clocks, and `end_reason` which one that is.
        references: how many biometric references; of a badge zone, the badges that were handed out.
        second_factor: the kind that is set: ``badge`` or ``pin``; None if none is.
        is_linked: it is linked to an id in the staff list.
        restricted_at: since when the person has restricted it; None if they have not.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    custody: Custody
    state: ConsentState
    given_at: datetime | None
    ends_at: datetime
    end_reason: EndReason
    references: int
    second_factor: str | None
    has_badge: bool
    is_linked: bool
    restricted_at: datetime | None


def filter_of(state: WantedState | None, zone: Purpose | None) -> ConsentFilter:
    """Return the filter of a state and a zone; None for all states. `INVITED` is no state of a consent."""
    if state is WantedState.INVITED:
        raise ValueError("people who are invited have no consent; list the invitations")
    is_enrolled = {WantedState.CONSENTED: False, WantedState.ENROLLED: True}.get(state) if state else None
    return ConsentFilter(zone, is_enrolled, True if state is WantedState.RESTRICTED else None)


def consent_ids(
    connection: Connection, wanted: ConsentFilter, *, after: str = "", limit: int | None = None
) -> list[ReceiptId]:
    """Return the ids of the consents that a filter selects, in their order, from the one after `after` on."""
    query = select(_live.receipt_id).where(_live.receipt_id > after).order_by(_live.receipt_id).limit(limit)
    if wanted.zone is not None:
        query = query.where(_live.purpose == wanted.zone)
    if wanted.subject_id is not None:
        query = query.where(_live.subject_id == wanted.subject_id)
    if wanted.is_enrolled is not None:
        has_any = or_(*(_has_row(table.c.receipt_id) for table in _REFERENCES))
        query = query.where(has_any if wanted.is_enrolled else ~has_any)
    if wanted.is_restricted is not None:
        is_paused = _has_row(tables.restriction.c.receipt_id)
        query = query.where(is_paused if wanted.is_restricted else ~is_paused)
    if wanted.ends_before is not None:
        query = query.where(
            or_(_live.expires_at < wanted.ends_before, *_inactive_before(connection, wanted.ends_before))
        )
    return [ReceiptId(one) for one in connection.scalars(query)]


def _inactive_before(connection: Connection, time: datetime) -> list[ColumnElement[bool]]:
    """Return conditions of which one holds if inactivity ends a consent before a time, by the person's jurisdiction."""
    visited, receipt, clocks = tables.last_interaction.c, tables.receipt.c, clocks_in(connection)
    days = {code: clocks.of(code).inactive_after_days for code in jurisdictions_in_use(connection)}
    by_days = {number: [code for code, its in days.items() if its == number] for number in sorted(set(days.values()))}
    return [
        exists().where(
            visited.receipt_id == _live.receipt_id,
            visited.interacted_at < time - timedelta(days=min(number, INACTIVE_AFTER_DAYS)),
            receipt.receipt_id == _live.receipt_id,
            receipt.jurisdiction.in_(codes),
        )
        for number, codes in by_days.items()
    ]


def receipts_of_person(
    connection: Connection, person: str, zone: Purpose | None
) -> tuple[DataSubjectId, dict[ReceiptId, Purpose]]:
    """Return a person's subject id and receipts, in force or ended, by the subject id or one of the receipt ids."""
    receipt = tables.receipt.c
    owner = connection.scalar(select(receipt.subject_id).where(receipt.receipt_id == person))
    subject_id = DataSubjectId(person if owner is None else owner)
    query = select(receipt.receipt_id, receipt.purpose).where(receipt.subject_id == subject_id)
    query = query if zone is None else query.where(receipt.purpose == zone)
    return subject_id, {ReceiptId(row.receipt_id): Purpose(row.purpose) for row in connection.execute(query)}


def listed_consents(connection: Connection, receipt_ids: Collection[ReceiptId], now: datetime) -> list[ListedConsent]:
    """Return the facts of those consents that are in force, in the order of their ids.

    Cost: a receipt is parsed for each consent, 0.2 to 0.5 ms (`clocked`).
    """
    custody = {zone.purpose: zone.custody for zone, _problem in inspect_zones(connection)}
    references = dict.fromkeys(receipt_ids, 0)
    for table in _REFERENCES:
        of, counted = table.c.receipt_id, func.count()
        for receipt_id, count in connection.execute(select(of, counted).where(of.in_(receipt_ids)).group_by(of)):
            references[receipt_id] += count
    kinds = {
        row.receipt_id: row.kind
        for row in connection.execute(
            select(tables.second_factor.c.receipt_id, tables.second_factor.c.kind).where(
                tables.second_factor.c.receipt_id.in_(receipt_ids)
            )
        )
    }
    paused = tables.restriction.c
    restricted = {
        row.receipt_id: row.restricted_at
        for row in connection.execute(select(tables.restriction).where(paused.receipt_id.in_(receipt_ids)))
    }
    badges, linked = (
        set(connection.scalars(select(table.c.receipt_id).where(table.c.receipt_id.in_(receipt_ids))))
        for table in (tables.badge, tables.external_id)
    )
    return [
        ListedConsent(
            receipt_id=one.receipt_id,
            subject_id=one.subject_id,
            purpose=one.purpose,
            custody=custody[one.purpose],
            state=_state(one, references[one.receipt_id], now, is_restricted=one.receipt_id in restricted),
            given_at=None if one.facts is None else one.facts.issued_at,
            ends_at=one.deadline.at,
            end_reason=one.deadline.reason,
            references=references[one.receipt_id],
            second_factor=kinds.get(one.receipt_id),
            has_badge=one.receipt_id in badges or kinds.get(one.receipt_id) == "badge",
            is_linked=one.receipt_id in linked,
            restricted_at=restricted.get(one.receipt_id),
        )
        for one in clocked(connection, receipt_ids=receipt_ids)
    ]


def open_names(store: Store, receipt_ids: Collection[ReceiptId]) -> dict[ReceiptId, str]:
    """Open the names of up to `PAGE` people; those that do not open, or whose consent has ended, are left out.

    Secrets and the buffers of the names are wiped before it returns. Cost: two queries, and 0.7 ms for each name.
    """
    names = tables.subject_profile.c
    with store.read() as connection:
        receipts = stored_receipts(connection, receipt_ids)
        boxes = {
            ReceiptId(receipt_id): box
            for receipt_id, box in connection.execute(
                select(names.receipt_id, names.sealed_name).where(names.receipt_id.in_(receipt_ids))
            )
        }
    secrets = store.keyring.grant_secrets(boxes)
    opened: dict[ReceiptId, str] = {}
    try:
        for receipt_id, secret in secrets.items():
            with suppress(TamperError):
                opened[receipt_id] = open_name(receipts[receipt_id], boxes[receipt_id], secret)
    finally:
        for secret in secrets.values():
            secret.wipe()
    return opened


def _has_row(receipt_id: ColumnElement[str]) -> ColumnElement[bool]:
    return exists().where(receipt_id == _live.receipt_id)


def _state(one: ClockedConsent, references: int, now: datetime, *, is_restricted: bool) -> ConsentState:
    if one.problem is not None:
        return ConsentState.DAMAGED
    if one.deadline.at <= now:
        return ConsentState.ENDED
    if is_restricted:
        return ConsentState.RESTRICTED
    return ConsentState.ENROLLED if references else ConsentState.CONSENTED
