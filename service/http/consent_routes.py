"""Giving consent over HTTP: the site offers a receipt, the person signs it elsewhere, the site records it.

No private key is made here or received. The desk's program or the person's browser signs; the receipt says which.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Self, TypeAlias

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StrictInt

from volens import Site
from volens.consent import InputError, Notice, RefusedError, TakeHome, UnverifiedReceipt
from volens.consent.age_statement import GUARDIAN_TYPE, AgeAnswer
from volens.consent.errors import ForeignReceiptError
from volens.consent.jws import b64url
from volens.consent.reason import Reason
from volens.consent.receipt import notice_language
from volens.consent.receipt_offer import OFFER_LIFETIME, ReceiptOffer, read_offer
from volens.consent.receipt_signature import SignatureForm, signing_input
from volens.consent.subject_key import SubjectPublicKey
from volens.enroll.offers import OfferWay
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import EXAMPLE_SHA256, Id, RequestBody, SubjectId, Time, ZoneName
from volens.service.http.idempotency import Idempotent, IdempotentRequest, StorableResponse
from volens.service.local_times import MAX_TIME_TEXT, parse_until

router: Final = APIRouter(tags=["desk"], route_class=GuardedRoute)

EXAMPLE_SIGNED: Final = "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoidm9sZW5zLXJlY2VpcHQrandzIn0.eyJ...fQ.c2lnbmF0dXJl"
_EXAMPLE_KEY: Final = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


TermEnd: TypeAlias = Annotated[
    str | None,
    Field(
        description="or when the consent ends: 18:00 (today), 2026-12-24 (the end of that day), 2026-12-24T18:00, in "
        "the time zone of the site; or 2026-12-24T17:00:00Z",
        max_length=MAX_TIME_TEXT,
        examples=["18:00"],
    ),
]
"""The end of a term as a person types it; `term_end` reads it."""


class OfferRequest(RequestBody):
    """A person who was shown the notice, agrees, and will sign with their own key."""

    public_key: dict[str, Any] = Field(
        description="the public half, as a JWK: Ed25519; for a passkey also P-256 or RSA", examples=[_EXAMPLE_KEY]
    )
    form: SignatureForm = Field(
        description="who holds the private half: 'passkey', 'person_key', or 'desk', if it was made at the desk",
        examples=["person_key"],
    )
    jurisdiction: str = Field(description="the law that protects the person: ISO 3166", examples=["FR"])
    notice_sha256: str = Field(
        description="of the notice that the person was shown and agreed to", examples=[EXAMPLE_SHA256]
    )
    language: str | None = Field(None, description="of that notice")
    valid_days: StrictInt | None = Field(None, description="the term that the person wants; else the zone's retention")
    valid_until: TermEnd = None
    of_age: bool | None = Field(
        None,
        description="the answer to 'are you at least N years old', N by the person's law; null if they were not asked",
    )
    guardian_key: dict[str, Any] | None = Field(
        None, description="if not: the public half of a guardian's Ed25519 key, as a JWK; the guardian signs too"
    )


class OfferAnswer(BaseModel):
    """A receipt to sign. The site does not store it: send it back signed, and it is compared with what is offered."""

    receipt_id: Id
    expires_at: Time = Field(description="when the consent ends")
    offered_until: Time = Field(description="send it back signed before this time")
    document: str = Field(
        description="the receipt: canonical JSON (RFC 8785). A person should see what it says before they sign it",
        examples=['{"event":{"entity_id":"..."}}'],
    )
    challenge: str = Field(
        description="for a passkey: the challenge, base64url of the SHA-256 of the document",
        examples=["47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"],
    )
    relying_party_id: str | None = Field(description="for a passkey", examples=["door.example"])
    signing_input: str = Field(
        description="for an Ed25519 key: the text to sign; with '.' and the signature in base64url it is the token",
        examples=["eyJhbGciOiJFZDI1NTE5IiwidHlwIjoidm9sZW5zLXJlY2VpcHQrandzIn0.eyJ...fQ"],
    )

    guardian_signing_input: str | None = Field(
        None, description="the text for the guardian to sign, as `signing_input`; null if none is named"
    )

    @classmethod
    def of(cls, offer: ReceiptOffer) -> Self:
        """Return the answer to a request for an offer."""
        claims = read_offer(offer.document).claims
        has_guardian = claims.age is not None and claims.age.guardian is not None
        text = signing_input(offer.document, GUARDIAN_TYPE).decode("ascii") if has_guardian else None
        party = claims.signature.relying_party
        return cls(
            receipt_id=claims.receipt_id,
            expires_at=claims.expires_at,
            offered_until=claims.issued_at + OFFER_LIFETIME,
            document=offer.document.decode("utf-8"),
            challenge=b64url(offer.challenge),
            relying_party_id=None if party is None else party.rp_id,
            signing_input=offer.signing_input.decode("ascii"),
            guardian_signing_input=text,
        )


class NewConsent(RequestBody):
    """A consent that a person gave: the receipt that was offered, signed."""

    name: str = Field(description="stored encrypted, and erased with the consent", examples=["Ada Example"])
    signed: str = Field(
        description="the token: a compact JWS, or three segments like it for a passkey (docs/signatures.md)",
        examples=[EXAMPLE_SIGNED],
    )
    external_id: str | None = Field(
        None, description="the person's id in the staff list; only a keyed hash is stored", examples=["4711"]
    )
    guardian_signature: str | None = Field(
        None, description="the token of the guardian whom the receipt names: a compact JWS", max_length=24 * 1024
    )


class ConsentAnswer(BaseModel):
    """What the person takes home. The site does not store the code or the secret: this is the only copy."""

    receipt_id: Id
    subject_id: SubjectId
    zone: ZoneName
    expires_at: Time
    take_home: str = Field(
        description="the file to hand over; it is also needed to enroll the person",
        examples=['{"receipt": "eyJ...", "withdrawal_code": "..."}'],
    )
    secret: str | None = Field(description="the person's half of the key, in a zone of custody subject_key")


@router.post("/zones/{zone}/consents/offers", response_model=OfferAnswer, summary="Offer a receipt to sign")
async def offer_consent(zone: str, app_state: SharedState, new: OfferRequest, caller: Caller) -> OfferAnswer:
    """Return the receipt for a person to sign with their own key. Only that a person was asked is logged."""
    site = app_state.site

    def offer() -> OfferAnswer:
        return OfferAnswer.of(
            site.offer_consent(
                newest_notice(site, zone, new.language, new.notice_sha256),
                public_key=SubjectPublicKey.from_jwk(new.public_key),
                form=new.form,
                jurisdiction=new.jurisdiction,
                valid_days=new.valid_days,
                valid_until=term_end(site, new.valid_until),
                way=OfferWay.DESK,
                offered_by=caller.caller_id,
                age=answered_age(new.of_age, new.guardian_key),
            )
        )

    return await app_state.desk_pool.run(offer)


class NewRefusal(RequestBody):
    """A no that a person said at the desk."""

    receipt_wanted: bool = Field(False, description="the person wants a signed receipt for their no", examples=[True])


class RefusalAnswer(BaseModel):
    """What the site keeps of a no is a count; the receipt is the person's."""

    receipt: str | None = Field(description="the file, if it is wanted; it names no one", examples=[None])


