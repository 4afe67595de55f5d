"""The consent receipt: what the data subject agreed to, signed with the subject's own key.

The fields are those of ISO/IEC TS 27560:2023 (record header, PII processing, party identification, event). Each state
is a type, each arrow one function::

    bytes -> UnverifiedReceipt -> VerifiedReceipt      (then volens.consent.gate.admit -> ConsentGrant)
"""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, Final, Self, cast, final

from volens.consent._mint import MINT, Capability
from volens.consent.age_statement import MEMBER, AgeStatement
from volens.consent.errors import InputError, ReceiptError, ReceiptSignatureError, TamperError
from volens.consent.ids import RECEIPT_ID, SUBJECT_ID, DataSubjectId, Purpose, ReceiptId, SiteId, check_purpose
from volens.consent.jurisdiction import JURISDICTION
from volens.consent.jws import from_b64url
from volens.consent.receipt_signature import (
    SignatureTerms,
    check_key_of_form,
    check_terms,
    peek_payload,
    verify_payload,
)
from volens.consent.signed_document import SignedDocument
from volens.consent.subject_key import SubjectPublicKey
from volens.consent.times import parse_time
from volens.consent.zone import MAX_LEASE_SECONDS, Custody

SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023 volens-receipt/2"
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
    signature: SignatureTerms
    age: AgeStatement | None = None
    lease_seconds: int = 0
    """How long a door without a connection may still know the person, as the person agreed."""


@final
@dataclass(frozen=True, slots=True)
class UnverifiedReceipt:
    """A well-formed receipt whose signature was not checked. Use it for look-ups, never for decisions."""

    token: str
    claims: ReceiptClaims

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the token that a person signed.

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

    @property
    def unverified(self) -> UnverifiedReceipt:
        """The receipt as it is handed out."""
        return UnverifiedReceipt(self.token, self.claims)

    @property
    def document(self) -> bytes:
        """The signed text: canonical JSON."""
        return from_b64url(self.token.split(".")[1])


def verify_receipt(receipt: UnverifiedReceipt, trusted_key: SubjectPublicKey) -> VerifiedReceipt:
    """Verify the signature of a receipt.

    1. The trusted key is the one that the receipt carries, and its thumbprint is the subject that the receipt names.
    2. The signature is by that key over these exact bytes, in the form that the receipt states
       (`volens.consent.receipt_signature`): a passkey of one web site, or an Ed25519 key.
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
        claims = RECEIPT.verify_by(token, lambda one: verify_payload(one, RECEIPT.typ, trusted_key))
        check_terms(token, claims.signature)
    except TamperError as problem:
        reason = str(problem).removeprefix("integrity: ")
        raise ReceiptSignatureError(
            f"integrity: the receipt's signature does not match its text ({reason}); use the receipt as it was signed"
        ) from None
    # 1.
    _require_owner(claims, trusted_key)
    return VerifiedReceipt(token, claims, mint=MINT)


def notice_language(receipt: UnverifiedReceipt | VerifiedReceipt) -> str:
    """Return the language of the notice that the person agreed to, a BCP 47 tag."""
    return _text(_section(RECEIPT.peek_json(receipt.token), "pii_processing"), "language")


def _require_owner(claims: ReceiptClaims, trusted_key: SubjectPublicKey) -> None:
    if trusted_key.subject_id != claims.subject_id or trusted_key != claims.subject_key:
        raise ReceiptSignatureError(
            "integrity: the receipt names another data subject than the owner of the key; use the receipt and key that "
            "were made together"
        )


def _claims(document: dict[str, Any], _token: str) -> ReceiptClaims:
    processing = _section(document, "pii_processing")
    notice = _section(processing, "privacy_notice")
    event = _section(document, "event")
    parties = document.get("party_identification")
    if not isinstance(parties, list) or len(parties) != 1 or not isinstance(parties[0], dict):
        raise InputError("expected one party_identification")
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
        subject_key=SubjectPublicKey.from_receipt(_section(document, "pii_principal_key")),
        signature=SignatureTerms.from_json(_section(document, "signature")),
        age=AgeStatement.from_json(document[MEMBER]) if MEMBER in document else None,
        lease_seconds=_seconds(processing.get("offline_lease_seconds", 0)),
    )
    check_key_of_form(claims.signature.form, claims.subject_key)
    if claims.expires_at <= claims.issued_at or event.get("event_state") != "consent given":
        raise InputError(_OTHER_FORM)
    return claims


def _section(document: dict[str, object], name: str) -> dict[str, object]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise InputError(f"expected an object {name!r}")
    return cast("dict[str, object]", value)


def _seconds(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_LEASE_SECONDS:
        raise InputError(_OTHER_FORM)
    return value


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
    peek_payload=peek_payload,
    versions=(SCHEMA_VERSION,),
    version_member="schema_version",
    error=ReceiptError,
    signed_error=ReceiptError,
    version_error=ReceiptError,
)
