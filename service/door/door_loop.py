"""Event loop of one door: threads send events, and one state machine decides what the outputs do.

1. Sources, deciders, factor inputs, outputs and the broker have their own threads; the loop waits for none of them.
2. A processed frame shows that decisions are available. With an intermittent source (a folder), a decider that is
   ready and owes no answer shows it too.
3. A match about a frame that was submitted more than `max_age_s` ago opens nothing.
4. At the end the outputs get the final state of the door; after that the broker is notified and disconnected.
5. After its lease, a door without a connection passes badges on to the panel of the house, if its zone says so. No
   number is stored, and the panel decides.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from queue import Empty, SimpleQueue
from typing import Final, final

from volens.consent import InputError, format_time
from volens.service.door.decider import Decider
from volens.service.door.door_events import (
    BadgesOnly,
    DeciderLost,
    DeciderReady,
    DecisionReceived,
    DoorFailed,
    Event,
    Factor,
    FactorPresented,
    FrameProcessed,
    InputRejected,
    Presented,
    RecognitionRequested,
    SourceEnded,
    SourceLost,
    SourceReady,
    StopRequested,
    Verdict,
)
from volens.service.door.door_log import DoorLog
from volens.service.door.door_state import DoorRules, DoorState, DoorStatus, Lock
from volens.service.door.factor_input import FactorInput
from volens.service.door.frame_queue import MAX_AGE_S, FrameQueue
from volens.service.door.frame_sources import Source, start_source
from volens.service.door.mqtt_bridge import Bridge
from volens.service.door.mqtt_messages import Health, Message, Topics
from volens.service.door.output_threads import END_TIMEOUT_S, ThreadedOutput
from volens.store import utc_now

HEALTH_EVERY_S: Final = 30.0
TICK_S: Final = 0.25
END_DELAY_S: Final = 0.5
DECIDER_END_TIMEOUT_S: Final = 15.0
_NO_BADGE: Final = "a person without a badge number for the panel; set it with 'volens consent panel-badge'"
_NO_PANEL: Final = (
    "badges, which would open after the lease: this door has no output osdp-reader to pass them on; it stays closed"
)
_VERSION: Final = version("volens")


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """When a door ends by itself, for trials and tests.

    Attributes:
        frames: end after this number of processed frames.
        once: end after the first decision, when the door has closed again.
        max_age_s: an older frame does not open the door.
    """

    frames: int | None = None
    once: bool = False
    max_age_s: float = MAX_AGE_S


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of running a door.

    Attributes:
        ended_by_itself: a limit was reached; False if it was stopped.
    """

    frames: int
    openings: int
    ended_by_itself: bool


