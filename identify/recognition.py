"""From a frame to decisions: detect faces, compute probes under a permit, match them, record the visits."""

from collections.abc import Callable, Collection, Sequence
from typing import final

from sqlalchemy import Connection

from volens.consent import (
    Badge,
    ConsentGrant,
    PersonSecret,
    Purpose,
    ReferenceId,
    ShownFactor,
    UnverifiedReceipt,
    Zone,
    check_kind,
)
from volens.consent.errors import ForeignReceiptError
from volens.consent.gate import permit_probe
from volens.face import DetectedFace, Extractor, RgbImage
from volens.face.image import Photo, decoded
from volens.face.liveness import Look
from volens.face.quality import is_cut_off
from volens.identify.identification import FaceDecision, Identification
from volens.identify.liveness_gate import HeadTurnAnswer, check_liveness, examine_looks, is_live, looks_of
from volens.identify.passage import FaceVisit, VisitState
from volens.identify.person_in_front import Obstacle, person_in_front
from volens.identify.visit_recorder import VisitRecorder
from volens.index import (
    Decision,
    Gallery,
    Installation,
    NotCompared,
    StageTimer,
    admit_claim,
    claim_of_badge_number,
    claim_of_code,
    identify_many,
    no_timing,
    verify_claim,
)
from volens.store.people import stored_receipt
from volens.store.people.references import live_ids
from volens.store.people.visits import VisitKind


