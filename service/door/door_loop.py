"""The loop of one door: events come in from all sides, and one state machine says how the door stands.

1. Sources, deciders, readers of badges, outputs and the broker have threads of their own; the loop waits for none.
2. That decisions can be got is shown by a frame that was looked at; where frames come rarely (a folder), by a decider
   that is there and owes no answer.
3. A match about a frame that was handed over more than `max_age_s` ago opens nothing.
4. At the end the outputs are told how the door is left, then the broker is told that it is gone.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from queue import Empty, SimpleQueue
from typing import Final, final

from volens.service.door.broadcast import Broadcast
from volens.service.door.decider import Decider
from volens.service.door.door_events import (
    Broken,
    Decided,
    Event,
    Looked,
    Lost,
    Ready,
    Shown,
    SourceBroken,
    SourceEnded,
    SourceWell,
    Stop,
    Verdict,
)
from volens.service.door.door_log import DoorLog
from volens.service.door.door_state import DoorRules, DoorState, Standing
from volens.service.door.factor_input import FactorInput
from volens.service.door.frame_queue import MAX_AGE_S, Frames
from volens.service.door.frame_sources import Source, started
from volens.service.door.mqtt_messages import Health
from volens.service.door.output_threads import END_WITHIN_S, ThreadedOutput

HEALTH_EVERY_S: Final = 30.0
TICK_S: Final = 0.25
LINGER_S: Final = 0.5
DECIDER_ENDS_WITHIN_S: Final = 15.0
_VERSION: Final = version("volens")


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """When a door ends by itself, which it does when it is tried out.

    Attributes:
        frames: after so many frames were looked at; None for never.
        once: after the first decision, when the door has closed again.
        max_age_s: how old a frame may be that still opens the door.
    """

    frames: int | None = None
    idempotent: bool = False
    max_age_s: float = MAX_AGE_S


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened while a door was watched.

    Attributes:
        is_by_itself: it ended because it was to, not because somebody stopped it.
    """

    frames: int
    openings: int
    is_by_itself: bool


