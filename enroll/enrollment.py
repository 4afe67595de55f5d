"""Enrollment: photos of a person with a consent in force become one biometric reference. Photos are never stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from volens.consent import (
    ConsentedEmbedding,
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
from volens.enroll.capture import capture_reference
from volens.enroll.opening import refuse_to_ask
from volens.enroll.placement import HandOver, ReferencePlacement
from volens.enroll.score_counting import count_into
from volens.enroll.turned_head import TurnedHead
from volens.face import AlreadyEnrolledError, Extractor, QualityReport
from volens.face.image import Photo
from volens.identify.liveness_gate import liveness_model
from volens.index import Installation, identify
from volens.store import Store, Transaction
from volens.store.keys import GrantSecret
from volens.store.people import admit_receipt
from volens.store.people.score_counts import ScoreCounts, put_score_counts
from volens.store.promises import zone_of


@final
@dataclass(frozen=True, slots=True)
class Enrolled:
    """A biometric reference that was stored, or handed to the person on a badge; see `ReferenceDraft`."""

    reference_id: ReferenceId
    subject_id: DataSubjectId
    purpose: Purpose
    model_id: ModelId
    qualities: tuple[QualityReport, ...]
    photo_count: int
    few: bool


def enroll(  # noqa: PLR0913  what a desk, a program and a person's own page each may add, by name
    installation: Installation,
    load_extractor: Callable[[], Extractor],
    receipt: UnverifiedReceipt,
    photos: Sequence[Photo],
    *,
    allow_few: bool = False,
    two_people: bool = False,
    progress: Callable[[int, int], None] | None = None,
    secret: PersonSecret | None = None,
    hand_over: HandOver | None = None,
    turned: TurnedHead | None = None,
) -> Enrolled:
    """Enroll the person who signed `receipt`.

    1. The receipt is genuine, its consent in force, and the zone open (`refuse_to_ask`): only then there is a grant,
       and without a grant no photo is decoded and nothing is computed. The caller passes what the zone's custody needs:
       the person's secret, or a function that takes the badge.
    2. The consent has no reference of this model yet. In a zone that checks liveness with a model, there is one.
    3. The photos show one person in good quality, whom the zone's liveness model, if it has one, takes for live in each
       of them; their mean embedding is the draft. The scores of the single photos are counted
       (`volens.enroll.score_counting`). With `turned`, it is the person who turned the head.
    4. No other person in this zone has this face, as far as the site can know: if the person holds the key, it cannot.
       With `two_people` the operator states that they have checked it: a twin, or a person who looks alike. That is
       logged.
    5. Draft and counts are sealed and stored in one transaction, in which the database checks for live consent again;
       then the gallery is updated. A badge is handed over before that transaction ends, and is wiped afterwards: if
       `hand_over` raises, no badge was issued.

    The models are not loaded before 1. `allow_few` and `progress` as in `capture_reference`. The person's secret is
    read, never stored; the caller wipes it.

    Raises:
        InputError: `secret` or `hand_over` is not what the zone's custody needs.
        RefusedError: 1 (another person's secret, no consent in force, another site's receipt, the zone not open) or 2;
            logged in the audit log.
        TamperError: the receipt is not the one recorded.
        ModelMissingError: 2; no photo was decoded.
        EnrollmentError: 3 or 4; logged in the audit log. Nothing was stored.

    Not checked: that the person before the camera is the one who signed; the operator does that.
    """
    store = installation.store
    try:
        with store.read() as connection:
            # 1.
            grant = admit_receipt(store, connection, receipt)
            refuse_to_ask(store, connection, receipt.claims.jurisdiction, grant.purpose)
            placement = ReferencePlacement.of(connection, receipt, grant, secret, hand_over)
        extractor = load_extractor()
        model = extractor.model
        # 2.
        with store.read() as connection:
            placement.refuse_second(connection, model.model_id)
        liveness = liveness_model(placement.zone, extractor)
        # 3.
        counts = ScoreCounts.none()
        count = count_into(counts, installation, placement, model)
        draft = capture_reference(
            photos, grant, extractor, liveness=liveness, allow_few=allow_few, progress=progress, count=count
        )
        try:
            if turned is not None:
                turned.check(extractor, grant, draft.embedding.vector)
            # 4.
            searchable = placement.zone.custody is Custody.OPERATOR
            look_alike = searchable and refuse_known_face(
                installation, extractor, draft.embedding, two_people=two_people
            )
            # 5.
            with secret_of(store, receipt, grant) as half, store.write() as tx:
                reference_id = placement.keep(
                    tx, store, draft.embedding, half, licence=model.licence, photo_count=len(photos)
                )
                put_score_counts(tx, grant, model.model_id, counts, half)
                if look_alike:
                    log_look_alike(tx, grant)
            if searchable:
                with store.read() as connection:
                    installation.galleries.of(connection, grant.purpose, model.model_id, model.dimension)
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
        model.model_id,
        draft.qualities,
        len(photos),
        draft.few,
    )


def secret_of(store: Store, receipt: UnverifiedReceipt, grant: ConsentGrant) -> GrantSecret:
    """Return the secret of an admitted consent; the caller wipes it.

    Raises:
        RefusedError: the consent ended meanwhile.
        TamperError: the secret is lost.
    """
    try:
        return store.keyring.grant_secret(grant.receipt_id)
    except TamperError:
        # Another process may have ended the consent while the photos were analysed; that is no tampering.
        with store.read() as connection:
            admit_receipt(store, connection, receipt)
        raise


def known_face(installation: Installation, extractor: Extractor, embedding: ConsentedEmbedding) -> bool:
    """Return whether another person in the zone has a face, whatever rate of strangers the zone accepts."""
    store, galleries = installation.store, installation.galleries
    grant, model = embedding.grant, extractor.model
    with store.read() as connection:
        zone = zone_of(connection, grant.purpose)
        size = len(galleries.of(connection, grant.purpose, model.model_id, model.dimension))
    probe = ProbeEmbedding(permit_probe(zone), embedding.vector, model.model_id)
    threshold = model.thresholds.duplicate(size)
    found = identify(store, galleries, probe, threshold, store.now()).match
    return found is not None and found.subject_id != grant.subject_id


def refuse_known_face(
    installation: Installation, extractor: Extractor, embedding: ConsentedEmbedding, *, two_people: bool = False
) -> bool:
    """Refuse a face that another person in the zone has, unless the operator knows of it; return whether one has it.

    Raises:
        AlreadyEnrolledError: it is enrolled under another person.
    """
    is_known = known_face(installation, extractor, embedding)
    if is_known and not two_people:
        purpose = embedding.grant.purpose
        raise AlreadyEnrolledError(
            f"this face is already enrolled under another person in zone {purpose!r}; if it is the same person, "
            "withdraw the earlier consent first; if you have checked that they are two people, enroll again with "
            "--two-people"
        )
    return is_known


def log_look_alike(tx: Transaction, grant: ConsentGrant) -> None:
    """Log that a look-alike was enrolled on the operator's word."""
    tx.log("enrollment.two_people", {"zone": grant.purpose}, receipt_id=grant.receipt_id)
