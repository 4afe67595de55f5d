"""The consent receipt: what the data subject agreed to, signed with the subject's own key.

The fields are those of ISO/IEC TS 27560:2023 (record header, PII processing, party identification, event), as
canonical JSON (RFC 8785) inside a compact JWS. Each state is a type, each arrow one function::

    bytes -> UnverifiedReceipt -> VerifiedReceipt      (then volens.consent.gate.admit -> ConsentGrant)
"""

import re
from dataclasses import KW_ONLY, InitVar, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NoReturn, Self, cast, final

import rfc8785

from volens.consent import jws
from volens.consent._mint import MINT
from volens.consent.canonical import loads_canonical
from volens.consent.errors import ForgedGrantError, InputError, ReceiptError, ReceiptSignatureError, TamperError
from volens.consent.ids import DataSubjectId, Purpose, ReceiptId, SiteId, is_receipt_id, is_subject_id, parse_purpose
from volens.consent.jurisdiction import JURISDICTION, parse_jurisdiction
from volens.consent.notice import Notice
from volens.consent.subject_key import SubjectKey, SubjectPublicKey
from volens.consent.times import format_time, parse_time, whole_seconds
from volens.consent.zone import Custody, Zone

RECEIPT_TYPE: Final = "volens-receipt+jws"
SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023 volens-receipt/1"
_STORAGE: Final = {
    Custody.OPERATOR: "operated by the controller",
    Custody.SUBJECT_KEY: "operated by the controller; opens only with a secret that the data subject alone holds",
    Custody.BADGE: "a badge that the data subject carries; the controller holds no biometric data",
}
_ANOTHERS: Final = (
    "integrity: the receipt names another data subject than the owner of the key; use the receipt and key that were "
    "made together"
)
_NOT_SIGNED: Final = "integrity: the receipt's signature does not match its text; use the receipt as it was signed"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@final
@dataclass(frozen=True, slots=True)
class Controller:
    """Who decides and answers (GDPR 4(7)): the site's id, the organisation's name and where to reach it."""

    site_id: SiteId
    name: str
    contact: str


