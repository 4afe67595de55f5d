"""Data held about one consent, read in one snapshot: the content of the answer to an access request (GDPR 15).

The sections come from the registry of personal tables, so a table that is registered is in the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self, final

from sqlalchemy import Connection, Table, func, select

from volens.consent import Custody, DataSubjectId, EndReason, Purpose, ReceiptId, RefusedError, Zone, format_time
from volens.consent.clocks import Deadline, deadlines
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt import RECEIPT
from volens.erase import certificates_of
from volens.store import Store
from volens.store.people import StoredReceipt, clocked, name_of, stored_receipt
from volens.store.people.consents import consent_ended
from volens.store.people.guardian_signatures import guardian_signature
from volens.store.people.panel_badges import PanelBadges
from volens.store.people.score_counts import score_counts_of
from volens.store.promises import processing_record, recipients_of, zone_of
from volens.store.schema import data_tables as tables
from volens.store.schema.personal_tables import OWNER, PERSONAL


@final
@dataclass(frozen=True, slots=True)
class HeldConsent:
    """What is held about one consent, in force or ended.

    Attributes:
        record: what holds now for people of the receipt's jurisdiction; None if no profile covers it any more.
        agreed: the claims of the signed receipt (ISO/IEC TS 27560).
        guardian_token: the signature of a guardian over the same receipt; None if none signed.
        name: as the person gave it; None once the consent has ended.
        notice: the exact text that the person agreed to.
        panel_badge: the badge number at the panel of the house; None if there is none.
        in_force_until: None once the consent has ended.
        clocks: the expiry clocks that run, the one that ends first in front.
        rows: the content of the rows of each table, without sealed bytes and keys.
        counts: how many rows each table has, the keyring included.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    zone: Zone
    record: ProcessingRecord | None
    agreed: Mapping[str, Any]
    token: str
    guardian_token: str | None
    name: str | None
    notice: str
    panel_badge: str | None
    in_force_until: datetime | None
    clocks: tuple[Deadline, ...]
    ended: tuple[EndReason, datetime] | None
    certificate_id: str | None
    rows: Mapping[str, list[dict[str, Any]]]
    counts: Mapping[str, int]

    @property
    def anything(self) -> bool:
        """Whether anything besides evidence of an ended consent is held."""
        return any(self.counts.values())

    def with_visits_from(self, since: datetime) -> Self:
        """Return the same without the visits before a time; the counts stay."""
        name, first = tables.passage.name, format_time(since)
        return replace(self, rows={**self.rows, name: [one for one in self.rows[name] if one["matched_at"] >= first]})


