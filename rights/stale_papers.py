"""Papers that no longer fit the configuration: notices that people read, compared with what the zone does today."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from sqlalchemy import Connection, func, select

from volens.consent import Notice, Purpose, Zone
from volens.consent.zone import Trigger
from volens.store import Store
from volens.store.promises import notices_of, recipients_of, zones
from volens.store.schema import data_tables as tables


class PaperProblem(StrEnum):
    """What does not fit."""

    NO_NOTICE = "no_notice"
    """The zone has no notice, so that no one can agree."""
    RETENTION_CHANGED = "retention_changed"
    """The retention was shortened after the notice was published."""
    RECIPIENT_ADDED = "recipient_added"
    """A recipient was added after the notice was published, which must name it (GDPR 13(1)(e))."""
    TRIGGER_CHANGED = "trigger_changed"
    """What lets the doors embed a face was changed after the notice was published."""
    TITLE_CHANGED = "title_changed"
    """The zone was renamed after the notice was published."""
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
    """Return the notices of all zones in use that were published before a change of what they tell, by zone.

    Raises:
        TamperError: the rows of a zone do not verify.

    Not checked: what a notice says. A notice is named if it is older than the change, even if it announced it.
    """
    with store.read() as connection:
        return [one for zone in zones(connection) for one in _of_zone(connection, zone)]


def _of_zone(connection: Connection, zone: Zone) -> Iterator[StalePaper]:
    notices = notices_of(connection, zone.purpose)
    if not notices:
        yield StalePaper(PaperProblem.NO_NOTICE, zone, None, None, zone.created_at)
    for notice in notices:
        yield from _of_notice(connection, zone, notice, max(one.version for one in notices))


def _of_notice(connection: Connection, zone: Zone, notice: Notice, newest: int) -> Iterator[StalePaper]:
    def stale(problem: PaperProblem, at: datetime, recipient: str | None = None) -> StalePaper:
        return StalePaper(problem, zone, notice.language, recipient, at)

    shortened = _shortened_at(connection, zone.purpose)
    renamed = _changed_at(connection, zone.purpose, "title", None)
    asks = _changed_at(connection, zone.purpose, "trigger", Trigger.default(zone.custody, zone.second_factor))
    if shortened is not None and shortened > notice.published_at:
        yield stale(PaperProblem.RETENTION_CHANGED, shortened)
    if renamed is not None and renamed > notice.published_at:
        yield stale(PaperProblem.TITLE_CHANGED, renamed)
    if asks is not None and asks > notice.published_at:
        yield stale(PaperProblem.TRIGGER_CHANGED, asks)
    for one in recipients_of(connection, zone.purpose):
        if one.added_at > notice.published_at:
            yield stale(PaperProblem.RECIPIENT_ADDED, one.added_at, one.name)
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