@final
@dataclass(frozen=True, slots=True)
class ReceiptClaims:
    """What a receipt says, as far as Volens decides anything by it."""

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
    """A well-formed receipt whose signature nobody has checked. Good for looking up, not for deciding."""

    token: str
    claims: ReceiptClaims

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a compact JWS.

        Raises:
            ReceiptError: the bytes are no receipt of this version.
        """
        try:
            token = data.decode("ascii").strip()
            return cls(token, _claims(jws.peek(token, RECEIPT_TYPE)))
        except UnicodeDecodeError:
            raise ReceiptError("got a receipt that is not ASCII text; expected a compact JWS") from None
        except InputError as error:
            raise ReceiptError(f"this is not a Volens receipt: {error}") from None


@final
@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt that the data subject named in it has signed. Says nothing yet about being in force."""

    token: str
    claims: ReceiptClaims
    _: KW_ONLY
    mint: InitVar[object] = None

    def __post_init__(self, mint: object) -> None:
        """Refuse to exist without a checked signature."""
        if mint is not MINT:
            raise ForgedGrantError("only volens.consent.receipt.verify_receipt() makes a VerifiedReceipt")

    def __reduce__(self) -> NoReturn:
        """Refuse pickling: the check does not travel."""
        raise TypeError("a VerifiedReceipt stays in the process that checked it; keep the token")

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the exact signed bytes: the salt of the reference key, so another receipt means another key."""
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
) -> UnverifiedReceipt:
    """Write down what was agreed and sign it with the person's key.

    The receipt ends `valid_days` after `now`, or without them after the zone's retention. It carries no name: names are
    sealed in the store.

    Raises:
        InputError: a term of no day, or longer than the zone's retention; the jurisdiction is no ISO 3166 code such as
            ``FR`` or ``US-IL``; or the notice is another zone's.
    """
    parse_jurisdiction(jurisdiction)
    if notice.purpose != zone.purpose:
        raise InputError(f"got a notice for zone {notice.purpose!r}; expected one for {zone.purpose!r}")
    term_days = zone.retention_days if valid_days is None else valid_days
    if not 1 <= term_days <= zone.retention_days:
        raise InputError(
            f"got a term of {term_days} days; expected 1 to {zone.retention_days}, for nothing is kept longer in "
            f"zone {zone.purpose!r}"
        )
    issued_at = whole_seconds(now)
    expires_at = issued_at + timedelta(days=term_days)
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
            "validity_duration": f"P{term_days}D",
            "expires_at": format_time(expires_at),
            "entity_id": key.public.subject_id,
            "event_type": "explicit consent",
            "event_state": "consent given",
        },
    }
    return UnverifiedReceipt.parse(key.sign(rfc8785.dumps(document), RECEIPT_TYPE).encode("ascii"))


def verify_receipt(receipt: UnverifiedReceipt, trusted_key: SubjectPublicKey) -> VerifiedReceipt:
    """Check who signed.

    1. The trusted key is the one that the receipt carries, and its thumbprint is the subject that the receipt names.
    2. The signature is by that key over these exact bytes.
    3. The claims are those in the signed bytes: anyone can put an `UnverifiedReceipt` together by hand.

    Not checked here: site, zone, expiry and liveness; `volens.consent.gate.admit` does. An expired receipt must still
    verify, because it must still be withdrawable (GDPR 7(3)).

    Raises:
        ReceiptSignatureError: the receipt is not what this person signed.
    """
    # 1.
    if trusted_key.subject_id != receipt.claims.subject_id or trusted_key != receipt.claims.subject_key:
        raise ReceiptSignatureError(_ANOTHERS)
    # 2.
    try:
        payload = jws.verify(receipt.token, RECEIPT_TYPE, trusted_key.key)
    except TamperError:
        raise ReceiptSignatureError(_NOT_SIGNED) from None
    # 3.
    if _claims(payload) != receipt.claims:
        raise ReceiptSignatureError(
            "integrity: the receipt's claims are not those in its signed text; parse it again from its bytes"
        )
    return VerifiedReceipt(receipt.token, receipt.claims, mint=MINT)


def verify_stored(token: str, trusted_key: SubjectPublicKey) -> VerifiedReceipt:
    """Check who signed a receipt that the caller has as text only; see `verify_receipt`, whose steps these are.

    Nothing is read out of the token before its signature holds, and it is taken apart once instead of three times.

    Raises:
        InputError: the token is no receipt of this version.
        ReceiptSignatureError: it is not what the owner of the key signed.
    """
    # 2. and 3.
    try:
        claims = _claims(jws.verify(token, RECEIPT_TYPE, trusted_key.key))
    except TamperError:
        raise ReceiptSignatureError(_NOT_SIGNED) from None
    # 1.
    if trusted_key.subject_id != claims.subject_id or trusted_key != claims.subject_key:
        raise ReceiptSignatureError(_ANOTHERS)
    return VerifiedReceipt(token, claims, mint=MINT)


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


def _claims(payload: bytes) -> ReceiptClaims:
    try:
        document = loads_canonical(payload)
    except (ValueError, RecursionError):  # also NaN, numbers beyond 2**53 and lone surrogates
        raise InputError("its payload is not canonical JSON (RFC 8785)") from None
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"expected schema_version {SCHEMA_VERSION!r}")
    processing = _section(document, "pii_processing")
    notice = _section(processing, "privacy_notice")
    event = _section(document, "event")
    parties = document.get("party_identification")
    if not isinstance(parties, list) or len(parties) != 1 or not isinstance(parties[0], dict):
        raise InputError("expected one party_identification")
    key = SubjectPublicKey(_raw_key(_section(document, "pii_principal_key")))
    try:
        custody = Custody(_text(processing, "custody"))
    except ValueError:
        raise InputError("expected a known custody") from None
    claims = ReceiptClaims(
        receipt_id=ReceiptId(_text(document, "record_id")),
        subject_id=DataSubjectId(_text(document, "pii_principal_id")),
        site_id=SiteId(_text(parties[0], "party_id")),
        purpose=parse_purpose(_text(processing, "purpose")),
        custody=custody,
        jurisdiction=_text(processing, "jurisdiction"),
        notice_sha256=_text(notice, "sha256"),
        issued_at=parse_time(event.get("event_time")),
        expires_at=parse_time(event.get("expires_at")),
        subject_key=key,
    )
    if (
        not is_receipt_id(claims.receipt_id)
        or not is_subject_id(claims.subject_id)
        or not JURISDICTION.fullmatch(claims.jurisdiction)
        or not _SHA256.fullmatch(claims.notice_sha256)
        or claims.expires_at <= claims.issued_at
        or event.get("event_state") != "consent given"
    ):
        raise InputError("a field has another form than this version writes")
    return claims


def _section(document: dict[str, object], name: str) -> dict[str, object]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise InputError(f"expected an object {name!r}")
    return cast("dict[str, object]", value)


def _text(document: dict[str, object], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise InputError(f"expected text in {name!r}")
    return value


def _raw_key(jwk: dict[str, object]) -> bytes:
    raw = jws.from_b64url(_text(jwk, "x"))
    if jwk != jws.public_jwk(raw):
        raise InputError("expected an Ed25519 public key as a JWK")
    return raw
