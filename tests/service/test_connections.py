"""Hostile clients: slow headers, hundreds of connections, bodies before a credential."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from house import House
from patience import PATIENCE_S, free_port
from starlette.testclient import TestClient

from volens.service.http import (
    MAX_HEADER_BYTES,
    PER_ADDRESS,
    Address,
    AppState,
    TimeoutProtocol,
    application,
    rate_limit_key,
    server,
)
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


@contextmanager
def listening(app_state: AppState, header_timeout_s: float, *, behind_proxy: bool = False) -> Iterator[int]:
    port = free_port()
    address = Address("127.0.0.1", port, behind_proxy=behind_proxy)
    running = server(application(app_state), address, app_state.stopping, header_timeout_s=header_timeout_s)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield port
    finally:
        running.should_exit = True
        thread.join(PATIENCE_S)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def is_shut(one: socket.socket) -> bool:
    """Wait until the server sends something or closes; True if it closed without sending anything."""
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True


def test_slow_headers_are_cut_off_while_other_clients_get_responses(app_state: AppState) -> None:
    with listening(app_state, 1) as port, ExitStack() as kept, connected(port) as quick:
        quick.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        slow = [kept.enter_context(connected(port)) for _ in range(20)]
        for one in slow[:10]:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert quick.recv(15) == b"HTTP/1.1 200 OK"
        assert all(is_shut(one) for one in slow)
        # The second request on the same connection has its own time limit; that of the first is over.
        quick.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while answer.count(b"HTTP/1.1 200 OK") < 1:
            answer += quick.recv(4096)
        quick.sendall(b"GET /hea")
        while not is_shut(quick):
            pass


@pytest.mark.parametrize("piece", [b"x" * 1000, b"x: y\r\n" * 200])
def test_endless_headers_are_cut_off_long_before_their_time_limit(app_state: AppState, piece: bytes) -> None:
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        sent = 0
        with suppress(ConnectionError):
            while sent < 100 * MAX_HEADER_BYTES:
                one.sendall(piece)
                sent += len(piece)
        assert sent < 100 * MAX_HEADER_BYTES
        assert is_shut(one)


def test_headers_and_a_large_body_in_one_piece_are_accepted(app_state: AppState) -> None:
    with listening(app_state, 30) as port, connected(port) as one:
        body = b"x" * 2 * MAX_HEADER_BYTES
        for _ in range(2):  # the second on the same connection
            one.sendall(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answer = b""
            while b"urn:volens:request" not in answer:
                answer += one.recv(4096)
            assert answer.startswith(b"HTTP/1.1 405")


def test_the_number_of_connections_of_one_address_is_limited(app_state: AppState) -> None:
    with listening(app_state, 30) as port, ExitStack() as kept:
        for _ in range(PER_ADDRESS):
            kept.enter_context(connected(port))
        with connected(port) as one_more:
            assert is_shut(one_more)


def test_the_number_of_connections_of_a_proxy_is_not_limited(app_state: AppState) -> None:
    with listening(app_state, 30, behind_proxy=True) as port, ExitStack() as kept:
        for _ in range(PER_ADDRESS + 1):
            last = kept.enter_context(connected(port))
        last.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert last.recv(15) == b"HTTP/1.1 200 OK"


def test_a_request_without_a_credential_is_refused_before_its_body_is_read(app_state: AppState) -> None:
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(
            b"POST /v1/zones/lobby/enrollments HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        assert one.recv(12) == b"HTTP/1.1 401"


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.PRIVACY_OFFICER])
def test_a_certificate_gets_a_new_etag_when_a_recipient_acknowledges(
    client: TestClient, house: House, bearer: Bearer, role: Role
) -> None:
    house.site.rights.recipients.add("lobby", "panel")
    erased = house.withdraw(house.admit())
    url, headers = f"/v1/certificates/{erased.certificate_id}", bearer(role)
    first = client.get(url, headers=headers)
    assert first.content == erased.certificate_path.read_bytes()
    assert client.get(url, headers=headers | {"If-None-Match": first.headers["ETag"]}).status_code == 304

    house.site.rights.recipients.acknowledge(erased.certificate_id, "panel", b"by telephone")

    second = client.get(url, headers=headers | {"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200
    assert second.content == erased.certificate_path.read_bytes()
    unknown = client.get(f"/v1/certificates/{'0' * 32}", headers=headers)
    assert unknown.status_code == 404


def test_a_client_that_reads_no_response_is_disconnected(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> None:
    original, cut_off = TimeoutProtocol.connection_lost, threading.Event()

    def connection_lost(connection: TimeoutProtocol, exc: Exception | None) -> None:
        original(connection, exc)
        cut_off.set()

    monkeypatch.setattr(TimeoutProtocol, "response_timeout_s", 0.2)
    monkeypatch.setattr(TimeoutProtocol, "connection_lost", connection_lost)
    with listening(app_state, 30) as port, connected(port) as one:
        # The responses are larger than all buffers on the way.
        one.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
        read = 0
        assert cut_off.wait(PATIENCE_S)
        with suppress(ConnectionError):
            while part := one.recv(2**20):
                read += len(part)
        with connected(port) as other:
            other.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            whole = 0
            while part := other.recv(2**20):
                whole += len(part)
    assert whole > 2**15
    assert read < 250 * whole


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1%eth0", True),
        ("testclient", "other", False),
    ],
)
def test_the_addresses_of_one_ipv6_network_are_one_caller(one: str, other: str, *, same: bool) -> None:
    assert (rate_limit_key(one) == rate_limit_key(other)) == same
