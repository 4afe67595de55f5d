"""Decides online while the service answers, and with a lease while it cannot be reached, until the lease ends.

1. The service decides as without leases. When a session ends for a reason that may pass, the lease decides.
2. The session is tried again when the holder's question was answered (`LeaseHolder`), so no frame waits for a
   connection that is not there.
3. What was decided with the lease is noted in the journal before the door opens.
4. Without a lease, or when it has ended, the door is without decisions: what it does then is `--when-offline`. If the
   zone says so (`AfterLease.BADGE`; the last lease has it), badges are passed on to the panel meanwhile.
"""

import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import final

from volens.consent import UnavailableError
from volens.consent.zone import AfterLease
from volens.face import Extractor, ImageError
from volens.identify import AskRules, DoorStream, VisitTracker
from volens.identify.leased_recognition import LeasedRecognizer
from volens.index.held_lease import HeldLease
from volens.service.door.decider import TAKE_S, decision_event, fresh_factors
from volens.service.door.door_events import (
    BadgesOnly,
    DeciderLost,
    DeciderReady,
    EventSink,
    FrameProcessed,
    InputRejected,
    Presented,
    RecognitionRequested,
    Verdict,
)
from volens.service.door.frame_queue import Frame, FrameQueue
from volens.service.door.lease_holder import LeaseHolder
from volens.service.door.lease_journal import LeaseJournal
from volens.service.door.remote_decider import RemoteDecider
from volens.store import utc_now


@final
class LeasedDecider:
    """Decides about one zone. Call `decide` in one thread only."""

    def __init__(
        self,
        remote: RemoteDecider,
        holder: LeaseHolder,
        load_extractor: Callable[[], Extractor],
        journal: LeaseJournal,
        *,
        photos: bool = False,
    ) -> None:
        """Let a service decide, or the lease of a holder; `photos` as in `Site.watch`."""
        self._remote = remote
        self._holder = holder
        self._load_extractor = load_extractor
        self._journal = journal
        self._photos = photos
        self._asked: SimpleQueue[Presented] = SimpleQueue()
        self._is_alone = False
        self._after = AfterLease.CLOSED
        remote.meanwhile = self._decide_alone

    def present(self, presented: Presented) -> None:
        """Keep it for the next frame, which the service or the lease decides about."""
        if self._is_alone:
            self._asked.put(presented)
        else:
            self._remote.present(presented)

    def decide(self, frames: FrameQueue, emit: EventSink) -> None:
        """Decide until the queue is closed.

        Raises:
            RefusedError, InputError: see `RemoteDecider.decide`.
        """
        self._holder.start()
        try:
            self._remote.decide(frames, emit)
        finally:
            self._holder.close()

    def _decide_alone(self, frames: FrameQueue, emit: EventSink, until_s: float) -> None:
        """Decide with the lease until the service answers again, and not before `until_s`; without one, until then."""
        lost_at_s, was_ready, is_told = time.monotonic(), False, False
        stream: _LeasedStream | None = None
        while not frames.is_closed:
            held = self._holder.held
            self._is_alone = held is not None
            if time.monotonic() >= until_s and (held is None or self._holder.answered_since(lost_at_s)):
                break
            if held is None:
                if was_ready:
                    # 4.
                    emit(DeciderLost("the lease has ended, and the service is unreachable"))
                if self._after is AfterLease.BADGE and not is_told:
                    is_told = True
                    emit(BadgesOnly())
                stream, was_ready = None, False
                time.sleep(TAKE_S / 4)
                continue
            self._after, is_told = held.claims.after_lease, False
            stream = self._stream_of(held, stream)
            if stream is None:
                time.sleep(TAKE_S / 4)
                continue
            if not was_ready:
                was_ready = True
                emit(DeciderReady(self._remote.zone, held.claims.model_id, None, held.claims.trigger.value))
            frame = frames.take(TAKE_S)
            if frame is not None:
                self._look(stream, frame, emit)
        self._is_alone = False
        if was_ready:
            emit(DeciderLost("the service answers again; it decides from now on"))

    def _stream_of(self, held: HeldLease, before: "_LeasedStream | None") -> "_LeasedStream | None":
        """Return the stream of a lease; None if nothing may be decided with it: it ended just now."""
        if before is not None and before.held is held:
            return before
        try:
            return _LeasedStream(held, self._load_extractor, self._remote.rules, photos=self._photos)
        except UnavailableError:
            return None

    def _look(self, stream: "_LeasedStream", frame: Frame, emit: EventSink) -> None:
        submitted_at_s = time.monotonic()
        for presented in fresh_factors(self._asked):
            if isinstance(presented, RecognitionRequested):
                stream.door.request(frame.at_s)
        try:
            found = stream.door.look(frame.image, frame.at_s)
        except ImageError as error:
            emit(InputRejected(str(error)))
            frame.mark_done()
            return
        except UnavailableError:  # the lease ended just now
            frame.mark_done()
            return
        for face in stream.visits.new_visits(found, frame.at_s):
            if face.match is not None:
                # 3.
                handle = stream.held.handle(int(face.match.reference_id))
                self._journal.add(stream.held.claims.lease_id, utc_now(), handle)
                emit(decision_event(Verdict.MATCH, face, submitted_at_s, is_known=False))
        for face in stream.visits.new_refusals(found):
            emit(decision_event(Verdict.NO_MATCH, face, submitted_at_s))
        emit(FrameProcessed(len(found.faces), sum(face.match is not None for face in found.faces)))
        frame.mark_done()


@final
class _LeasedStream:
    """The stream of a door for as long as it holds one lease: in another one, people have other numbers."""

    def __init__(
        self, held: HeldLease, load_extractor: Callable[[], Extractor], rules: AskRules, *, photos: bool
    ) -> None:
        self.held = held
        self.visits = VisitTracker()
        recognizer = LeasedRecognizer(held, load_extractor)
        self.door = DoorStream(recognizer, held.claims.purpose, photos=photos, rules=rules)