@final
class Door:
    """One door, put together. `run` once."""

    def __init__(
        self,
        rules: DoorRules,
        source: Source,
        decider: Decider,
        outputs: Sequence[ThreadedOutput],
        teller: DoorLog,
        broadcast: Broadcast,
        *,
        factor_input: FactorInput | None = None,
        limits: Limits = Limits(),
    ) -> None:
        """Put a door together; nothing is started yet, but for the outputs, which are closed."""
        self._source = source
        self._decider = decider
        self._outputs = outputs
        self._teller = teller
        self._broadcast = broadcast
        self._factor_input = factor_input
        self._limits = limits
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._frames = Frames(limits.max_age_s)
        self._stopped = threading.Event()
        self._rules = rules
        self._state = DoorState(rules, time.monotonic())
        self._standing: Standing | None = None
        self._source_ok = self._decider_ok = False
        self._looked = self._openings = 0
        self._ends_at_s: float | None = None
        self._health: Health | None = None
        self._health_at_s = -HEALTH_EVERY_S

    def stop(self) -> None:
        """Ask the door to end. From any thread, and from signal handlers."""
        self._events.put(Stop())

    def run(self) -> Outcome:
        """Watch the door until somebody stops it, or it has reached a limit.

        Raises:
            VolensError: something broke that trying again does not mend; the outputs were told how the door is left.
        """
        # 1.
        tell = self._events.put
        self._broadcast.start()
        self._state = DoorState(self._rules, time.monotonic())
        decider = threading.Thread(target=self._decide, name="door-decider", daemon=True)
        decider.start()
        source = started(self._source, self._frames, tell, self._stopped)
        if self._factor_input is not None:
            self._factor_input.start(tell, self._stopped)
        try:
            return self._loop()
        finally:
            self._end(decider, source)

    def _loop(self) -> Outcome:
        while True:
            self._settle()
            event = self._next()
            match event:
                case None:
                    pass
                case Stop():
                    return Outcome(self._looked, self._openings, is_by_itself=False)
                case Broken(error):
                    raise error
                case _:
                    self._take(event)
            if self._is_over():
                return Outcome(self._looked, self._openings, is_by_itself=True)

    def _next(self) -> Event | None:
        wait_s = min(TICK_S, self._state.changes_in_s(time.monotonic()))
        with suppress(Empty):
            return self._events.get(timeout=max(0.001, wait_s))
        return None

    def _take(self, event: Event) -> None:
        opens = False
        match event:
            case Ready():
                self._decider_ok = True
            case Lost():
                self._decider_ok = False
            case SourceWell():
                self._source_ok = True
            case SourceBroken():
                self._source_ok = False
            case SourceEnded():
                self._ends()
            case Looked(dropped=False):
                # 2.
                self._source_ok = True
                self._state.able(time.monotonic())
                self._looked += 1
                if self._limits.frames is not None and self._looked >= self._limits.frames:
                    self._ends()
            case Decided():
                opens = self._decided(event)
            case Shown():
                self._decider.present(event)
            case _:
                pass
        self._teller.event(event, opens=opens)

    def _decided(self, decided: Decided) -> bool:
        now = time.monotonic()
        # 3.
        is_late = decided.asked_at_s is None or now - decided.asked_at_s > self._limits.max_age_s
        opens = decided.verdict is Verdict.MATCH and not is_late and self._state.matched(decided.passage, now)
        self._openings += opens
        for output in self._outputs:
            output.show(decided.verdict)
        self._broadcast.decision(decided)
        if self._limits.idempotent and decided.verdict is not Verdict.FACTOR_REQUIRED:
            self._ends()
        return opens

    def _settle(self) -> None:
        now = time.monotonic()
        # 2.
        if self._source.is_quiet and self._source_ok and self._decider_ok and self._frames.is_answered:
            self._state.able(now)
        standing = self._state.at(now)
        if standing != self._standing:
            for output in self._outputs:
                output.order(standing)
            if self._standing is None or _shown(standing) != _shown(self._standing):
                self._teller.standing(standing)
                self._broadcast.state(standing)
            self._standing = standing
        self._teller.status(standing, self._frames.rate(now))
        self._tell_health(now)

    def _tell_health(self, now: float) -> None:
        outputs = tuple(output.health() for output in self._outputs)
        age_s, rate = self._frames.age_s(now), self._frames.rate(now)
        health = Health(rate, age_s, self._source_ok, self._decider_ok, outputs, _VERSION, self._broadcast.dropped)
        is_news = self._health is None or self._health.signs != health.signs
        if not is_news and now - self._health_at_s < HEALTH_EVERY_S:
            return
        self._health, self._health_at_s = health, now
        self._teller.health(health, broker=self._broadcast.is_connected)
        self._broadcast.health(health)

    def _ends(self) -> None:
        if self._ends_at_s is None:
            # What was decided about the last frame may still be on its way.
            self._ends_at_s = time.monotonic() + LINGER_S

    def _is_over(self) -> bool:
        now = time.monotonic()
        return self._ends_at_s is not None and now >= self._ends_at_s and self._state.at(now).open_until_s is None

    def _decide(self) -> None:
        try:
            self._decider.decide(self._frames, self._events.put)
        except Exception as error:  # noqa: BLE001  the loop raises it, after it has seen to the outputs
            self._events.put(Broken(error))

    def _end(self, decider: threading.Thread, source: threading.Thread) -> None:
        self._stopped.set()
        self._frames.close()
        # 4.
        last = self._state.at_the_end()
        for output in self._outputs:
            output.end(last)
        until = time.monotonic() + END_WITHIN_S
        for output in self._outputs:
            output.join(max(0.0, until - time.monotonic()))
        self._broadcast.state(Standing(last, offline=True))
        self._broadcast.end()
        # A site must not be closed under somebody who looks.
        decider.join(DECIDER_ENDS_WITHIN_S)
        source.join(1.0)


def _shown(standing: Standing) -> tuple[object, ...]:
    return standing.lock, standing.offline
