"""A TCP proxy on loopback in front of a database server: delays each direction, and counts what passes.

It stands for a network when there is no `tc netem`. It can also hold back the replies, so that a test sees what a
client sends before it has an answer, and cut all connections, as a server does that is restarted.
"""

import heapq
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

_CHUNK: Final = 1 << 16


class DelayingProxy:
    """Forwards connections to a server; a context manager.

    Attributes:
        delay_s: seconds by which each direction is delayed.
        sent: how many pieces clients have sent since the last `count`.
        answered: how many pieces of the server were passed on to clients since then.
        address: where clients connect to.
    """

    def __init__(self, host: str, port: int, delay_s: float = 0.0) -> None:
        """Forward to a server; `host` is a name, or the folder of its Unix socket."""
        self.delay_s = delay_s
        self.sent = self.answered = 0
        self._server = (host, port)
        self._is_held = self._is_refusing = self._is_over = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._peers: dict[socket.socket, tuple[socket.socket, bool]] = {}
        self._waiting: list[tuple[float, int, socket.socket, bytes]] = []
        self._number = 0
        self._lock = threading.Lock()
        self._is_cut = threading.Event()
        self._is_cut.set()
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.SelectSelector()  # microseconds, other than epoll
        for one in (self._listener, self._woken):
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._wake()
        self._thread.join()
        self._end_all()
        for one in (self._listener, self._woken, self._waker, self._selector):
            one.close()

    def count(self) -> None:
        """Count from now on."""
        with self._lock:
            self.sent = self.answered = 0

    def hold(self) -> None:
        """Keep the replies of the server back."""
        self._is_held = True

    def release(self) -> None:
        """Pass on what was held back, and what follows."""
        self._is_held = False
        self._wake()

    def cut(self) -> None:
        """Close every connection, and lose what was on the way."""
        self._is_cut.clear()
        self._wake()
        self._is_cut.wait()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Cut every connection, and close new ones at once, for the duration of the block."""
        self._is_refusing = True
        self.cut()
        try:
            yield
        finally:
            self._is_refusing = False

    def _wake(self) -> None:
        self._waker.send(b"\0")

    def _run(self) -> None:
        while not self._is_over:
            with self._lock:
                next_at = self._deliver()
            if not self._is_cut.is_set():
                self._end_all()
                self._is_cut.set()
            for key, _ in self._selector.select(None if next_at is None else max(0.0, next_at - time.monotonic())):
                with self._lock:
                    self._serve(key.fileobj)

    def _serve(self, readable: object) -> None:
        if readable is self._woken:
            self._woken.recv(_CHUNK)
        elif readable is self._listener:
            client, _ = self._listener.accept()
            if self._is_refusing:
                client.close()
                return
            try:
                server = self._connected()
            except OSError:
                client.close()
            else:
                self._join(client, server)
        elif isinstance(readable, socket.socket) and readable in self._peers:
            try:
                data = readable.recv(_CHUNK)
            except OSError:
                data = b""
            if not data:
                self._end(readable)
                return
            peer, is_client = self._peers[readable]
            self.sent += is_client
            self._number += 1
            heapq.heappush(self._waiting, (time.monotonic() + self.delay_s, self._number, peer, data))

    def _deliver(self) -> float | None:
        """Pass on what is due; return when the next piece is, None if none waits."""
        kept = []
        next_at = None
        while self._waiting:
            piece = heapq.heappop(self._waiting)
            due, _, peer, data = piece
            if peer not in self._peers:
                continue
            if due > time.monotonic():
                kept.append(piece)
                next_at = due
                break
            is_reply = self._peers[peer][1]  # the receiver is a client
            if is_reply and self._is_held:
                kept.append(piece)
                continue
            self.answered += is_reply
            with suppress(OSError):
                peer.sendall(data)
        for piece in kept:
            heapq.heappush(self._waiting, piece)
        return next_at

    def _connected(self) -> socket.socket:
        host, port = self._server
        if not Path(host).is_dir():
            return socket.create_connection(self._server)
        server = socket.socket(socket.AF_UNIX)
        server.connect(os.fspath(Path(host) / f".s.PGSQL.{port}"))
        return server

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[client], self._peers[server] = (server, True), (client, False)
        for one in (client, server):
            self._selector.register(one, selectors.EVENT_READ)

    def _end_all(self) -> None:
        for one in list(self._peers):
            self._end(one)
        self._waiting.clear()

    def _end(self, one: socket.socket) -> None:
        for ended in (one, self._peers.get(one, (one,))[0]):
            if self._peers.pop(ended, None) is not None:
                self._selector.unregister(ended)
                ended.close()


def main(host: str, port: str, delay_s: str) -> None:
    """Run a proxy until standard input ends; print its port."""
    with DelayingProxy(host, int(port), float(delay_s)) as proxy:
        print(proxy.address[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
