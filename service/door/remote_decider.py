"""WebSocket client of `volens serve`: sends frames, receives decisions, and reconnects with backoff.

1. The token is sent only in the handshake (`volens.service.door.addresses` checks the URL). No proxy, no
   compression, no redirect.
2. At most two frames are unanswered. The answers come in the order of the frames; otherwise the session ends.
3. If a frame gets no answer within `ANSWER_TIMEOUT_S`, or if the service is unreachable, busy, shutting down or sends
   malformed messages, the session ends with `DeciderLost`, and a new one starts after a pause that grows.
4. A credential that is not valid, or not for this door, ends the door, because a retry would not help.
"""

import random
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from volens.consent import InputError, RefusedError, UnavailableError
from volens.identify import USUAL_RULES, AskRules
from volens.service.backoff import again_in_s
from volens.service.door.addresses import ServiceAddress
from volens.service.door.decider import TAKE_S, fresh_factors
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
)
from volens.service.door.frame_queue import Frame, FrameQueue
from volens.service.door.stream_messages import (
    MAX_MESSAGE_BYTES,
    DecisionMessage,
    FrameMessage,
    ProblemMessage,
    ServiceError,
    ServiceMessage,
    TriggerMessage,
    ask_message,
    parse,
    present_message,
    trigger_message,
)

MAX_UNANSWERED: Final = 2
ANSWER_TIMEOUT_S: Final = 10.0
OPEN_TIMEOUT_S: Final = 10.0
BUSY_PAUSE_S: Final = 0.25
MAX_FRAME_BYTES: Final = 8 * 2**20
_MAX_SUBMITTED: Final = 1024
_PERMANENT: Final = frozenset({401, 403})


@final
class RemoteDecider:
    """Gets decisions from a service. Call `decide` in one thread; it starts a reader thread for each session."""

    def __init__(
        self,
        service: ServiceAddress,
        zone: str,
        *,
        chance: Callable[[], float] = random.random,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        rules: AskRules = USUAL_RULES,
    ) -> None:
        """Decide about a zone; `chance` returns random numbers from 0 to 1, for the jitter of the backoff.

        The service is told the `rules` of this door at the beginning of each session.
        """
        self.rules = rules
        self.service = service
        self.zone = zone
        self._chance = chance
        self.answer_timeout_s = answer_timeout_s
        self.factors: SimpleQueue[Presented] = SimpleQueue()
        self.meanwhile = _wait

    def present(self, presented: Presented) -> None:
        """Send it with the next frame; without a session it is dropped when it is too old."""
        self.factors.put(presented)

    def decide(self, frames: FrameQueue, emit: EventSink) -> None:
        """Run one session after the other until the queue is closed.

        Raises:
            RefusedError: the credential is not valid, or not for this zone.
            InputError: the service decides about another zone.
        """
        failures = 0
        while not frames.is_closed:
            session = _Session(self, frames, emit)
            try:
                session.run()
            except UnavailableError as error:
                # 3.
                failures = 1 if session.answered_any else failures + 1
                emit(DeciderLost(str(error)))
                until = time.monotonic() + again_in_s(failures, self._chance(), session.retry_after_s)
                self.meanwhile(frames, emit, until)


def _wait(frames: FrameQueue, emit: EventSink, until_s: float) -> None:
    """Let frames wait until the next session is tried; a door with a lease decides instead (`LeasedDecider`)."""
    del emit
    while time.monotonic() < until_s and not frames.is_closed:
        time.sleep(min(TAKE_S, max(0.0, until_s - time.monotonic())))


