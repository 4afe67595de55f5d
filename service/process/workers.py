"""Worker processes behind one listening socket: started in turn, restarted when they die, ended together.

1. The parent binds the socket, has no keys and serves no requests. A worker inherits the socket and a link.
2. Over the link the parent sends what to serve, as JSON, and the worker sends that it is ready. Then the next worker is
   started: the first one finishes interrupted erasures, and two workers must not try that at the same time.
3. A worker that dies is restarted, with backoff if it dies repeatedly; the others continue to respond.
4. A signal to the parent is passed on. A worker that does not end in time is killed.
5. When the parent dies in any way, the link breaks, and the workers end by themselves.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, final

from volens.service.backoff import again_in_s
from volens.service.http.server import SHUTDOWN_S
from volens.service.process.service_log import Log
from volens.service.process.systemd_notifier import SystemdNotifier
from volens.service.service_config import PREFIX

READY: Final = b"ready\n"

_STEADY_S: Final = 30.0
_TICK_S: Final = 0.25
_PATIENCE_S: Final = 30.0
"""How long workers may take after draining: a webhook delivery that has started takes half of it at most."""
# The assignment has the settings, and the parent alone notifies systemd.
_PARENT_ONLY: Final = (PREFIX, "NOTIFY_SOCKET", "WATCHDOG_")


@final
class WorkerPool:
    """The workers of one service, in the parent process. For the main thread."""

    def __init__(
        self,
        listener: socket.socket,
        count: int,
        assignment: Mapping[str, Any],
        log: Log,
        *,
        drain_s: float = 0.0,
        environment: Mapping[str, str] = os.environ,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Start nothing yet; `listener` is closed at shutdown. `on_ready` is called once, when all workers are ready.

        `assignment` is what each worker reads from its link; its environment is `environment` without the settings.
        """
        inherited = {name: value for name, value in environment.items() if not name.startswith(_PARENT_ONLY)}
        self._listener = listener
        self._log = log
        self._drain_s = drain_s
        self._notifier = SystemdNotifier(environment)
        self._selector = selectors.DefaultSelector()
        self._was_ready = False
        self._on_ready = on_ready
        self._end_by: float | None = None
        self._workers = [
            WorkerProcess(number, {**assignment, "number": number, "workers": count}, inherited)
            for number in range(1, count + 1)
        ]

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return 0, or the exit code of a worker if none was ever ready."""
        woken, wakes = socket.socketpair()
        with woken, wakes:
            woken.setblocking(False)
            wakes.setblocking(False)
            self._selector.register(woken, selectors.EVENT_READ)
            # A handler of our own, so that the signal is written to `wakes` instead of ending this process.
            before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGTERM, signal.SIGINT)}
            wakeup = signal.set_wakeup_fd(wakes.fileno())
            try:
                return self._run(woken)
            finally:
                for worker in self._workers:
                    worker.kill()
                signal.set_wakeup_fd(wakeup)
                for one, handler in before.items():
                    signal.signal(one, handler)
                self._selector.close()
                self._listener.close()

    def _run(self, woken: socket.socket) -> int:
        while True:
            code = self._tick()
            if code is not None:
                return code
            for key, _ in self._selector.select(_TICK_S):
                if key.data is None:
                    # 4.
                    with suppress(BlockingIOError):
                        for _ in woken.recv(64):
                            self._end()
                elif not key.data.receive():
                    self._selector.unregister(key.fileobj)

    def _tick(self) -> int | None:
        now = time.monotonic()
        for worker in self._workers:
            code = worker.poll()
            if code is None:
                continue
            with suppress(KeyError, ValueError):
                self._selector.unregister(worker.link)
            worker.ended(now)
            if self._end_by is None:
                if not any(one.was_ready for one in self._workers):
                    return code if code > 0 else 1
                # 3.
                self._log.error("worker ended", worker=worker.number, exit_code=code)
        if self._end_by is not None:
            # `run` kills those that still run at the deadline.
            return 0 if now >= self._end_by or not any(one.is_running for one in self._workers) else None
        self._start_next(now)
        return None

    def _start_next(self, now: float) -> None:
        # 2.
        if any(one.is_running and not one.is_ready for one in self._workers):
            return
        for worker in self._workers:
            if not worker.is_running and now >= worker.not_before:
                worker.start(self._listener)
                self._selector.register(worker.link, selectors.EVENT_READ, worker)
                return
        if not self._was_ready and all(one.is_ready for one in self._workers):
            self._was_ready = True
            self._notifier.ready()
            self._on_ready()

    def _end(self) -> None:
        if self._end_by is None:
            self._end_by = time.monotonic() + self._drain_s + SHUTDOWN_S + _PATIENCE_S
            self._notifier.stopping()
            self._listener.close()  # the workers have their own
        for worker in self._workers:
            worker.terminate()


@final
class WorkerProcess:
    """One place in the pool, and the process that has it now."""

    def __init__(self, number: int, assignment: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.number = number
        self.is_ready = self.was_ready = False
        self.not_before = 0.0
        self.link = socket.socket(socket.AF_UNIX)
        self.link.close()  # until a process is started
        self._assignment = json.dumps(assignment).encode("utf-8") + b"\n"
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_at = 0.0
        self._deaths = 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process whose end was not noticed yet."""
        return self._process is not None

    def start(self, listener: socket.socket) -> None:
        """Start a process with the socket and its end of the link."""
        self.link, theirs = socket.socketpair()
        with theirs:
            fds = (listener.fileno(), theirs.fileno())
            self._process = subprocess.Popen(  # noqa: S603  our own module, without a shell
                [sys.executable, "-P", "-m", "volens.service.process.worker", *map(str, fds)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=fds,
                process_group=0,  # Ctrl-C goes to the parent, which passes it on once
            )
        with suppress(OSError):  # it has died already; `poll` notices that
            self.link.sendall(self._assignment)

    def receive(self) -> bool:
        """Receive from the process; return False if it has closed the link."""
        try:
            data = self.link.recv(64)
        except OSError:
            data = b""
        if data and not self.is_ready:
            self.is_ready = self.was_ready = True
            self._ready_at = time.monotonic()
        return bool(data)

    def poll(self) -> int | None:
        """Return the exit code of a process that has ended, or None."""
        return None if self._process is None else self._process.poll()

    def ended(self, now: float) -> None:
        """Note that the process ended, and compute when the next may start."""
        self._deaths = 1 if self.is_ready and now - self._ready_at >= _STEADY_S else self._deaths + 1
        self.not_before = now + again_in_s(self._deaths, 1.0)  # they start one by one, so without jitter
        self.is_ready, self._process = False, None
        self.link.close()

    def terminate(self) -> None:
        """Send SIGTERM to the process, if there is one; the second one skips draining."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.link.close()
