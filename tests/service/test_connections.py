"""Clients that mean no good: headers by the drop, hundreds of connections, bodies before a credential."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from fastapi.routing import APIRoute
from house import House
from starlette.testclient import TestClient

from tests.service.test_the_server import free_port
from tests.service.test_who_may_what import STREAMS
from volens.service.http import certificate_routes as certificates
from volens.service.http import desk_routes as desk
from volens.service.http import door_routes as doors
from volens.service.http import factor_routes as factors
from volens.service.http import health_routes as health
from volens.service.http import hook_routes as hooks
from volens.service.http import job_routes as jobs
from volens.service.http import log_routes as log
from volens.service.http import metrics_routes as metrics
from volens.service.http import order_routes as orders
from volens.service.http import request_routes as requests
from volens.service.http import withdrawal_routes as rights
from volens.service.http import zone_routes as zones
from volens.service.http.access import WHO_MAY, GuardedRoute
from volens.service.http.app_state import AppState
from volens.service.http.connections import MAX_HEADER_BYTES, PER_ADDRESS, TimeoutProtocol
from volens.service.http.http_app import application
from volens.service.http.rate_limits import rate_limit_key
from volens.service.http.server import Address, server
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


@contextmanager
def listening(app_state: AppState, header_timeout_s: float, *, behind_proxy: bool = False) -> Iterator[int]:
    port = free_port()
    address = Address("127.0.0.1", port, behind_proxy=behind_proxy)
    running = server(application(app_state), address, app_state.leave, header_timeout_s=header_timeout_s)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield port
    finally:
        running.should_exit = True
        thread.join(20)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def is_shut(one: socket.socket) -> bool:
    """Wait until the other side says something or hangs up; True if it hung up without a word."""
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True


def test_headers_by_the_drop_are_cut_off_and_others_are_answered_meanwhile(app_state: AppState) -> None:
    with listening(app_state, 0.5) as port, ExitStack() as kept:
        slow = [kept.enter_context(connected(port)) for _ in range(20)]
        for one in slow[:10]:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        with connected(port) as quick:
            quick.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert quick.recv(15) == b"HTTP/1.1 200 OK"
            # The second request on the same connection has its own time.
            time.sleep(0.7)
            quick.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while answer.count(b"HTTP/1.1 200 OK") < 1:
                answer += quick.recv(4096)
            quick.sendall(b"GET /hea")
            while not is_shut(quick):
                pass
        assert all(is_shut(one) for one in slow)


@pytest.mark.parametrize("piece", [b"x" * 1000, b"x: y\r\n" * 200])
def test_headers_without_end_are_cut_off_long_before_their_time(app_state: AppState, piece: bytes) -> None:
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        sent = 0
        with suppress(ConnectionError):
            while sent < 100 * MAX_HEADER_BYTES:
                one.sendall(piece)
                sent += len(piece)
        assert sent < 100 * MAX_HEADER_BYTES
        assert is_shut(one)


def test_headers_and_a_large_body_in_one_piece_are_not_too_long(app_state: AppState) -> None:
    with listening(app_state, 30) as port, connected(port) as one:
        body = b"x" * 2 * MAX_HEADER_BYTES
        for _ in range(2):  # the second on the same connection
            one.sendall(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answer = b""
            while b"urn:volens:request" not in answer:
                answer += one.recv(4096)
            assert answer.startswith(b"HTTP/1.1 405")


def test_one_address_has_so_many_connections_and_no_more(app_state: AppState) -> None:
    with listening(app_state, 30) as port, ExitStack() as kept:
        for _ in range(PER_ADDRESS):
            kept.enter_context(connected(port))
        with connected(port) as one_more:
            assert is_shut(one_more)


def test_a_proxy_has_as_many_as_it_likes(app_state: AppState) -> None:
    with listening(app_state, 30, behind_proxy=True) as port, ExitStack() as kept:
        for _ in range(PER_ADDRESS + 1):
            last = kept.enter_context(connected(port))
        last.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert last.recv(15) == b"HTTP/1.1 200 OK"


def test_who_has_no_credential_is_refused_before_the_body_is_read(app_state: AppState) -> None:
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(
            b"POST /v1/zones/lobby/enrollments HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        assert one.recv(12) == b"HTTP/1.1 401"


def test_every_operation_that_needs_a_credential_asks_for_it_first() -> None:
    parts = (certificates, desk, doors, factors, health, hooks, jobs, log, metrics, orders, requests, rights, zones)
    routes = {route.name: route for part in parts for route in part.router.routes if isinstance(route, APIRoute)}
    assert {name for name, route in routes.items() if isinstance(route, GuardedRoute)} >= set(WHO_MAY) - STREAMS
    assert set(WHO_MAY) - STREAMS <= set(routes)


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.PRIVACY_OFFICER])
def test_a_certificate_is_there_for_whoever_checks_with_what_was_answered_since(
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


def test_who_reads_no_answer_is_cut_off(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimeoutProtocol, "answer_timeout_s", 0.2)
    with listening(app_state, 30) as port, connected(port) as one:
        # Answers to so many are more than all buffers on the way hold.
        one.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
        read = 0
        time.sleep(2)
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
def test_who_has_a_network_of_ipv6_is_one_caller(one: str, other: str, *, same: bool) -> None:
    assert (rate_limit_key(one) == rate_limit_key(other)) == same