@final
class _Session:
    def __init__(self, decider: RemoteDecider, frames: FrameQueue, emit: EventSink) -> None:
        self.was_ready = False
        self.answered_any = False
        self.retry_after_s: float | None = None
        self._decider = decider
        self._frames = frames
        self._emit = emit
        self._changed = threading.Condition()
        self._unanswered: OrderedDict[int, Frame] = OrderedDict()
        self._submitted_at: OrderedDict[int, float] = OrderedDict()
        self._sent = 0
        self._started_at = time.monotonic()
        self._not_before_s = 0.0
        self._factor: Factor | None = None
        self._rules_sent = self._decider.rules == USUAL_RULES
        self._ended: Exception | None = None

    def run(self) -> None:
        """Run one session until the queue is closed.

        Raises:
            UnavailableError: the session ended for a temporary reason.
            RefusedError, InputError: it ended for a permanent reason.
        """
        connection = self._open()
        reader = threading.Thread(target=self._read, args=(connection,), name="door-answers", daemon=True)
        reader.start()
        try:
            self._write(connection)
        finally:
            # The closing handshake is limited to one second; frames without an answer are put back into the queue.
            connection.close_timeout = 1.0
            connection.close()
            reader.join(5)
            for frame in self._unanswered.values():
                self._frames.put_back(frame)

    def _open(self) -> ClientConnection:
        service = self._decider.service
        # 1.
        try:
            return connect(
                service.url,
                ssl=service.tls,
                additional_headers={"Authorization": f"Bearer {service.token}"},
                user_agent_header="volens-door",
                compression=None,
                proxy=None,
                open_timeout=OPEN_TIMEOUT_S,
                max_size=MAX_MESSAGE_BYTES,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            # 4.
            if status in _PERMANENT:
                raise RefusedError(
                    f"the service refuses this door's credential ({status}); create one with 'volens credential add "
                    f"--role door --zone {self._decider.zone}' and give it with --token"
                ) from None
            self.retry_after_s = _seconds(error.response.headers.get("Retry-After"))
            raise ServiceError(f"the service responds with {status}; retrying") from None
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            raise ServiceError(f"the TLS connection to the service failed ({reason}); check --url and --ca") from None
        except (OSError, InvalidHandshake, EOFError) as error:
            raise ServiceError(f"the service is unreachable ({type(error).__name__}); retrying") from None

    def _write(self, connection: ClientConnection) -> None:
        while not self._frames.is_closed:
            with self._changed:
                # 2.
                self._changed.wait_for(self._may_send, TAKE_S)
                if self._ended is not None:
                    raise self._ended
                if not self._may_send():
                    continue
            frame = self._frames.take(TAKE_S / 4)
            self._send_factors(connection)
            if frame is not None:
                self._send(connection, frame)

    def _may_send(self) -> bool:
        may = self.was_ready and len(self._unanswered) < MAX_UNANSWERED and time.monotonic() >= self._not_before_s
        return may or self._ended is not None

    def _send(self, connection: ClientConnection, frame: Frame) -> None:
        data = frame.encoded()
        if len(data) > MAX_FRAME_BYTES:
            frame.mark_done()
            return
        with self._changed:
            self._sent += 1
            self._unanswered[self._sent] = frame
            self._submitted_at[self._sent] = time.monotonic()
            if len(self._submitted_at) > _MAX_SUBMITTED:
                self._submitted_at.popitem(last=False)
        with suppress(ConnectionClosed):  # the reader thread reports the reason
            connection.send(data)

    def _send_factors(self, connection: ClientConnection) -> None:
        if not self._rules_sent:
            self._rules_sent = True
            with suppress(ConnectionClosed):
                connection.send(trigger_message(self._decider.rules))
        for one in fresh_factors(self._decider.factors):
            if isinstance(one, RecognitionRequested):
                with suppress(ConnectionClosed):
                    connection.send(ask_message())
                continue
            if one.factor is not self._factor:  # a service that does not expect it would end the session
                self._emit(InputRejected("got a second factor that this zone does not use; it was not sent"))
                continue
            with suppress(ConnectionClosed):
                connection.send(present_message(one.factor, one.value))

    def _read(self, connection: ClientConnection) -> None:
        ended: Exception
        try:
            while True:
                with suppress(TimeoutError):
                    self._handle(connection.recv(TAKE_S))
                self._check_timeout()
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else None
            ended = ServiceError(f"the service ended the session ({_CLOSE_REASONS.get(code or 0, code)}); retrying")
        except Exception as error:  # noqa: BLE001  the writing thread raises it
            ended = error
        with self._changed:
            self._ended = self._ended or ended
            self._changed.notify_all()
        # A service that does not read would block the writing thread for ever.
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)

    def _check_timeout(self) -> None:
        with self._changed:
            oldest = next(iter(self._unanswered), None)
            since = self._started_at if oldest is None else self._submitted_at[oldest]
            is_owed = oldest is not None or not self.was_ready
        if is_owed and time.monotonic() - since >= self._decider.answer_timeout_s:
            raise ServiceError(f"the service has not answered for {self._decider.answer_timeout_s:g} s; retrying")

    def _handle(self, message: str | bytes) -> None:
        received = parse(message)
        if not self.was_ready and not isinstance(received, DeciderReady | ProblemMessage):
            raise ServiceError(
                "the service did not send 'ready' first; check that --url is the address of 'volens serve'"
            )
        match received:
            case DeciderReady(zone, _, factor):
                expected = self._decider.zone
                if zone != expected:
                    raise InputError(
                        f"the service decides about zone {zone!r}; expected {expected!r}; check --url and --zone"
                    )
                with self._changed:
                    self.was_ready, self._factor = True, factor
                    self._changed.notify_all()
                self._emit(received)
            case FrameMessage(number, faces, matches, dropped, unreadable, refused_code):
                self._frame_answered(number, is_dropped=dropped)
                if refused_code:
                    self._emit(InputRejected(refused_code))
                if unreadable:
                    self._emit(InputRejected("the service cannot read a frame as an image; check the camera"))
                self._emit(FrameProcessed(faces, matches, dropped or unreadable))
            case DecisionMessage(verdict, visit_id, number, subject_id, reason=reason, looks=looks):
                if not 1 <= number <= self._sent:
                    raise ServiceError("the service decided about a frame that was not sent; retrying")
                submitted_at = self._submitted_at.get(number)
                self._emit(DecisionReceived(verdict, visit_id, submitted_at, subject_id, reason, looks))
            case ProblemMessage(title):
                raise ServiceError(f"the service ends the session: {title}")
            case _:
                self._handle_rules(received)

    def _handle_rules(self, received: ServiceMessage | None) -> None:
        if isinstance(received, TriggerMessage) and not received.accepted:
            self._emit(InputRejected(f"the service keeps its rule for asking: {received.detail}"))

    def _frame_answered(self, number: int, *, is_dropped: bool) -> None:
        with self._changed:
            if next(iter(self._unanswered), None) != number:
                raise ServiceError("the service answered frames out of order; retrying")
            frame = self._unanswered.pop(number)
            self.answered_any = self.answered_any or not is_dropped
            if is_dropped:
                self._not_before_s = time.monotonic() + BUSY_PAUSE_S
            self._changed.notify_all()
        if is_dropped:
            self._frames.put_back(frame, count_attempt=False)
        else:
            frame.mark_done()


_CLOSE_REASONS: Final = {
    1001: "it is shutting down",
    1006: "the connection was lost",
    1008: "the credential is not valid any more",
    1009: "a frame was too large",
    1011: "internal error",
    1012: "it is shutting down",
    1013: "it is busy",
}


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 6 else None  # noqa: PLR2004
