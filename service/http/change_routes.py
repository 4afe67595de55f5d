"""Operations of a reception desk on a consent in force: renew it, correct the name, take new photos, issue a code."""

import base64
from dataclasses import asdict, dataclass
from typing import Annotated, Final, final

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile
from pydantic import BaseModel, Field, StrictInt

from volens import Badge, Site, TakeHome
from volens.consent import Custody, InputError
from volens.consent.plain_text import plain_text
from volens.consent.reason import Reason
from volens.consent.receipt_signature import SignatureForm
from volens.enroll import NewPhotos, PhotoChange
from volens.service.http.access import GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import (
    EXAMPLE_SHA256,
    MAX_FORM_BYTES,
    Id,
    IdInPath,
    RequestBody,
    SubjectId,
    Time,
    ZoneName,
    enrollment_photos,
    read_upload,
)
from volens.service.http.consent_routes import (
    EXAMPLE_SIGNED,
    OfferAnswer,
    newest_notice,
    notice_of_receipt,
    signed_bytes,
)
from volens.service.http.desk_routes import MAX_PHOTOS, EnrolledAnswer
from volens.service.http.idempotency import Idempotent, IdempotentRequest, StorableResponse
from volens.service.http.presented_token import badge_bytes, presented_token
from volens.service.http.shown_receipt import ReceiptForm, consent_in_force, receipt_for_zone
from volens.service.process import return_freed_memory
from volens.store import Transaction

router: Final = APIRouter(tags=["desk"], route_class=GuardedRoute)

_PERSON: Final = "/zones/{zone}/consents/{receipt_id}"


class RenewalRequest(RequestBody):
    """A person whose consent is in force was shown the notice, and agrees again."""

    notice_sha256: str = Field(
        description="of the notice that the person was shown and agreed to", examples=[EXAMPLE_SHA256]
    )
    language: str | None = Field(None, description="of that notice")
    form: SignatureForm | None = Field(
        None, description="as for a new consent; else 'passkey' if a passkey signed before, or 'person_key'"
    )
    valid_days: StrictInt | None = Field(None, description="the term that the person wants; else the zone's retention")


class Renewal(RequestBody):
    """The new receipt that was offered, signed with the key that signed the one before."""

    signed: str = Field(description="the token, as for a new consent", examples=[EXAMPLE_SIGNED])
    secret: str | None = Field(None, description="the person's secret, in a zone of custody subject_key")
    badge: str | None = Field(None, description="base64 of the person's badge, in a zone of custody badge")


class RenewedAnswer(BaseModel):
    """What the person takes home instead of what they had. The site does not store code, secret or badge."""

    receipt_id: Id
    renewed_receipt_id: Id
    subject_id: SubjectId
    zone: ZoneName
    expires_at: Time
    take_home: str = Field(
        description="the file to hand over", examples=['{"receipt": "eyJ...", "withdrawal_code": "..."}']
    )
    secret: str | None = Field(description="the new half of the key, in a zone of custody subject_key")
    badge: str | None = Field(description="base64, in a zone of custody badge: the only copy")


class RightName(RequestBody):
    """The right name of a person; it replaces the one before (GDPR 16)."""

    name: str = Field(description="stored encrypted, and erased with the consent", examples=["Ada Newname"])


class CodeReissue(RequestBody):
    """A new withdrawal code, for a person who lost theirs."""

    identity_checked: bool = Field(description="the desk has checked who the person is", examples=[True])


class ReissuedAnswer(BaseModel):
    """The receipt again, with a new withdrawal code. The code before does not work any more."""

    receipt_id: Id
    take_home: str = Field(
        description="the file to hand over", examples=['{"receipt": "eyJ...", "withdrawal_code": "..."}']
    )


@router.post(f"{_PERSON}/renewal/offers", response_model=OfferAnswer, summary="Offer a renewal to sign")
async def offer_renewal(zone: str, receipt_id: IdInPath, app_state: SharedState, new: RenewalRequest) -> OfferAnswer:
    """Return a receipt for a person to sign with the key that signed the one in force. Nothing is stored."""
    site = app_state.site

    def offer() -> OfferAnswer:
        old = consent_in_force(site, zone, receipt_id)
        notice = newest_notice(site, zone, new.language, new.notice_sha256)
        return OfferAnswer.of(
            site.changes.offer_renewal(old.receipt_id, notice, form=new.form, valid_days=new.valid_days)
        )

    return await app_state.desk_pool.run(offer)


@router.post(f"{_PERSON}/renewal", status_code=201, response_model=RenewedAnswer, summary="Renew a consent")
async def renew_consent(
    zone: str, receipt_id: IdInPath, app_state: SharedState, new: Renewal, idempotent: Idempotent
) -> Response:
    """Renew a consent in force, without new photos and without a gap. The old consent ends, with a certificate."""
    return await idempotent.run(
        app_state.desk_pool, lambda: _renew(app_state.site, zone, receipt_id, new, idempotent), zone, receipt_id, new
    )


