"""Receivers on loopback, each in a thread, that do to the sender what a test says."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from service.webhooks.guard import Target, parse_target


class Receiver:
    """Takes connections one after the other; keeps what came."""

    def __init__(self, answer: Callable[[socket.socket, threading.Event], None]) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._address = self._socket.getsockname()
        self.over = threading.Event()
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._address[1]}/in"

    @property
    def target(self) -> Target:
        return parse_target(self.url, allow_private=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        socket.create_connection(self._address).close()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            line, _ = self._socket.accept()
            with line:
                if self.over.is_set():
                    return
                try:
                    self.requests.append(_request(line))
                    self._answer(line, self.over)
                except OSError:
                    continue


@contextmanager
def saying(text: bytes) -> Iterator[Receiver]:
    """Return a receiver that says always the same."""
    with Receiver(lambda line, _over: line.sendall(text)) as one:
        yield one


def _request(line: socket.socket) -> tuple[dict[str, str], bytes]:
    with line.makefile("rb") as file:
        file.readline()
        headers = dict[str, str]()
        while text := file.readline().strip():
            name, _, value = text.decode("ascii").partition(":")
            headers[name.lower()] = value.strip()
        return headers, file.read(int(headers["content-length"]))
