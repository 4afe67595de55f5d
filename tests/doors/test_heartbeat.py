"""Heartbeats of a door: what it sends to a service, over TLS too, and that a service that lies does not stop it."""

import json
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate
from house import START, House
from receiver import Receiver, answer, receiver

from tests.webhooks.test_tls import certificate
from volens.consent import UnavailableError, format_time
from volens.service.door.addresses import ServiceAddress, tls_context
from volens.service.door.heartbeat import HEARTBEAT_S, LONGEST_S, SHORTEST_S, Heartbeats, ServiceBeat, SiteBeat
from volens.service.http.server import Address

TIMES = {"arrived_ms": 5_000_100, "answered_ms": 5_000_200}


def said(service: Receiver, number: int) -> dict[str, object]:
    return dict(json.loads(service.got[number].body))


def beat_to(service: Receiver, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> ServiceBeat:
    port = service.url.rpartition(":")[2].rstrip("/")
    scheme = "ws" if tls is None else "wss"
    address = ServiceAddress(f"{scheme}://{host}:{port}/v1/zones/lobby/stream", "volens_token", tls)
    clock = iter([4_000.0, 4_030.0, 4_060.0])
    monotonic = iter([10.0, 10.5, 40.0, 40.1, 70.0, 70.1])
    return ServiceBeat(address, "front", clock=lambda: next(clock), monotonic=lambda: next(monotonic))


def test_each_heartbeat_has_the_times_of_the_one_before() -> None:
    body = json.dumps(TIMES | {"again_after_s": 30}).encode()
    with receiver(answer(200, body)) as service:
        beat = beat_to(service)
        assert [beat.send(), beat.send()] == [SHORTEST_S, 30.0]
        assert service.got[0].path == "/v1/doors/heartbeat"
        assert service.got[0].headers["authorization"] == "Bearer volens_token"
        assert said(service, 0) == {"version": "0.1.0", "door": "front", "last": None}
        assert said(service, 1)["last"] == TIMES | {"sent_ms": 4_000_000, "received_ms": 4_000_500}


@pytest.mark.parametrize(("wanted", "wait_s"), [(0, SHORTEST_S), (10**9, LONGEST_S)])
def test_a_service_chooses_the_interval_within_bounds(wanted: int, wait_s: float) -> None:
    with receiver(answer(200, json.dumps(TIMES | {"again_after_s": wanted}).encode())) as service:
        beat = beat_to(service)
        beat.send()
        assert beat.send() == wait_s


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b"{}"), (200, b"no JSON"), (200, b"[]"), (200, b'{"arrived_ms": "x"}'), (200, b"{" * 10_000)],
)
def test_an_answer_that_makes_no_sense_is_an_error_and_no_offset_is_sent(status: int, body: bytes) -> None:
    with receiver(answer(status, body)) as service:
        beat = beat_to(service)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="heartbeat"):
                beat.send()
        assert said(service, 1)["last"] is None


def test_over_tls_the_door_says_when_the_certificate_ends(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "localhost", 40)
    text = pem.read_text()
    shown = tmp_path / "shown.pem"
    shown.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    ends = load_pem_x509_certificate(shown.read_bytes()).not_valid_after_utc
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem)
    body = json.dumps(TIMES | {"again_after_s": 30}).encode()
    with receiver(answer(200, body), tls=served) as service:
        beat = beat_to(service, tls_context(shown), "localhost")
        beat.send()
        beat.send()
        assert said(service, 1)["certificate_until"] == format_time(ends)
    key = tmp_path / "key.pem"
    key.write_text(text[: text.index("-----BEGIN CERTIFICATE")])
    assert Address("127.0.0.1", 1, shown, key).certificate_until() == ends


def test_a_door_of_this_machine_reports_to_its_site(house: House) -> None:
    decided = datetime(2099, 3, 1, 11, 59, 59, tzinfo=UTC)
    assert SiteBeat(house.site, "lobby", "back", lambda: decided).send() == HEARTBEAT_S
    (door,) = house.site.fleet().doors
    assert door.report is not None
    assert (door.name, door.report.seen_at) == ("lobby/back", START)
    assert door.report.decided_at == START.replace(hour=11, minute=45)


def test_heartbeats_go_on_after_one_that_failed_and_end_with_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volens.service.door.heartbeat.HEARTBEAT_S", 0.01)
    sent = threading.Semaphore(0)

    class Failing:
        def send(self) -> float:
            sent.release()
            raise UnavailableError("no service")

    with Heartbeats(Failing()):
        assert all(sent.acquire(timeout=60) for _ in range(3))
    assert "door-heartbeats" not in {one.name for one in threading.enumerate()}
