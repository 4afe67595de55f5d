"""What was asked at one door: the trigger of its zone, requests, and the claim of a badge or code shown first."""

from collections.abc import Sequence
from typing import final

from volens.consent import Badge, Custody, InputError, PersonSecret, RefusedError, ShownFactor, UnverifiedReceipt, Zone
from volens.consent.errors import ForeignReceiptError
from volens.consent.zone import Trigger
from volens.face import DetectedFace, RgbImage, eye_distance_px
from volens.identify.door_recognizer import DoorRecognizer
from volens.identify.face_tracker import Track
from volens.identify.passage import VisitState
from volens.identify.shown_codes import CodeReader, ShownCodes
from volens.identify.trigger import AskRules, DoorTrigger, SeenFace
from volens.index import Decision


@final
class DoorAsking:
    """Chooses the faces of a stream that may be embedded, and compares one with a claim (1:1). For one thread.

    A face that asks anew begins a visit (`volens.identify.passage`):

    1. A claim always does; of its looks, one that matches decides.
    2. A request begins another visit of a face that is decided, as a badge does; this ends its pause.
    3. A face that comes near again begins another visit if it was recognised; if it was not, its pause goes on.

    Where people hold the key, only a code that they show asks (`volens.identify.shown_codes`), and it is a claim.
    """

    def __init__(self, recognizer: DoorRecognizer, rules: AskRules, read_codes: CodeReader | None = None) -> None:
        self._recognizer = recognizer
        self._trigger = DoorTrigger(rules)
        self._claim: UnverifiedReceipt | None = None
        self._badge: ShownFactor | None = None
        self._carried: PersonSecret | Badge | None = None
        self._codes = None if read_codes is None else ShownCodes(read_codes)
        self._refusal: str | None = None
        self._visiting: Track | None = None  # the face whose visit the present request is for

    def set_rules(self, rules: AskRules) -> None:
        """Use other rules from the next frame on."""
        self._trigger.rules = rules

    def request(self, at_s: float) -> None:
        """Take a request without a claim: a button, or a PIN."""
        self._drop_claim()
        self._trigger.request(at_s)

    def claim_by_badge(self, zone: Zone, badge: ShownFactor, at_s: float) -> None:
        """Take a badge that was shown first: a face is compared with its owner's reference only (1:1).

        Without an owner whose consent is in force there is no request, and nothing is kept of the badge.

        Raises:
            TamperError: the rows of its owner were changed.
        """
        self._drop_claim()
        claim = self._recognizer.claim_of_badge_number(zone, badge)
        if claim is None:
            self._trigger.cancel()
            return
        self._claim, self._badge = claim, badge.copy()
        self._trigger.request(at_s)

    def look_for_code(self, zone: Zone, image: RgbImage, at_s: float, *, photo: bool) -> None:
        """Read the codes in a frame, where people hold the key and none has asked; a complete one is a claim (1:1).

        A code without a consent in force in the zone is no request, and nothing is kept of it. One of another zone or
        another site is none either, and there is a refusal to take.

        Raises:
            TamperError: the rows of its person were changed.
        """
        if self._codes is None or zone.custody is Custody.OPERATOR or self._trigger.is_requested(at_s):
            return
        self._drop_claim()
        carried = None
        try:
            carried = self._codes.look(zone.custody, image, at_s, photo=photo)
            self._claim = None if carried is None else self._recognizer.claim_of_code(zone, carried)
        except (InputError, ForeignReceiptError) as error:
            self._refusal = str(error)
        finally:
            if carried is not None and self._claim is None:
                carried.wipe()
        if self._claim is not None:
            self._carried = carried
            self._trigger.request(at_s)

    def refuse_button(self, zone: Zone) -> None:
        """Refuse a request without a code, where there is no one to compare a face with."""
        self._refusal = f"a button asks for no one in zone {zone.purpose!r}; show the QR code of the secret or badge"

    def take_refusal(self) -> str | None:
        """Return why what was shown last cannot be used at this door, once; None if there is nothing to say."""
        refusal, self._refusal = self._refusal, None
        return refusal

    def is_idle(self, trigger: Trigger, at_s: float) -> bool:
        """Return whether not even detection is needed, because only a request counts and there is none."""
        return trigger is Trigger.REQUEST and not self._trigger.is_requested(at_s)

    def is_requested(self, at_s: float) -> bool:
        """Return whether a request waits for a decision."""
        return self._trigger.is_requested(at_s)

    def forget_faces(self) -> None:
        """Forget the faces of earlier frames; a request stays."""
        self._visiting = None
        self._trigger.forget_faces()

    def askers(
        self,
        trigger: Trigger,
        image: RgbImage,
        faces: Sequence[DetectedFace],
        tracks: Sequence[Track],
        at_s: float,
        *,
        photo: bool,
    ) -> list[Track]:
        """Return the tracks of the faces of a frame that may be embedded now; the visits of those that ask anew begin.

        A request whose time is over ends.
        """
        if trigger is Trigger.PASSING or not self._trigger.is_requested(at_s):
            self._drop_claim()
        seen = [_seen(image, face, track) for face, track in zip(faces, tracks, strict=True)]
        found = self._trigger.askers(trigger, seen, at_s, photo=photo)
        asking = [track for track in tracks if track in found]
        for track in asking if trigger is not Trigger.PASSING else []:
            self._begin_visit(track)
        return asking

    def is_requested_for(self, track: Track) -> bool:
        """Return whether the request that waits for a decision is for this face."""
        return track is self._trigger.requested_for

    def is_claimed(self, track: Track) -> bool:
        """Return whether a face is to be compared with the claim, and with no one else."""
        return self._claim is not None and self.is_requested_for(track)

    def verify(self, zone: Zone, image: RgbImage, face: DetectedFace, caller: str | None) -> Decision | None:
        """Compare a face with the claim. None: the consent has ended meanwhile, and so has the request.

        Raises:
            TamperError: the seal or the receipt does not verify.
        """
        if self._claim is None:
            return None
        try:
            return self._recognizer.verify_face(
                self._claim, image, face, zone.purpose, self._badge, carried=self._carried, caller=caller
            )
        except RefusedError:
            self.end_request()
            return None

    def decided(self, track: Track) -> None:
        """End what a face has asked, because its visit is decided; nothing of its claim is kept."""
        self._trigger.decided(track)
        if track is self._visiting:
            self.end_request()

    def end_request(self) -> None:
        """End a request without a decision, and wipe what was shown."""
        self._trigger.cancel()
        self._drop_claim()

    def _begin_visit(self, track: Track) -> None:
        is_new = self.is_requested_for(track) and track is not self._visiting
        if is_new:
            self._leave_visit()
            self._visiting = track
        if is_new and self._claim is not None:
            # 1.
            track.begin_visit(agreeing=1)
        elif track.visit.state is VisitState.RECOGNISED or (is_new and track.visit.state is VisitState.NOT_RECOGNISED):
            # 2. and 3.
            track.begin_visit()

    def _leave_visit(self) -> None:
        if self._claim is not None and self._visiting is not None:
            self._visiting.visit.end_claim()
        self._visiting = None

    def _drop_claim(self) -> None:
        self._leave_visit()
        for one in (self._badge, self._carried):
            if one is not None:
                one.wipe()
        self._claim = self._badge = self._carried = None


def _seen(image: RgbImage, face: DetectedFace, track: Track) -> SeenFace:
    left, top, width, height = face.box
    x, y = (left + width / 2) / image.width, (top + height / 2) / image.height
    return SeenFace(track, eye_distance_px(face.landmarks) / image.height, x, y)
