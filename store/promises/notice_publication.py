"""Publishes the notice of a zone, after it was held against what the zone does for people of some jurisdictions."""

from collections.abc import Sequence

from sqlalchemy import Connection

from volens.consent import Notice, Purpose
from volens.consent.notice_check import NoticeReport, check_notice
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt import Controller
from volens.store.promises.processing_records import processing_record
from volens.store.promises.zones_and_notices import add_notice, zone_of
from volens.store.transaction import Transaction


def notice_records(
    connection: Connection, controller: Controller, purpose: Purpose, jurisdictions: Sequence[str]
) -> list[ProcessingRecord]:
    """Return what a notice of a zone must state: one record for each jurisdiction whose people are asked.

    Raises:
        UnknownError: there is no such zone.
        InputError: a jurisdiction is not a code.
        RefusedError: the zone was removed, or no profile covers a jurisdiction.
    """
    zone_of(connection, purpose).check_not_removed()
    codes = dict.fromkeys(jurisdictions)
    return [processing_record(connection, controller, purpose, one) for one in codes]


def check_text(text: bytes, language: str, records: Sequence[ProcessingRecord]) -> NoticeReport:
    """Return what is wrong with the text of a notice; see `volens.consent.notice_check.check_notice`.

    Raises:
        InputError: it is no UTF-8 text of at most 256 KiB, or the language is not a BCP 47 tag.
    """
    zone = records[0].zone
    read = Notice.publish(zone.purpose, language=language, version=1, text=text, now=zone.created_at)
    return check_notice(read.text, read.language, records)


def publish_notice(
    tx: Transaction,
    records: Sequence[ProcessingRecord],
    language: str,
    text: bytes,
    supersedes_within_days: int | None = None,
) -> Notice:
    """Publish the next version of a zone's notice in one language; see `add_notice` for what else is refused.

    Raises:
        RefusedError: the text lacks something, or contradicts the zone; the message names all of it.
    """
    purpose = records[0].zone.purpose
    check_text(text, language, records).refuse(purpose)
    return add_notice(tx, purpose, language, text, supersedes_within_days)
