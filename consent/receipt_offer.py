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

from volens.consent.declarations import SiteFact
from volens.consent.errors import InputError, RefusedError
from volens.consent.gate import CLOCK_SKEW
from volens.consent.ids import ReceiptId
from volens.consent.law import LANGUAGES
from volens.consent.notice import Notice
from volens.consent.processing_record import ATTRIBUTES, ProcessingRecord
from volens.consent.reason import Reason
from volens.consent.receipt import RECEIPT, SCHEMA_VERSION, UnverifiedReceipt, VerifiedReceipt
from volens.consent.receipt_signature import (
    SignatureForm,
    SignatureTerms,
    check_key_of_form,
    signing_input,
)
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectKey, SubjectPublicKey
from volens.consent.times import format_time, whole_seconds
from volens.consent.zone import Custody

OFFER_LIFETIME: Final = timedelta(hours=24)
"""How long after it was composed a receipt can be brought back: a working day, for a person who signs at home."""
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_PURPOSE: Final = {
    "en": "to open the doors of this zone",
    "fr": "ouvrir les portes de cette zone",
    "de": "die Türen dieser Zone zu öffnen",
}
_LEASE: Final = {
    "en": "A door may still know me for {seconds} seconds after I withdraw.",
    "fr": "Une porte peut encore me reconnaître pendant {seconds} secondes après mon retrait.",
    "de": "Eine Tür darf mich nach meinem Widerruf noch {seconds} Sekunden lang erkennen.",
}
"""Said in a zone whose doors may decide without a connection."""
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
    record: ProcessingRecord,
    issued_at: datetime,
    *,
    valid_days: int | None = None,
    valid_until: datetime | None = None,
) -> datetime:
    """Return when a consent ends: after `valid_days`, or at `valid_until` (aware), else after the longest term.

    Raises:
        InputError: the term is below one day or longer than `ProcessingRecord.max_term_days`; or `valid_until` is past,
            later than that, or given together with `valid_days`.
    """
    begins = whole_seconds(issued_at)
    if valid_until is not None:
        if valid_days is not None:
            raise InputError("got both a number of days and an end of the term; give one of the two")
        expires_at = whole_seconds(valid_until)
        _check_term(record, begins, expires_at)
        return expires_at
    term_days = record.max_term_days if valid_days is None else valid_days
    if not 1 <= term_days <= record.max_term_days:
        raise InputError(
            f"got a term of {term_days} days; expected 1 to {_longest(record)}",
            reason=Reason.TERM_DAYS,
        )
    return begins + timedelta(days=term_days)


