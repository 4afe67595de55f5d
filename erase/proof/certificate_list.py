"""List of the certificates that the site issued, newest first, by the id of the consent, without a name.

The name of a person is erased with the consent, so a certificate is found by what stays: the receipt, its id, the
withdrawal code, the zone, the reason, or the day. The list is read from the data file; a certificate itself is verified
where it is shown (`verify_certificate`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from sqlalchemy import Connection, and_, or_, select

from volens.consent import EndReason, InputError, Purpose, ReceiptId
from volens.store.schema import data_tables as tables

PAGE: Final = 500
_MAX_DIGITS: Final = 15
_end, _certificate, _receipt = tables.consent_end.c, tables.certificate.c, tables.receipt.c


@final
@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate that was issued, and the consent that it is about.

    Attributes:
        log_size: entries in the log before the end was recorded; the list is in this order.
    """

    certificate_id: str
    receipt_id: ReceiptId
    purpose: Purpose
    reason: EndReason
    ended_at: datetime
    issued_at: datetime
    log_size: int

    @property
    def position(self) -> str:
        """Where it is in the list, for the next page."""
        return f"{self.log_size}.{self.receipt_id}"


@final
@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """Which certificates are wanted.

    Attributes:
        zone: of this zone; None for all.
        reason: of consents that ended for this reason; None for all.
        since, until: of consents that ended from `since` on, and before `until`; None for no limit.
        receipt_ids: of these consents; None for all.
    """

    zone: Purpose | None = None
    reason: EndReason | None = None
    since: datetime | None = None
    until: datetime | None = None
    receipt_ids: Collection[ReceiptId] | None = None


def issued_certificates(
    connection: Connection, wanted: CertificateFilter, *, after: str = "", limit: int = PAGE
) -> list[IssuedCertificate]:
    """Return up to `limit` (1 to 500) certificates, the newest end first, after the position of another one.

    Raises:
        InputError: `after` is no position of this list.

    Not checked: the certificates' signatures.
    """
    if not 1 <= limit <= PAGE:
        raise ValueError("a page has 1 to 500 certificates")
    query = (
        select(
            _certificate.certificate_id,
            _end.receipt_id,
            _receipt.purpose,
            _end.reason,
            _end.ended_at,
            _certificate.issued_at,
            _end.log_size,
        )
        .join(tables.certificate, _certificate.receipt_id == _end.receipt_id)
        .join(tables.receipt, _receipt.receipt_id == _end.receipt_id)
        .order_by(_end.log_size.desc(), _end.receipt_id)
        .limit(limit)
    )
    if after:
        size, receipt_id = _position(after)
        query = query.where(
            _end.log_size <= size, or_(_end.log_size < size, and_(_end.log_size == size, _end.receipt_id > receipt_id))
        )
    if wanted.zone is not None:
        query = query.where(_receipt.purpose == wanted.zone)
    if wanted.reason is not None:
        query = query.where(_end.reason == wanted.reason.value)
    if wanted.since is not None:
        query = query.where(_end.ended_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_end.ended_at < wanted.until)
    if wanted.receipt_ids is not None:
        query = query.where(_end.receipt_id.in_(wanted.receipt_ids))
    return [
        IssuedCertificate(
            certificate_id, ReceiptId(receipt_id), Purpose(zone), EndReason(reason), ended_at, issued_at, log_size
        )
        for certificate_id, receipt_id, zone, reason, ended_at, issued_at, log_size in connection.execute(query)
    ]


def ids_beginning_with(connection: Connection, beginning: str) -> list[str]:
    """Return up to two certificate ids that begin with some hexadecimal digits."""
    query = (
        select(_certificate.certificate_id)
        .where(_certificate.certificate_id >= beginning, _certificate.certificate_id <= beginning + "g")
        .order_by(_certificate.certificate_id)
        .limit(2)
    )
    return list(connection.scalars(query))


def _position(after: str) -> tuple[int, str]:
    size, _, receipt_id = after.partition(".")
    if not (size.isdecimal() and len(size) <= _MAX_DIGITS and receipt_id):
        raise InputError("this position does not belong to the list of certificates; start again without it")
    return int(size), receipt_id
