"""Who decides about frames: the service over the network, or the site on this machine. One Protocol for both."""

import time
from queue import Empty, SimpleQueue
from typing import Final, Protocol, final
from uuid import uuid4

from volens import Site
from volens.consent import InputError, SecondFactor, ShownFactor, UnavailableError
from volens.face import ImageError
from volens.identify import DoorStream, FaceDecision, Identification
from volens.service.backoff import again_in_s
from volens.service.door.door_events import Decided, Factor, Looked, Lost, Ready, Shown, Tell, Unusable, Verdict
from volens.service.door.frame_queue import Frame, Frames
from volens.service.door_passages import Passages
from volens.service.webhooks.decision_notifier import DecisionNotifier

TAKE_S: Final = 0.2


class Decider(Protocol):
    """Takes frames, and tells what was decided about them."""

    def decide(self, frames: Frames, tell: Tell) -> None:
        """Take frames until there are no more, and tell what happened, in order.

        Every frame that was looked at is told as `Looked` and settled. Failures that may pass are told as `Lost`, and
        end with `Ready`.

        Raises:
            VolensError: trying again would not help.
        """

    def present(self, shown: Shown) -> None:
        """Take what somebody showed besides the face. From any thread, and never waits."""


@final
class LocalDecider:
    """Decides with the site on this machine. `decide` is for one thread."""

    def __init__(self, site: Site, zone: str) -> None:
        """Decide about a zone.

        Args:
            site: stays open until `decide` has ended.
            zone: whose door this is.
        """
        self._site = site
        self._zone = zone
        self._shown: SimpleQueue[Shown] = SimpleQueue()
        self._passages = Passages()
        self._webhooks = DecisionNotifier(site.rights.outbox, time.monotonic)
        self._size = (0, 0)
        self._stream: DoorStream | None = None

    def present(self, shown: Shown) -> None:
        """Keep what was shown for the next frame."""
        self._shown.put(shown)

    def decide(self, frames: Frames, tell: Tell) -> None:
        """Look at frames one after the other.

        Raises:
            InputError: there is no such zone.
            RefusedError: in this zone the person holds the key, and nobody is searched for.
            TamperError: a candidate's seal or receipt does not hold.
        """
        self._stream = self._site.watch(self._zone)
        asked = self._stream.second_factor
        ready = Ready(
            self._zone, self._site.extractor.model.model_id, None if asked is SecondFactor.NONE else Factor(asked)
        )
        tell(ready)
        failures = 0
        while not frames.is_closed:
            frame = frames.take(TAKE_S)
            if frame is None:
                continue
            try:
                found = self._look(frame, tell)
            except ImageError as error:
                tell(Unusable(str(error)))
            except UnavailableError as error:  # a store that is locked for a while
                failures += 1
                tell(Lost(str(error)))
                time.sleep(again_in_s(failures, 0.0))
                frames.give_back(frame)
                continue
            else:
                if failures:
                    tell(ready)
                failures = 0
                self._tell(found, frame, tell)
            frame.settle()

    def _look(self, frame: Frame, tell: Tell) -> Identification:
        size = (frame.image.width, frame.image.height)
        # Frames of a stream are of one size, and follow each other; photos in a folder need not.
        if self._stream is None or frame.alone or size != self._size:
            self._stream, self._size = self._site.watch(self._zone), size
        while True:
            try:
                shown = self._shown.get_nowait()
            except Empty:
                break
            if not shown.is_fresh(time.monotonic()):
                continue
            try:
                with ShownFactor.of(SecondFactor(shown.factor), shown.value) as factor:
                    self._stream.present(factor, frame.at_s)
            except InputError as error:  # whoever typed three digits may type again
                tell(Unusable(str(error)))
            self._passages.shown()
        found = self._stream.look(frame.image, frame.at_s)
        self._webhooks.tell(found)
        return found

    def _tell(self, found: Identification, frame: Frame, tell: Tell) -> None:
        asked_at_s = time.monotonic()
        for face in self._passages.begun(found, frame.at_s):
            tell(_decided(Verdict.MATCH, face, asked_at_s))
        for face in self._passages.asked(found, frame.at_s):
            tell(_decided(Verdict(face.outcome), face, asked_at_s))
        stranger = self._passages.stranger(found, frame.at_s)
        if stranger is not None:
            tell(_decided(Verdict.NO_MATCH, stranger, asked_at_s))
        tell(Looked(len(found.faces), sum(face.match is not None for face in found.faces)))


def _decided(verdict: Verdict, face: FaceDecision, asked_at_s: float) -> Decided:
    return Decided(verdict, uuid4().hex[:16], asked_at_s, face.subject_id)
