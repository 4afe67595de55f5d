"""The selection of an order: which consents it covers, and how many are inside and outside of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Self, final

from sqlalchemy import Connection, Row, Table, select

from volens.consent import InputError, Purpose, ReceiptId, TamperError, format_time, parse_purpose, parse_time
from volens.consent.jurisdiction import covers, parse_jurisdiction
from volens.consent.reason import Reason
from volens.consent.receipt import RECEIPT
from volens.consent.typed_text import same_text
from volens.store.people import StoredReceipt
from volens.store.schema import data_tables as tables

_MOST: Final = 2**31 - 1


@final
@dataclass(frozen=True, slots=True)
class Selection:
    """Selection criteria of an order: a consent is selected if all criteria that are set apply to it.

    Attributes:
        jurisdiction: ISO 3166; a country includes its subdivisions.
        zone: a zone's name.
        notice_version: the version of the notice that the person agreed to, in any zone and language.
        model: a model's id, or its name without the hash; people without a reference of it are outside.
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
        """Check criteria that an operator entered.

        Raises:
            InputError: no criterion is set, or one is not valid.
        """
        if (jurisdiction, zone, notice_version, model, before) == (None,) * 5:
            raise InputError(
                "got no selection; give at least one of --jurisdiction, --zone, --notice-version, --model and --before",
                reason=Reason.NO_SELECTION,
            )
        if notice_version is not None and notice_version < 1:
            raise InputError(f"got notice version {notice_version}; expected 1 or more", reason=Reason.VERSION_NUMBER)
        if notice_version is not None and notice_version > _MOST:
            raise InputError(
                f"got a notice version above {_MOST}; expected one that was published", reason=Reason.VERSION_NUMBER
            )
        if before is not None:
            try:
                format_time(before)
            except OverflowError:
                raise InputError(
                    "got a value of --before that is no year of UTC; expected the years 1 to 9999",
                    reason=Reason.DATE_FORM,
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
        """Read the form that `document` writes.

        Raises:
            InputError: the document has another form.
        """
        named = {one.name: document.get(one.name) for one in fields(cls)}
        before = named.pop("before")
        read = cls.declare(**named, before=None if before is None else parse_time(before))
        if read.document() != document:
            raise InputError("this selection has another form than this version writes; make a new plan")
        return read

    def document(self) -> dict[str, str | int]:
        """Return the criteria that are set."""
        named = asdict(self) | ({} if self.before is None else {"before": format_time(self.before)})
        return {name: value for name, value in named.items() if value is not None}


@final
@dataclass(frozen=True, slots=True)
class SelectedConsent:
    """One consent that was compared with a selection.

    Attributes:
        references: how many the store holds, without those on badges.
        inside: whether the selection covers it.
        damaged: whether its receipt is no longer what the person signed.
        issued_at: None if damaged.
    """

    receipt: StoredReceipt
    references: int
    inside: bool
    damaged: bool
    issued_at: datetime | None

    @property
    def receipt_id(self) -> ReceiptId:
        """The id of the consent."""
        return self.receipt.receipt_id


def select_live(connection: Connection, selection: Selection) -> list[SelectedConsent]:
    """Compare every consent in force, or expired and not swept yet, with a selection; ordered by id.

    The signature of each receipt is checked, so a changed row takes no person out of a cohort. A damaged receipt is
    inside every order that its zone and model allow: it opens no embedding any more, and a consent that cannot be shown
    to be outside counts as inside.
    """
    rows = connection.execute(
        select(tables.receipt)
        .join(tables.live_consent, tables.live_consent.c.receipt_id == tables.receipt.c.receipt_id)
        .order_by(tables.receipt.c.receipt_id)
    )
    stored, carried = _models(connection, tables.biometric_reference), _models(connection, tables.badge)
    return [_compare(row, selection, stored.get(row.receipt_id, []), carried.get(row.receipt_id, [])) for row in rows]


def select_left(connection: Connection, selection: Selection, since: datetime) -> list[SelectedConsent]:
    """Return the selected consents that ended since a moment.

    A selection by model finds none: the references are erased, and with them their model.
    """
    if selection.model is not None:
        return []
    rows = connection.execute(
        select(tables.receipt)
        .join(tables.consent_end, tables.consent_end.c.receipt_id == tables.receipt.c.receipt_id)
        .where(tables.consent_end.c.ended_at >= since)
    )
    return [one for row in rows if (one := _compare(row, selection, [], [])).inside]


def members_sha256(salt: bytes, receipts: Iterable[bytes]) -> str:
    """Return a salted hash that identifies a set of consents: over the sorted SHA-256 of their receipts.

    Certificates contain the same SHA-256, so an auditor who has the certificates can compute the hash again.
    """
    return sha256(salt + b"".join(sorted(receipts))).hexdigest()


def count_consents(of: Sequence[SelectedConsent]) -> dict[str, Any]:
    """Return the number of people, consents and references, in all and in each zone."""
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


def _compare(
    row: Row[tuple[object, ...]], selection: Selection, stored: Sequence[str], carried: Sequence[str]
) -> SelectedConsent:
    receipt = StoredReceipt(ReceiptId(row.receipt_id), row.subject_id, Purpose(row.purpose), row.subject_key, row.token)
    inside = (selection.zone is None or receipt.purpose == selection.zone) and (
        selection.model is None
        or any(same_text(selection.model, name) for one in (*stored, *carried) for name in (one, one.partition("@")[0]))
    )
    try:
        claims = receipt.verified().claims
        damaged, issued_at = False, claims.issued_at
        inside = inside and (selection.jurisdiction is None or covers(selection.jurisdiction, claims.jurisdiction))
        inside = inside and (selection.before is None or claims.issued_at < selection.before)
        inside = inside and selection.notice_version in (None, _notice_version(receipt.token))
    except TamperError:
        damaged, issued_at = True, None
    return SelectedConsent(receipt, len(stored), inside, damaged, issued_at)


def _notice_version(token: str) -> object:
    """Return the version of the notice in a receipt whose signature was checked."""
    return RECEIPT.peek_json(token)["pii_processing"]["privacy_notice"]["version"]
