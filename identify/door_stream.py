"""A door's camera: faces are followed, and embedded when they are new, good enough or due, not in every frame.

For each frame:

1. Faces are looked for around those of the frame before, at a size at which the detector sees them well; in the whole
   frame every `WHOLE_FRAME_S`, and at once where one of them is missing.
2. Each face continues the track it overlaps, or begins one (`volens.identify.tracking`).
3. Of those that are somebody, the store is asked whether the consent is in force now. Who withdrew a moment ago is
   nobody in the very next frame.
4. Faces that are new, or nobody yet, or due, are embedded and identified together, with one scan. Where the zone asks
   for a second factor, what was shown last goes with them.

What is kept between frames is where faces are and what was decided, and what was shown until it is used. No pixels, no
embeddings.
"""

from collections.abc import Sequence
from typing import Final, final

import numpy as np

from volens.consent import Purpose, SecondFactor, ShownFactor, check_kind
from volens.face import LONGEST_SIDE_PX, MIN_SIDE_PX, DetectedFace, Extractor, RgbImage, eye_distance_px
from volens.identify.identification import FaceDecision, Identification
from volens.identify.recognition import identify_faces, threshold_at
from volens.identify.tracking import Track, Tracker
from volens.index import Decision, Galleries
from volens.store import Store
from volens.store.people import live_candidates
from volens.store.promises import zone_of

WHOLE_FRAME_S: Final = 0.5
"""So long may somebody who comes into the picture beside others go unnoticed."""

AGAIN_S: Final = 1.0
"""How often somebody who was identified is identified again: one face may have taken another's place unseen."""

STRANGER_AGAIN_S: Final = 0.25
"""How often a face that is nobody gets another chance, for the next frame may be better."""

FACTOR_GOOD_S: Final = 10.0
"""So long a badge or PIN that was shown waits for a face, and whoever it let pass is passing."""

MIN_EYE_DISTANCE_PX: Final = 12.0
"""Below it SFace sees too little (see `QualityRules.min_eye_distance_px`); the face comes nearer, or not."""

_GROWN: Final = 1.3
_FACE_PX: Final = 96
_LARGEST_REGION: Final = 0.6


