"""Offering a receipt to sign: the site composes it, the person signs it elsewhere, and brings it back.

The site keeps nothing between the two. A receipt says of itself when it was composed, for which key, term and form; at
submission the site composes it once more and compares the bytes (`compose_again`). So what a person signed is exactly
what the site offers, and a changed word is refused although the signature holds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, final

import rfc8785

from volens.consent.errors import InputError, RefusedError
from volens.consent.gate import CLOCK_SKEW
from volens.consent.ids import ReceiptId
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.notice import Notice
from volens.consent.reason import Reason
from volens.consent.receipt import RECEIPT, SCHEMA_VERSION, Controller, UnverifiedReceipt, VerifiedReceipt
from volens.consent.receipt_signature import (
    SignatureForm,
    SignatureTerms,
    check_key_of_form,
    signing_input,
)
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectKey, SubjectPublicKey
from volens.consent.times import format_time, whole_seconds
from volens.consent.zone import Custody, Zone

OFFER_LIFETIME: Final = timedelta(hours=24)
"""How long after it was composed a receipt can be brought back: a working day, for a person who signs at home."""
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_STORAGE: Final = {
    Custody.OPERATOR: "operated by the controller",
    Custody.SUBJECT_KEY: "operated by the controller; opens only with a secret that the data subject alone holds",
    Custody.BADGE: "a badge that the data subject carries; the controller holds no biometric data",
}


@final
@dataclass(frozen=True, slots=True)
class ReceiptOffer:
    """A receipt that is not signed yet.

    Attributes:
        document: canonical JSON (RFC 8785), UTF-8.
    """

    document: bytes

    @property
    def challenge(self) -> bytes:
        """The challenge for a passkey: SHA-256 of the document."""
        return sha256(self.document).digest()

    @property
    def signing_input(self) -> bytes:
        """The bytes over which an Ed25519 key signs."""
        return signing_input(self.document, RECEIPT.typ)

    def sign(self, key: SubjectKey) -> bytes:
        """Return the token, signed with a person's Ed25519 key.

        Raises:
            RefusedError: the receipt was offered for another key.
        """
        if read_offer(self.document).claims.subject_key != key.public:
            raise RefusedError("this key is not the one for which the receipt was offered; use the person's own key")
        return key.sign(self.document, RECEIPT.typ).encode("ascii")


def end_of_term(
    zone: Zone, issued_at: datetime, *, valid_days: int | None = None, valid_until: datetime | None = None
) -> datetime:
    """Return when a consent ends: after `valid_days`, or at `valid_until` (aware), else after the zone's retention.

    Raises:
        InputError: the term is below one day or longer than the zone's retention; or `valid_until` is past, later than
            that, or given together with `valid_days`.
    """
    begins = whole_seconds(issued_at)
    if valid_until is not None:
        if valid_days is not None:
            raise InputError("got both a number of days and an end of the term; give one of the two")
        expires_at = whole_seconds(valid_until)
        _check_term(zone, begins, expires_at)
        return expires_at
    term_days = zone.retention_days if valid_days is None else valid_days
    if not 1 <= term_days <= zone.retention_days:
        raise InputError(
            f"got a term of {term_days} days; expected 1 to {zone.retention_days}, the retention of zone "
            f"{zone.purpose!r}",
            reason=Reason.TERM_DAYS,
        )
    return begins + timedelta(days=term_days)


def compose_receipt(
    zone: Zone,
    notice: Notice,
    controller: Controller,
    *,
    receipt_id: ReceiptId,
    jurisdiction: str,
    key: SubjectPublicKey,
    signature: SignatureTerms,
    issued_at: datetime,
    expires_at: datetime,
) -> bytes:
    """Return the receipt for the owner of `key` to sign, as canonical JSON. The same values give the same bytes.

    The receipt carries no name: names are sealed in the store.

    Raises:
        InputError: the term is longer than the zone's retention or past; the jurisdiction is not an ISO 3166 code such
            as ``FR`` or ``US-IL``; the notice is for another zone; or the key cannot sign in this form.
        RefusedError: the zone refuses the form ``desk``.
    """
    jurisdiction = parse_jurisdiction(jurisdiction)
    if notice.purpose != zone.purpose:
        raise InputError(f"got a notice for zone {notice.purpose!r}; expected one for {zone.purpose!r}")
    check_key_of_form(signature.form, key)
    if signature.form is SignatureForm.DESK:
        zone.check_desk_signature()
    issued_at, expires_at = whole_seconds(issued_at), whole_seconds(expires_at)
    _check_term(zone, issued_at, expires_at)
    return rfc8785.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "record_id": receipt_id,
            "pii_principal_id": key.subject_id,
            "pii_principal_key": key.to_jwk(),
            "signature": signature.to_json(),
            "pii_processing": _processing(zone, notice, jurisdiction, controller),
            "party_identification": [
                {
                    "party_id": controller.site_id,
                    "party_name": controller.name,
                    "party_contact": controller.contact,
                    "party_role": "PII controller",
                }
            ],
            "event": {
                "event_time": format_time(issued_at),
                "validity_duration": _duration(expires_at - issued_at),
                "expires_at": format_time(expires_at),
                "entity_id": key.subject_id,
                "event_type": "explicit consent",
                "event_state": "consent given",
            },
        }
    )


def compose_again(
    receipt: VerifiedReceipt,
    zone: Zone,
    notice: Notice,
    controller: Controller,
    relying_party: RelyingParty | None,
    now: datetime,
) -> None:
    """Check that a signed receipt is one that this site offers now, at most `OFFER_LIFETIME` after it was composed.

    1. It was composed lately, and not in the future.
    2. It is for the newest notice.
    3. Composed again from the zone, the notice and the site of today, it is the same, byte for byte.

    Raises:
        RefusedError: 1, 2 or 3 fails, or as `compose_receipt`.

    Not checked: whether this site composed it. Who knows the zone and the notice can write the same bytes; they mean
    the same.
    """
    claims = receipt.claims
    # 1.
    if not -CLOCK_SKEW <= now - claims.issued_at <= OFFER_LIFETIME:
        raise RefusedError(
            f"this receipt was offered at {format_time(claims.issued_at)}, and is accepted within "
            f"{OFFER_LIFETIME // timedelta(hours=1)} hours from then; ask for a new offer, and sign that one"
        )
    # 2.
    if claims.notice_sha256 != notice.sha256:
        raise RefusedError("the person agreed to another notice than the newest; show them the newest, and retry")
    # 3.
    document = compose_receipt(
        zone,
        notice,
        controller,
        receipt_id=claims.receipt_id,
        jurisdiction=claims.jurisdiction,
        key=claims.subject_key,
        signature=SignatureTerms.of(claims.signature.form, relying_party),
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
    )
    if document != receipt.document:
        raise RefusedError(
            "the person signed another text than this site offers now (the notice, the zone or the site's address may "
            "have changed); ask for a new offer, and sign that one"
        )


def read_offer(document: bytes) -> UnverifiedReceipt:
    """Return an offered receipt with an empty signature, to show what it says.

    Raises:
        ReceiptError: the bytes are no receipt of this version.
    """
    return UnverifiedReceipt.parse(signing_input(document, RECEIPT.typ) + b".")


def _check_term(zone: Zone, issued_at: datetime, expires_at: datetime) -> None:
    if not issued_at < expires_at <= issued_at + timedelta(days=zone.retention_days):
        raise InputError(
            f"got a term until {format_time(expires_at)}; expected a moment within {zone.retention_days} days "
            f"from now, the retention of zone {zone.purpose!r}",
            reason=Reason.TERM_DAYS,
        )


def _duration(term: timedelta) -> str:
    """Return an ISO 8601 duration: in days if the term is whole days, else in seconds."""
    return f"PT{term // _SECOND}S" if term % _DAY else f"P{term // _DAY}D"


def _processing(zone: Zone, notice: Notice, jurisdiction: str, controller: Controller) -> dict[str, Any]:
    return {
        "privacy_notice": {
            "sha256": notice.sha256,
            "version": notice.version,
            "published_at": format_time(notice.published_at),
        },
        "language": notice.language,
        "purpose": zone.purpose,
        "purpose_type": "access control: open the doors of this zone to people who opted in",
        "lawful_basis": "explicit consent, GDPR 6(1)(a) and 9(2)(a)",
        "custody": zone.custody.value,
        "custody_justification": zone.justification,
        "alternative": zone.alternative,
        "pii_information": [
            {"pii_type": "face embedding", "pii_optional": True, "sensitive_pii": True, "special_pii": True},
            {"pii_type": "name", "pii_optional": True, "sensitive_pii": False, "special_pii": False},
        ],
        "pii_controllers": [controller.site_id],
        "collection_method": "photos taken with the person present; photos are not stored",
        "processing_method": "mean embedding, sealed with AES-256-GCM under a key derived from this receipt",
        "storage_locations": [_STORAGE[zone.custody]],
        "processing_location": ["operated by the controller"],
        "geographic_restrictions": ["none beyond the storage location"],
        "retention_period": f"P{zone.retention_days}D",
        "jurisdiction": jurisdiction,
        "recipient_third_parties": [],
        "withdrawal_method": "at any time, without login: the withdrawal code or its QR, or at the desk",
        "privacy_rights": ["access", "rectification", "erasure", "restriction", "portability", "complaint"],
        "authority_party": "the data protection authority of the jurisdiction",
    }
