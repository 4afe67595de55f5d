"""One attempt, to receivers of every kind."""

import json
import socket
import threading
from datetime import UTC, datetime

import pytest
from receivers import Receiver, saying
from standardwebhooks import Webhook

from service.webhooks.guard import RefusedAddressError, parse_target
from service.webhooks.sending import MAX_ANSWER_BYTES, Answer, NotDeliveredError, post
from service.webhooks.signatures import SymmetricKey, sign

BODY = json.dumps({"type": "subject.erased", "data": {"zone": "lobby"}}).encode()


def test_the_published_client_verifies_what_is_sent() -> None:
    key = SymmetricKey(bytes(range(32)))
    with saying(b"HTTP/1.1 204 No Content\r\n\r\n") as receiver:
        answer = post(receiver.target, sign("msg_1", datetime.now(UTC), BODY, [key]), BODY)
    assert answer == Answer(204, None, b"")
    ((headers, body),) = receiver.requests
    assert Webhook(key.reveal()).verify(body, headers) == json.loads(BODY)
    assert headers["host"] == receiver.target.authority
    assert headers["content-type"] == "application/json"


def test_the_name_stays_in_the_request_and_the_judged_address_is_connected_to() -> None:
    asked: list[str] = []

    def once(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as receiver:
        url = receiver.url.replace("127.0.0.1", "panel.example")
        assert post(parse_target(url, allow_private=True), {}, BODY, resolve=once).body == b"ok"
    assert asked == ["panel.example"]
    assert receiver.requests[0][0]["host"].startswith("panel.example:")


def test_nothing_is_sent_to_an_address_that_is_not_allowed() -> None:
    with saying(b"HTTP/1.1 200 OK\r\n\r\n") as receiver:
        target = parse_target(receiver.url.replace("http:", "https:"))
        with pytest.raises(RefusedAddressError):
            post(target, {}, BODY)
    assert receiver.requests == []


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with (
        saying(b"HTTP/1.1 200 OK\r\n\r\n") as inside,
        saying(f"HTTP/1.1 307 No\r\nLocation: {inside.url}\r\nContent-Length: 0\r\n\r\n".encode()) as receiver,
    ):
        assert post(receiver.target, {}, BODY).status == 307
    assert inside.requests == []


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(b"HTTP/1.1 502 Proxy\r\n\r\n") as proxy, saying(b"HTTP/1.1 200 OK\r\n\r\n") as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert post(receiver.target, {}, BODY).status == 200
    assert proxy.requests == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"what?\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_no_delivery(text: bytes) -> None:
    with saying(text) as receiver, pytest.raises(NotDeliveredError):
        post(receiver.target, {}, BODY)


@pytest.mark.parametrize(
    "text",
    [
        b"Content-Length: 999999999\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES + 1),
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_body_that_is_huge_or_broken_is_not_read_but_the_status_counts(text: bytes) -> None:
    with saying(b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\n" + text) as receiver:
        assert post(receiver.target, {}, BODY) == Answer(200, "7", None)


def test_a_receiver_that_says_nothing_is_cut_off() -> None:
    def silent(_line: socket.socket, over: threading.Event) -> None:
        over.wait()

    with Receiver(silent) as receiver, pytest.raises(NotDeliveredError, match="in time"):
        post(receiver.target, {}, BODY, timeout_s=0.2)


def test_a_receiver_that_drips_headers_without_end_is_cut_off() -> None:
    def drips(line: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.01):
            line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with Receiver(drips) as receiver, pytest.raises(NotDeliveredError, match="in time"):
        post(receiver.target, {}, BODY, timeout_s=0.3)


def test_a_receiver_that_is_not_there_is_no_delivery() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(NotDeliveredError):
        post(parse_target(f"http://127.0.0.1:{port}/", allow_private=True), {}, BODY)
