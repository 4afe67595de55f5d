"""Deciders: a service over the network or the site on this machine decides about frames. One Protocol for both."""

import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Protocol, final
from uuid import uuid4

from volens import Site
from volens.consent import InputError, SecondFactor, ShownFactor, UnavailableError
from volens.consent.panel_badge import PanelBadge
from volens.face import ImageError
from volens.identify import USUAL_RULES, AskRules, DoorStream, FaceDecision, Identification, VisitTracker
from volens.service.backoff import again_in_s
from volens.service.door.door_events import (
    DeciderLost,
    DeciderReady,
    DecisionReceived,
    EventSink,
    Factor,
    FrameProcessed,
    InputRejected,
    Presented,
    RecognitionRequested,
    Verdict,
)
from volens.service.door.frame_queue import Frame, FrameQueue
from volens.service.qr_reading import qr_texts_at_door

TAKE_S: Final = 0.2


class Decider(Protocol):
    """Takes frames and emits decisions about them."""

    def decide(self, frames: FrameQueue, emit: EventSink) -> None:
        """Take frames until the queue is closed, and emit the events in order.

        Every processed frame is emitted as `FrameProcessed` and marked as done. A failure that may pass is emitted as
        `DeciderLost`, and ends with `DeciderReady`.

        Raises:
            VolensError: an error that a retry cannot fix.
        """

    def present(self, presented: Presented) -> None:
        """Take a second factor, or the press of a button. Thread-safe, does not block."""


def fresh_factors(queue: "SimpleQueue[Presented]") -> Iterator[Presented]:
    """Take what people presented from a queue; what is too old is dropped."""
    with suppress(Empty):
        while True:
            presented = queue.get_nowait()
            if presented.is_fresh(time.monotonic()):
                yield presented


@final
class LocalDecider:
    """Decides with the site on this machine. Call `decide` in one thread only."""

    def __init__(
        self,
        site: Site,
        zone: str,
        *,
        photos: bool = False,
        rules: AskRules = USUAL_RULES,
        with_badge_numbers: bool = False,
    ) -> None:
        """Decide about a zone; the site must stay open until `decide` has ended. Options as in `Site.watch`."""
        self._with_badge_numbers = with_badge_numbers
        self._site = site
        self._zone = zone
        self._photos = photos
        self._rules = rules
        self._factors: SimpleQueue[Presented] = SimpleQueue()
        self._visits = VisitTracker()
        self._stream: DoorStream | None = None

    def present(self, presented: Presented) -> None:
        """Keep it for the next frame."""
        self._factors.put(presented)

    def decide(self, frames: FrameQueue, emit: EventSink) -> None:
        """Process frames one after the other.

        Raises:
            InputError: there is no such zone.
            RefusedError: the zone asks people to turn the head.
            TamperError: the integrity check of a candidate's reference or receipt failed.
        """
        self._stream = self._watch()
        required = self._stream.second_factor
        factor = None if required is SecondFactor.NONE else Factor(required)
        ready = DeciderReady(self._zone, self._site.extractor.model.model_id, factor, self._stream.trigger.value)
        emit(ready)
        failures = 0
        while not frames.is_closed:
            frame = frames.take(TAKE_S)
            if frame is None:
                continue
            try:
                found = self._identify(frame, emit)
            except ImageError as error:
                emit(InputRejected(str(error)))
            except UnavailableError as error:  # the store is locked for a moment
                failures += 1
                emit(DeciderLost(str(error)))
                time.sleep(again_in_s(failures, 0.0))
                frames.put_back(frame)
                continue
            else:
                if failures:
                    emit(ready)
                failures = 0
                self._emit_decisions(found, frame, emit)
            frame.mark_done()

    def _watch(self) -> DoorStream:
        return self._site.watch(self._zone, photos=self._photos, rules=self._rules, read_codes=qr_texts_at_door)

    def _identify(self, frame: Frame, emit: EventSink) -> Identification:
        if self._stream is None:
            self._stream = self._watch()
        for presented in fresh_factors(self._factors):
            if isinstance(presented, RecognitionRequested):
                self._stream.request(frame.at_s)
                continue
            try:
                with ShownFactor.of(SecondFactor(presented.factor), presented.value) as factor:
                    self._stream.present(factor, frame.at_s)
            except InputError as error:  # the person may type the PIN again
                emit(InputRejected(str(error)))
            self._visits.factor_presented()
        found = self._stream.look(frame.image, frame.at_s)
        if (refusal := self._stream.take_refusal()) is not None:
            emit(InputRejected(refusal))
        return found

    def _emit_decisions(self, found: Identification, frame: Frame, emit: EventSink) -> None:
        submitted_at_s = time.monotonic()
        for face in self._visits.new_visits(found, frame.at_s):
            emit(decision_event(Verdict.MATCH, face, submitted_at_s, self._badge_number(face)))
        for face in self._visits.new_factor_requests(found, frame.at_s):
            emit(decision_event(Verdict(face.outcome), face, submitted_at_s))
        for face in self._visits.new_refusals(found):
            emit(decision_event(Verdict.NO_MATCH, face, submitted_at_s))
        emit(FrameProcessed(len(found.faces), sum(face.match is not None for face in found.faces)))

    def _badge_number(self, face: FaceDecision) -> PanelBadge | None:
        if not self._with_badge_numbers or face.match is None:
            return None
        return self._site.panel_badges.of(face.match.receipt_id)


def decision_event(
    verdict: Verdict,
    face: FaceDecision,
    submitted_at_s: float,
    panel_badge: PanelBadge | None = None,
    *,
    is_known: bool = True,
) -> DecisionReceived:
    """Return the event of a visit that was decided here; without `is_known` the door cannot say who it was."""
    subject_id = face.subject_id if is_known else None
    visit_id = uuid4().hex[:16]
    return DecisionReceived(verdict, visit_id, submitted_at_s, subject_id, face.reason, face.looks, panel_badge)
