"""A door's camera stream: faces are tracked, and embedded when they are new, good enough or due, not in every frame.

For each frame:

1. Faces are detected around those of the frame before, at a size at which the detector sees them well; in the whole
   frame every `WHOLE_FRAME_S`, and at once if one of them is missing.
2. Each face continues the track it overlaps, or begins one (`volens.identify.face_tracker`).
3. For the tracks that match a person, the store is queried whether the consent is in force now. After a withdrawal the
   person no longer matches from the next frame on.
4. Faces that are new, not known yet, or due, are embedded and identified together, with one scan. If the zone requires
   a second factor, the factor that was presented last goes with them.

Between frames the stream keeps where faces are, what was decided, and a presented factor until it is used. No pixels,
no embeddings.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, final

import numpy as np

from volens.consent import Purpose, SecondFactor, ShownFactor, check_kind
from volens.face import LONGEST_SIDE_PX, MIN_SIDE_PX, DetectedFace, RgbImage, eye_distance_px
from volens.identify.face_tracker import FaceTracker, Track
from volens.identify.identification import FaceDecision, Identification
from volens.identify.recognition import Recognizer
from volens.index import Decision
from volens.store.people.references import live_ids

WHOLE_FRAME_S: Final = 0.5
"""How long a person who joins others in the picture may stay undetected."""

AGAIN_S: Final = 1.0
"""How often a person who was identified is identified again: one face may have taken another's place unseen."""

STRANGER_AGAIN_S: Final = 0.25
"""How often a face that matched no person is tried again, because the next frame may be better."""

FACTOR_GOOD_S: Final = 10.0
"""How long a presented badge or PIN waits for a face, and how long its owner then passes without another one."""

MIN_EYE_DISTANCE_PX: Final = 12.0
"""Below it SFace sees too little (see `QualityRules.min_eye_distance_px`), and the face is not embedded."""

_GROWN: Final = 1.3
_FACE_PX: Final = 96
_LARGEST_REGION: Final = 0.6


