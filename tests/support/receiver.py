"""Webhook receivers on loopback, well-behaved or not; each stops by itself at the end of its `with`."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from loopback import serving
from patience import PATIENCE_S


@dataclass
class Received:
    """A received request."""

    path: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[BaseHTTPRequestHandler, Received], None]


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer in a given way; of header names ``_`` stands for ``-``."""

    def behave(handler: BaseHTTPRequestHandler, _received: Received) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


@dataclass
class Receiver:
    """A receiver, and its requests."""

    url: str
    got: list[Received] = field(default_factory=list)
    behaviour: Behaviour = field(default_factory=lambda: answer(204))
    came: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, count: int, timeout_s: float = PATIENCE_S) -> list[Received]:
        """Wait for a number of requests."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.got) >= count, timeout_s), f"got {len(self.got)} of {count}"
            return list(self.got)

    def hang(self, _handler: BaseHTTPRequestHandler, _received: Received) -> None:
        """Send no response until the test ends."""
        self.ended.wait(PATIENCE_S)


@contextmanager
def receiver(behaviour: Behaviour | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Listen on a free port of loopback, with TLS if a context is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with here.came:
                here.got.append(received)
                here.came.notify_all()
            self.close_connection = True
            try:
                here.behaviour(self, received)
            except OSError:
                return  # the sender disconnected

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler, tls) as port:
        here = Receiver(f"http://127.0.0.1:{port}/hook")
        if behaviour is not None:
            here.behaviour = behaviour
        try:
            yield here
        finally:
            here.ended.set()
