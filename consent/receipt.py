"""The consent receipt: what the data subject agreed to, signed with the subject's own key.

The fields are those of ISO/IEC TS 27560:2023 (record header, PII processing, party identification, event). Each state
is a type, each arrow one function::

    bytes -> UnverifiedReceipt -> VerifiedReceipt      (then volens.consent.gate.admit -> ConsentGrant)
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Final, Self, cast, final

from volens.consent import jws
from volens.consent._mint import MINT, Capability
from volens.consent.errors import InputError, ReceiptError, ReceiptSignatureError, TamperError
from volens.consent.ids import RECEIPT_ID, SUBJECT_ID, DataSubjectId, Purpose, ReceiptId, SiteId, check_purpose
from volens.consent.jurisdiction import JURISDICTION, parse_jurisdiction
from volens.consent.notice import Notice
from volens.consent.signed_document import SignedDocument
from volens.consent.subject_key import SubjectKey, SubjectPublicKey
from volens.consent.times import format_time, parse_time, whole_seconds
from volens.consent.zone import Custody, Zone

SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023 volens-receipt/1"
_STORAGE: Final = {
    Custody.OPERATOR: "operated by the controller",
    Custody.SUBJECT_KEY: "operated by the controller; opens only with a secret that the data subject alone holds",
    Custody.BADGE: "a badge that the data subject carries; the controller holds no biometric data",
}
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ANY: Final = re.compile(r".*", re.DOTALL)
_OTHER_FORM: Final = "a field has another form than this version writes"


@final
@dataclass(frozen=True, slots=True)
class Controller:
    """The controller (GDPR 4(7)): the site's id, the organisation's name and its contact."""

    site_id: SiteId
    name: str
    contact: str


@final
@dataclass(frozen=True, slots=True)
class ReceiptClaims:
    """The fields of a receipt on which Volens bases decisions."""

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    site_id: SiteId
    purpose: Purpose
    custody: Custody
    jurisdiction: str
    notice_sha256: str
    issued_at: datetime
    expires_at: datetime
    subject_key: SubjectPublicKey


@final
@dataclass(frozen=True, slots=True)
class UnverifiedReceipt:
    """A well-formed receipt whose signature was not checked. Use it for look-ups, never for decisions."""

    token: str
    claims: ReceiptClaims

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a compact JWS.

        Raises:
            ReceiptError: the bytes are not a receipt of this version.
        """
        token, _ = RECEIPT.from_file(data)
        return cls(token, RECEIPT.peek(token))


