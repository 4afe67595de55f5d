"""The part of `Site` that decides about faces at doors: 1:N, a kiosk, a camera stream, and claims (1:1)."""

from collections.abc import Sequence

from volens.consent import ModelId, ShownFactor, TakeHome, Zone, parse_purpose
from volens.face.image import Photo
from volens.identify import (
    USUAL_RULES,
    AskRules,
    DoorStream,
    FaceDecision,
    FaceVisit,
    HeadTurnAnswer,
    Identification,
    Obstacle,
    Recognizer,
)
from volens.identify.lease_delivery import LeasedDecision, record_leased_decisions
from volens.identify.lease_giving import GivenLease, give_lease
from volens.identify.liveness_gate import check_leasable
from volens.identify.shown_codes import CodeReader
from volens.index import PersonalToken, StageTimer, no_timing


class DoorDecisions:
    """Methods of `Site`."""

    _recognizer: Recognizer

    def identify(
        self,
        zone: str,
        frame: Photo,
        factor: ShownFactor | None = None,
        *,
        caller: str | None = None,
        timer: StageTimer = no_timing,
    ) -> Identification:
        """Decide for every face of a frame whether it is a person with a consent in force for this zone (1:N).

        If the zone requires a second factor, a person matches only with their own; the caller wipes it. `caller` is the
        id of the door, recorded with the visits that begin.

        Raises:
            InputError: there is no such zone, or it requires another factor.
            RefusedError: in this zone the person holds the key, so there is no gallery to search.
            TamperError: a candidate's seal or receipt does not hold.

        Not checked: whether the faces are live. Probes are wiped; a face that does not match leaves no trace.
        """
        return self._recognizer.identify(parse_purpose(zone), frame, factor, caller=caller, timer=timer)

    def look_in_front(
        self,
        zone: str,
        frame: Photo,
        visit: FaceVisit,
        at_s: float,
        factor: ShownFactor | None = None,
        *,
        answer: HeadTurnAnswer | None = None,
        caller: str,
        timer: StageTimer = no_timing,
    ) -> FaceDecision | Obstacle:
        """Look once at the one person in front of a kiosk; see `volens.identify.Recognizer.look_in_front`."""
        return self._recognizer.look_in_front(
            parse_purpose(zone), frame, visit, at_s, factor, answer=answer, caller=caller, timer=timer
        )

    def watch(
        self,
        zone: str,
        *,
        caller: str | None = None,
        photos: bool = False,
        rules: AskRules = USUAL_RULES,
        read_codes: CodeReader | None = None,
    ) -> DoorStream:
        """Decide once for each visit about the faces in a camera stream that ask, as `rules` say; see `DoorStream`.

        `read_codes` returns the texts of QR codes in a frame; a zone in which people hold the key needs it.
        """
        purpose = parse_purpose(zone)
        return DoorStream(self._recognizer, purpose, caller, photos=photos, rules=rules, read_codes=read_codes)

    def give_lease(self, door_id: str, model_id: ModelId, liveness_model: str | None = None) -> GivenLease:
        """Give a door a lease of its zone, with which it decides while it cannot reach the service; see `give_lease`.

        Args:
            door_id: of its credential.
            model_id: with which the door computes embeddings.
            liveness_model: with which it examines faces (`Liveness.detector_id`); None without one.

        Raises:
            RefusedError: the door gets none, its zone has none, or the door does not check liveness as the zone asks.
            ModelMissingError: the zone checks liveness with a model, and this process has none.
            ZonePausedError: the zone is paused.
            TamperError: the seal of a reference does not hold.
        """
        recognizer = self._recognizer

        def liveness_in(zone: Zone) -> str:
            return check_leasable(zone, lambda: recognizer.extractor, liveness_model)

        return give_lease(recognizer.store, door_id, model_id, recognizer.threshold_in, liveness_in)

    def record_leased_decisions(self, door_id: str, zone: str, decisions: Sequence[LeasedDecision]) -> int:
        """Record what a door decided with a lease; see `volens.identify.lease_delivery.record_leased_decisions`."""
        recognizer, purpose = self._recognizer, parse_purpose(zone)
        model_id = recognizer.extractor.model.model_id
        return record_leased_decisions(recognizer.store, door_id, purpose, model_id, decisions)

    def check_claim(self, receipt: bytes | None, carried: PersonalToken = None) -> Zone:
        """Admit a claim (1:1) before a camera is opened; see `volens.identify.Recognizer.check_claim`."""
        return self._recognizer.check_claim(None if receipt is None else TakeHome.parse(receipt).receipt, carried)

    def verify_claim(
        self,
        receipt: bytes | None,
        frame: Photo,
        *,
        carried: PersonalToken = None,
        zone: str | None = None,
        factor: ShownFactor | None = None,
        answer: HeadTurnAnswer | None = None,
        caller: str | None = None,
    ) -> FaceDecision | None:
        """Verify that the largest face of a frame is the person who signed `receipt` (1:1). None: there is no face.

        `carried` is the secret or the badge that the person presents; a badge needs no receipt, nor does a secret with
        `zone`. With `zone`, a claim for another zone is refused. `factor` and `caller` as in `identify`; a receipt is
        no second factor. `answer`: to the challenge of a zone that asks to turn the head; `frame` is its last look.

        Raises:
            RefusedError: no consent is in force, no reference is enrolled under it, or there is no `answer`.
            ReceiptError, TamperError: the receipt is malformed, or not the one recorded.
        """
        shown = None if receipt is None else TakeHome.parse(receipt).receipt
        purpose = None if zone is None else parse_purpose(zone)
        return self._recognizer.verify(shown, frame, carried, purpose, factor, answer=answer, caller=caller)