@final
class DoorStream:
    """Decides about the frames of one camera, in their order. For one thread; the store may be used by others."""

    def __init__(self, store: Store, galleries: Galleries, extractor: Extractor, purpose: Purpose) -> None:
        """Watch a door.

        Raises:
            InputError: there is no such zone.
            RefusedError: in this zone the person holds the key, and nobody is searched for.
        """
        self._store = store
        self._galleries = galleries
        self._extractor = extractor
        with store.read() as connection:
            self._zone = zone_of(connection, purpose)
        self._zone.check_searchable()
        self._tracker = Tracker()
        self._whole_at = -np.inf
        self._shown: ShownFactor | None = None
        self._shown_at = -np.inf

    @property
    def second_factor(self) -> SecondFactor:
        """What the zone asks for besides the face."""
        return self._zone.second_factor

    def present(self, factor: ShownFactor, at_s: float) -> None:
        """Take what somebody shows at the door besides their face; the next frame decides.

        It is good for `FACTOR_GOOD_S` and for one passage, and replaces what was shown before. A PIN is tried once, on
        the first frame with a face that is known. The stream wipes its own copy; the caller's stays the caller's.

        Args:
            factor: of the kind that the zone asks for.
            at_s: when it was shown, in seconds of the frames' clock.

        Raises:
            InputError: the zone asks for another kind, or for none.
        """
        check_kind(self._zone.second_factor, factor)
        self._forget_shown()
        self._shown, self._shown_at = factor.copy(), at_s
        for track in self._tracker.tracks:
            if track.decision is not None and track.decision.withheld is not None:
                track.decision = None

    def close(self) -> None:
        """Wipe what was shown and not used. A stream that is closed may be looked through all the same."""
        self._forget_shown()

    def look(self, image: RgbImage, at_s: float) -> Identification:
        """Decide about every face of the next frame.

        Args:
            image: the frame; all frames of a stream are of one size.
            at_s: when it was taken, in seconds of any clock that does not go back.

        Returns:
            As `identify_frame`. A face that is too small to say anything about is nobody.

        Raises:
            TamperError: a candidate's seal or receipt does not hold.

        Not checked: whether the faces are live.
        """
        if at_s - self._shown_at > FACTOR_GOOD_S:
            self._forget_shown()
        # 1.
        faces = self._faces(image, at_s)
        # 2.
        tracks = self._tracker.follow(faces, at_s)
        # 3.
        self._forget_who_withdrew(tracks)
        # 4.
        model = self._extractor.model
        threshold = threshold_at(self._store, self._galleries, model, self._zone)
        due = [(face, track) for face, track in zip(faces, tracks, strict=True) if _is_due(face, track, at_s)]
        self._identify(image, due, threshold, at_s)
        nobody = Decision(None, threshold, 0)
        decided = tuple(
            FaceDecision(face.box, track.decision or nobody) for face, track in zip(faces, tracks, strict=True)
        )
        return Identification(self._zone.purpose, model.model_id, threshold, decided, self._zone.second_factor)

    def _faces(self, image: RgbImage, at_s: float) -> list[DetectedFace]:
        region = self._tracker.region(image.width, image.height)
        if region is not None and at_s - self._whole_at < WHOLE_FRAME_S:
            left, top, right, bottom = region
            share = (right - left) * (bottom - top) / (image.width * image.height)
            if share <= _LARGEST_REGION and min(right - left, bottom - top) >= MIN_SIDE_PX:
                faces = self._faces_in(image, region)
                if len(faces) >= len(self._tracker.tracks):
                    return faces
        self._whole_at = at_s
        return self._extractor.detect(image)

    def _faces_in(self, image: RgbImage, region: tuple[int, int, int, int]) -> list[DetectedFace]:
        left, top, right, bottom = region
        part = RgbImage(image.pixels[top:bottom, left:right])
        longest = max(right - left, bottom - top) * _FACE_PX / max(1.0, self._tracker.smallest_px())
        found = self._extractor.detect(part, longest_side=round(min(LONGEST_SIDE_PX, max(_FACE_PX, longest))))
        shift = np.array([left, top], dtype=np.float32)
        return [
            DetectedFace(
                (face.box[0] + left, face.box[1] + top, face.box[2], face.box[3]),
                face.landmarks + shift,
                face.detection_score,
            )
            for face in found
        ]

    def _forget_who_withdrew(self, tracks: Sequence[Track]) -> None:
        known = [
            (track, reference_id)
            for track in tracks
            if track.decision and (reference_id := track.decision.reference_id) is not None
        ]
        if not known:
            return
        model_id, ids = self._extractor.model.model_id, [reference_id for _, reference_id in known]
        with self._store.glance() as glance:
            live = live_candidates(glance, self._zone.purpose, model_id, ids, self._store.now())
        for track, reference_id in known:
            if reference_id not in live:
                track.decision = None

    def _identify(
        self, image: RgbImage, due: Sequence[tuple[DetectedFace, Track]], threshold: float, at_s: float
    ) -> None:
        if not due:
            return
        faces = [face for face, _ in due]
        decisions = identify_faces(
            self._store, self._galleries, self._extractor, self._zone, image, faces, threshold, self._shown
        )
        for (face, track), decision in zip(due, decisions, strict=True):
            track.decided(decision, face, at_s)
            if self._shown is not None and decision.match is not None:
                track.passes_until = self._shown_at + FACTOR_GOOD_S
        is_used = any(decision.match for decision in decisions)
        is_tried = self._zone.second_factor is SecondFactor.PIN and any(one.factor_refused for one in decisions)
        if is_used or is_tried:
            self._forget_shown()

    def _forget_shown(self) -> None:
        if self._shown is not None:
            self._shown.wipe()
        self._shown, self._shown_at = None, -np.inf


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
