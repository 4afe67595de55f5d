"""Papers that no longer fit the configuration: notices that people read, held against what the zone does today."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, final

from sqlalchemy import Connection, func, select

from volens.consent import Notice, Purpose, Zone
from volens.consent.notice_check import unfit_statements
from volens.consent.notice_reading import days_in
from volens.consent.processing_record import ProcessingRecord
from volens.consent.typed_text import comparison_key
from volens.consent.zone import Trigger
from volens.store import Store
from volens.store.promises import notices_of, processing_record, recipients_of, zones
from volens.store.schema import data_tables as tables

_ANY_LAW: Final = "EU"
_OF_ANY_LAW: Final = frozenset(
    {
        *("controller", "contact", "dpo", "custody", "trigger", "liveness", "second_factor", "lease"),
        *("alternative", "match_history", "recipients", "transfers", "human_way"),
    }
)
"""Statements that hold whatever law protects the reader."""


class PaperProblem(StrEnum):
    """What does not fit."""

    NO_NOTICE = "no_notice"
    """The zone has no notice, so that no one can agree."""
    RETENTION_CHANGED = "retention_changed"
    """The retention was shortened after the notice was published, and its text has other days."""
    RECIPIENT_ADDED = "recipient_added"
    """A recipient was added after the notice was published, and its text does not name it (GDPR 13(1)(e))."""
    TRIGGER_CHANGED = "trigger_changed"
    """What lets the doors embed a face was changed after the notice was published."""
    TITLE_CHANGED = "title_changed"
    """The zone was renamed after the notice was published."""
    UNFIT = "unfit"
    """The text lacks or contradicts something else that the zone does (`volens.consent.notice_check`)."""
    LANGUAGE_BEHIND = "language_behind"
    """The notice in another language has a newer version."""


@final
@dataclass(frozen=True, slots=True)
class StalePaper:
    """A notice to look at again.

    Attributes:
        language: of the notice; None if there is no notice.
        recipient: the name of the recipient that was added; None for other problems.
        changed_at: when the configuration changed.
    """

    problem: PaperProblem
    zone: Zone
    language: str | None
    recipient: str | None
    changed_at: datetime


def stale_papers(store: Store) -> list[StalePaper]:
    """Return the notices of all zones in use whose text does not fit what the zone does today, by zone.

    Raises:
        TamperError: the rows of a zone or of the site do not verify.

    Not checked: what depends on the law of a person: basis, authority and rights (`volens notice check`).
    """
    with store.read() as connection:
        return [one for zone in zones(connection) for one in _of_zone(store, connection, zone)]


def _of_zone(store: Store, connection: Connection, zone: Zone) -> Iterator[StalePaper]:
    notices = notices_of(connection, zone.purpose)
    if not notices:
        yield StalePaper(PaperProblem.NO_NOTICE, zone, None, None, zone.created_at)
        return
    # The law does not matter here: what depends on it is left out.
    record = processing_record(connection, store.site.controller, zone.purpose, _ANY_LAW)
    for notice in notices:
        yield from _of_notice(connection, record, notice, max(one.version for one in notices))


def _of_notice(connection: Connection, record: ProcessingRecord, notice: Notice, newest: int) -> Iterator[StalePaper]:
    zone, unfit = record.zone, unfit_statements(notice, record) & _OF_ANY_LAW

    def stale(problem: PaperProblem, at: datetime, recipient: str | None = None) -> StalePaper:
        return StalePaper(problem, zone, notice.language, recipient, at)

    shortened = _shortened_at(connection, zone.purpose)
    renamed = _changed_at(connection, zone.purpose, "title", None)
    asks = _changed_at(connection, zone.purpose, "trigger", Trigger.default(zone.custody, zone.second_factor))
    days = days_in(notice.text, any_number=True)
    if shortened is not None and shortened > notice.published_at and zone.retention_days not in days:
        yield stale(PaperProblem.RETENTION_CHANGED, shortened)
    named = comparison_key(zone.title) in comparison_key(notice.text)
    if renamed is not None and renamed > notice.published_at and not named:
        yield stale(PaperProblem.TITLE_CHANGED, renamed)
    # A notice may announce that everyone who passes is compared; afterwards it says too much, and is stale.
    says_too_much = zone.trigger is not Trigger.PASSING
    if asks is not None and asks > notice.published_at and (says_too_much or "trigger" in unfit):
        yield stale(PaperProblem.TRIGGER_CHANGED, asks)
    if "recipients" in unfit:
        for one in recipients_of(connection, zone.purpose):
            if one.added_at > notice.published_at:
                yield stale(PaperProblem.RECIPIENT_ADDED, one.added_at, one.name)
    if unfit - {"trigger", "recipients"}:
        yield stale(PaperProblem.UNFIT, notice.published_at)
    if notice.version < newest:
        yield stale(PaperProblem.LANGUAGE_BEHIND, notice.published_at)


def _shortened_at(connection: Connection, purpose: Purpose) -> datetime | None:
    its = tables.shorter_retention.c
    found: datetime | None = connection.scalar(select(func.max(its.decided_at)).where(its.purpose == purpose))
    return found


def _changed_at(connection: Connection, purpose: Purpose, what: str, first: str | None) -> datetime | None:
    """Return when a column of `zone_change` last got another value; rows repeat what they do not change.

    `first` is the value before the first row; with None the first row gives it.
    """
    its = tables.zone_change.c
    rows = connection.execute(select(its[what], its.changed_at).where(its.purpose == purpose).order_by(its.number))
    value, changed = first, None
    for found, at in rows:
        if value is not None and found != value:
            changed = at
        value = found
    return changed
