"""Decisions of `volens serve`, over a WebSocket: one session after the other, for ever.

1. The token goes nowhere but into the handshake (`volens.service.door.service_address` says where to). No proxy, no
   compression, no redirect.
2. At most two frames are unanswered. The answers come in the order of the frames; one that does not ends the session.
3. A frame that is not answered within `ANSWER_S`, a service that is not there, busy, ending or strange: the session is
   over, is told as `Lost`, and begins anew after a pause that grows.
4. A credential that is not in force, or not for this door, ends the door: trying again would not help.
"""

import random
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from volens.consent import InputError, RefusedError, UnavailableError
from volens.service.backoff import again_in_s
from volens.service.door.decider import TAKE_S
from volens.service.door.door_events import Decided, Factor, Looked, Lost, Ready, Shown, Tell, Unusable
from volens.service.door.frame_queue import Frame, Frames
from volens.service.door.service_address import Service
from volens.service.door.stream_messages import (
    MAX_MESSAGE_BYTES,
    DecisionMessage,
    FrameMessage,
    ProblemMessage,
    ReadyMessage,
    ServiceError,
    parse,
    shown,
)

MAX_UNANSWERED: Final = 2
ANSWER_S: Final = 10.0
OPEN_S: Final = 10.0
BUSY_PAUSE_S: Final = 0.25
MAX_FRAME_BYTES: Final = 8 * 2**20
_KEPT: Final = 1024
_FOR_GOOD: Final = frozenset({401, 403})


