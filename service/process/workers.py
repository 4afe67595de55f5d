"""Several processes behind one listening socket: started in turn, started again when they die, ended together.

1. The parent binds the socket, holds no keys and answers nothing. A worker inherits the socket, and one end of a link.
2. Over the link the parent says what to serve, as JSON, and the worker says when it is ready. The next is started then:
   the first finishes what was begun before, and nobody else tries at the same time.
3. A worker that dies is started again, later each time that it dies soon; the others go on answering meanwhile.
4. A signal to the parent is passed on. Who does not end in time is killed.
5. When the parent dies, however it does, the link breaks, and the workers end by themselves.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, Final, final

from volens.service.backoff import again_in_s
from volens.service.http.server import DRAIN_S
from volens.service.process.service_log import Log
from volens.service.process.supervision import Supervisor
from volens.service.service_config import PREFIX

READY: Final = b"ready\n"

_STEADY_S: Final = 30.0
_TICK_S: Final = 0.25
_PATIENCE_S: Final = 30.0
"""How long workers may take beyond draining: a delivery that is under way takes half of it at most."""


@final
class WorkerPool:
    """The workers of one service, seen from the parent. For the main thread."""

    def __init__(
        self,
        listener: socket.socket,
        count: int,
        assignment: Mapping[str, Any],
        log: Log,
        *,
        drain_s: float = 0.0,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Start nothing yet.

        Args:
            listener: the socket, bound and listening; closed when the service is told to end.
            count: of workers, from 1.
            assignment: what `volens.service.process.worker` is to serve; has a JSON form.
            log: is told of workers that die.
            drain_s: how long workers go on answering when they are told to end.
            environment: of the workers, but for what is meant for the parent alone.
        """
        # The assignment says how to run, and one process speaks to the system's supervisor.
        mine = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
        kept = {name: value for name, value in environment.items() if not name.startswith(PREFIX) and name not in mine}
        self._listener = listener
        self._log = log
        self._drain_s = drain_s
        self._supervisor = Supervisor(environment)
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._was_ready = False
        self._end_by: float | None = None
        self._workers = [
            _Worker(number, {**assignment, "number": number, "workers": count}, kept) for number in range(1, count + 1)
        ]

    def run(self) -> int:
        """Serve until told to end; return 0, or the exit code of a worker if none ever was ready."""
        woken, wakes = socket.socketpair()
        with woken, wakes:
            woken.setblocking(False)
            wakes.setblocking(False)
            self._selector.register(woken, selectors.EVENT_READ)
            before = {one: signal.signal(one, self._note) for one in (signal.SIGTERM, signal.SIGINT)}
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
                    with suppress(BlockingIOError):
                        woken.recv(64)
                elif not key.data.hear():
                    self._selector.unregister(key.fileobj)

    def _tick(self) -> int | None:
        # 4.
        while self._signals:
            self._signals.pop()
            self._end()
        now = time.monotonic()
        for worker in self._workers:
            code = worker.poll()
            if code is None:
                continue
            with suppress(KeyError, ValueError):
                self._selector.unregister(worker.link)
            worker.ended(now)
            if self._end_by is None:
                if not any(one.is_ready or one.was_ready for one in self._workers):
                    return code if code > 0 else 1
                # 3.
                self._log.error("worker ended", worker=worker.number, exit_code=code)
        if self._end_by is not None:
            if not any(one.is_running for one in self._workers):
                return 0
            if now >= self._end_by:
                return 0  # `run` kills who is left
            return None
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
            self._supervisor.ready()

    def _end(self) -> None:
        if self._end_by is None:
            self._end_by = time.monotonic() + self._drain_s + DRAIN_S + _PATIENCE_S
            self._supervisor.stopping()
            self._listener.close()  # the workers have their own
        for worker in self._workers:
            worker.end()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)


@final
class _Worker:
    """One place in the crew, and the process that has it now."""

    def __init__(self, number: int, assignment: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.number = number
        self.is_ready = self.was_ready = False
        self.not_before = 0.0
        self.link: socket.socket = _no_link()
        self._assignment = json.dumps(assignment).encode("utf-8") + b"\n"
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_at = 0.0
        self._deaths = 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not been seen to end."""
        return self._process is not None

    def start(self, listener: socket.socket) -> None:
        """Start a process with the socket and its end of the link."""
        self.link, theirs = socket.socketpair()
        with theirs:
            fds = (listener.fileno(), theirs.fileno())
            self._process = subprocess.Popen(  # noqa: S603  ourselves, without a shell
                [sys.executable, "-P", "-m", "volens.service.process.worker", *map(str, fds)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=fds,
                process_group=0,  # Ctrl-C is for the parent, who passes it on once
            )
        with suppress(OSError):  # it has died already; `poll` tells
            self.link.sendall(self._assignment)

    def hear(self) -> bool:
        """Take in what the process says; False if it says nothing any more."""
        try:
            said = self.link.recv(64)
        except OSError:
            said = b""
        if said and not self.is_ready:
            self.is_ready, self._ready_at = True, time.monotonic()
        return bool(said)

    def poll(self) -> int | None:
        """Return the exit code of a process that has ended since this was last asked."""
        return None if self._process is None else self._process.poll()

    def ended(self, now: float) -> None:
        """Note that the process ended, and when there may be another."""
        self._deaths = 1 if self.is_ready and now - self._ready_at >= _STEADY_S else self._deaths + 1
        self.not_before = now + again_in_s(self._deaths, 1.0)  # one by one, so without jitter
        self.was_ready, self.is_ready, self._process = self.was_ready or self.is_ready, False, None
        self.link.close()

    def end(self) -> None:
        """Tell the process to end, or not to be so patient about it."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.link.close()


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; OSError if there can be none."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)


def _no_link() -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.close()
    return link
