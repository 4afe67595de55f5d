"""Log of a door for its operator: one line for each event, as text or JSON; on a terminal also a status line.

Lines contain no id of a person and no score. A reader that blocks does not delay the door: lines that it does not take
in time are dropped.
"""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from queue import Empty, Full, Queue
from typing import Any, Final, final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from volens.consent.plain_text import escaped
from volens.consent.zone import Trigger
from volens.identify import REASONS
from volens.service.door.door_events import (
    CardSent,
    DeciderLost,
    DeciderReady,
    DecisionReceived,
    DeviceReported,
    Event,
    Factor,
    InputRejected,
    SourceEnded,
    SourceLost,
    SourceReady,
    Verdict,
)
from volens.service.door.door_state import DoorStatus, Lock
from volens.service.door.mqtt_messages import Health
from volens.store import utc_now

MAX_WAITING: Final = 256
_LOCK_TEXT: Final = {Lock.LOCKED: "closed", Lock.UNLOCKED: "open", Lock.HELD_OPEN: "held open"}
_BADGE_TEXT: Final = "no face is compared, present your badge"
_FACTOR_TEXT: Final = {Factor.BADGE: "a badge", Factor.PIN: "a PIN", None: "a second factor"}
_TRIGGER_TEXT: Final = {
    Trigger.NEAR.value: "when a person stops near, or asks",
    Trigger.REQUEST.value: "when a person asks",
    Trigger.PASSING.value: "of everyone who passes",
}


@final
class DoorLog:
    """Writes events of a door in its own thread. Use it as a context manager."""

    def __init__(self, out: Console, err: Console, *, as_json: bool, clock: Callable[[], datetime] = utc_now) -> None:
        """Write events to `out`, and the status line to `err` if it is a terminal."""
        self._out = out
        self._as_json = as_json
        self._clock = clock
        self._lines: Queue[str | None] = Queue(MAX_WAITING)
        self._live = Live(Text(""), console=err, transient=True, refresh_per_second=2) if err.is_terminal else None
        self._stack = ExitStack()
        self._factor: Factor | None = None
        self._last = "none yet"
        self._last_unusable = ""
        self._thread = threading.Thread(target=self._write, name="door-log", daemon=True)

    def __enter__(self) -> "DoorLog":
        if self._live is not None and not self._as_json:
            self._stack.enter_context(self._live)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._lines.put(None, timeout=1.0)
        except Full:
            return  # the reader blocks
        self._thread.join(2.0)
        self._stack.close()

    def event(self, event: Event, *, opens: bool = False) -> None:
        """Log an event, if it concerns the operator."""
        match event:
            case DeciderReady(zone, model, factor, trigger):
                self._factor = factor
                asks = "" if factor is None else f"; people also present {_FACTOR_TEXT[factor]}"
                asks += "" if trigger is None else f"; it compares a face {_TRIGGER_TEXT[trigger]}"
                text = f"ready: zone {zone}, model {model}{asks}"
                self._line("ready", text, zone=zone, model=model, factor=factor, trigger=trigger)
            case DecisionReceived():
                self._log_decision(event, opens=opens)
            case DeciderLost(reason):
                self._line("decider", f"no decisions: {reason}", ok=False, message=reason)
            case SourceLost(reason):
                self._line("source", f"no frames: {reason}", ok=False, message=reason)
            case SourceReady():
                self._line("source", "frames arrive", ok=True)
            case SourceEnded():
                self._line("source", "no more frames", ok=True, ended=True)
            case InputRejected(reason) if reason != self._last_unusable:  # a camera would repeat it for each frame
                self._last_unusable = reason
                self._line("unusable", f"rejected: {reason}", message=reason)
            case DeviceReported(name, tampered, without_power):
                wrong = ["its case is open"] * tampered + ["its power failed"] * without_power
                text = f"{name}: {' and '.join(wrong) if wrong else 'case closed, power well'}"
                self._line("device", text, name=name, tampered=tampered, without_power=without_power)
            case CardSent(name, was_sent):
                what = "the panel got the badge number" if was_sent else "the panel did not fetch the badge number"
                self._line("card", f"{name}: {what}", name=name, sent=was_sent)
            case _:
                pass

    def output(self, lock: Lock, seconds: float | None) -> None:
        """Log what the output `console` does."""
        whole = None if seconds is None else round(seconds, 1)
        text = _LOCK_TEXT[lock] + ("" if whole is None else f" for {whole:g} s")
        self._line("output", f"door: {text}", lock=lock.value, seconds=whole)

    def status(self, status: DoorStatus) -> None:
        """Log the state of the door; in text only if it is offline, because decisions have lines of their own."""
        text = f"offline: no decisions; the door is {_LOCK_TEXT[status.lock]}" if status.offline else ""
        text = f"the lease has ended: {_BADGE_TEXT}" if status.badges_only else text
        self._line("state", text, lock=status.lock.value, offline=status.offline, badges_only=status.badges_only)

    def health(self, health: Health, *, broker: bool | None) -> None:
        """Log the health of the door; in text only what fails."""
        wrong = [f"{one.name}: {one.reason}" for one in health.outputs if not one.is_ok]
        wrong += ["broker: not connected"] if broker is False else []
        outputs = [{"name": one.name, "ok": one.is_ok, "message": one.reason} for one in health.outputs]
        flags = {
            "source_ok": health.source_ok,
            "decider_ok": health.decider_ok,
            "outputs": outputs,
            "broker_ok": broker,
        }
        self._line("health", f"failing: {'; '.join(wrong)}" if wrong else "", **flags)

    def status_line(self, status: DoorStatus, frames_per_second: float) -> None:
        """Update the status line."""
        if self._live is not None and not self._as_json:
            offline = ", offline" if status.offline else ""
            offline += f", {_BADGE_TEXT}" if status.badges_only else ""
            text = f"{_LOCK_TEXT[status.lock]}{offline} | {frames_per_second:.1f} frames/s | last: {self._last}"
            self._live.update(Text(text, style="dim"))

    def _log_decision(self, decision: DecisionReceived, *, opens: bool) -> None:
        self._last = decision.verdict.value.replace("_", " ")
        what = {
            Verdict.MATCH: "match" if opens else "match, too late or repeated: the door does not open",
            Verdict.NO_MATCH: "no match",
            Verdict.FACTOR_REQUIRED: f"second factor required: {_FACTOR_TEXT[self._factor]}",
        }[decision.verdict]
        because = "" if decision.reason is None else f": {REASONS[decision.reason]}"
        text = f"decision: {what}{because} (visit {decision.visit_id})"
        fields = {"decision": decision.verdict.value, "passage": decision.visit_id, "reason": decision.reason}
        self._line("decision", text, **fields, looks=decision.looks, opens=opens)

    def _line(self, event: str, text: str, **fields: Any) -> None:  # noqa: ANN401  what JSON holds
        if self._as_json:
            at = self._clock().isoformat(timespec="milliseconds")
            text = json.dumps({"event": event, "at": at} | fields)
        if not text:
            return
        try:
            self._lines.put_nowait(escaped(text))
        except Full:
            return

    def _write(self) -> None:
        while True:
            try:
                line = self._lines.get(timeout=60)
            except Empty:
                continue
            if line is None:
                return
            try:
                self._out.out(line, highlight=False)
                self._out.file.flush()
            except (OSError, ValueError):  # the reader has gone; the door continues
                continue
