"""A TCP proxy on loopback that can be cut: bytes wait until it is joined again, as on a network that fails."""

import socket
import threading
from contextlib import suppress
from typing import final

from benchmarks.load.service import free_port

_CHUNK_BYTES = 1 << 16
_POLL_S = 0.2


@final
class SeverableProxy:
    """Forwards connections to a port of loopback. Use as a context manager.

    While it is cut, nothing is forwarded in either direction, and no connection is closed: a caller sees silence.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._joined = threading.Event()
        self._joined.set()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(_POLL_S)
        self._accepting = threading.Thread(target=self._accept)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "SeverableProxy":
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._joined.set()
        self._accepting.join()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        """Forward nothing from now on."""
        self._joined.clear()

    def join(self) -> None:
        """Forward again, first what has waited."""
        self._joined.set()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                caller, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(threading.Thread(target=self._connect, args=(caller,)))
            self._threads[-1].start()

    def _connect(self, caller: socket.socket) -> None:
        with caller:
            self._joined.wait()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as service:
                back = threading.Thread(target=self._forward, args=(service, caller))
                back.start()
                self._forward(caller, service)
                back.join()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        source.settimeout(_POLL_S)
        with suppress(OSError):
            while not self._closing.is_set():
                try:
                    data = source.recv(_CHUNK_BYTES)
                except TimeoutError:
                    continue
                self._joined.wait()
                if not data:
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
