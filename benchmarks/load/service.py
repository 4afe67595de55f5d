"""The service as a separate process on loopback: start, kill and restart it, and read its memory use."""

import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import final

from volens.store import DATA_FILE

ROOT = Path(__file__).parents[2]
PROGRAM = ("-c", "from volens.program import main; main()")
_START_S = 180


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@final
class Service:
    """`volens serve` of one home. Use as a context manager; it is killed at the end.

    `program` are the arguments of Python that run `volens`, for a test that runs it in another way.
    """

    def __init__(self, home: Path, model_threads: int, workers: int = 1, program: Sequence[str] = PROGRAM) -> None:
        self._workers = workers
        self._program = program
        self.port = free_port()
        self._home = home
        self._model_threads = model_threads
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Service":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._workers > 1:
            self.stop()
        self.kill()

    def start(self) -> None:
        """Start it, and return when it is ready."""
        environment = {**os.environ, "VOLENS_HOME": str(self._home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        command = [sys.executable, *self._program, "serve"]
        options = ["--port", str(self.port), "--model-threads", str(self._model_threads)]
        options += ["--workers", str(self._workers)] * (self._workers > 1)
        with (self._home.parent / "service.log").open("ab") as log:
            self._process = subprocess.Popen([*command, *options], env=environment, stderr=log)  # noqa: S603  ours
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError("the service ended; see service.log")
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
                try:
                    connection.request("GET", "/healthz")
                    if connection.getresponse().status == http.client.OK and self._are_all_serving():
                        return
                except OSError:
                    pass
            time.sleep(0.1)
        raise RuntimeError("the service did not come up")

    def _are_all_serving(self) -> bool:
        if self._workers == 1:
            return True
        with closing(sqlite3.connect(f"file:{self._home / DATA_FILE}?mode=ro", uri=True)) as data:
            (count,) = data.execute("SELECT count(*) FROM process").fetchone()
        return int(count) >= self._workers

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Let it finish its requests and end, with SIGTERM."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_START_S)
            self._process = None

    def pause(self) -> None:
        """Stop it with SIGSTOP, in the middle of whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def kill_a_worker(self) -> None:
        """Kill one of several workers with SIGKILL; return when the parent has started another."""
        if self._process is None:
            return
        killed, *_ = children_of(self._process.pid)
        os.kill(killed, signal.SIGKILL)
        until = time.monotonic() + _START_S
        while killed in (now := children_of(self._process.pid)) or len(now) < self._workers:
            if time.monotonic() >= until:
                raise RuntimeError("no other worker was started")
            time.sleep(0.1)

    def pids(self) -> list[int]:
        """Return the process and its workers; none while it is down."""
        return [] if self._process is None else [self._process.pid, *children_of(self._process.pid)]

    def resident_bytes(self) -> int:
        """Return the memory in use, of all workers together; 0 while it is down."""
        return sum(map(_resident_bytes, self.pids()))


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started, as far as they run; none if it has ended."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def _resident_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