@final
class RemoteDecider:
    """Decides by asking a service. `decide` is for one thread; it starts another for each session."""

    def __init__(
        self,
        service: Service,
        zone: str,
        *,
        chance: Callable[[], float] = random.random,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Decide about a zone; `chance` is for the jitter of pauses."""
        self._service = service
        self._zone = zone
        self._chance = chance
        self._answer_s = answer_s
        self._shown: SimpleQueue[Shown] = SimpleQueue()

    def present(self, shown: Shown) -> None:
        """Send what was shown with the next frame; without a session, nobody is told."""
        self._shown.put(shown)

    def decide(self, frames: Frames, tell: Tell) -> None:
        """Keep sessions, one after the other, until there are no more frames.

        Raises:
            RefusedError: the credential is not in force, or not for this zone.
            InputError: the service decides about another zone.
        """
        failures = 0
        while not frames.is_closed:
            session = _Session(self._zone, frames, self._answer_s, self._shown, tell)
            try:
                session.run(self._service)
            except UnavailableError as error:
                # 3.
                failures = 1 if session.was_useful else failures + 1
                tell(Lost(str(error)))
                until = time.monotonic() + again_in_s(failures, self._chance(), session.asked_s)
                while time.monotonic() < until and not frames.is_closed:
                    time.sleep(min(TAKE_S, max(0.0, until - time.monotonic())))


@final
class _Session:
    def __init__(self, zone: str, frames: Frames, answer_s: float, to_show: "SimpleQueue[Shown]", tell: Tell) -> None:
        self.was_ready = False
        self.was_useful = False
        self.asked_s: float | None = None
        self._zone = zone
        self._frames = frames
        self._answer_s = answer_s
        self._to_show = to_show
        self._tell = tell
        self._changed = threading.Condition()
        self._unanswered: OrderedDict[int, Frame] = OrderedDict()
        self._asked_at: OrderedDict[int, float] = OrderedDict()
        self._sent = 0
        self._begun_at = time.monotonic()
        self._not_before_s = 0.0
        self._factor: Factor | None = None
        self._ended: Exception | None = None

    def run(self, service: Service) -> None:
        """Keep one session, until there are no more frames.

        Raises:
            UnavailableError: it ended for a reason that may pass.
            RefusedError, InputError: for one that will not.
        """
        connection = self._open(service)
        reader = threading.Thread(target=self._read, args=(connection,), name="door-answers", daemon=True)
        reader.start()
        try:
            self._write(connection)
        finally:
            # Whatever waits for the other side's goodbye ends in a second, and what it did not look at is put back.
            connection.close_timeout = 1.0
            connection.close()
            reader.join(5)
            for frame in self._unanswered.values():
                self._frames.give_back(frame)

    def _open(self, service: Service) -> ClientConnection:
        # 1.
        try:
            return connect(
                service.url,
                ssl=service.tls,
                additional_headers={"Authorization": f"Bearer {service.token}"},
                user_agent_header="volens-door",
                compression=None,
                proxy=None,
                open_timeout=OPEN_S,
                max_size=MAX_MESSAGE_BYTES,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            # 4.
            if status in _FOR_GOOD:
                raise RefusedError(
                    f"the service refuses this door's credential ({status}); issue one with 'volens credential add "
                    f"--role door --zone {self._zone}' and give it with --token"
                ) from None
            self.asked_s = _seconds(error.response.headers.get("Retry-After"))
            raise ServiceError(f"the service answers {status}; it is asked again") from None
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            raise ServiceError(f"the service's TLS does not hold ({reason}); check --url and --ca") from None
        except (OSError, InvalidHandshake, EOFError) as error:
            raise ServiceError(f"the service is not there ({type(error).__name__}); it is asked again") from None

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
            self._present(connection)
            if frame is not None:
                self._send(connection, frame)

    def _may_send(self) -> bool:
        may = self.was_ready and len(self._unanswered) < MAX_UNANSWERED and time.monotonic() >= self._not_before_s
        return may or self._ended is not None

    def _send(self, connection: ClientConnection, frame: Frame) -> None:
        data = frame.encoded()
        if len(data) > MAX_FRAME_BYTES:
            frame.settle()
            return
        with self._changed:
            self._sent += 1
            self._unanswered[self._sent] = frame
            self._asked_at[self._sent] = time.monotonic()
            if len(self._asked_at) > _KEPT:
                self._asked_at.popitem(last=False)
        with suppress(ConnectionClosed):  # the reader knows why
            connection.send(data)

    def _present(self, connection: ClientConnection) -> None:
        while True:
            try:
                one = self._to_show.get_nowait()
            except Empty:
                return
            if not one.is_fresh(time.monotonic()):
                continue
            if one.factor is not self._factor:  # a service that did not ask for it would end the session
                self._tell(Unusable("something was shown that this zone does not ask for"))
                continue
            with suppress(ConnectionClosed):
                connection.send(shown(one.factor, one.value))

    def _read(self, connection: ClientConnection) -> None:
        ended: Exception
        try:
            while True:
                with suppress(TimeoutError):
                    self._take(connection.recv(TAKE_S))
                self._expect_answers()
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else None
            ended = ServiceError(f"the service ended the session ({_MEANS.get(code or 0, code)}); it is asked again")
        except Exception as error:  # noqa: BLE001  told by whoever waits for answers
            ended = error
        with self._changed:
            self._ended = self._ended or ended
            self._changed.notify_all()
        # A service that reads nothing would hold whoever is sending for ever.
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)

    def _expect_answers(self) -> None:
        with self._changed:
            oldest = next(iter(self._unanswered), None)
            since = self._begun_at if oldest is None else self._asked_at[oldest]
            is_owed = oldest is not None or not self.was_ready
        if is_owed and time.monotonic() - since >= self._answer_s:
            raise ServiceError(f"the service has not answered for {self._answer_s:g} s; it is asked again")

    def _take(self, message: str | bytes) -> None:
        said = parse(message)
        if not self.was_ready and not isinstance(said, ReadyMessage | ProblemMessage):
            raise ServiceError("the service did not say that it is ready first; see whether --url leads to a service")
        match said:
            case ReadyMessage(zone, model, factor):
                if zone != self._zone:
                    raise InputError(f"the service decides about zone {zone!r}; expected {self._zone!r}; check --url")
                with self._changed:
                    self.was_ready, self._factor = True, factor
                    self._changed.notify_all()
                self._tell(Ready(zone, model, factor))
            case FrameMessage(number, faces, matches, dropped, unreadable):
                self._answered(number, is_dropped=dropped)
                if unreadable:
                    self._tell(Unusable("the service cannot read a frame; see what the camera sends"))
                self._tell(Looked(faces, matches, dropped or unreadable))
            case DecisionMessage(verdict, passage, number, subject_id):
                if not 1 <= number <= self._sent:
                    raise ServiceError("the service decided about a frame that it was not sent; it is asked again")
                asked_at = self._asked_at.get(number)
                self._tell(Decided(verdict, passage, asked_at, subject_id))
            case ProblemMessage(title):
                raise ServiceError(f"the service ends the session: {title}")
            case None:
                pass

    def _answered(self, number: int, *, is_dropped: bool) -> None:
        with self._changed:
            if next(iter(self._unanswered), None) != number:
                raise ServiceError("the service answered frames out of their order; it is asked again")
            frame = self._unanswered.pop(number)
            self.was_useful = self.was_useful or not is_dropped
            if is_dropped:
                self._not_before_s = time.monotonic() + BUSY_PAUSE_S
            self._changed.notify_all()
        if is_dropped:
            self._frames.give_back(frame, counts=False)
        else:
            frame.settle()


_MEANS: Final = {
    1001: "it is going away",
    1006: "the connection broke off",
    1008: "the credential is not in force any more",
    1009: "a frame was too large",
    1011: "something went wrong there",
    1012: "it is ending",
    1013: "it is busy",
}


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 6 else None  # noqa: PLR2004
