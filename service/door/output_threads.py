"""A thread for each output, so that one that hangs delays neither the door nor the other outputs.

An output gets the current state of the door, not single events: a command that failed is repeated until a new state
replaces it, and a late opening lasts only for the rest of its time.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from volens.consent import VolensError
from volens.consent.panel_badge import PanelBadge
from volens.service.door.door_events import EventSink, Verdict
from volens.service.door.door_state import DoorStatus, Lock
from volens.service.door.outputs import ListeningOutput, Output, PanelOutput

POLL_EVERY_S: Final = 1.0
RETRY_S: Final = 0.5
HANG_TIMEOUT_S: Final = 3.0
END_TIMEOUT_S: Final = 3.0


@final
@dataclass(frozen=True, slots=True)
class OutputHealth:
    """Whether an output works; if not, the reason."""

    name: str
    is_ok: bool
    reason: str = ""


@final
class ThreadedOutput:
    """An output with its thread."""

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the thread; its first command closes the output."""
        self._output = output
        self._clock = clock
        self._changed = threading.Condition()
        self._status = DoorStatus(Lock.LOCKED, offline=False)
        self._is_new = True
        self._verdict: Verdict | None = None
        self._ended = False
        self._problem = ""
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"door-{output.name}", daemon=True)
        self._thread.start()

    def listen(self, emit: EventSink) -> None:
        """Send what the device reads and reports to the door, if it does."""
        if isinstance(self._output, ListeningOutput):
            self._output.listen(emit)

    @property
    def sends_badges(self) -> bool:
        """Whether it sends badge numbers to a panel."""
        return isinstance(self._output, PanelOutput)

    def send_badge(self, badge: PanelBadge) -> None:
        """Send a badge number to a panel; see `PanelOutput`."""
        if isinstance(self._output, PanelOutput):
            self._output.send_badge(badge)

    def pass_on(self, number: str) -> None:
        """Pass the number of a badge that was read on to a panel; see `PanelOutput`."""
        if isinstance(self._output, PanelOutput):
            self._output.pass_on(number)

    def set_status(self, status: DoorStatus) -> None:
        """Set the state that the output must have. Does not block."""
        with self._changed:
            if status != self._status:
                self._status, self._is_new = status, True
                self._changed.notify_all()

    def show(self, verdict: Verdict) -> None:
        """Show a decision; a newer one replaces it. Does not block."""
        with self._changed:
            self._verdict = verdict
            self._changed.notify_all()

    def health(self) -> OutputHealth:
        """Return whether the output works."""
        with self._changed:
            since, now = self._busy_since, self._clock()
            if since is not None and now - since >= HANG_TIMEOUT_S:
                return OutputHealth(self._output.name, is_ok=False, reason="it does not respond")
            return OutputHealth(self._output.name, is_ok=not self._problem, reason=self._problem)

    def end(self, last: Lock) -> None:
        """Set the final state and end the thread; an output that hangs is abandoned after `END_TIMEOUT_S`."""
        with self._changed:
            self._status, self._is_new, self._ended = DoorStatus(last, offline=True), True, True
            self._verdict = None
            self._changed.notify_all()

    def join(self, timeout_s: float = END_TIMEOUT_S) -> bool:
        """Wait for the end of the thread. False: it hangs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait_s, is_ending = POLL_EVERY_S, False
        while not is_ending:
            with self._changed:
                self._changed.wait_for(lambda: self._is_new or self._verdict is not None or self._ended, wait_s)
                status, is_new, verdict = self._status, self._is_new, self._verdict
                is_ending = self._ended
                self._is_new, self._verdict = False, None
                self._busy_since = self._clock()
            problem = self._execute(status, verdict, is_new=is_new)
            with self._changed:
                self._problem, self._busy_since = problem, None
                self._is_new = self._is_new or (bool(problem) and not self._ended)
            # A failed command is repeated after a pause.
            wait_s = POLL_EVERY_S
            if problem and not is_ending:
                self._pause()
        self._output.close()

    def _pause(self) -> None:
        with self._changed:
            status = self._status
            self._changed.wait_for(lambda: self._ended or self._status != status, RETRY_S)

    def _execute(self, status: DoorStatus, verdict: Verdict | None, *, is_new: bool) -> str:
        try:
            if is_new:
                self._apply(status)
            if verdict is not None:
                self._output.show(verdict)
            if not is_new and verdict is None:
                self._output.poll()
        except (VolensError, OSError) as error:
            return str(error) if isinstance(error, VolensError) else (error.strerror or type(error).__name__)
        except Exception as error:  # noqa: BLE001  a bug in an output must not end the thread that closes it
            return f"internal error ({type(error).__name__})"
        return ""

    def _apply(self, status: DoorStatus) -> None:
        if status.lock is Lock.HELD_OPEN:
            self._output.hold_open()
            return
        left_s = 0.0 if status.open_until_s is None else status.open_until_s - self._clock()
        if status.lock is Lock.UNLOCKED and left_s > 0:
            self._output.open_for(left_s)
        else:
            self._output.keep_closed()