@final
class Recognizer:
    """Identifies faces (1:N) and verifies claims (1:1) at the doors of one site. Thread-safe.

    A decision looks at the store twice: for the zone, before any face is detected, and for everything that the matching
    core decides on. The beginning of a visit takes a third look (`VisitRecorder`).
    """

    def __init__(self, installation: Installation, load_extractor: Callable[[], Extractor]) -> None:
        """Serve an open site; `load_extractor` is called when a face is to be detected."""
        self.store = installation.store
        self.galleries = installation.galleries
        self.visits = VisitRecorder(installation.store)
        self._load_extractor = load_extractor

    @property
    def extractor(self) -> Extractor:
        """The models."""
        return self._load_extractor()

    def searchable_zone(
        self, purpose: Purpose, answer: HeadTurnAnswer | None = None, *, with_codes: bool = False
    ) -> Zone:
        """Return a zone in which people are identified; `answer` to its challenge, if the person was asked.

        With `with_codes`, also one in which people show what they carry first, and are then compared 1:1.

        Raises:
            InputError: there is no such zone.
            RefusedError: in this zone the person holds the key, so there is no gallery to search. Or it asks for the
                head-turn challenge, and there is no answer.
            ModelMissingError: the zone asks for a liveness model, and this process has none.
        """
        zone = self.galleries.zone(purpose)
        if not with_codes:
            zone.check_searchable()
        check_liveness(zone, lambda: self.extractor, answer)
        return zone

    def identify(
        self,
        purpose: Purpose,
        frame: Photo,
        factor: ShownFactor | None = None,
        *,
        caller: str | None = None,
        timer: StageTimer = no_timing,
    ) -> Identification:
        """Decide about every face of a frame (1:N); see `volens.index.identify`. Probes are wiped.

        An encoded frame is decoded after the zone and the factor were checked. Faces are in the file's pixels.

        The caller wipes the second factor. The id of the `caller` is recorded with the visits; it is None for a program
        on this machine. The stages are ``decode``, ``detect`` and those of `identify_faces`.

        Raises:
            InputError: there is no such zone, or `factor` is not the kind that the zone requires.
            RefusedError, ModelMissingError: see `searchable_zone`.
            TamperError: a candidate's seal or receipt does not verify.
            ImageError: an encoded frame is not a readable image, or larger than its budget.
        """
        zone = self.searchable_zone(purpose)
        check_kind(zone.second_factor, factor)  # before any face is processed; the core does not rely on it
        with timer("decode"):
            image = decoded(frame)
        with timer("detect"):
            faces = self.extractor.search(image)
        decisions = self.identify_faces(zone, image, faces, factor, timer=timer)
        with timer("note"):
            self.record(decisions, caller)
        threshold = decisions[0].threshold if decisions else self.threshold_in(zone)
        decided = tuple(
            FaceDecision(image.in_file(face.box), decision) for face, decision in zip(faces, decisions, strict=True)
        )
        return Identification(purpose, self.extractor.model.model_id, threshold, decided, zone.second_factor)

    def look_in_front(
        self,
        purpose: Purpose,
        frame: Photo,
        visit: FaceVisit,
        at_s: float,
        factor: ShownFactor | None = None,
        *,
        answer: HeadTurnAnswer | None = None,
        caller: str | None = None,
        timer: StageTimer = no_timing,
    ) -> FaceDecision | Obstacle:
        """Look once at the person in front of a kiosk (1:N), and at no one else in the frame.

        The look is added to `visit`, which decides (`volens.identify.passage`); `at_s` is the time of the frame. No
        embedding is computed if there is no such person, or more than one (`person_in_front`), or if the next look is
        not due yet. A factor is tried once the person is recognised. The rest as `identify`.

        In a zone that asks for the head-turn challenge, the frame is the last look of its `answer`. `visit` then begins
        anew with the looks ahead of the passed challenge, and is decided by them alone.

        Raises:
            InputError, RefusedError, ModelMissingError, TamperError, ImageError: see `identify`.
        """
        zone = self.searchable_zone(purpose, answer)
        check_kind(zone.second_factor, factor)
        with timer("decode"):
            image = decoded(frame)
        with timer("detect"):
            face = person_in_front(self.extractor.detect(image), image.width, image.height)
        if isinstance(face, Obstacle):
            visit.settle(at_s)
            return face
        if answer is not None:
            return self._decide_turn(
                zone, answer, Look(image, face, answer.seconds), visit, at_s, factor, caller, timer
            )
        if factor is not None:
            visit.look_now()
        decision = Decision(None, self.threshold_in(zone), 0)
        if visit.is_due(at_s):
            was_recognised = visit.state is VisitState.RECOGNISED
            (look,) = self.identify_faces(zone, image, [face], factor if was_recognised else None, timer=timer)
            if visit.take(look.reference_id, at_s, is_compared=look.not_compared is None):
                decision = look
                if factor is not None and not was_recognised:
                    # The look that decided the visit, once more, with the factor.
                    (decision,) = self.identify_faces(zone, image, [face], factor, timer=timer)
        visit.settle(at_s)
        with timer("note"):
            self.record([decision], caller)
        is_decided = decision.reference_id is not None or (visit.state is VisitState.NOT_RECOGNISED and visit.looks > 0)
        return FaceDecision(image.in_file(face.box), decision, visit.looks, is_decided)

    def _decide_turn(
        self,
        zone: Zone,
        answer: HeadTurnAnswer,
        last: Look,
        visit: FaceVisit,
        at_s: float,
        factor: ShownFactor | None,
        caller: str | None,
        timer: StageTimer,
    ) -> FaceDecision | Obstacle:
        looks = looks_of(self.extractor, answer, last)
        if isinstance(looks, Obstacle):
            return looks
        with timer("embed"):
            passed = examine_looks(zone, self.extractor, answer, looks).passed
        reason = None if passed else NotCompared.NOT_LIVE
        decision = Decision(None, self.threshold_in(zone), 0, not_compared=reason)
        visit.begin()
        for one in reversed(looks[::2]) if passed else ():  # those ahead
            (look,) = self.identify_faces(zone, one.image, [one.face], timer=timer)
            if visit.take(look.reference_id, at_s, is_compared=look.not_compared is None):
                decision = look
                if factor is not None:
                    (decision,) = self.identify_faces(zone, one.image, [one.face], factor, timer=timer)
                break
        with timer("note"):
            self.record([decision], caller)
        return FaceDecision(last.image.in_file(last.face.box), decision, visit.looks)

    def identify_faces(
        self,
        zone: Zone,
        image: RgbImage,
        faces: Sequence[DetectedFace],
        factor: ShownFactor | None = None,
        *,
        timer: StageTimer = no_timing,
    ) -> list[Decision]:
        """Look once at some faces of a frame, together. Probes are wiped, and nothing is recorded (`record`).

        A face that is turned or cut off is never matched: no probe of it is computed. Nor is one that the liveness
        model of a zone refuses.

        The stages are ``embed`` and those of `volens.index.identify_many`.

        Raises:
            InputError, TamperError: see `identify`.

        Not checked: whether the zone asks for a challenge, or for a model that is missing (`searchable_zone`).
        """
        extractor, now = self.extractor, self.store.now
        with timer("embed"):
            refused = [self._not_compared(zone, image, face) for face in faces]
            whole = [face for face, reason in zip(faces, refused, strict=True) if reason is None]
            probes = extractor.probes(image, whole, permit_probe(zone))
        try:
            decided = iter(identify_many(self.store, self.galleries, probes, self._threshold_of, now(), factor, timer))
        finally:
            for probe in probes:
                probe.vector.wipe()
        threshold = self.threshold_in(zone) if len(whole) < len(faces) else 0.0
        return [
            next(decided) if reason is None else Decision(None, threshold, 0, not_compared=reason) for reason in refused
        ]

    def still_known(self, zone: Zone, reference_ids: Collection[ReferenceId]) -> frozenset[ReferenceId]:
        """Return those of the references whose consent is in force now, and neither stopped nor restricted."""
        model_id, store = self.extractor.model.model_id, self.store
        with store.read_prepared() as snapshot:
            live = live_ids(snapshot, zone.purpose, model_id, reference_ids, store.now())
        ended = (store.stopped, store.paused)
        return frozenset(one for one, receipt in live.items() if not any(receipt in ids for ids in ended))

    def record(self, decisions: Sequence[Decision], caller: str | None) -> None:
        """Record the visits of the people who match, once for each visit (`VisitRecorder`).

        Raises:
            TamperError: the data file was replaced by an older one.
        """
        matched = [one.match.receipt_id for one in decisions if one.match]
        self.visits.record(matched, VisitKind.IDENTIFIED, self.extractor.model.model_id, caller)

    def threshold_in(self, zone: Zone) -> float:
        """Return the lowest comparison score that identifies a person in a zone, with its gallery as it is now.

        Raises:
            RefusedError, TamperError: see `identify`.
        """
        model = self.extractor.model
        return self._threshold_of(self.galleries.at(zone.purpose, model.model_id, model.dimension))

    def check_claim(
        self, receipt: UnverifiedReceipt | None, carried: PersonSecret | Badge | None, purpose: Purpose | None = None
    ) -> Zone:
        """Admit a claim (1:1), before a camera is opened for it; return its zone.

        Raises:
            RefusedError: no consent in force, or none for this zone, or no reference is enrolled under it.
            TamperError: the receipt or the badge is not the one recorded.
        """
        with self.store.read() as connection:
            return admit_claim(self.store, connection, receipt, carried, purpose)[1]

    def verify(
        self,
        receipt: UnverifiedReceipt | None,
        frame: Photo,
        carried: PersonSecret | Badge | None,
        purpose: Purpose | None = None,
        factor: ShownFactor | None = None,
        *,
        answer: HeadTurnAnswer | None = None,
        caller: str | None = None,
    ) -> FaceDecision | None:
        """Decide whether the largest face of a frame is the person of a claim (1:1). None: there is no face.

        The claim (see `volens.index.claims`) is admitted before the models are loaded, an encoded frame is decoded and
        a face is detected. If the caller may verify claims for one zone only (`purpose`), a claim for another zone is
        refused before anything is looked up, so that the caller does not learn whether that consent is in force.
        `factor` and `caller` as in `identify`, `answer` as in `look_in_front`.

        Raises:
            InputError: `factor` is not the kind that the zone requires.
            RefusedError: no consent in force, or none for this zone, or no reference is enrolled under it. Or the zone
                asks for the head-turn challenge, and there is no answer.
            ModelMissingError: the zone asks for a liveness model, and this process has none.
            TamperError: the receipt or the badge is not the one recorded.
        """
        with self.store.read() as connection:
            claimed_zone = _claimed_zone(connection, receipt, carried)
            if None not in {purpose, claimed_zone} and purpose != claimed_zone:
                raise ForeignReceiptError("this is for another zone; present the receipt or badge for this zone")
            grant, zone = admit_claim(self.store, connection, receipt, carried, purpose)
        check_liveness(zone, lambda: self.extractor, answer)
        image = decoded(frame)
        faces = self.extractor.search(image)[:1]
        if not faces:
            return None
        decision = self._verify_face(grant, zone, image, faces[0], carried, factor, caller, answer)
        return FaceDecision(image.in_file(faces[0].box), decision)

    def claim_of_badge_number(self, zone: Zone, badge: ShownFactor) -> UnverifiedReceipt | None:
        """Return the receipt that a badge number stands for; see `volens.index.claim_of_badge_number`."""
        return claim_of_badge_number(self.store, zone, badge, self.extractor.model.model_id)

    def claim_of_code(self, zone: Zone, carried: PersonSecret | Badge) -> UnverifiedReceipt | None:
        """Return the receipt that a secret or a badge stands for; see `volens.index.claim_of_code`."""
        return claim_of_code(self.store, zone, carried, self.extractor.model.model_id)

    def verify_face(
        self,
        receipt: UnverifiedReceipt,
        image: RgbImage,
        face: DetectedFace,
        purpose: Purpose,
        factor: ShownFactor | None,
        *,
        carried: PersonSecret | Badge | None = None,
        caller: str | None = None,
    ) -> Decision:
        """Decide whether a face of a frame is the person of a claim (1:1).

        Raises:
            InputError, RefusedError, ModelMissingError, TamperError: see `verify`.
        """
        with self.store.read() as connection:
            grant, zone = admit_claim(self.store, connection, receipt, carried, purpose)
        check_liveness(zone, lambda: self.extractor)
        return self._verify_face(grant, zone, image, face, carried, factor, caller)

    def _verify_face(
        self,
        grant: ConsentGrant,
        zone: Zone,
        image: RgbImage,
        face: DetectedFace,
        carried: PersonSecret | Badge | None,
        factor: ShownFactor | None,
        caller: str | None,
        answer: HeadTurnAnswer | None = None,
    ) -> Decision:
        extractor, claim_value = self.extractor, self.extractor.model.thresholds.claim_value
        reason = self._not_compared(zone, image, face)
        if reason is None and answer is not None:
            looks = looks_of(extractor, answer, Look(image, face, answer.seconds))
            if isinstance(looks, Obstacle) or not examine_looks(zone, extractor, answer, looks).passed:
                reason = NotCompared.NOT_LIVE
        if reason is not None:
            return Decision(None, claim_value, 0, not_compared=reason)
        (probe,) = extractor.probes(image, [face], permit_probe(zone))
        try:
            decision = verify_claim(self.store, grant, probe, claim_value, carried, factor)
        finally:
            probe.vector.wipe()
        if decision.match:
            self.visits.record([grant.receipt_id], VisitKind.VERIFIED, extractor.model.model_id, caller)
        return decision

    def _not_compared(self, zone: Zone, image: RgbImage, face: DetectedFace) -> NotCompared | None:
        if is_cut_off(image, face):
            return NotCompared.CUT_OFF
        if self.extractor.is_turned(image, face):
            return NotCompared.TURNED
        return None if is_live(zone, self.extractor, image, face) else NotCompared.NOT_LIVE

    def _threshold_of(self, gallery: Gallery) -> float:
        stated = self.extractor.model.thresholds.identification(len(gallery), gallery.zone.fpir)
        return min(1.0, stated + gallery.threshold_shift)


def _claimed_zone(
    connection: Connection, receipt: UnverifiedReceipt | None, carried: PersonSecret | Badge | None
) -> Purpose | None:
    """Return the zone that a claim names, unverified; None if the claim names none."""
    if receipt is not None:
        return receipt.claims.purpose
    known = stored_receipt(connection, carried.receipt_id) if isinstance(carried, Badge) else None
    return None if known is None else known.purpose
