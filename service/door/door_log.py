"""What whoever runs a door reads: a line for each thing that happens, or JSON; on a terminal, a status line besides.

Nobody's id is in it, nor a score. A reader that stalls holds up nobody: what it does not take in time is left out.
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

from volens.service.door.door_events import (
    Decided,
    Event,
    Factor,
    Lost,
    Ready,
    SourceBroken,
    SourceEnded,
    SourceWell,
    Unusable,
    Verdict,
)
from volens.service.door.door_state import Lock, Standing
from volens.service.door.mqtt_messages import Health
from volens.store import utc_now

MAX_WAITING: Final = 256
_SAYS: Final = {Lock.LOCKED: "closed", Lock.UNLOCKED: "open", Lock.HELD_OPEN: "held open"}
_ASKS: Final = {Factor.BADGE: "a badge", Factor.PIN: "a PIN", None: "something else"}


@final
class DoorLog:
    """Tells what happens at a door; a thread of its own does the writing. Use as a context manager."""

    def __init__(self, out: Console, err: Console, *, as_json: bool, clock: Callable[[], datetime] = utc_now) -> None:
        """Write events to `out`, and the status line to `err` if it is a terminal."""
        self._out = out
        self._as_json = as_json
        self._clock = clock
        self._lines: Queue[str | None] = Queue(MAX_WAITING)
        self._live = Live(Text(""), console=err, transient=True, refresh_per_second=2) if err.is_terminal else None
        self._stack = ExitStack()
        self._factor: Factor | None = None
        self._last = "nobody yet"
        self._last_unusable = ""
        self._thread = threading.Thread(target=self._write, name="door-teller", daemon=True)

    def __enter__(self) -> "DoorLog":
        if self._live is not None and not self._as_json:
            self._stack.enter_context(self._live)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._lines.put(None, timeout=1.0)
        except Full:
            return  # whoever reads has stalled
        self._thread.join(2.0)
        self._stack.close()

    def event(self, event: Event, *, opens: bool = False) -> None:
        """Tell of an event, if it is one that anybody reads about."""
        match event:
            case Ready(zone, model, factor):
                self._factor = factor
                asks = "" if factor is None else f"; people show {_ASKS[factor]} as well"
                self._line("ready", f"deciding about {zone} with {model}{asks}", zone=zone, model=model, factor=factor)
            case Decided():
                self._decided(event, opens=opens)
            case Lost(sentence):
                self._line("decider", f"no decisions: {sentence}", ok=False, message=sentence)
            case SourceBroken(sentence):
                self._line("source", f"no frames: {sentence}", ok=False, message=sentence)
            case SourceWell():
                self._line("source", "frames come", ok=True)
            case SourceEnded():
                self._line("source", "no more frames", ok=True, ended=True)
            case Unusable(sentence) if sentence != self._last_unusable:  # a camera would say it with each frame
                self._last_unusable = sentence
                self._line("unusable", f"not used: {sentence}", message=sentence)
            case _:
                pass

    def output(self, lock: Lock, seconds: float | None) -> None:
        """Tell what the output `console` does."""
        whole = None if seconds is None else round(seconds, 1)
        said = _SAYS[lock] + ("" if whole is None else f" for {whole:g} s")
        self._line("output", f"door: {said}", lock=lock.value, seconds=whole)

    def standing(self, standing: Standing) -> None:
        """Tell how the door stands now; in text, only when nobody decides, for the decisions are there to read."""
        said = f"offline: nobody decides; the door is {_SAYS[standing.lock]}" if standing.offline else ""
        self._line("state", said, lock=standing.lock.value, offline=standing.offline)

    def health(self, health: Health, *, broker: bool | None) -> None:
        """Tell how it does; in text, only what does not do well."""
        wrong = [f"{one.name}: {one.sentence}" for one in health.outputs if not one.is_well]
        wrong += ["broker: not connected"] if broker is False else []
        outputs = [{"name": one.name, "ok": one.is_well, "message": one.sentence} for one in health.outputs]
        signs = {
            "source_ok": health.source_ok,
            "decider_ok": health.decider_ok,
            "outputs": outputs,
            "broker_ok": broker,
        }
        self._line("health", f"not well: {'; '.join(wrong)}" if wrong else "", **signs)

    def status(self, standing: Standing, frames_per_second: float) -> None:
        """Renew the status line."""
        if self._live is not None and not self._as_json:
            offline = ", offline" if standing.offline else ""
            said = f"{_SAYS[standing.lock]}{offline} | {frames_per_second:.1f} frames/s | last: {self._last}"
            self._live.update(Text(said, style="dim"))

    def _decided(self, decided: Decided, *, opens: bool) -> None:
        self._last = decided.verdict.value.replace("_", " ")
        what = {
            Verdict.MATCH: "match" if opens else "match, which comes too late or again: the door does not open for it",
            Verdict.NO_MATCH: "no match",
            Verdict.FACTOR_REQUIRED: f"a face is known; {_ASKS[self._factor]} is asked for",
        }[decided.verdict]
        said = f"decision: {what} (passage {decided.passage})"
        self._line("decision", said, decision=decided.verdict.value, passage=decided.passage, opens=opens)

    def _line(self, event: str, said: str, **fields: Any) -> None:  # noqa: ANN401  what JSON holds
        if self._as_json:
            at = self._clock().isoformat(timespec="milliseconds")
            said = json.dumps({"event": event, "at": at} | fields)
        if not said:
            return
        try:
            self._lines.put_nowait(said)
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
            except (OSError, ValueError):  # whoever read is gone; the door stays
                continue
