"""A door's camera stream: faces are tracked, looked at several times, and each visit is decided once.

For each frame:

1. Where people hold the key, the frame is read for the QR code of a secret or a badge, unless one has asked
   (`volens.identify.shown_codes`). No face is detected before it is complete.
2. Faces are detected around those of the frame before, at a size at which the detector sees them well; in the whole
   frame every `WHOLE_FRAME_S`, and at once if one of them is missing. Of a large frame, such as one of 1080p, the
   first search is finer than the second, so that it finds faces that are far away.
3. Each face continues the track it overlaps, or begins one (`volens.identify.face_tracker`).
4. For the tracks that match a person, the store is queried whether the consent is in force now. After a withdrawal the
   person no longer matches from the next frame on.
5. No face is embedded before it has asked, and its visit begins when it does (`volens.identify.door_asking`).
6. Of those that have, faces that are due are embedded and compared together, with one scan, without a second factor:
   one look. The looks of a visit decide it (`volens.identify.passage`). After a badge or a code the face is compared
   with its owner's reference only (1:1); a badge number is the second factor, too.
7. If the zone requires a second factor and one was presented, it is tried once the visit of the face is recognised.
8. What a face has asked ends when its visit is decided.

Between frames the stream keeps where faces are, which references their last looks found, what was decided, and a
presented factor until it is used. No pixels, no embeddings. Faces that have not asked are not in the answers.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, final

import numpy as np

from volens.consent import Custody, Purpose, SecondFactor, ShownFactor, check_kind
from volens.consent.zone import Trigger
from volens.face import LONGEST_SIDE_PX, MIN_SIDE_PX, DetectedFace, RgbImage, eye_distance_px
from volens.identify.door_asking import DoorAsking
from volens.identify.door_recognizer import DoorRecognizer
from volens.identify.face_tracker import FaceTracker, Track
from volens.identify.identification import FaceDecision, Identification
from volens.identify.passage import AGAIN_S, FaceVisit, VisitState
from volens.identify.shown_codes import CodeReader
from volens.identify.trigger import USUAL_RULES, AskRules
from volens.index import Decision

WHOLE_FRAME_S: Final = 0.5
"""How long a person who joins others in the picture may stay undetected."""

FACTOR_GOOD_S: Final = 10.0
"""How long a presented badge or PIN waits for a face, and how long its owner then passes without another one."""

FINE_SIDE_PX: Final = 1280
"""Longest side at which a large frame is searched every `WHOLE_FRAME_S`; docs/accuracy.md has recall and cost."""

MIN_EYE_DISTANCE_PX: Final = 12.0
"""Below it SFace sees too little (see `QualityRules.min_eye_distance_px`), and the face is not embedded."""

_FACE_PX: Final = 96
_LEAST_FACE_PX: Final = 36
"""Width at which the detector still finds 97 of 100 faces."""
_LARGE_FROM_PX: Final = 1600
_QUICK_SIDE_PX: Final = 320
"""Longest side at which a large frame without faces is searched in between, for faces that are near."""
_LARGEST_REGION: Final = 0.6


@final
class DoorStream:
    """Decides about the frames of one camera, in their order. For one thread; the store may be used by others."""

    def __init__(
        self,
        recognizer: DoorRecognizer,
        purpose: Purpose,
        caller: str | None = None,
        *,
        photos: bool = False,
        rules: AskRules = USUAL_RULES,
        read_codes: CodeReader | None = None,
    ) -> None:
        """Watch a door of a zone; `caller` as in `Recognizer.identify`.

        With `photos` the frames do not follow each other, such as those of a folder: each is decided by one look, as a
        photo over HTTP, and may have its own size; a face that is near asks at once. `rules` say what counts as asking.
        `read_codes` reads QR codes; without it a zone in which people hold the key is refused.

        Raises:
            InputError: there is no such zone.
            RefusedError, ModelMissingError: see `Recognizer.searchable_zone`.
        """
        self._recognizer = recognizer
        self._caller = caller
        self._with_codes = read_codes is not None
        self._zone = recognizer.searchable_zone(purpose, with_codes=self._with_codes)
        self._photos = photos
        self._asking = DoorAsking(recognizer, rules, read_codes)
        self._size = (0, 0)
        self._tracker = FaceTracker()
        self._whole_frame_at = -np.inf
        self._factor: ShownFactor | None = None
        self._presented_at = -np.inf

    @property
    def second_factor(self) -> SecondFactor:
        """What the zone requires besides the face."""
        return self._zone.second_factor

    @property
    def trigger(self) -> Trigger:
        """What lets this door embed a face, as the zone states it now."""
        return self._zone.trigger

    def set_rules(self, rules: AskRules) -> None:
        """Change what counts as asking at this door, from the next frame on."""
        self._asking.set_rules(rules)

    def request(self, at_s: float) -> None:
        """Ask to be recognised, with a button: the largest face that is near is decided about. See `AskRules`."""
        if self._zone.custody is Custody.OPERATOR:
            self._asking.request(at_s)
        else:
            self._asking.refuse_button(self._zone)

    def take_refusal(self) -> str | None:
        """Return why what was shown last cannot be used at this door, in a sentence, once; None if there is nothing."""
        return self._asking.take_refusal()

    def present(self, factor: ShownFactor, at_s: float) -> None:
        """Present a second factor; the next frame decides about a face that is recognised already.

        It is good for `FACTOR_GOOD_S` and for one visit, and replaces a factor presented before. A PIN is tried once,
        on the first frame with a recognised face. The stream wipes its own copy; the caller wipes the argument. `at_s`
        is on the clock of the frames.

        It is a request, too. Unless the zone identifies everyone who passes, a badge is then a claim: the face is
        compared with its owner's reference only (1:1). A badge without a consent in force has no effect at all.

        Raises:
            InputError: the zone requires another kind, or none.
        """
        check_kind(self._zone.second_factor, factor)
        self._wipe_factor()
        if self._zone.trigger is not Trigger.PASSING and factor.kind is SecondFactor.BADGE:
            self._asking.claim_by_badge(self._zone, factor, at_s)
            return
        self._factor, self._presented_at = factor.copy(), at_s
        if self._zone.trigger is not Trigger.PASSING:
            self._asking.request(at_s)
            return
        for track in self._tracker.tracks:
            track.visit.look_now()

    def close(self) -> None:
        """Wipe a presented factor that was not used. A closed stream can still decide about frames."""
        self._wipe_factor()
        self._asking.end_request()

    def look(self, image: RgbImage, at_s: float) -> Identification:
        """Look at the next frame, and return for every face that has asked what is decided about its visit.

        A face too small to embed is not looked at: its visit has not begun. If the camera changes its size, tracking
        begins anew and the rules stay, because they are shares of the frame. `at_s` is when this frame was taken, in
        seconds of any monotonic clock.

        Raises:
            ZonePausedError, RefusedError: the zone was paused or removed, or asks for a head turn now.
            ModelMissingError: the zone checks liveness with a model now, and this process has none.
            TamperError: a candidate's seal or receipt does not verify.

        Not checked: whether the faces are live, unless the zone has a model for that. Cost: two snapshots of the data
        file, and one more if a face is due.
        """
        if at_s - self._presented_at > FACTOR_GOOD_S:
            self._wipe_factor()
        zone = self._zone = self._recognizer.searchable_zone(self._zone.purpose, with_codes=self._with_codes)
        zone.check_in_use()
        self._follow_size(image)
        # 1.
        self._asking.look_for_code(zone, image, at_s, photo=self._photos)
        # 2.
        faces = [] if self._asking.is_idle(zone.trigger, at_s) else self._faces(image, at_s)
        # 3.
        tracks = self._tracker.follow(faces, at_s)
        # 4.
        self._drop_ended_consents(tracks)
        # 5.
        asked = self._asking.askers(zone.trigger, image, faces, tracks, at_s, photo=self._photos)
        before = [_decided(track) for track in tracks]
        # 6.
        due = [
            (face, track)
            for face, track in zip(faces, tracks, strict=True)
            if track in asked and _is_due(face, track, at_s)
        ]
        claimed = [pair for pair in due if self._asking.is_claimed(pair[1])]
        searched = [pair for pair in due if pair not in claimed]
        threshold = self._threshold(claimed, searched)
        self._verify_claim(image, claimed, at_s)
        self._look_at(image, searched, at_s)
        # 7.
        self._try_factor(image, searched, at_s)
        # 8.
        is_new = self._settle(tracks, before, at_s)
        decided = tuple(
            _face_decision(image, face, track, threshold, is_new=new)
            for face, track, new in zip(faces, tracks, is_new, strict=True)
            if track in asked or new or _is_repeated(track, at_s)
        )
        model_id = self._recognizer.extractor.model.model_id
        return Identification(zone.purpose, model_id, threshold, decided, zone.second_factor)

    def _follow_size(self, image: RgbImage) -> None:
        size = (image.width, image.height)
        if self._photos or size != self._size:
            one_look = partial(FaceVisit, agreeing=1, within_s=0.0)
            self._tracker, self._whole_frame_at = FaceTracker(one_look if self._photos else FaceVisit), -np.inf
            self._asking.forget_faces()
        self._size = size

    def _threshold(self, claimed: Sequence[object], searched: Sequence[object]) -> float:
        """Return the threshold of a frame: of a search, or of claims at a door where a badge is shown first."""
        is_by_badge = self._zone.trigger is Trigger.REQUEST and self._zone.second_factor is SecondFactor.BADGE
        is_claim_door = is_by_badge or self._zone.custody is not Custody.OPERATOR
        if not searched and (claimed or is_claim_door):
            return self._recognizer.extractor.model.thresholds.claim_value  # it needs no gallery
        return self._recognizer.threshold_in(self._zone)

    def _verify_claim(self, image: RgbImage, due: Sequence[tuple[DetectedFace, Track]], at_s: float) -> None:
        for face, track in due:
            decision = self._asking.verify(self._zone, image, face, self._caller)
            if decision is None:
                track.decision = None
            else:
                _take(track, decision, at_s)

    def _settle(self, tracks: Sequence[Track], before: "Sequence[_Decided]", at_s: float) -> list[bool]:
        """Apply the time limit of visits, end what was asked by faces that are decided, and return which are new."""
        is_passing = self._zone.trigger is Trigger.PASSING
        is_new: list[bool] = []
        for track, was in zip(tracks, before, strict=True):
            track.visit.settle(at_s)
            is_new.append(_decided(track) != was)
            # A face that was turned, cut off or not live in every frame of its visit asks on.
            if track.visit.decisions > was.visits and track.visit.looks and not is_passing:
                self._asking.decided(track)
        if not is_passing and not self._asking.is_requested(at_s):
            self._wipe_factor()
        return is_new

    def _faces(self, image: RgbImage, at_s: float) -> list[DetectedFace]:
        region, found = self._tracker.region(image.width, image.height), list[DetectedFace]()
        is_whole_due = at_s - self._whole_frame_at >= WHOLE_FRAME_S
        if region is not None and not is_whole_due:
            left, top, right, bottom = region
            share = (right - left) * (bottom - top) / (image.width * image.height)
            if share <= _LARGEST_REGION and min(right - left, bottom - top) >= MIN_SIDE_PX:
                found = self._faces_in(image, region)
                if len(found) >= len(self._tracker.tracks):
                    return found
        finest = _finest_side_px(image)
        if is_whole_due or finest == LONGEST_SIDE_PX:
            self._whole_frame_at = at_s
            return self._recognizer.extractor.detect(image, longest_side=finest)
        side = LONGEST_SIDE_PX if self._tracker.tracks else _QUICK_SIDE_PX
        return max(self._recognizer.extractor.detect(image, longest_side=side), found, key=len)

    def _faces_in(self, image: RgbImage, region: tuple[int, int, int, int]) -> list[DetectedFace]:
        left, top, right, bottom = region
        part = RgbImage(image.pixels[top:bottom, left:right])
        longest = max(right - left, bottom - top) / max(1.0, self._tracker.smallest_px())
        least = min(_finest_side_px(image), longest * _LEAST_FACE_PX)
        longest_side = round(max(least, min(LONGEST_SIDE_PX, max(_FACE_PX, longest * _FACE_PX))))
        found = self._recognizer.extractor.detect(part, longest_side=longest_side)
        shift = np.array([left, top], dtype=np.float32)
        return [
            replace(face, box=(face.box[0] + left, face.box[1] + top, *face.box[2:]), landmarks=face.landmarks + shift)
            for face in found
        ]

    def _drop_ended_consents(self, tracks: Sequence[Track]) -> None:
        known = [
            (track, reference_id)
            for track in tracks
            if track.decision and (reference_id := track.decision.reference_id) is not None
        ]
        if not known:
            return
        if self._zone.custody is not Custody.OPERATOR:
            for track, _ in known:  # what a code asked has ended with its decision, which is not repeated
                track.decision, track.visit = None, FaceVisit()
            return
        still_known = self._recognizer.still_known(self._zone, [reference_id for _, reference_id in known])
        for track, reference_id in known:
            if reference_id not in still_known:
                track.decision, track.visit, track.passes_until = None, FaceVisit(), -np.inf

    def _look_at(self, image: RgbImage, due: Sequence[tuple[DetectedFace, Track]], at_s: float) -> None:
        # A face that was recognised before is looked at with the factor, below.
        looked = [pair for pair in due if not self._may_try_factor(pair[1], at_s)]
        if not looked:
            return
        decisions = self._recognizer.identify_faces(self._zone, image, [face for face, _ in looked])
        for (_, track), decision in zip(looked, decisions, strict=True):
            _take(track, decision, at_s)
        agreed = [one for (_, track), one in zip(looked, decisions, strict=True) if track.decision is one]
        self._recognizer.record(agreed, self._caller)

    def _try_factor(self, image: RgbImage, due: Sequence[tuple[DetectedFace, Track]], at_s: float) -> None:
        known = [pair for pair in due if self._may_try_factor(pair[1], at_s)]
        if self._factor is None or not known:
            return
        decisions = self._recognizer.identify_faces(self._zone, image, [face for face, _ in known], self._factor)
        for (_, track), decision in zip(known, decisions, strict=True):
            if track.visit.looked_at != at_s:
                _take(track, decision, at_s)
            elif decision.reference_id is not None and decision.reference_id == track.visit.reference_id:
                track.decision = decision  # the look that decided the visit, once more, with the factor
            is_passing = self._zone.trigger is Trigger.PASSING
            if is_passing and track.decision is decision and decision.match is not None:
                track.passes_until = self._presented_at + FACTOR_GOOD_S
        passing = [
            decision for (_, track), decision in zip(known, decisions, strict=True) if track.decision is decision
        ]
        self._recognizer.record(passing, self._caller)
        is_used = any(decision.match for decision in passing)
        is_tried = self._zone.second_factor is SecondFactor.PIN and any(one.factor_refused for one in decisions)
        if is_used or is_tried:
            self._wipe_factor()

    def _may_try_factor(self, track: Track, at_s: float) -> bool:
        is_presented_for = self._zone.trigger is Trigger.PASSING or self._asking.is_requested_for(track)
        is_recognised = track.visit.state is VisitState.RECOGNISED
        return self._factor is not None and is_presented_for and is_recognised and at_s >= track.passes_until

    def _wipe_factor(self) -> None:
        if self._factor is not None:
            self._factor.wipe()
        self._factor, self._presented_at = None, -np.inf


def _finest_side_px(image: RgbImage) -> int:
    return FINE_SIDE_PX if max(image.width, image.height) >= _LARGE_FROM_PX else LONGEST_SIDE_PX


def _is_due(face: DetectedFace, track: Track, at_s: float) -> bool:
    is_near = eye_distance_px(face.landmarks) >= MIN_EYE_DISTANCE_PX
    return is_near and at_s >= track.passes_until and track.visit.is_due(at_s)


def _is_repeated(track: Track, at_s: float) -> bool:
    """Return whether a decision is repeated, although what the face asked has ended with it."""
    visit = track.visit
    is_decided = visit.state is not VisitState.LOOKING and visit.decided_at is not None
    return is_decided and at_s - (visit.decided_at or 0.0) < AGAIN_S


def _take(track: Track, decision: Decision, at_s: float) -> None:
    """Add a look to the visit of a face, and keep its decision if the visit is recognised as the same reference."""
    track.not_compared = decision.not_compared
    if track.visit.take(decision.reference_id, at_s, is_compared=decision.not_compared is None):
        track.decision = decision
    elif track.visit.state is not VisitState.RECOGNISED:
        track.decision = None


class _Decided(NamedTuple):
    """What changes with a decision about a face: how many visits were decided, and what came of a second factor."""

    visits: int
    is_match: bool
    is_refused: bool


def _decided(track: Track) -> _Decided:
    decision = track.decision
    return _Decided(
        track.visit.decisions, bool(decision and decision.match), bool(decision and decision.factor_refused)
    )


def _face_decision(
    image: RgbImage, face: DetectedFace, track: Track, threshold: float, *, is_new: bool
) -> FaceDecision:
    decision = track.decision or Decision(None, threshold, 0, not_compared=track.not_compared)
    is_decided = track.visit.state is not VisitState.LOOKING
    return FaceDecision(image.in_file(face.box), decision, track.visit.looks, is_decided, is_new)