def held_under(store: Store, connection: Connection, receipt_id: ReceiptId) -> HeldConsent | None:
    """Return the data held under a receipt; None if the receipt was never recorded here.

    Raises:
        TamperError: the stored receipt is not what the person signed.
    """
    stored = stored_receipt(connection, receipt_id)
    if stored is None:
        return None
    receipt = stored.verified()
    until = connection.scalar(
        select(tables.live_consent.c.expires_at).where(tables.live_consent.c.receipt_id == receipt_id)
    )
    clocks = next((deadlines(one.facts) for one in clocked(connection, receipt_id=receipt_id) if one.facts), ())
    certificate = certificates_of(connection, [receipt_id]).get(receipt_id)
    withheld = {tables.live_consent: frozenset[str](), **{one.table: one.withheld for one in PERSONAL}}
    counts = {table.name: _count(connection, table, receipt_id) for table in withheld}
    rows = {
        table.name: _rows(connection, table, receipt_id, columns)
        for table, columns in (withheld | {tables.access_request: frozenset()}).items()
    }
    counts["audit entries that open"] = sum(
        _count(connection, one, receipt_id) for one in (tables.audit_opening, tables.shard_opening)
    )
    counts["keyring"] = len(store.keyring.wrapped_secrets([receipt_id]))
    zone = zone_of(connection, Purpose(stored.purpose))
    number = None if until is None else PanelBadges(store).of(receipt_id)
    # A sketch with the site's projection key is a template, so it is biometric data too.
    counts["sketches"] = counts[tables.biometric_reference.name] if zone.custody is Custody.OPERATOR else 0
    return HeldConsent(
        receipt_id=receipt_id,
        subject_id=stored.subject_id,
        zone=zone,
        record=record_for(store, connection, zone.purpose, receipt.claims.jurisdiction),
        agreed=RECEIPT.peek_json(receipt.token),
        token=receipt.token,
        guardian_token=guardian_signature(connection, receipt_id),
        name=None if until is None else name_of(store, receipt_id),
        panel_badge=None if number is None else number.text,
        notice=_notice(connection, receipt.claims.notice_sha256),
        in_force_until=until,
        clocks=clocks,
        ended=consent_ended(connection, receipt_id),
        certificate_id=None if certificate is None else certificate.certificate_id,
        rows=rows
        | {
            tables.passage.name: _with_label(connection, rows[tables.passage.name], "asked_by", "door"),
            tables.name_disclosure.name: _with_label(
                connection, rows[tables.name_disclosure.name], "shown_to", "reader"
            ),
            tables.score_counts.name: _score_counts(store, connection, stored),
        },
        counts=counts,
    )


def record_for(store: Store, connection: Connection, purpose: Purpose, jurisdiction: str) -> ProcessingRecord | None:
    """Return what holds now in a zone for a person of a jurisdiction; None if no profile covers it any more.

    Raises:
        TamperError: the rows of the zone or of the site do not verify.
    """
    try:
        return processing_record(connection, store.site.controller, purpose, jurisdiction)
    except RefusedError:
        return None


def recipients_named(connection: Connection, zone: Purpose) -> list[dict[str, Any]]:
    """Return the recipients of data of a zone, present and former, by name (GDPR 15(1)(c))."""
    return [
        {
            "name": one.name,
            "contact": one.contact,
            "since": format_time(one.added_at),
            "until": None if one.removed_at is None else format_time(one.removed_at),
        }
        for one in recipients_of(connection, zone, removed=True)
    ]


def _count(connection: Connection, table: Table, receipt_id: ReceiptId) -> int:
    found = connection.scalar(select(func.count()).select_from(table).where(table.c.receipt_id == receipt_id))
    return int(found or 0)


def _rows(
    connection: Connection, table: Table, receipt_id: ReceiptId, withheld: frozenset[str]
) -> list[dict[str, Any]]:
    rows = connection.execute(select(table).where(table.c.receipt_id == receipt_id)).mappings()
    return [
        {str(name): _plain(value) for name, value in row.items() if name not in withheld.union(OWNER)} for row in rows
    ]


def _score_counts(store: Store, connection: Connection, receipt: StoredReceipt) -> list[dict[str, Any]]:
    """Return the counts of comparison scores, opened; none if the consent has ended."""
    sealed = score_counts_of(connection, receipt)
    if not sealed:
        return []
    with store.keyring.grant_secret(receipt.receipt_id) as secret:
        return [{"model_id": one.model_id, **one.open(secret).by_score()} for one in sealed]


def _with_label(connection: Connection, rows: list[dict[str, Any]], column: str, name: str) -> list[dict[str, Any]]:
    """Return rows with the present label of the credential whose id is in a column, under a name."""
    credential = tables.api_credential.c
    labels = {
        row.credential_id: row.label for row in connection.execute(select(credential.credential_id, credential.label))
    }
    return [row | {name: labels.get(row[column])} for row in rows]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_time(value)
    return value.hex() if isinstance(value, bytes) else value


def _notice(connection: Connection, digest: str) -> str:
    return str(connection.scalar(select(tables.notice.c.text).where(tables.notice.c.sha256 == digest).limit(1)) or "")