@final
class DoorStream:
    """Decides about the frames of one camera, in their order. For one thread; the store may be used by others."""

    def __init__(self, recognizer: Recognizer, purpose: Purpose, caller: str | None = None) -> None:
        """Watch a door of a zone; `caller` as in `Recognizer.identify`.

        Raises:
            InputError: there is no such zone.
            RefusedError: in this zone the person holds the key, so there is no gallery to search.
        """
        self._recognizer = recognizer
        self._caller = caller
        self._zone = recognizer.searchable_zone(purpose)
        self._tracker = FaceTracker()
        self._whole_frame_at = -np.inf
        self._factor: ShownFactor | None = None
        self._presented_at = -np.inf

    @property
    def second_factor(self) -> SecondFactor:
        """What the zone requires besides the face."""
        return self._zone.second_factor

    def present(self, factor: ShownFactor, at_s: float) -> None:
        """Present a second factor; the next frame decides.

        It is good for `FACTOR_GOOD_S` and for one visit, and replaces a factor presented before. A PIN is tried once,
        on the first frame with a known face. The stream wipes its own copy; the caller wipes the argument. `at_s` is on
        the clock of the frames.

        Raises:
            InputError: the zone requires another kind, or none.
        """
        check_kind(self._zone.second_factor, factor)
        self._wipe_factor()
        self._factor, self._presented_at = factor.copy(), at_s
        for track in self._tracker.tracks:
            if track.decision is not None and track.decision.undisclosed_reference_id is not None:
                track.decision = None

    def close(self) -> None:
        """Wipe a presented factor that was not used. A closed stream can still decide about frames."""
        self._wipe_factor()

    def look(self, image: RgbImage, at_s: float) -> Identification:
        """Decide about every face of the next frame, as `Recognizer.identify`; one too small to embed does not match.

        All frames of a stream are of one size; `at_s` is when this one was taken, in seconds of any monotonic clock.

        Raises:
            TamperError: a candidate's seal or receipt does not verify.

        Not checked: whether the faces are live. Cost: one snapshot of the data file, and one more if a face is due.
        """
        if at_s - self._presented_at > FACTOR_GOOD_S:
            self._wipe_factor()
        # 1.
        faces = self._faces(image, at_s)
        # 2.
        tracks = self._tracker.follow(faces, at_s)
        # 3.
        threshold = self._recognizer.threshold_in(self._zone)
        self._drop_ended_consents(tracks)
        # 4.
        due = [(face, track) for face, track in zip(faces, tracks, strict=True) if _is_due(face, track, at_s)]
        self._identify(image, due, at_s)
        unknown = Decision(None, threshold, 0)
        decided = tuple(
            FaceDecision(image.in_file(face.box), track.decision or unknown)
            for face, track in zip(faces, tracks, strict=True)
        )
        model_id = self._recognizer.extractor.model.model_id
        return Identification(self._zone.purpose, model_id, threshold, decided, self._zone.second_factor)

    def _faces(self, image: RgbImage, at_s: float) -> list[DetectedFace]:
        region = self._tracker.region(image.width, image.height)
        if region is not None and at_s - self._whole_frame_at < WHOLE_FRAME_S:
            left, top, right, bottom = region
            share = (right - left) * (bottom - top) / (image.width * image.height)
            if share <= _LARGEST_REGION and min(right - left, bottom - top) >= MIN_SIDE_PX:
                faces = self._faces_in(image, region)
                if len(faces) >= len(self._tracker.tracks):
                    return faces
        self._whole_frame_at = at_s
        return self._recognizer.extractor.detect(image)

    def _faces_in(self, image: RgbImage, region: tuple[int, int, int, int]) -> list[DetectedFace]:
        left, top, right, bottom = region
        part = RgbImage(image.pixels[top:bottom, left:right])
        longest = max(right - left, bottom - top) * _FACE_PX / max(1.0, self._tracker.smallest_px())
        longest_side = round(min(LONGEST_SIDE_PX, max(_FACE_PX, longest)))
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
        model_id, ids = self._recognizer.extractor.model.model_id, [reference_id for _, reference_id in known]
        store = self._recognizer.store
        with store.read_prepared() as snapshot:
            live = live_ids(snapshot, self._zone.purpose, model_id, ids, store.now())
        for track, reference_id in known:
            receipt_id = live.get(reference_id)
            if receipt_id is None or receipt_id in store.stopped or receipt_id in store.paused:
                track.decision = None

    def _identify(self, image: RgbImage, due: Sequence[tuple[DetectedFace, Track]], at_s: float) -> None:
        if not due:
            return
        faces = [face for face, _ in due]
        decisions = self._recognizer.identify_faces(self._zone, image, faces, self._factor, caller=self._caller)
        for (face, track), decision in zip(due, decisions, strict=True):
            track.set_decision(decision, face, at_s)
            if self._factor is not None and decision.match is not None:
                track.passes_until = self._presented_at + FACTOR_GOOD_S
        is_used = any(decision.match for decision in decisions)
        is_tried = self._zone.second_factor is SecondFactor.PIN and any(one.factor_refused for one in decisions)
        if is_used or is_tried:
            self._wipe_factor()

    def _wipe_factor(self) -> None:
        if self._factor is not None:
            self._factor.wipe()
        self._factor, self._presented_at = None, -np.inf


def _is_due(face: DetectedFace, track: Track, at_s: float) -> bool:
    if eye_distance_px(face.landmarks) < MIN_EYE_DISTANCE_PX:
        return False
    if track.decision is None:
        return True
    if track.decision.reference_id is not None:
        return at_s - track.decided_at >= AGAIN_S and at_s >= track.passes_until
    if eye_distance_px(face.landmarks) >= _GROWN * track.eye_distance_px:
        return True
    return at_s - track.decided_at >= STRANGER_AGAIN_S