def _renew(site: Site, zone: str, receipt_id: str, new: Renewal, idempotent: IdempotentRequest) -> StorableResponse:
    old = consent_in_force(site, zone, receipt_id)
    signed = signed_bytes(new.signed)
    notice = notice_of_receipt(site, zone, signed)
    badges = list[bytes]()

    def response(take_home: TakeHome) -> StorableResponse:
        claims, secret = take_home.receipt.claims, take_home.secret
        body = RenewedAnswer(
            receipt_id=claims.receipt_id,
            renewed_receipt_id=old.receipt_id,
            subject_id=claims.subject_id,
            zone=claims.purpose,
            expires_at=claims.expires_at,
            take_home=take_home.to_json().decode("utf-8"),
            secret=None if secret is None else secret.reveal(),
            badge=base64.b64encode(badges[0]).decode("ascii") if badges else None,
        )
        return StorableResponse(body, claims.receipt_id, has_secret=secret is not None or bool(badges))

    with presented_token(new.secret, badge_bytes(new.badge)) as carried:
        done = site.changes.accept_renewal(
            old.receipt_id,
            notice,
            signed,
            carried=carried,
            hand_over=(lambda badge: badges.append(badge.to_bytes())) if isinstance(carried, Badge) else None,
            in_transaction=lambda tx, take_home: idempotent.store(tx, response(take_home)),
        )
    answer = response(done.take_home)
    if done.take_home.secret is not None:
        done.take_home.secret.wipe()
    return answer


@router.put(f"{_PERSON}/name", status_code=204, summary="Correct a person's name")
async def correct_name(zone: str, receipt_id: IdInPath, app_state: SharedState, new: RightName) -> None:
    """Replace the name under a consent in force (GDPR 16). The receipt carries no name, and stays valid."""
    site = app_state.site
    await app_state.desk_pool.run(
        lambda: site.changes.correct_name(consent_in_force(site, zone, receipt_id).receipt_id, new.name)
    )


@router.post(f"{_PERSON}/code", status_code=201, response_model=ReissuedAnswer, summary="Issue a new withdrawal code")
async def reissue_code(
    zone: str, receipt_id: IdInPath, app_state: SharedState, new: CodeReissue, idempotent: Idempotent
) -> Response:
    """Issue a lost receipt again, with a new withdrawal code, after an identity check; the old code stops working."""
    site = app_state.site

    def response(take_home: TakeHome) -> StorableResponse:
        claims = take_home.receipt.claims
        body = ReissuedAnswer(receipt_id=claims.receipt_id, take_home=take_home.to_json().decode("utf-8"))
        return StorableResponse(body, claims.receipt_id)

    def store(tx: Transaction, take_home: TakeHome) -> None:
        idempotent.store(tx, response(take_home))

    def reissue() -> StorableResponse:
        if not new.identity_checked:
            raise InputError(
                "check the person's identity first, then send identity_checked true", reason=Reason.IDENTITY_NOT_CHECKED
            )
        return response(site.changes.reissue_code(consent_in_force(site, zone, receipt_id).receipt_id, store))

    return await idempotent.run(app_state.desk_pool, reissue, zone, receipt_id, new)


@final
@dataclass(frozen=True, slots=True)
class PhotoOptions:
    """The fields of a form with new photos that are no file."""

    change: Annotated[PhotoChange, Form(description="'replace' makes the reference again, 'add' keeps what was")]
    another_look: Annotated[
        bool, Form(description="with 'replace': the face looks different, and the desk checked the identity")
    ] = False
    allow_few: Annotated[bool, Form(description="accept fewer than 3 photos")] = False
    two_people: Annotated[
        bool, Form(description="a look-alike is enrolled, and the desk has checked that they are two people")
    ] = False


@router.post(
    "/zones/{zone}/photos",
    status_code=201,
    response_model=EnrolledAnswer,
    summary="Replace the photos of a reference, or add photos",
    max_body_size=MAX_FORM_BYTES,
)
async def change_photos(
    zone: str,
    app_state: SharedState,
    receipt_form: Annotated[ReceiptForm, Depends()],
    photos: Annotated[list[UploadFile], File(min_length=1, max_length=MAX_PHOTOS)],
    options: Annotated[PhotoOptions, Depends()],
    idempotent: Idempotent,
    secret: UploadFile | None = None,
    badge: UploadFile | None = None,
) -> Response:
    """Make the reference of an enrolled person from new photos, which must show the same face. They are not stored."""
    site = app_state.site
    receipt = await receipt_form.read()
    held = await read_upload(secret), await read_upload(badge)
    files = [await read_upload(photo) or b"" for photo in photos]

    def make() -> StorableResponse:
        images = enrollment_photos(files, app_state.image_decoder.decode)
        new = NewPhotos(images, options.change, options.another_look, options.allow_few, options.two_people)
        shown = receipt_for_zone(site, zone, receipt, receipt_form.receipt_id)
        return _change_photos(site, shown, new, held)

    which = (zone, receipt or b"", receipt_form.receipt_id or "")
    inputs = (*which, *files, options.change.value, options.another_look, options.allow_few, options.two_people)
    return await idempotent.run(app_state.enrollment_pool, make, *inputs, zone=zone)


def _change_photos(
    site: Site, receipt: bytes, new: NewPhotos, held: tuple[bytes | None, bytes | None]
) -> StorableResponse:
    claims = TakeHome.parse(receipt).receipt.claims
    secret, badge = held
    badges = list[bytes]()
    try:
        with presented_token(None if secret is None else plain_text(secret, "the secret"), badge) as carried:
            done = site.changes.photos(
                receipt,
                new,
                carried=carried,
                hand_over=(lambda made: badges.append(made.to_bytes())) if claims.custody is Custody.BADGE else None,
            )
    finally:
        return_freed_memory()
    handed = base64.b64encode(badges[0]).decode("ascii") if badges else None
    body = EnrolledAnswer(zone=done.purpose, model=done.model_id, badge=handed, **asdict(done))
    return StorableResponse(body, claims.receipt_id, has_secret=bool(badges))