@router.post("/zones/{zone}/refusals", status_code=201, response_model=RefusalAnswer, summary="Count a no")
async def count_refusal(zone: str, app_state: SharedState, new: NewRefusal, idempotent: Idempotent) -> Response:
    """Count that a person said no at the desk. Who it was is not recorded."""

    def count() -> StorableResponse:
        receipt = app_state.site.offers.refuse(zone, receipt_wanted=new.receipt_wanted)
        return StorableResponse(RefusalAnswer(receipt=None if receipt is None else receipt.decode("ascii")))

    return await idempotent.run(app_state.desk_pool, count, zone, new)


@router.post("/zones/{zone}/consents", status_code=201, response_model=ConsentAnswer, summary="Record a consent")
async def give_consent(zone: str, app_state: SharedState, new: NewConsent, idempotent: Idempotent) -> Response:
    """Record the consent of a person who signed the receipt that was offered."""
    return await idempotent.run(
        app_state.desk_pool, lambda: _give_consent(app_state.site, zone, new, idempotent), zone, new
    )


def answered_age(of_age: bool | None, guardian_key: dict[str, Any] | None) -> AgeAnswer | None:  # noqa: FBT001
    """Return what the person answered; None if they were not asked.

    Raises:
        InputError: there is a guardian and no answer, or the guardian's key is no key.
    """
    guardian = None if guardian_key is None else SubjectPublicKey.from_jwk(guardian_key)
    if of_age is not None:
        return AgeAnswer(of_age, guardian)
    if guardian is not None:
        raise InputError("got a guardian's key, and no answer about the age; send of_age too")
    return None


