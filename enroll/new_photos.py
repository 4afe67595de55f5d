"""New photos under a consent in force: they replace a reference, or are added to it. No second reference is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from volens.consent import (
    ConsentedEmbedding,
    Custody,
    EnrollmentError,
    InputError,
    PersonSecret,
    ReferenceId,
    RefusedError,
    UnitVector,
    UnverifiedReceipt,
)
from volens.consent.reason import Reason
from volens.enroll.capture import MIN_PHOTOS, capture_reference
from volens.enroll.enrollment import Enrolled, log_look_alike, refuse_known_face, secret_of
from volens.enroll.opening import refuse_to_ask
from volens.enroll.placement import HandOver, ReferencePlacement
from volens.enroll.score_counting import count_into
from volens.enroll.turned_head import TurnedHead
from volens.face import DifferentPeopleError, Extractor
from volens.face.image import Photo
from volens.identify.liveness_gate import liveness_model
from volens.index import Installation, PersonalToken
from volens.index.claims import claimed_references
from volens.store import Transaction
from volens.store.keys import GrantSecret
from volens.store.people import SealedReference, admit_receipt
from volens.store.people.replaced_references import PhotoChange, enrolled_reference, remove_reference
from volens.store.people.score_counts import ScoreCounts, put_score_counts, score_counts_of

_ADVICE: Final = {
    PhotoChange.REPLACE: "take them again, or check the person's identity and pass --another-look",
    PhotoChange.ADD: "take them again, or replace the photos (--replace-photos)",
}


@final
@dataclass(frozen=True, slots=True, eq=False)
class NewPhotos:
    """Photos for a person who is enrolled already.

    Attributes:
        another_look: the face may look different from the reference, because the operator checked the identity.
        allow_few: fewer than 3 photos may replace the old ones.
        two_people: a look-alike is enrolled, and the operator checked that they are two people.
        turned: the head turn of the person who took the photos alone, in a zone that asks for it.
    """

    photos: Sequence[Photo]
    change: PhotoChange
    another_look: bool = False
    allow_few: bool = False
    two_people: bool = False
    turned: TurnedHead | None = None

    def __post_init__(self) -> None:
        """Check that the options fit.

        Raises:
            InputError: a face that looks different cannot be added.
        """
        if self.another_look and self.change is PhotoChange.ADD:
            raise InputError(
                "a face that looks different is not added to the old photos; replace them instead",
                reason=Reason.ANOTHER_LOOK_ADDED,
            )


def change_photos(
    installation: Installation,
    load_extractor: Callable[[], Extractor],
    receipt: UnverifiedReceipt,
    new: NewPhotos,
    *,
    progress: Callable[[int, int], None] | None = None,
    carried: PersonalToken = None,
    hand_over: HandOver | None = None,
) -> Enrolled:
    """Make a new reference from new photos, in the place of the one that is enrolled.

    1. The receipt is genuine, its consent in force, the zone open (`refuse_to_ask`), and `carried` is what the person
       has where they hold the key. Without all of it no photo is decoded.
    2. The consent has a reference of this model. In a zone that checks liveness with a model, there is one.
    3. The photos show one person in good quality, live for the zone's liveness model, as for an enrollment; to add, one
       photo is enough. With `new.turned`, it is the person who turned the head.
    4. They show the person who is enrolled: their embedding reaches the 1:1 threshold with the reference. With
       `new.another_look`, which replaces only, this is not required: the operator has checked the person's identity.
    5. The new embedding is that of the new photos, or, if they are added, the mean of old and new, each weighted by its
       number of photos, scaled to norm 1.
    6. No other person in this zone has this face, as for an enrollment, or the operator checked that they are two.
    7. In one transaction the new embedding and its score counts are sealed and stored (counts of added photos together
       with those of before), and the row of the old one is deleted, with a note of what it was. Then galleries drop
       the old one, and the files are scrubbed.

    Raises:
        InputError: `carried` or `hand_over` is not what the zone's custody needs.
        RefusedError: 1 or 2; logged in the audit log.
        TamperError: the receipt is not the one recorded, or the old reference does not open.
        ModelMissingError: 2; no photo was decoded.
        EnrollmentError: 3, 4 or 6; logged in the audit log. The old reference stays as it is.

    Not checked: liveness, in a zone without a model for it and without `new.turned`. Copies of the data file made
    before hold the old embedding, sealed, until the consent ends and its key is destroyed. A reference stores one
    vector: photos that were added cannot be taken out again.
    """
    store = installation.store
    try:
        with store.read() as connection:
            # 1.
            grant = admit_receipt(store, connection, receipt)
            refuse_to_ask(store, connection, receipt.claims.jurisdiction, grant.purpose)
            half = carried if isinstance(carried, PersonSecret) else None
            placement = ReferencePlacement.of(connection, receipt, grant, half, hand_over)
            references, half = claimed_references(store, connection, placement.zone, grant, carried)
        extractor = load_extractor()
        # 2.
        old = _of_model(references, extractor)
        liveness = liveness_model(placement.zone, extractor)
        # 3.
        few = new.allow_few or new.change is PhotoChange.ADD
        counts = ScoreCounts.none()
        count_scores = count_into(counts, installation, placement, extractor.model)
        draft = capture_reference(
            new.photos, grant, extractor, liveness=liveness, allow_few=few, progress=progress, count=count_scores
        )
        try:
            if new.turned is not None:
                new.turned.check(extractor, grant, draft.embedding.vector)
            with secret_of(store, receipt, grant) as secret:
                before = old.open(secret, half)
                try:
                    reference_id, count = _exchange(
                        installation, extractor, placement, (old, before), (draft.embedding, counts), new, secret
                    )
                finally:
                    before.wipe()
        finally:
            draft.embedding.vector.wipe()
    except (RefusedError, EnrollmentError) as error:
        with store.write() as tx:
            tx.log("enrollment.refused", {"reason": type(error).__name__})
        raise
    model = extractor.model
    if placement.zone.custody is Custody.OPERATOR:
        with store.read() as connection:
            installation.galleries.of(connection, grant.purpose, model.model_id, model.dimension)
        installation.galleries.erase([old.reference_id])
    store.data.scrub()
    few = count < MIN_PHOTOS
    return Enrolled(reference_id, grant.subject_id, grant.purpose, model.model_id, draft.qualities, count, few)


def _of_model(references: Sequence[SealedReference], extractor: Extractor) -> SealedReference:
    for one in references:
        if one.model_id == extractor.model.model_id:
            return one
    raise RefusedError(
        "no reference of this model is enrolled under this consent; enroll the person first",
        reason=Reason.NOTHING_ENROLLED,
    )


def _exchange(
    installation: Installation,
    extractor: Extractor,
    placement: ReferencePlacement,
    old: tuple[SealedReference, UnitVector],
    made: tuple[ConsentedEmbedding, ScoreCounts],
    new: NewPhotos,
    secret: GrantSecret,
) -> tuple[ReferenceId, int]:
    """Do steps 4 to 7 of `change_photos`; return the new reference and its number of photos."""
    draft, counts = made
    store, model, on_badge = installation.store, extractor.model, placement.zone.custody is Custody.BADGE
    reference, before = old
    with store.read() as connection:
        its = enrolled_reference(connection, reference.reference_id, on_badge=on_badge)
    # 4. and 5.
    if not new.another_look:
        _check_same_person(before, draft.vector, model.thresholds.claim_value, new.change)
    mean, count = _combined(new.change, (before, its.photo_count), (draft.vector, len(new.photos)))
    embedding = ConsentedEmbedding(draft.grant, mean, model.model_id)
    try:
        # 6.
        look_alike = False
        if placement.zone.custody is Custody.OPERATOR:
            look_alike = refuse_known_face(installation, extractor, embedding, two_people=new.two_people)
        # 7.
        with store.write() as tx:
            remove_reference(tx, draft.grant, its, new.change)
            if look_alike:
                log_look_alike(tx, draft.grant)
            if new.change is PhotoChange.ADD and placement.zone.custody is Custody.OPERATOR:
                if len(new.photos) == 1:  # the only other photos are those of before
                    counts.add(counts.own, np.array([np.dot(before.array, draft.vector.array)]))
                counts = _with_those_before(tx, reference, counts, secret)
            put_score_counts(tx, draft.grant, model.model_id, counts, secret)
            reference_id = placement.keep(tx, store, embedding, secret, licence=model.licence, photo_count=count)
    finally:
        mean.wipe()
    return reference_id, count


def _with_those_before(
    tx: Transaction, reference: SealedReference, counts: ScoreCounts, secret: GrantSecret
) -> ScoreCounts:
    """Return the counts of the added photos together with those that the consent has."""
    for one in score_counts_of(tx.connection, reference.receipt):
        if one.model_id == reference.model_id:
            return one.open(secret).plus(counts)
    return counts


def _check_same_person(before: UnitVector, new: UnitVector, threshold: float, change: PhotoChange) -> None:
    score = float(np.dot(before.array, new.array))
    if score < threshold:
        raise DifferentPeopleError(
            f"the new photos do not seem to show the person who is enrolled: comparison score {score:.2f} with the "
            f"reference, expected {threshold:.2f} or more; {_ADVICE[change]}",
            reason=Reason.NOT_WHO_IS_ENROLLED,
        )


def _combined(
    change: PhotoChange, before: tuple[UnitVector, int], new: tuple[UnitVector, int]
) -> tuple[UnitVector, int]:
    """Return the new mean, float32 (d,), norm 1, and its number of photos."""
    (old_vector, old_count), (new_vector, new_count) = before, new
    if change is PhotoChange.REPLACE:
        return UnitVector(new_vector.array), new_count
    weighted = old_vector.array * np.float32(old_count) + new_vector.array * np.float32(new_count)
    try:
        return UnitVector.normalised(weighted), old_count + new_count
    finally:
        weighted.fill(0)
