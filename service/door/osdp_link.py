"""OSDP link: the thread that keeps one serial line open and one device or panel of `libosdp` alive on it.

1. The library must be called every 50 ms, and only by one thread: this one. Other threads hand it work with `run_soon`.
2. A line that is gone, and a session that failed, are begun again after a pause that grows (backoff): the library
   itself would wait for five minutes.
3. The thread is a daemon and ends with `close`, which waits for it: after that nothing reaches the line any more.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar, final

from volens.consent import VolensError
from volens.service.backoff import Backoff, again_in_s
from volens.service.door.osdp_channel import Line, LineChannel

PACE: Final = Backoff(0.25, 4.0, 2)
_TICK_S: Final = 0.01
_END_TIMEOUT_S: Final = 2.0


class _Context(Protocol):
    def refresh(self) -> None: ...


ContextT = TypeVar("ContextT", bound=_Context)


@final
class OsdpLink(Generic[ContextT]):
    """Keeps a context of the library alive.

    In the thread of the link, `step` is called after each refresh, and `ended` after the end of each session.
    """

    def __init__(
        self,
        name: str,
        address: int,
        open_line: Callable[[], Line],
        make_context: Callable[[LineChannel], ContextT],
        step: Callable[[ContextT, LineChannel], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._address = address
        self._open_line = open_line
        self._make_context = make_context
        self._step = step
        self._ended = ended
        self._work: SimpleQueue[Callable[[ContextT], None]] = SimpleQueue()
        self._stopped = threading.Event()
        self._restart = threading.Event()
        self._failures = 0
        self._problem = ""
        self._thread: threading.Thread | None = None

    @property
    def problem(self) -> str:
        """Why the line cannot be used; empty if it can."""
        return self._problem

    def start(self) -> None:
        """Start the thread, if it does not run yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"door-{self._name}", daemon=True)
            self._thread.start()

    def run_soon(self, work: Callable[[ContextT], None]) -> None:
        """Run a function in the thread of the link, with the current context. It must not raise or block."""
        # 1.
        self._work.put(work)

    def restart(self, *, failed: bool) -> None:
        """Begin a new session; after a failed one, with a pause. Thread-safe."""
        if failed:
            self._failures += 1
        self._restart.set()

    def succeeded(self) -> None:
        """Reset the pause: the session works."""
        self._failures = 0

    def close(self) -> None:
        """End the thread and release the line."""
        # 3.
        self._stopped.set()
        self._restart.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_END_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                line = self._open_line()
            except VolensError as error:
                self._problem = str(error)
                self._failures += 1
            else:
                self._problem = ""
                try:
                    self._serve(line)
                except Exception as error:  # noqa: BLE001  the thread must go on; a retry may help
                    self._problem = (
                        str(error) if isinstance(error, VolensError) else f"internal error ({type(error).__name__})"
                    )
                    self._failures += 1
                finally:
                    line.close()
                    self._ended()
            # 2.
            if self._failures:
                self._stopped.wait(again_in_s(self._failures, random.random(), pace=PACE))  # noqa: S311  only jitter

    def _serve(self, line: Line) -> None:
        self._restart.clear()
        channel = LineChannel(line, self._address)
        context = self._make_context(channel)
        with suppress(Empty):
            while True:  # work for an earlier session
                self._work.get_nowait()
        until = 0.0
        while not self._restart.is_set() and not self._stopped.is_set():
            line.wait(max(0.0, until - time.monotonic()))
            until = time.monotonic() + _TICK_S
            with suppress(Empty):
                while True:
                    self._work.get_nowait()(context)
            context.refresh()
            self._step(context, channel)
            if channel.failure is not None:
                self._problem = str(channel.failure)
                self._failures += 1
                return
