"""Everything that the store holds about one consent, gathered in one snapshot: what an access request is answered from.

A table that hangs on a consent and is missing here would be an incomplete answer; a test compares the schema with
`HANGING`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import Connection, Table, func, select

from volens.consent import DataSubjectId, EndReason, Purpose, ReceiptId, Zone, format_time
from volens.consent import jws as consent_jws
from volens.consent.clocks import Deadline, deadlines
from volens.consent.receipt import RECEIPT_TYPE
from volens.erase import certificate_of
from volens.store import Store
from volens.store.people import clocked, name_of, stored_receipt
from volens.store.people.consents import consent_ended
from volens.store.programs import recipients_of
from volens.store.promises import zone_of
from volens.store.schema import data_tables as tables
from volens.store.schema import external_id, kept_answer, second_factor

HANGING: Final[tuple[Table, ...]] = (
    tables.live_consent,
    tables.subject_profile,
    tables.biometric_reference,
    tables.badge,
    tables.subject_secret,
    tables.leaving,
    tables.last_interaction,
    tables.passage,
    external_id,
    kept_answer,
    second_factor,
)
"""The tables whose rows are about a person and go with the consent."""

_EVIDENCE: Final[tuple[Table, ...]] = (tables.access_request,)
_SEALED: Final = {"sealed_embedding", "sealed_name", "sealed_answer", "lookup", "salt", "verifier"}
_KEYS: Final = {"receipt_id", "subject_id", "purpose"} | _SEALED


@final
@dataclass(frozen=True, slots=True)
class HeldConsent:
    """What is held about one consent, in force or ended.

    Attributes:
        agreed: the claims of the signed receipt, as its text has them (ISO/IEC TS 27560).
        token: the signed receipt.
        name: as the person gave it; None once the consent has ended.
        notice: the exact text that was agreed to.
        in_force_until: None once the consent has ended.
        clocks: which clocks run, the one that ends first in front.
        ended: why and when the consent ended.
        certificate_id: of its erasure.
        rows: of each table, what is in its rows; no sealed bytes and no key.
        counts: how many rows of each table, the keyring included.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    zone: Zone
    agreed: Mapping[str, Any]
    token: str
    name: str | None
    notice: str
    in_force_until: datetime | None
    clocks: tuple[Deadline, ...]
    ended: tuple[EndReason, datetime] | None
    certificate_id: str | None
    rows: Mapping[str, list[dict[str, Any]]]
    counts: Mapping[str, int]

    @property
    def anything(self) -> bool:
        """Whether anything but evidence of an ended consent is held."""
        return any(self.counts.values())


def held_under(store: Store, connection: Connection, receipt_id: ReceiptId) -> HeldConsent | None:
    """Return what is held under a receipt; None if it was never recorded here.

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
    certificate = certificate_of(connection, receipt_id)
    counts = {table.name: _count(connection, table, receipt_id) for table in HANGING}
    counts["audit entries that open"] = _count(connection, tables.audit_opening, receipt_id)
    counts["keyring"] = int(store.keyring.wrapped(receipt_id) is not None)
    return HeldConsent(
        receipt_id=receipt_id,
        subject_id=stored.subject_id,
        zone=zone_of(connection, Purpose(stored.purpose)),
        agreed=json.loads(consent_jws.peek(receipt.token, RECEIPT_TYPE)),
        token=receipt.token,
        name=None if until is None else name_of(store, receipt_id),
        notice=_notice(connection, receipt.claims.notice_sha256),
        in_force_until=until,
        clocks=clocks,
        ended=consent_ended(connection, receipt_id),
        certificate_id=None if certificate is None else certificate.certificate_id,
        rows={table.name: _rows(connection, table, receipt_id) for table in (*HANGING, *_EVIDENCE)}
        | {tables.passage.name: _passages(connection, receipt_id)},
        counts=counts,
    )


def recipients_named(connection: Connection, zone: Purpose) -> list[dict[str, Any]]:
    """Return who receives data of a zone, or did, by name (GDPR 15(1)(c))."""
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


def _rows(connection: Connection, table: Table, receipt_id: ReceiptId) -> list[dict[str, Any]]:
    rows = connection.execute(select(table).where(table.c.receipt_id == receipt_id)).mappings()
    return [{str(name): _plain(value) for name, value in row.items() if name not in _KEYS} for row in rows]


def _passages(connection: Connection, receipt_id: ReceiptId) -> list[dict[str, Any]]:
    """Return the passages, each with what the door is called today."""
    door = tables.api_credential.c
    called = {row.credential_id: row.label for row in connection.execute(select(door.credential_id, door.label))}
    found = _rows(connection, tables.passage, receipt_id)
    return [row | {"door": called.get(row["asked_by"])} for row in found]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_time(value)
    return value.hex() if isinstance(value, bytes) else value


def _notice(connection: Connection, digest: str) -> str:
    return str(connection.scalar(select(tables.notice.c.text).where(tables.notice.c.sha256 == digest).limit(1)) or "")
