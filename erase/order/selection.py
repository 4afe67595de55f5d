"""Which consents an order means, and how many there are in and outside of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Self, final

from sqlalchemy import Connection, Row, Table, select

from volens.consent import InputError, Purpose, ReceiptId, TamperError, format_time, parse_purpose, parse_time
from volens.consent import jws as consent_jws
from volens.consent.jurisdiction import covers, parse_jurisdiction
from volens.consent.receipt import RECEIPT_TYPE
from volens.store.people import StoredReceipt
from volens.store.schema import data_tables as tables

SALT_BYTES: Final = 32
_MOST: Final = 2**31 - 1


@final
@dataclass(frozen=True, slots=True)
class Selection:
    """Whom an order means: those to whom everything named applies.

    Attributes:
        jurisdiction: ISO 3166; a country means its parts as well.
        zone: a zone's name.
        notice_version: the version of the notice that was agreed to, of whatever zone and language.
        model: a model's id, or its name without the hash; people with no reference of it are outside.
        before: aware; consents given before this moment.
    """

    jurisdiction: str | None = None
    zone: Purpose | None = None
    notice_version: int | None = None
    model: str | None = None
    before: datetime | None = None

    @classmethod
    def declare(
        cls,
        *,
        jurisdiction: str | None = None,
        zone: str | None = None,
        notice_version: int | None = None,
        model: str | None = None,
        before: datetime | None = None,
    ) -> Self:
        """Check what somebody typed.

        Raises:
            InputError: nothing is named, or something that cannot be.
        """
        if (jurisdiction, zone, notice_version, model, before) == (None,) * 5:
            raise InputError(
                "got no selection; give at least one of --jurisdiction, --zone, --notice-version, --model and --before"
            )
        if notice_version is not None and notice_version < 1:
            raise InputError(f"got notice version {notice_version}; expected 1 or more")
        if notice_version is not None and notice_version > _MOST:
            raise InputError(f"got a notice version above {_MOST}; expected one that was published")
        if before is not None:
            try:
                format_time(before)
            except OverflowError:
                raise InputError(
                    "got a moment before that is in no year of UTC; expected the years 1 to 9999"
                ) from None
        return cls(
            None if jurisdiction is None else parse_jurisdiction(jurisdiction),
            None if zone is None else parse_purpose(zone),
            notice_version,
            model,
            before,
        )

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` writes.

        Raises:
            InputError: it is not that.
        """
        before = document.get("before")
        read = cls.declare(
            jurisdiction=document.get("jurisdiction"),
            zone=document.get("zone"),
            notice_version=document.get("notice_version"),
            model=document.get("model"),
            before=None if before is None else parse_time(before),
        )
        if read.document() != document:
            raise InputError("got a selection in another form than this version writes")
        return read

    def document(self) -> dict[str, str | int]:
        """Return what is named."""
        named = {
            "jurisdiction": self.jurisdiction,
            "zone": self.zone,
            "notice_version": self.notice_version,
            "model": self.model,
            "before": None if self.before is None else format_time(self.before),
        }
        return {name: value for name, value in named.items() if value is not None}


@final
@dataclass(frozen=True, slots=True)
class Selected:
    """One consent that was looked at.

    Attributes:
        references: how many the store holds; those that a person carries are not among them.
        inside: whether the selection means it.
        damaged: its receipt is not what the person signed any more.
        issued_at: None if damaged.
    """

    receipt: StoredReceipt
    references: int
    inside: bool
    damaged: bool
    issued_at: datetime | None

    @property
    def receipt_id(self) -> ReceiptId:
        """Of which consent."""
        return self.receipt.receipt_id


def select_live(connection: Connection, selection: Selection) -> list[Selected]:
    """Look at every consent in force, or expired and not swept yet, by id.

    The signature of each receipt is checked, so nobody leaves a cohort by a changed row. A receipt that was damaged is
    meant by every order that its zone and model allow: nothing opens with it any more, and who cannot be shown to be
    outside is inside.
    """
    rows = connection.execute(
        select(tables.receipt)
        .join(tables.live_consent, tables.live_consent.c.receipt_id == tables.receipt.c.receipt_id)
        .order_by(tables.receipt.c.receipt_id)
    )
    stored, carried = _models(connection, tables.biometric_reference), _models(connection, tables.badge)
    return [_looked_at(row, selection, stored.get(row.receipt_id, []), carried.get(row.receipt_id, [])) for row in rows]


def select_left(connection: Connection, selection: Selection, since: datetime) -> list[Selected]:
    """Return the consents that the selection means and that ended since a moment.

    A selection by model finds none: references are gone, and with them what they were of.
    """
    if selection.model is not None:
        return []
    rows = connection.execute(
        select(tables.receipt)
        .join(tables.consent_end, tables.consent_end.c.receipt_id == tables.receipt.c.receipt_id)
        .where(tables.consent_end.c.ended_at >= since)
    )
    return [one for row in rows if (one := _looked_at(row, selection, [], [])).inside]


def members_sha256(salt: bytes, receipts: Iterable[bytes]) -> str:
    """Return a salted hash that stands for a set of consents: over the sorted SHA-256 of their receipts.

    Certificates name the same SHA-256, so whoever has the certificates can compute it again.
    """
    return sha256(salt + b"".join(sorted(receipts))).hexdigest()


def counted(of: Sequence[Selected]) -> dict[str, Any]:
    """Return how many people, consents and references there are, and how many in each zone."""
    zones: dict[str, dict[str, int]] = {}
    for one in of:
        zone = zones.setdefault(one.receipt.purpose, {"consents": 0, "references": 0})
        zone["consents"] += 1
        zone["references"] += one.references
    return {
        "people": len({one.receipt.subject_id for one in of}),
        "consents": len(of),
        "references": sum(one.references for one in of),
        "zones": zones,
    }


def _models(connection: Connection, table: Table) -> dict[str, list[str]]:
    models: dict[str, list[str]] = {}
    for row in connection.execute(select(table.c.receipt_id, table.c.model_id)):
        models.setdefault(row.receipt_id, []).append(row.model_id)
    return models


def _looked_at(
    row: Row[tuple[object, ...]], selection: Selection, stored: Sequence[str], carried: Sequence[str]
) -> Selected:
    receipt = StoredReceipt(ReceiptId(row.receipt_id), row.subject_id, Purpose(row.purpose), row.subject_key, row.token)
    inside = (selection.zone is None or receipt.purpose == selection.zone) and (
        selection.model is None or any(selection.model in (one, one.partition("@")[0]) for one in (*stored, *carried))
    )
    try:
        claims = receipt.verified().claims
        damaged, issued_at = False, claims.issued_at
        inside = inside and (selection.jurisdiction is None or covers(selection.jurisdiction, claims.jurisdiction))
        inside = inside and (selection.before is None or claims.issued_at < selection.before)
        inside = inside and selection.notice_version in (None, _notice_version(receipt.token))
    except TamperError:
        damaged, issued_at = True, None
    return Selected(receipt, len(stored), inside, damaged, issued_at)


def _notice_version(token: str) -> object:
    """Return the version of the notice in a receipt whose signature was checked."""
    payload = json.loads(consent_jws.peek(token, RECEIPT_TYPE))
    return payload["pii_processing"]["privacy_notice"]["version"]
