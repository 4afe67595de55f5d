"""Delivery to receivers on loopback: well-behaved, slow, down, lying, huge. No message is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from declared_gates import open_gates
from house import House
from patience import PATIENCE_S
from receiver import Received, Receiver, answer, receiver
from standardwebhooks import Webhook

from volens import Site, SubjectKey
from volens.erase import OperatorKey
from volens.erase.proof import sign_statement, verify_certificate
from volens.service.sample_notice import publish_sample_notice
from volens.service.webhooks import Resolve, WebhookSender, look_up, shared_secrets
from volens.store.programs import USUAL_KINDS, Endpoint, MessageKind

ROOT = Path(__file__).parents[2]
PANEL = "door panel"


def endpoint(
    house: House, url: str, name: str = PANEL, key: bytes | None = None, kinds: Iterable[MessageKind] = USUAL_KINDS
) -> Endpoint:
    house.site.rights.recipients.add("lobby", name, public_key=key)
    return house.site.programs.endpoints.add("lobby", name, url=url, allow_private=True, kinds=kinds)


@contextmanager
def courier(house: House, timeout_s: float = PATIENCE_S, resolve: Resolve = look_up) -> Iterator[WebhookSender]:
    one = WebhookSender(house.site, timeout_s=timeout_s, chance=lambda: 1.0, resolve=resolve)
    try:
        yield one
    finally:
        one.close()


def deliver(house: House, timeout_s: float = PATIENCE_S, resolve: Resolve = look_up) -> int:
    with courier(house, timeout_s, resolve) as one:
        return one.deliver_due()


def kinds(got: list[Received]) -> list[str]:
    return [json.loads(one.body)["type"] for one in got]


def waiting(house: House) -> list[str]:
    return [one.kind.value for one in house.site.programs.outbox.list(dead=False)]


def test_a_recipient_gets_consents_and_erasures_and_its_reply_acknowledges_them(house: House) -> None:
    with receiver() as panel:
        where = endpoint(house, panel.url)
        person = house.admit()
        assert deliver(house) == 1
        erased = house.withdraw(person)
        assert deliver(house) == 1

    assert kinds(panel.got) == ["consent.given", "subject.erased"]
    given, gone = (json.loads(one.body)["data"] for one in panel.got)
    assert set(given) == {"zone", "receipt_id", "subject_id", "expires_at"}
    assert set(gone) == {"zone", "receipt_id", "subject_id", "reason", "erased_at", "certificate_id"}
    assert (gone["certificate_id"], gone["reason"]) == (erased.certificate_id, "withdrawn")
    assert b"Canary" not in b"".join(one.body for one in panel.got)
    certificate = verify_certificate(erased.certificate_path.read_bytes(), house.site.verifier_key)
    assert [one["recipient"] for one in certificate.acknowledgements] == [PANEL]
    assert house.site.programs.outbox.list() == []
    # Verified with the published client.
    published = Webhook(shared_secrets(house.site.programs.endpoints, where)[0].reveal())
    for one in panel.got:
        assert published.verify(one.body, one.headers)["data"]["zone"] == "lobby"


def test_a_recipient_gets_restrictions_and_resumptions_once_and_with_ids_alone(house: House) -> None:
    with receiver() as panel:
        where = endpoint(house, panel.url)
        person = house.admit()
        for _ in range(2):
            house.site.changes.restrict(person.receipt_id)
        deliver(house)
        for _ in range(2):
            house.site.changes.lift_restriction(person.receipt_id)
        deliver(house)
    assert kinds(panel.got) == ["consent.given", "consent.restricted", "consent.resumed"]
    published = Webhook(shared_secrets(house.site.programs.endpoints, where)[0].reveal())
    for one in panel.got[1:]:
        data = published.verify(one.body, one.headers)["data"]
        assert data == {"zone": "lobby", "receipt_id": person.receipt_id, "subject_id": person.subject_id}
        assert set(json.loads(one.body)) == {"type", "timestamp", "data", "checkpoint"}


def test_a_restriction_that_is_not_delivered_is_dropped_when_the_consent_ends(house: House) -> None:
    with receiver(answer(500)) as panel:
        endpoint(house, panel.url)
        person = house.admit()
        house.site.changes.restrict(person.receipt_id)
        house.site.changes.lift_restriction(person.receipt_id)
        assert waiting(house) == ["consent.given", "consent.restricted", "consent.resumed"]
        house.withdraw(person)
        assert waiting(house) == ["subject.erased"]


def test_a_renewal_that_goes_on_restricted_says_so_about_the_new_receipt(house: House) -> None:
    key, notice = SubjectKey.from_seed(b"\7" * 32), house.site.notice("lobby")
    old = house.site.give_consent(notice, name="Ada Canary", jurisdiction="FR", key=key).receipt.claims.receipt_id
    house.site.changes.restrict(old)
    with receiver() as panel:
        endpoint(house, panel.url)
        new = house.site.changes.renew(old, notice, key=key).take_home.receipt.claims.receipt_id
        for _ in range(3):
            deliver(house)
    about = {(json.loads(one.body)["type"], json.loads(one.body)["data"]["receipt_id"]) for one in panel.got}
    assert about == {("consent.given", new), ("consent.restricted", new), ("subject.erased", old)}


def test_after_a_rotation_both_secrets_sign_for_a_while(house: House) -> None:
    with receiver() as panel:
        where = endpoint(house, panel.url)
        old = shared_secrets(house.site.programs.endpoints, where)[0].reveal()
        rotated = house.site.programs.endpoints.rotate(where.endpoint_id, grace_hours=1)
        new = shared_secrets(house.site.programs.endpoints, rotated)[0].reveal()
        house.invite()
        deliver(house)
        house.clock.move(hours=2)
        house.invite()
        deliver(house)
    first, second = panel.got
    for secret in (old, new):
        Webhook(secret).verify(first.body, first.headers)
    Webhook(new).verify(second.body, second.headers)
    with pytest.raises(Exception, match="signature"):
        Webhook(old).verify(second.body, second.headers)


def test_a_recipient_with_a_key_acknowledges_only_with_a_signed_statement(house: House) -> None:
    key, truthful = OperatorKey.from_seed(bytes(range(32))), [False, True]

    def sign(handler: BaseHTTPRequestHandler, received: Received) -> None:
        data = json.loads(received.body)["data"]
        statement = sign_statement(key, data["certificate_id"], datetime.now(UTC))
        answer(200, statement if truthful.pop(0) else b'{"erased": true}')(handler, received)

    acknowledged = []
    with receiver(sign) as panel:
        endpoint(house, panel.url, key=key.public_key, kinds=[MessageKind.SUBJECT_ERASED])
        for _ in range(2):
            erased = house.withdraw(house.admit())
            deliver(house)
            certificate = verify_certificate(erased.certificate_path.read_bytes(), house.site.verifier_key)
            acknowledged.append(len(certificate.acknowledgements))
    assert acknowledged == [0, 1]
    assert house.site.programs.outbox.list() == []


def test_an_expiry_is_sent_before_the_erasure(house: House) -> None:
    with receiver() as panel:
        endpoint(house, panel.url, kinds=[MessageKind.CONSENT_EXPIRED, MessageKind.SUBJECT_ERASED])
        house.admit()
        house.clock.move(days=91)
        house.site.sweep()
        deliver(house)
    assert kinds(panel.got) == ["consent.expired", "subject.erased"]


def test_a_receiver_that_was_down_gets_messages_later_in_order_for_each_person(house: House) -> None:
    with receiver(answer(500)) as panel:
        endpoint(house, panel.url)
        ada, bob = house.admit(), house.admit()
        assert deliver(house) == 2
        house.withdraw(ada)  # her "given" is dropped, and never delivered after this
        assert waiting(house) == ["subject.erased", "consent.given"]
        assert [one.last_problem for one in house.site.programs.outbox.list()] == [None, "status 500"]
        panel.behaviour = answer(204)
        panel.got.clear()
        deliver(house)
        house.clock.move(seconds=6)
        deliver(house)
    messages = [(json.loads(one.body)["type"], json.loads(one.body)["data"]["receipt_id"]) for one in panel.got]
    assert messages == [("subject.erased", ada.receipt_id), ("consent.given", bob.receipt_id)]


def test_the_second_message_about_a_person_waits_for_the_first(house: House) -> None:
    with receiver(answer(500)) as panel:
        endpoint(house, panel.url, kinds=[MessageKind.CONSENT_EXPIRED, MessageKind.SUBJECT_ERASED])
        house.admit()
        house.clock.move(days=91)
        house.site.sweep()
        deliver(house)
        house.clock.move(minutes=10)
        deliver(house)
        assert set(kinds(panel.got)) == {"consent.expired"}
        panel.behaviour = answer(200)
        house.clock.move(hours=1)
        deliver(house)
    assert kinds(panel.got)[-2:] == ["consent.expired", "subject.erased"]


def test_messages_keep_their_id_and_are_signed_again(house: House) -> None:
    with receiver(answer(503, Retry_After="120")) as panel:
        endpoint(house, panel.url)
        house.invite()
        deliver(house)
        house.clock.move(seconds=100)
        assert deliver(house) == 0  # the receiver requested two minutes
        house.clock.move(seconds=21)
        assert deliver(house) == 1
    first, second = panel.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_after_three_days_a_message_is_given_up_and_can_be_sent_again(house: House) -> None:
    outbox = house.site.programs.outbox
    with receiver(answer(500)) as panel:
        endpoint(house, panel.url)
        house.invite()
        for _ in range(60):
            deliver(house)
            house.clock.move(hours=2)
        (dead,) = outbox.list(dead=True)
        assert outbox.state().dead == 1
        assert dead.attempts > 10
        count = len(panel.got)
        deliver(house)
        assert len(panel.got) == count
        panel.behaviour = answer(204)
        assert outbox.redeliver(dead.message_id) == 1
        deliver(house)
    assert panel.got[-1].headers["webhook-id"] == dead.message_id
    assert outbox.list() == []


def test_an_endpoint_that_replied_410_is_disabled_until_it_is_enabled(house: House) -> None:
    with receiver(answer(410)) as panel:
        where = endpoint(house, panel.url)
        house.invite()
        deliver(house)
        house.clock.move(hours=1)
        assert deliver(house) == 0
        (found,) = house.site.programs.endpoints.list()
        assert found.disabled_why == "the receiver responded 410 (gone)"
        panel.behaviour = answer(204)
        house.site.programs.endpoints.enable(where.endpoint_id)
        assert deliver(house) == 1
    assert house.site.programs.outbox.list() == []


def redirect(handler: BaseHTTPRequestHandler, received: Received) -> None:
    answer(307, Location=f"http://127.0.0.1:{handler.server.server_address[1]}/elsewhere")(handler, received)  # type: ignore[attr-defined]


def huge(handler: BaseHTTPRequestHandler, _received: Received) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(64):
        handler.wfile.write(bytes(1 << 20))


def endless_headers(handler: BaseHTTPRequestHandler, _received: Received) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        handler.wfile.write(b"X-%d: y\r\n" % number)


def no_http(handler: BaseHTTPRequestHandler, _received: Received) -> None:
    handler.wfile.write(b"220 ready\r\n")


def hangs_up(handler: BaseHTTPRequestHandler, _received: Received) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def drips(handler: BaseHTTPRequestHandler, _received: Received) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(100):
        handler.wfile.write(b".")
        handler.wfile.flush()
        if _ENDED.wait(0.2):
            return


_ENDED = threading.Event()


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (redirect, "status 307"),
        (huge, "a response that is too large"),
        (endless_headers, "a response that is not HTTP"),
        (no_http, "a response that is not HTTP"),
        (hangs_up, "a response that is not HTTP"),
        (drips, "no response in time"),
        (answer(404), "status 404"),
        (answer(101), "status 101"),
    ],
)
def test_an_invalid_response_is_retried_later(house: House, behaviour: Callable[..., None], problem: str) -> None:
    with receiver(behaviour) as panel:
        endpoint(house, panel.url)
        house.invite()
        assert deliver(house, timeout_s=1 if behaviour is drips else PATIENCE_S) == 1
        (message,) = house.site.programs.outbox.list()
        assert (message.last_problem, message.attempts) == (problem, 1)
        assert [one.path for one in panel.got] == ["/hook"]  # no redirect was followed


def test_a_refused_connection_and_an_unknown_host_are_recorded(house: House) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint(house, f"http://127.0.0.1:{free.getsockname()[1]}/")

    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError

    house.invite()
    deliver(house)
    assert [one.last_problem for one in house.site.programs.outbox.list()] == ["no connection"]
    house.clock.move(hours=1)
    deliver(house, resolve=nowhere)
    assert [one.last_problem for one in house.site.programs.outbox.list()] == ["the name has no address"]


def test_a_name_with_a_private_address_is_refused_at_each_delivery(house: House) -> None:
    with receiver() as panel:
        house.site.rights.recipients.add("lobby", PANEL)
        port = panel.url.rsplit(":", 1)[1]
        house.site.programs.endpoints.add("lobby", PANEL, url=f"https://panel.example.org:{port}")
        house.invite()
        deliver(house, resolve=lambda _host, _port: ["127.0.0.1"])
        (message,) = house.site.programs.outbox.list()
        assert message.last_problem == "the address is in a private or reserved network; see --allow-private"
        assert panel.got == []


def test_a_receiver_that_hangs_does_not_delay_the_others(house: House) -> None:
    with receiver() as good, receiver() as bad:
        bad.behaviour = bad.hang
        endpoint(house, bad.url, "bad")
        endpoint(house, good.url, "good")
        with courier(house) as one:
            one.start()
            people = [house.invite() for _ in range(6)]
            got = good.wait_for(len(people))
            assert {json.loads(each.body)["data"]["receipt_id"] for each in got} == {
                person.receipt_id for person in people
            }
            assert len(bad.got) <= 2
            bad.ended.set()


def test_a_claim_is_exclusive_and_expires(house: House) -> None:
    outbox = house.site.programs.outbox
    endpoint(house, "http://127.0.0.1:9/")
    house.invite()
    (claimed,) = outbox.claim(10)
    assert outbox.claim(10) == []
    house.clock.move(seconds=61)
    assert [one.message_id for one in outbox.claim(10)] == [claimed.message_id]


def test_pending_messages_about_a_person_are_dropped_at_the_erasure(house: House) -> None:
    endpoint(house, "http://127.0.0.1:9/", kinds=list(MessageKind))
    person = house.admit()
    house.visit(person)
    assert waiting(house) == ["consent.given", "door.decision"]
    house.withdraw(person)
    assert waiting(house) == ["subject.erased"]
    house.visit(person)
    assert waiting(house) == ["subject.erased"]


def test_a_removed_recipient_gets_erasures_but_no_new_consents(house: House) -> None:
    with receiver() as panel:
        endpoint(house, panel.url)
        person = house.admit()
        deliver(house)
        house.clock.move(days=1)
        house.site.rights.recipients.remove("lobby", PANEL)
        house.invite()
        house.withdraw(person)
        deliver(house)
    assert kinds(panel.got) == ["consent.given", "subject.erased"]


def test_a_kill_during_a_delivery_loses_no_message(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with receiver() as panel:
        panel.behaviour = panel.hang
        with Site.create(home, name="Example Ltd", contact="privacy@example.org") as site:
            site.add_zone("lobby", custody="operator", justification="a", alternative="b", retention_days=30)
            open_gates(site, "lobby")
            notice = publish_sample_notice(site, "lobby", more="We look.")
            site.rights.recipients.add("lobby", PANEL)
            site.programs.endpoints.add("lobby", PANEL, url=panel.url, allow_private=True)
            site.give_consent(notice, name="A", jurisdiction="FR", key=SubjectKey.from_seed(bytes(32)))
        command = [sys.executable, "-c", "from volens.program import main; main()", "webhook", "deliver"]
        environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, env=environment) as process:
            panel.wait_for(1)
            process.send_signal(signal.SIGKILL)
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
        panel.behaviour = answer(204)
        with Site.open(home, clock=lambda: datetime.now(UTC) + timedelta(minutes=2)) as site:
            again = WebhookSender(site)
            assert again.deliver_due() == 1
            again.close()
            assert site.programs.outbox.list() == []
    assert len({one.headers["webhook-id"] for one in panel.got}) == 1


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    _ENDED.clear()
    yield
    _ENDED.set()


def test_the_test_receivers_stop_by_themselves() -> None:
    with receiver() as one:
        assert isinstance(one, Receiver)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(one.url.rsplit(":", 1)[1].partition("/")[0])), 1)