def _give_consent(site: Site, zone: str, new: NewConsent, idempotent: IdempotentRequest) -> StorableResponse:
    signed = signed_bytes(new.signed)
    given = site.accept_consent(
        notice_of_receipt(site, zone, signed),
        signed,
        name=new.name,
        external_id=new.external_id,
        guardian_signature=new.guardian_signature,
        # In the same transaction: if the connection breaks after the commit, a retry still gets the receipt, so that
        # there is never a consent whose receipt no one has.
        in_transaction=lambda tx, take_home: idempotent.store(tx, _consent_response(take_home)),
    )
    response = _consent_response(given)
    if given.secret is not None:
        given.secret.wipe()
    return response


def _consent_response(given: TakeHome) -> StorableResponse:
    claims = given.receipt.claims
    body = ConsentAnswer(
        receipt_id=claims.receipt_id,
        subject_id=claims.subject_id,
        zone=claims.purpose,
        expires_at=claims.expires_at,
        take_home=given.to_json().decode("utf-8"),
        secret=None if given.secret is None else given.secret.reveal(),
    )
    return StorableResponse(body, claims.receipt_id, has_secret=given.secret is not None)


def newest_notice(site: Site, zone: str, language: str | None, sha256: str) -> Notice:
    """Return the newest notice of a zone, if it is the one that the person was shown.

    Raises:
        RefusedError: it is another one.
    """
    notice = site.notice(zone, language)
    if notice.sha256 != sha256:
        raise RefusedError(
            "the person was shown another notice than the newest; show them the newest, and retry",
            reason=Reason.NEWER_NOTICE,
        )
    return notice


def notice_of_receipt(site: Site, zone: str, signed: bytes) -> Notice:
    """Return the newest notice of a zone, in the language of a receipt and of the version that it names.

    Raises:
        ReceiptError: the bytes are no receipt.
        ForeignReceiptError: it is for another zone.
        RefusedError: the person agreed to another version.
    """
    receipt = UnverifiedReceipt.parse(signed)
    if receipt.claims.purpose != zone:
        raise ForeignReceiptError("got a receipt of another zone; send it to that zone's consents")
    return newest_notice(site, zone, notice_language(receipt), receipt.claims.notice_sha256)


def term_end(site: Site, text: str | None) -> datetime | None:
    """Return the end of a term that was typed as at the command line (`parse_until`), in the site's time zone.

    Raises:
        InputError: it is no such time, or it is past.
    """
    return None if text is None else parse_until(text, site.now(), site.defaults.time_zone())


def signed_bytes(token: str) -> bytes:
    """Return a token of a JSON body as bytes; what is not ASCII is refused by the parser."""
    return token.encode("utf-8", "replace")
