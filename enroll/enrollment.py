"""Enrollment: a consent in force and photos of its owner become one biometric reference. Photos are never stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from volens.consent import (
    ConsentGrant,
    Custody,
    DataSubjectId,
    EnrollmentError,
    ModelId,
    PersonSecret,
    Purpose,
    ReferenceId,
    RefusedError,
    TamperError,
    UnverifiedReceipt,
)
from volens.consent.embedding import ProbeEmbedding
from volens.consent.gate import permit_probe
from volens.enroll.capture import ReferenceDraft, capture_reference
from volens.enroll.placement import HandOver, ReferencePlacement
from volens.face import AlreadyEnrolledError, Extractor, QualityReport, RgbImage
from volens.index import Galleries, identify
from volens.store import Store
from volens.store.keys import GrantSecret
from volens.store.people import admit_receipt
from volens.store.promises import refuse_if_stopped, zone_of


@final
@dataclass(frozen=True, slots=True)
class Enrolled:
    """A reference that was stored, or handed to the person on a badge.

    Attributes:
        qualities: one report for each photo, in order.
        few: True if there were fewer photos than advised; the reference is less reliable.
    """

    reference_id: ReferenceId
    subject_id: DataSubjectId
    purpose: Purpose
    model_id: ModelId
    qualities: tuple[QualityReport, ...]
    photo_count: int
    few: bool


def enroll(
    store: Store,
    galleries: Galleries,
    load_extractor: Callable[[], Extractor],
    receipt: UnverifiedReceipt,
    photos: Sequence[RgbImage],
    *,
    allow_few: bool = False,
    progress: Callable[[int, int], None] | None = None,
    secret: PersonSecret | None = None,
    hand_over: HandOver | None = None,
) -> Enrolled:
    """Enroll the person who signed `receipt`.

    1. The receipt is genuine, its consent in force, and no order says to stop collecting: only then there is a grant,
       and without one nothing is computed. What the zone's custody asks for is at hand: the person's secret, or
       somebody who takes the badge.
    2. The consent has no reference of this model yet.
    3. The photos show one person, well enough; their mean embedding is the draft.
    4. Nobody else in this zone has this face, as far as the site can tell: where the person holds the key it cannot.
    5. Seal and store it in one transaction, in which the database asks for live consent again; the gallery follows.
       Sealed into a badge, it is handed over before that transaction ends: a badge nobody got does not count.

    Args:
        store: of the site.
        galleries: of this process.
        load_extractor: gives the models; not called before 1.
        receipt: as presented.
        photos: at least 3 of the same person, with one face each.
        allow_few: accept fewer photos.
        progress: called with how many photos are looked at, of how many.
        secret: the person's half of the key; read, never kept. The caller wipes it.
        hand_over: takes the badge, which is wiped afterwards; if it raises, no badge was issued.

    Raises:
        InputError: `secret` or `hand_over` is not what the zone's custody asks for.
        RefusedError: 1 (another person's secret, no consent in force, another site's receipt, collecting stopped) or 2;
            audited.
        TamperError: the receipt is not the one recorded.
        EnrollmentError: 3 or 4; audited. Nothing was stored.

    Not checked: that the person before the camera is the one who signed; the operator does that.
    """
    try:
        with store.read() as connection:
            # 1.
            grant = admit_receipt(store, connection, receipt)
            refuse_if_stopped(connection, receipt.claims.jurisdiction, grant.purpose)
            keeping = ReferencePlacement.of(connection, receipt, grant, secret, hand_over)
        extractor = load_extractor()
        # 2.
        with store.read() as connection:
            keeping.refuse_second(connection, extractor.model.model_id)
        # 3.
        draft = capture_reference(photos, grant, extractor, allow_few=allow_few, progress=progress)
        try:
            reference_id = _keep(store, galleries, extractor, receipt, keeping, draft)
        finally:
            draft.embedding.vector.wipe()
    except (RefusedError, EnrollmentError) as error:
        with store.write() as tx:
            tx.log("enrollment.refused", {"reason": type(error).__name__})
        raise
    return Enrolled(
        reference_id,
        grant.subject_id,
        grant.purpose,
        draft.embedding.model_id,
        draft.qualities,
        draft.photo_count,
        draft.few,
    )


def _keep(
    store: Store,
    galleries: Galleries,
    extractor: Extractor,
    receipt: UnverifiedReceipt,
    keeping: ReferencePlacement,
    draft: ReferenceDraft,
) -> ReferenceId:
    embedding = draft.embedding
    searchable = keeping.zone.custody is Custody.OPERATOR
    # 4.
    if searchable:
        _refuse_known_face(store, galleries, extractor, embedding.grant, draft)
    # 5.
    with _secret(store, receipt, embedding.grant) as secret, store.write() as tx:
        reference_id = keeping.keep(
            tx, store, embedding, secret, licence=extractor.model.licence, photo_count=draft.photo_count
        )
    if searchable:
        with store.read() as connection:
            galleries.of(connection, embedding.grant.purpose, embedding.model_id, embedding.vector.dimension)
    return reference_id


def _secret(store: Store, receipt: UnverifiedReceipt, grant: ConsentGrant) -> GrantSecret:
    try:
        return store.keyring.grant_secret(grant.receipt_id)
    except TamperError:
        # Another process may have ended the consent while the photos were looked at; that is no tampering.
        with store.read() as connection:
            admit_receipt(store, connection, receipt)
        raise


def _refuse_known_face(
    store: Store, galleries: Galleries, extractor: Extractor, grant: ConsentGrant, draft: ReferenceDraft
) -> None:
    model = extractor.model
    with store.read() as connection:
        permit = permit_probe(zone_of(connection, grant.purpose))
        size = len(galleries.of(connection, grant.purpose, model.model_id, model.dimension))
    probe = ProbeEmbedding(permit, draft.embedding.vector, model.model_id)
    threshold = model.thresholds.identification(size).value
    found = identify(store, galleries, probe, threshold, store.now()).match
    if found is not None and found.subject_id != grant.subject_id:
        raise AlreadyEnrolledError(
            f"this face is already enrolled under another person in zone {grant.purpose!r}; if it is the same person, "
            "withdraw the earlier consent first"
        )
