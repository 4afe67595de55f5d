"""One thread for each output, so that one that hangs holds up neither the door nor the others.

An output is told what holds, not what happened: an order that could not be carried out is tried again until another
takes its place, and an opening that comes late is only as long as what is left of it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from volens.consent import VolensError
from volens.service.door.door_events import Verdict
from volens.service.door.door_state import Lock, Standing
from volens.service.door.outputs import Output

TEND_EVERY_S: Final = 1.0
AGAIN_S: Final = 0.5
HANGS_AFTER_S: Final = 3.0
END_WITHIN_S: Final = 3.0


@final
@dataclass(frozen=True, slots=True)
class OutputHealth:
    """Whether an output does what it is told; if not, the sentence says why."""

    name: str
    is_well: bool
    sentence: str = ""


@final
class ThreadedOutput:
    """An output with its thread."""

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the thread; the output is told to be closed first."""
        self._output = output
        self._clock = clock
        self._changed = threading.Condition()
        self._order = Standing(Lock.LOCKED, offline=False)
        self._is_new = True
        self._verdict: Verdict | None = None
        self._ended = False
        self._failed = ""
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"door-{output.name}", daemon=True)
        self._thread.start()

    def order(self, standing: Standing) -> None:
        """Let the output stand so. Never waits."""
        with self._changed:
            if standing != self._order:
                self._order, self._is_new = standing, True
                self._changed.notify_all()

    def show(self, verdict: Verdict) -> None:
        """Let the output show a decision; the newest one counts. Never waits."""
        with self._changed:
            self._verdict = verdict
            self._changed.notify_all()

    def health(self) -> OutputHealth:
        """Return how it goes."""
        with self._changed:
            since, now = self._busy_since, self._clock()
            if since is not None and now - since >= HANGS_AFTER_S:
                return OutputHealth(self._output.name, is_well=False, sentence="it hangs")
            return OutputHealth(self._output.name, is_well=not self._failed, sentence=self._failed)

    def end(self, last: Lock) -> None:
        """Carry out a last order, and end; an output that hangs is left to itself after `END_WITHIN_S`."""
        with self._changed:
            self._order, self._is_new, self._ended = Standing(last, offline=True), True, True
            self._verdict = None
            self._changed.notify_all()

    def join(self, within_s: float = END_WITHIN_S) -> bool:
        """Wait for the end. False: it hangs."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait_s, is_ending = TEND_EVERY_S, False
        while not is_ending:
            with self._changed:
                self._changed.wait_for(lambda: self._is_new or self._verdict is not None or self._ended, wait_s)
                order, is_new, verdict = self._order, self._is_new, self._verdict
                is_ending = self._ended
                self._is_new, self._verdict = False, None
                self._busy_since = self._clock()
            failed = self._carry_out(order, verdict, is_new=is_new)
            with self._changed:
                self._failed, self._busy_since = failed, None
                self._is_new = self._is_new or (bool(failed) and not self._ended)
            # What is not carried out is tried again, but not at once.
            wait_s = TEND_EVERY_S
            if failed and not is_ending:
                self._pause()
        self._output.close()

    def _pause(self) -> None:
        with self._changed:
            order = self._order
            self._changed.wait_for(lambda: self._ended or self._order != order, AGAIN_S)

    def _carry_out(self, order: Standing, verdict: Verdict | None, *, is_new: bool) -> str:
        try:
            if is_new:
                self._apply(order)
            if verdict is not None:
                self._output.show(verdict)
            if not is_new and verdict is None:
                self._output.tend()
        except (VolensError, OSError) as error:
            return str(error) if isinstance(error, VolensError) else (error.strerror or type(error).__name__)
        except Exception as error:  # noqa: BLE001  an output of somebody else's must not end the thread that closes it
            return f"internal error ({type(error).__name__})"
        return ""

    def _apply(self, order: Standing) -> None:
        if order.lock is Lock.HELD_OPEN:
            self._output.hold_open()
            return
        left_s = 0.0 if order.open_until_s is None else order.open_until_s - self._clock()
        if order.lock is Lock.UNLOCKED and left_s > 0:
            self._output.open_for(left_s)
        else:
            self._output.keep_closed()