@final
@dataclass(frozen=True, slots=True)
class VerifiedReceipt(Capability):
    """A receipt that the data subject named in it has signed. Whether it is in force is not checked yet."""

    made_by: ClassVar = "receipt.verify_receipt"
    token: str
    claims: ReceiptClaims

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the exact signed bytes: the salt of the reference key, so each receipt has its own key."""
        return sha256(self.token.encode("ascii")).digest()


def sign_receipt(
    zone: Zone,
    notice: Notice,
    controller: Controller,
    *,
    receipt_id: ReceiptId,
    jurisdiction: str,
    key: SubjectKey,
    now: datetime,
    valid_days: int | None = None,
    valid_until: datetime | None = None,
) -> UnverifiedReceipt:
    """Write the receipt and sign it with the person's key.

    The receipt ends after `valid_days` or at `valid_until` (aware, such as this evening for a visitor), by default
    after the zone's retention. It carries no name: names are sealed in the store.

    Raises:
        InputError: the term is below one day or longer than the zone's retention; `valid_until` is past, later than
            that, or given together with `valid_days`; the jurisdiction is not an ISO 3166
            code such as ``FR`` or ``US-IL``; or the notice is for another zone.
    """
    jurisdiction = parse_jurisdiction(jurisdiction)
    if notice.purpose != zone.purpose:
        raise InputError(f"got a notice for zone {notice.purpose!r}; expected one for {zone.purpose!r}")
    term_days = zone.retention_days if valid_days is None else valid_days
    if not 1 <= term_days <= zone.retention_days:
        raise InputError(
            f"got a term of {term_days} days; expected 1 to {zone.retention_days}, the retention of zone "
            f"{zone.purpose!r}"
        )
    issued_at = whole_seconds(now)
    expires_at, duration = issued_at + timedelta(days=term_days), f"P{term_days}D"
    if valid_until is not None:
        expires_at = _end_of_term(valid_until, issued_at, zone, valid_days)
        duration = f"PT{(expires_at - issued_at) // timedelta(seconds=1)}S"
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "record_id": receipt_id,
        "pii_principal_id": key.public.subject_id,
        "pii_principal_key": jws.public_jwk(key.public.raw),
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
            "validity_duration": duration,
            "expires_at": format_time(expires_at),
            "entity_id": key.public.subject_id,
            "event_type": "explicit consent",
            "event_state": "consent given",
        },
    }
    return UnverifiedReceipt.parse(RECEIPT.sign(key, document).encode("ascii"))


def _end_of_term(until: datetime, issued_at: datetime, zone: Zone, valid_days: int | None) -> datetime:
    if valid_days is not None:
        raise InputError("got both a number of days and an end of the term; give one of the two")
    expires_at = whole_seconds(until)
    if not issued_at < expires_at <= issued_at + timedelta(days=zone.retention_days):
        raise InputError(
            f"got a term until {format_time(expires_at)}; expected a moment within {zone.retention_days} days "
            f"from now, the retention of zone {zone.purpose!r}"
        )
    return expires_at


def verify_receipt(receipt: UnverifiedReceipt, trusted_key: SubjectPublicKey) -> VerifiedReceipt:
    """Verify the signature of a receipt.

    1. The trusted key is the one that the receipt carries, and its thumbprint is the subject that the receipt names.
    2. The signature is by that key over these exact bytes.
    3. The claims are those in the signed bytes: any caller can construct an `UnverifiedReceipt`.

    Not checked: site, zone, expiry and liveness; `volens.consent.gate.admit` checks them. An expired receipt must still
    verify, because it must still be withdrawable (GDPR 7(3)).

    Raises:
        ReceiptSignatureError: this person did not sign this receipt.
    """
    # 1.
    _require_owner(receipt.claims, trusted_key)
    # 2.
    verified = verify_stored(receipt.token, trusted_key)
    # 3.
    if verified.claims != receipt.claims:
        raise ReceiptSignatureError(
            "integrity: the receipt's claims are not those in its signed text; parse it again from its bytes"
        )
    return verified


def verify_stored(token: str, trusted_key: SubjectPublicKey) -> VerifiedReceipt:
    """Verify the signature of a receipt of which the caller has only the text: steps 2 and 1 of `verify_receipt`.

    Nothing is read out of the token before its signature holds, and the token is parsed once.

    Raises:
        ReceiptError: the token is not a receipt of this version.
        ReceiptSignatureError: the owner of the key did not sign it.
    """
    # 2.
    try:
        claims = RECEIPT.verify(token, trusted_key.raw)
    except TamperError:
        raise ReceiptSignatureError(
            "integrity: the receipt's signature does not match its text; use the receipt as it was signed"
        ) from None
    # 1.
    _require_owner(claims, trusted_key)
    return VerifiedReceipt(token, claims, mint=MINT)


def notice_language(receipt: VerifiedReceipt) -> str:
    """Return the language of the notice that the person agreed to, a BCP 47 tag."""
    return _text(_section(RECEIPT.peek_json(receipt.token), "pii_processing"), "language")


def _require_owner(claims: ReceiptClaims, trusted_key: SubjectPublicKey) -> None:
    if trusted_key.subject_id != claims.subject_id or trusted_key != claims.subject_key:
        raise ReceiptSignatureError(
            "integrity: the receipt names another data subject than the owner of the key; use the receipt and key that "
            "were made together"
        )


def _processing(zone: Zone, notice: Notice, jurisdiction: str, controller: Controller) -> dict[str, object]:
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


def _claims(document: dict[str, Any], _token: str) -> ReceiptClaims:
    processing = _section(document, "pii_processing")
    notice = _section(processing, "privacy_notice")
    event = _section(document, "event")
    parties = document.get("party_identification")
    if not isinstance(parties, list) or len(parties) != 1 or not isinstance(parties[0], dict):
        raise InputError("expected one party_identification")
    jwk = _section(document, "pii_principal_key")
    raw_key = jws.from_b64url(_text(jwk, "x"))
    if jwk != jws.public_jwk(raw_key):
        raise InputError("expected an Ed25519 public key as a JWK")
    try:
        custody = Custody(_text(processing, "custody"))
    except ValueError:
        raise InputError("expected a known custody") from None
    claims = ReceiptClaims(
        receipt_id=ReceiptId(_text(document, "record_id", RECEIPT_ID)),
        subject_id=DataSubjectId(_text(document, "pii_principal_id", SUBJECT_ID)),
        site_id=SiteId(_text(parties[0], "party_id")),
        purpose=check_purpose(_text(processing, "purpose")),
        custody=custody,
        jurisdiction=_text(processing, "jurisdiction", JURISDICTION),
        notice_sha256=_text(notice, "sha256", _SHA256),
        issued_at=parse_time(event.get("event_time")),
        expires_at=parse_time(event.get("expires_at")),
        subject_key=SubjectPublicKey(raw_key),
    )
    if claims.expires_at <= claims.issued_at or event.get("event_state") != "consent given":
        raise InputError(_OTHER_FORM)
    return claims


def _section(document: dict[str, object], name: str) -> dict[str, object]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise InputError(f"expected an object {name!r}")
    return cast("dict[str, object]", value)


def _text(document: dict[str, object], name: str, form: re.Pattern[str] = _ANY) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise InputError(f"expected text in {name!r}")
    if not form.fullmatch(value):
        raise InputError(_OTHER_FORM)
    return value


RECEIPT: Final = SignedDocument(
    typ="volens-receipt+jws",
    name="a Volens receipt",
    advice="use the receipt as it was signed",
    read=_claims,
    versions=(SCHEMA_VERSION,),
    version_member="schema_version",
    error=ReceiptError,
    signed_error=ReceiptError,
    version_error=ReceiptError,
)
