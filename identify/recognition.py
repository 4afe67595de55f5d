"""From a frame to decisions: find the faces, compute probes under a permit, ask the matching core, note the visit."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from volens.consent import Badge, PersonSecret, Purpose, ShownFactor, UnverifiedReceipt, Zone, check_kind
from volens.consent.errors import ForeignReceiptError
from volens.consent.gate import permit_probe
from volens.face import DetectedFace, EmbeddingModel, Extractor, RgbImage
from volens.identify.identification import FaceDecision, Identification
from volens.index import Decision, Galleries, Stages, admit_claim, identify_many, untimed, verify_claim
from volens.store import Store
from volens.store.people import stored_receipt
from volens.store.people.deadlines import note_interactions
from volens.store.people.passages import Passed, note_passages
from volens.store.promises import zone_of


def identify_frame(
    store: Store,
    galleries: Galleries,
    extractor: Extractor,
    purpose: Purpose,
    image: RgbImage,
    factor: ShownFactor | None = None,
    stages: Stages = untimed,
) -> Identification:
    """Decide about every face of a frame (1:N); see `volens.index.identify`. Probes are wiped.

    `stages` is told of ``detect``, and of what `identify_faces` does.

    Raises:
        InputError: there is no such zone, or `factor` is not what it asks for.
        RefusedError: in this zone the person holds the key, and nobody is searched for.
        TamperError: a candidate's seal or receipt does not hold.
    """
    with store.read() as connection:
        zone = zone_of(connection, purpose)
    check_kind(zone.second_factor, factor)
    threshold = threshold_at(store, galleries, extractor.model, zone)
    with stages("detect"):
        faces = extractor.detect(image)
    decisions = identify_faces(store, galleries, extractor, zone, image, faces, threshold, factor, stages)
    decided = tuple(FaceDecision(face.box, decision) for face, decision in zip(faces, decisions, strict=True))
    return Identification(zone.purpose, extractor.model.model_id, threshold, decided, zone.second_factor)


def threshold_at(store: Store, galleries: Galleries, model: EmbeddingModel, zone: Zone) -> float:
    """Return the lowest comparison score that identifies somebody in a zone, with as many enrolled as now.

    Raises:
        RefusedError, TamperError: see `identify_frame`.
    """
    with store.glance() as glance:
        size = len(galleries.at(glance, zone.purpose, model.model_id, model.dimension))
    return model.thresholds.identification(size).value


def identify_faces(
    store: Store,
    galleries: Galleries,
    extractor: Extractor,
    zone: Zone,
    image: RgbImage,
    faces: Sequence[DetectedFace],
    threshold: float,
    factor: ShownFactor | None = None,
    stages: Stages = untimed,
) -> list[Decision]:
    """Decide about some faces of a frame together, and note who was there. Probes are wiped.

    `stages` is told of ``embed``, those of `volens.index.identify_many`, and ``note``.

    Raises:
        InputError, TamperError: see `identify_frame`.
    """
    with stages("embed"):
        probes = extractor.probes(image, faces, permit_probe(zone))
    try:
        decisions = identify_many(store, galleries, probes, threshold, store.now(), factor, stages)
    finally:
        for probe in probes:
            probe.vector.wipe()
    matched = [one.match.receipt_id for one in decisions if one.match]
    with stages("note"):
        note_interactions(store, matched)
        note_passages(store, matched, Passed.IDENTIFIED, extractor.model.model_id)
    return decisions


def verify_frame(
    store: Store,
    load_extractor: Callable[[], Extractor],
    receipt: UnverifiedReceipt | None,
    image: RgbImage,
    carried: PersonSecret | Badge | None,
    purpose: Purpose | None = None,
    factor: ShownFactor | None = None,
) -> FaceDecision | None:
    """Decide whether the largest face of a frame is the one claimed (1:1). None: there is no face.

    Args:
        store: of the site.
        load_extractor: gives the models; not called before the claim is admitted.
        receipt: as shown; a badge needs none.
        image: the frame.
        carried: what the person shows besides; see `volens.index.claims`.
        purpose: the only zone in which this is asked; None where any will do. What is for another one is told so before
            anything is looked up: whether a consent is in force there is not this door's to know.
        factor: what was shown besides face and receipt; the caller wipes it.

    Raises:
        InputError: `factor` is not what the zone asks for.
        RefusedError: no consent in force, or none for this zone, or nobody is enrolled under it.
        TamperError: the receipt or the badge is not the one recorded.
    """
    with store.read() as connection:
        shown_for = _zone_shown(connection, receipt, carried)
        if None not in {purpose, shown_for} and purpose != shown_for:
            raise ForeignReceiptError("this is for another zone; show what was given out for this one")
        grant = admit_claim(store, connection, receipt, carried)
        permit = permit_probe(zone_of(connection, grant.purpose))
    extractor = load_extractor()
    faces = extractor.detect(image)[:1]
    if not faces:
        return None
    (probe,) = extractor.probes(image, faces, permit)
    try:
        decision = verify_claim(store, grant, probe, extractor.model.thresholds.claim.value, carried, factor)
    finally:
        probe.vector.wipe()
    matched = [grant.receipt_id] if decision.match else []
    note_interactions(store, matched)
    note_passages(store, matched, Passed.VERIFIED, extractor.model.model_id)
    return FaceDecision(faces[0].box, decision)


def _zone_shown(
    connection: Connection, receipt: UnverifiedReceipt | None, carried: PersonSecret | Badge | None
) -> Purpose | None:
    """Return the zone that is claimed, checked by nobody yet; None where what is shown names none."""
    if receipt is not None:
        return receipt.claims.purpose
    known = stored_receipt(connection, carried.receipt_id) if isinstance(carried, Badge) else None
    return None if known is None else known.purpose
