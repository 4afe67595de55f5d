"""The service as a process of its own, on loopback: started, killed, started again; its memory read from outside."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import final

ROOT = Path(__file__).parents[2]
_START_S = 90


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@final
class Service:
    """`volens serve` of one home. Use as a context manager."""

    def __init__(self, home: Path, model_threads: int) -> None:
        """Start nothing yet."""
        self.port = free_port()
        self._home = home
        self._model_threads = model_threads
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Service":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start, and return when it is ready."""
        environment = {**os.environ, "VOLENS_HOME": str(self._home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        command = [sys.executable, "-c", "from service.cli.app import main; main()", "serve"]
        options = ["--port", str(self.port), "--model-threads", str(self._model_threads)]
        with (self._home.parent / "service.log").open("ab") as log:
            self._process = subprocess.Popen([*command, *options], env=environment, stderr=log)  # noqa: S603  ours
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError("the service ended; see service.log")
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
                try:
                    connection.request("GET", "/healthz")
                    if connection.getresponse().status == http.client.OK:
                        return
                except OSError:
                    time.sleep(0.1)
        raise RuntimeError("the service did not come up")

    def kill(self) -> None:
        """Kill it, without a word."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def resident_bytes(self) -> int:
        """Return how much memory it has in use; 0 while it is down."""
        process = self._process
        if process is None:
            return 0
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