def compose_receipt(
    record: ProcessingRecord,
    notice: Notice,
    *,
    receipt_id: ReceiptId,
    key: SubjectPublicKey,
    signature: SignatureTerms,
    issued_at: datetime,
    expires_at: datetime,
) -> bytes:
    """Return the receipt for the owner of `key` to sign, as canonical JSON. The same values give the same bytes.

    Each field states what the record says now. The receipt carries no name: names are sealed in the store.

    Raises:
        InputError: the term is longer than `ProcessingRecord.max_term_days` or past; the notice is for another zone; or
            the key cannot sign in this form.
        RefusedError: the zone refuses the form ``desk``, or the person's law forbids the custody of the zone.
    """
    zone, controller = record.zone, record.controller
    if notice.purpose != zone.purpose:
        raise InputError(f"got a notice for zone {notice.purpose!r}; expected one for {zone.purpose!r}")
    record.profile.check_custody(zone.custody, zone.purpose)
    check_key_of_form(signature.form, key)
    if signature.form is SignatureForm.DESK:
        zone.check_desk_signature()
    issued_at, expires_at = whole_seconds(issued_at), whole_seconds(expires_at)
    _check_term(record, issued_at, expires_at)
    return rfc8785.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "record_id": receipt_id,
            "pii_principal_id": key.subject_id,
            "pii_principal_key": key.to_jwk(),
            "signature": signature.to_json(),
            "pii_processing": _processing(record, notice, expires_at - issued_at),
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
    record: ProcessingRecord,
    notice: Notice,
    relying_party: RelyingParty | None,
    now: datetime,
) -> None:
    """Check that a signed receipt is one that this site offers now, at most `OFFER_LIFETIME` after it was composed.

    1. It was composed lately, and not in the future.
    2. It is for the newest notice.
    3. Composed again from the record, the notice and the site's address of today, it is the same, byte for byte.

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
        record,
        notice,
        receipt_id=claims.receipt_id,
        key=claims.subject_key,
        signature=SignatureTerms.of(claims.signature.form, relying_party),
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
    )
    if claims.age is not None:
        document = claims.age.added_to(document)
    if document != receipt.document:
        raise RefusedError(
            "the person signed another text than this site offers now (the notice, the zone, its recipients, what the "
            "controller declared or the site's address may have changed); ask for a new offer, and sign that one"
        )


def read_offer(document: bytes) -> UnverifiedReceipt:
    """Return an offered receipt with an empty signature, to show what it says.

    Raises:
        ReceiptError: the bytes are no receipt of this version.
    """
    return UnverifiedReceipt.parse(signing_input(document, RECEIPT.typ) + b".")


def consent_words(record: ProcessingRecord, language: str, term: timedelta) -> str:
    """Return the words of consent that a person signs: those of the profile, and the zone's lease, on one line.

    In a language without words (`volens.consent.law.LANGUAGES`) they are English.
    """
    primary = language.partition("-")[0]
    known = primary if primary in LANGUAGES else "en"
    text = record.profile.release_text(
        known,
        controller=record.controller.name,
        zone=record.zone.title or record.zone.purpose,
        days=-(-term // _DAY),
        purpose=_PURPOSE[known],
    )
    if record.zone.lease_seconds:
        text += " " + _LEASE[known].format(seconds=record.zone.lease_seconds)
    return " ".join(text.split())


def signed_words(receipt: UnverifiedReceipt | VerifiedReceipt) -> str:
    """Return the words of consent that the person signs, or signed, in the language of the notice."""
    return str(RECEIPT.peek_json(receipt.token)["pii_processing"]["consent_text"])


def _check_term(record: ProcessingRecord, issued_at: datetime, expires_at: datetime) -> None:
    if not issued_at < expires_at <= issued_at + timedelta(days=record.max_term_days):
        raise InputError(
            f"got a term until {format_time(expires_at)}; expected a moment within {_longest(record)}",
            reason=Reason.TERM_DAYS,
        )


def _longest(record: ProcessingRecord) -> str:
    """Say how long a term can be, and which clock says so."""
    zone, days = record.zone, record.max_term_days
    if days < zone.retention_days:
        return f"{days} days, the longest term of the profile {record.profile.code}"
    return f"{days} days, the retention of zone {zone.purpose!r}"


def _duration(term: timedelta) -> str:
    """Return an ISO 8601 duration: in days if the term is whole days, else in seconds."""
    return f"PT{term // _SECOND}S" if term % _DAY else f"P{term // _DAY}D"


def _processing(record: ProcessingRecord, notice: Notice, term: timedelta) -> dict[str, Any]:
    zone, profile = record.zone, record.profile
    return {
        "privacy_notice": {
            "sha256": notice.sha256,
            "version": notice.version,
            "published_at": format_time(notice.published_at),
        },
        "language": notice.language,
        "consent_text": consent_words(record, notice.language, term),
        "purpose": zone.purpose,
        "purpose_type": "access control: open the doors of this zone to people who opted in",
        "comparison": record.comparison.value,
        "lawful_basis": profile.lawful_basis,
        "law": profile.law,
        "jurisdiction_profile": profile.code,
        "custody": zone.custody.value,
        "custody_justification": zone.justification,
        "alternative": zone.alternative,
        "second_factor": zone.second_factor.value,
        "trigger": zone.trigger.value,
        "liveness": zone.liveness.value,
        "offline_lease_seconds": zone.lease_seconds,
        "pii_information": [
            {"pii_type": one, "pii_optional": True, "sensitive_pii": is_special, "special_pii": is_special}
            for one, is_special in ATTRIBUTES.items()
        ],
        "pii_controllers": [record.controller.site_id],
        "controller_declarations": {fact.value: text for fact, text in record.site_facts.items()},
        "collection_method": "photos taken with the person present; photos are not stored",
        "processing_method": "mean embedding, sealed with AES-256-GCM under a key derived from this receipt",
        "storage_locations": [_STORAGE[zone.custody], *_declared(record, SiteFact.STORAGE_PLACE)],
        "processing_location": ["operated by the controller"],
        "geographic_restrictions": _declared(record, SiteFact.TRANSFERS) or ["not declared by the controller"],
        "retention_period": f"P{record.max_term_days}D",
        "inactive_after": f"P{record.inactive_after_days}D",
        "match_history_period": f"P{zone.match_history_days}D",
        "jurisdiction": record.jurisdiction,
        "recipient_third_parties": [{"name": one.name, "contact": one.contact} for one in record.recipients],
        "withdrawal_method": "at any time, without login: the withdrawal code or its QR, or at the desk",
        "privacy_rights": [right.value for right in profile.rights],
        "authority_party": f"{profile.authority.name['en']}, {profile.authority.url}",
    }


def _declared(record: ProcessingRecord, fact: SiteFact) -> list[str]:
    text = record.site_facts.get(fact)
    return [] if text is None else [text]
