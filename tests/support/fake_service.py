"""Fake service that decides about frames, on loopback: it sends scripted messages, well-behaved or not."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from patience import PATIENCE_S
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

TOKEN = "volens_" + "t" * 43
MATCH = {"decision": "match", "subject_id": "c0ffee" * 5, "comparison_score": 0.71, "box": [1, 2, 3, 4]}
STRANGER = {"decision": "no_match", "subject_id": None, "comparison_score": None, "box": [1, 2, 3, 4]}

Script = Callable[["FakeService", ServerConnection], None]


@dataclass
class FakeService:
    """The address of the service, and the frames that it received.

    Attributes:
        scripts: one for each session; the last one is repeated.
        refuse: HTTP statuses that refuse one handshake each; later handshakes are accepted.
    """

    scripts: list[Script]
    url: str = ""
    zone: str = "lobby"
    factor: str | None = None
    refuse: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    sessions: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def say(self, line: ServerConnection, **message: object) -> None:
        line.send(json.dumps(message))

    def ready(self, line: ServerConnection) -> None:
        self.say(line, type="ready", zone=self.zone, model="made-up", second_factor=self.factor)

    def decide(self, line: ServerConnection, number: int, passage: int, what: dict[str, Any]) -> None:
        self.say(line, type="decision", passage=f"{passage:016x}", frame=number, **what)

    def answer(self, line: ServerConnection, number: int, **changed: object) -> None:
        self.say(line, **({"type": "frame", "number": number, "faces": 1, "matches": 1} | changed))

    def frame(self, line: ServerConnection) -> bytes:
        """Return the next frame; record second factors that come with it."""
        while True:
            message = line.recv()
            if isinstance(message, bytes):
                self.frames.append(message)
                return message
            self.texts.append(message)

    def take(self, line: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            self.sessions += 1
            self.scripts[min(self.sessions, len(self.scripts)) - 1](self, line)

    def admit(self, _line: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self.tokens.append(request.headers.get("Authorization", ""))
        if not self.refuse:
            return None
        status, headers = self.refuse.pop(0)
        body = json.dumps({"title": "no", "status": status}).encode()
        names = {"Content-Type": "application/problem+json", "Content-Length": str(len(body)), "Connection": "close"}
        return Response(status, HTTPStatus(status).phrase, Headers(names | headers), body)


def obliging(service: FakeService, line: ServerConnection) -> None:
    """Behave correctly: every frame matches, in one visit."""
    service.ready(line)
    number = 0
    while True:
        service.frame(line)
        number += 1
        if number == 1:
            service.decide(line, 1, 1, MATCH)
        service.answer(line, number)


def hanging(service: FakeService, line: ServerConnection) -> None:
    """Send `ready` and nothing else."""
    service.ready(line)
    service.ended.wait(PATIENCE_S)
    del line


@contextmanager
def fake_service(*scripts: Script, tls: ssl.SSLContext | None = None, **changed: object) -> Iterator[FakeService]:
    """Listen on a free port of loopback until the end of the `with`."""
    service = FakeService(list(scripts) or [obliging])
    for name, value in changed.items():
        setattr(service, name, value)
    with serve(
        service.take,
        "127.0.0.1",
        0,
        process_request=service.admit,
        ssl=tls,
        compression=None,
        close_timeout=0.5,
        max_size=None,
    ) as server:
        service.url = f"{'http' if tls is None else 'https'}://localhost:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield service
        finally:
            service.ended.set()
            server.shutdown()
            thread.join()