@final
class Door:
    """One door. Call `run` once.

    Attributes:
        decided_at: when it last got a decision; None before the first.
    """

    def __init__(
        self,
        rules: DoorRules,
        source: Source,
        decider: Decider,
        outputs: Sequence[ThreadedOutput],
        log: DoorLog,
        topics: Topics,
        *,
        bridge: Bridge | None = None,
        factor_input: FactorInput | None = None,
        limits: Limits = Limits(),
    ) -> None:
        """Connect the parts; nothing is started here. The outputs run already, in state closed."""
        self._source = source
        self._decider = decider
        self._outputs = outputs
        self._log = log
        self._topics = topics
        self._bridge = bridge
        self._factor_input = factor_input
        self._limits = limits
        self._badges_only = False
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._frames = FrameQueue(limits.max_age_s)
        self._stopped = threading.Event()
        self.decided_at: datetime | None = None
        self._rules = rules
        self._state = DoorState(rules, time.monotonic())
        self._status: DoorStatus | None = None
        self._source_ok = self._decider_ok = False
        self._processed = self._openings = 0
        self._end_at_s: float | None = None
        self._health: Health | None = None
        self._health_at_s = -HEALTH_EVERY_S

    def stop(self) -> None:
        """End the door; safe in any thread and in signal handlers."""
        self._events.put(StopRequested())

    def run(self) -> Outcome:
        """Run until `stop` is called or a limit is reached.

        Raises:
            VolensError: an error that a retry cannot fix; the outputs have got the final state.
        """
        # 1.
        emit = self._events.put
        if self._bridge is not None:
            self._bridge.start()
        self._state = DoorState(self._rules, time.monotonic())
        decider = threading.Thread(target=self._decide, name="door-decider", daemon=True)
        decider.start()
        for output in self._outputs:
            output.listen(emit)
        source = start_source(self._source, self._frames, emit, self._stopped)
        if self._factor_input is not None:
            self._factor_input.start(emit, self._stopped)
        try:
            return self._loop()
        finally:
            self._end(decider, source)

    def _loop(self) -> Outcome:
        while True:
            self._update()
            event = self._next()
            match event:
                case None:
                    pass
                case StopRequested():
                    return Outcome(self._processed, self._openings, ended_by_itself=False)
                case DoorFailed(error):
                    raise error
                case _:
                    self._handle(event)
            if self._is_finished():
                return Outcome(self._processed, self._openings, ended_by_itself=True)

    def _next(self) -> Event | None:
        wait_s = min(TICK_S, self._state.seconds_until_change(time.monotonic()))
        with suppress(Empty):
            return self._events.get(timeout=max(0.001, wait_s))
        return None

    def _handle(self, event: Event) -> None:
        opens = False
        match event:
            case DeciderReady() | DeciderLost() | BadgesOnly():
                self._note_decider(event)
            case SourceReady() | SourceLost():
                self._source_ok = isinstance(event, SourceReady)
            case SourceEnded():
                self._schedule_end()
            case FrameProcessed(dropped=False):
                # 2.
                self._source_ok = True
                self._state.note_available(time.monotonic())
                self._processed += 1
                if self._limits.frames is not None and self._processed >= self._limits.frames:
                    self._schedule_end()
            case DecisionReceived():
                opens = self._handle_decision(event)
            case FactorPresented() | RecognitionRequested():
                (self._pass_on if self._badges_only else self._decider.present)(event)
            case _:
                pass
        self._log.event(event, opens=opens)

    def _handle_decision(self, decision: DecisionReceived) -> bool:
        now = time.monotonic()
        self.decided_at = utc_now()
        # 3.
        is_late = decision.submitted_at_s is None or now - decision.submitted_at_s > self._limits.max_age_s
        opens = decision.verdict is Verdict.MATCH and not is_late and self._state.note_match(decision.visit_id, now)
        self._openings += opens
        if opens:
            self._send_badge(decision)
        for output in self._outputs:
            output.show(decision.verdict)
        self._publish(self._topics.decision(decision, _now()))
        if self._limits.once and decision.verdict is not Verdict.FACTOR_REQUIRED:
            self._schedule_end()
        return opens

    def _send_badge(self, decision: DecisionReceived) -> None:
        """Send the badge number to the panels of this door, if it has any; a panel opens the door."""
        panels = [output for output in self._outputs if output.sends_badges and self._rules.matches_to_panel]
        if panels and decision.panel_badge is None:
            self._log.event(InputRejected(_NO_BADGE))
        for output in panels:
            try:
                if decision.panel_badge is not None:
                    output.send_badge(decision.panel_badge)
            except InputError as error:
                self._log.event(InputRejected(f"{error}; nothing was sent to the panel"))

    def _note_decider(self, event: DeciderReady | DeciderLost | BadgesOnly) -> None:
        self._decider_ok = isinstance(event, DeciderReady)
        if self._decider_ok:
            self._badges_only = False
        if not isinstance(event, BadgesOnly):
            return
        # 5.
        self._badges_only = any(output.sends_badges for output in self._outputs)
        if not self._badges_only:
            self._log.event(InputRejected(_NO_PANEL))

    def _pass_on(self, presented: Presented) -> None:
        if not isinstance(presented, FactorPresented) or presented.factor is not Factor.BADGE:
            return
        for output in self._outputs:
            try:
                output.pass_on(presented.value)
            except InputError as error:
                self._log.event(InputRejected(f"{error}; nothing was sent to the panel"))

    def _update(self) -> None:
        now = time.monotonic()
        # 2.
        if self._source.is_intermittent and self._source_ok and self._decider_ok and self._frames.is_idle:
            self._state.note_available(now)
        status = self._state.status_at(now)
        status = replace(status, badges_only=self._badges_only and status.lock is Lock.LOCKED)
        if status != self._status:
            for output in self._outputs:
                output.set_status(status)
            if self._status is None or _reported(status) != _reported(self._status):
                self._log.status(status)
            # Also when another visit restarts the timer: `until` is later then.
            left_s = None if status.open_until_s is None else status.open_until_s - now
            until = None if left_s is None else format_time(utc_now() + timedelta(seconds=left_s))
            self._publish(self._topics.state(status, _now(), until))
            self._status = status
        self._log.status_line(status, self._frames.rate(now))
        self._publish_health(now)

    def _publish_health(self, now: float) -> None:
        outputs = tuple(output.health() for output in self._outputs)
        age_s, rate = self._frames.age_s(now), self._frames.rate(now)
        dropped = 0 if self._bridge is None else self._bridge.dropped
        health = Health(rate, age_s, self._source_ok, self._decider_ok, outputs, _VERSION, dropped)
        has_changed = self._health is None or self._health.flags != health.flags
        if not has_changed and now - self._health_at_s < HEALTH_EVERY_S:
            return
        self._health, self._health_at_s = health, now
        self._log.health(health, broker=None if self._bridge is None else self._bridge.is_connected)
        self._publish(self._topics.health(health, _now()))

    def _publish(self, message: Message) -> None:
        if self._bridge is not None:
            self._bridge.publish(message)

    def _schedule_end(self) -> None:
        if self._end_at_s is None:
            # The decision about the last frame may still be under way.
            self._end_at_s = time.monotonic() + END_DELAY_S

    def _is_finished(self) -> bool:
        now = time.monotonic()
        return self._end_at_s is not None and now >= self._end_at_s and self._state.status_at(now).open_until_s is None

    def _decide(self) -> None:
        try:
            self._decider.decide(self._frames, self._events.put)
        except Exception as error:  # noqa: BLE001  the loop raises it, after it has set the outputs
            self._events.put(DoorFailed(error))

    def _end(self, decider: threading.Thread, source: threading.Thread) -> None:
        self._stopped.set()
        self._frames.close()
        # 4.
        last = self._state.final_lock()
        for output in self._outputs:
            output.end(last)
        until = time.monotonic() + END_TIMEOUT_S
        for output in self._outputs:
            output.join(max(0.0, until - time.monotonic()))
        self._publish(self._topics.state(DoorStatus(last, offline=True), _now()))
        if self._bridge is not None:
            self._bridge.end()
        # The site must not be closed while the decider uses it.
        decider.join(DECIDER_END_TIMEOUT_S)
        source.join(1.0)


def _now() -> str:
    return format_time(utc_now())


def _reported(status: DoorStatus) -> tuple[object, ...]:
    return status.lock, status.offline, status.badges_only
