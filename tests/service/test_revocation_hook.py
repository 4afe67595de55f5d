"""Signed messages that somebody left or took a yes back, as programs of the house send them."""

import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from house import House, Person
from httpx2 import Response
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from volens import SubjectKey
from volens.service.http import hook_routes as hooks
from volens.service.http.app_state import AppState
from volens.service.http.http_app import application
from volens.service.http.rate_limits import RateLimiter
from volens.service.webhooks.inbound import key_of
from volens.service.webhooks.signatures import SignatureError, SigningKey, SymmetricKey, sign
from volens.store.people import live_receipts
from volens.store.programs import Role, SenderKey

URL = "/v1/hooks/revocations"
Key = SymmetricKey | SigningKey
Send = Callable[..., Response]


@pytest.fixture
def key(app_state: AppState) -> SenderKey:
    return app_state.site.revocations.senders.add(label="staff list")


def secret_of(app_state: AppState, key: SenderKey) -> SymmetricKey:
    found = key_of(app_state.site.revocations.senders, key)
    assert isinstance(found, SymmetricKey)
    return found


@pytest.fixture
def send(client: TestClient, app_state: AppState, house: House, key: SenderKey) -> Send:
    """Send a message, rightly signed unless told otherwise."""

    def sender(kind: str, message_id: str = "msg_1", *, signed_with: Key | None = None, **data: str) -> Response:
        body = json.dumps({"type": kind, "timestamp": "2099-03-01T12:00:00Z", "data": data}).encode()
        headers = sign(message_id, house.clock(), body, [signed_with or secret_of(app_state, key)])
        return client.post(URL, content=body, headers=headers)

    return sender


def in_force(house: House) -> set[str]:
    with house.store.read() as connection:
        return set(live_receipts(connection))


def linked(house: House, person: Person, external_id: str) -> Person:
    house.site.revocations.link(person.receipt_id, external_id)
    return person


def finish(app_state: AppState) -> None:
    """Wait until what was begun in the room of withdrawals is done."""
    done = threading.Event()
    app_state.exit._threads.submit(done.set)
    assert done.wait(20)


def test_who_has_left_is_not_matched_when_the_answer_comes(house: House, app_state: AppState, send: Send) -> None:
    gone, stays = linked(house, house.admit(), "4711"), linked(house, house.admit(), "4712")
    assert house.sees(gone)

    answer = send("employee.terminated", external_id="4711")

    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert in_force(house) == {stays.receipt_id}
    finish(app_state)
    assert house.store.keyring.wrapped(stays.receipt_id)
    assert house.store.keyring.wrapped(gone.receipt_id) is None


def test_who_has_left_leaves_every_zone_and_who_took_one_yes_back_only_that(
    house: House, app_state: AppState, send: Send
) -> None:
    key = SubjectKey.from_seed(bytes(32))
    given = [
        house.site.give_consent(house.site.notice(zone), name="A", jurisdiction="FR", key=key, external_id=number)
        for zone, number in (("lobby", "4711"), ("lab", None))
    ]
    ids = [one.receipt.claims.receipt_id for one in given]

    assert send("consent.revoked", "msg_1", external_id="4711").status_code == 202
    assert in_force(house) == {ids[1]}

    again = house.site.give_consent(house.site.notice("lobby"), name="A", jurisdiction="FR", key=key)
    assert send("employee.terminated", "msg_2", receipt_id=again.receipt.claims.receipt_id).status_code == 202
    assert in_force(house) == set()
    finish(app_state)


def test_a_consent_is_named_by_its_receipt(house: House, app_state: AppState, send: Send) -> None:
    person, other = house.admit(), house.admit()
    assert send("consent.revoked", receipt_id=person.receipt_id).status_code == 202
    assert in_force(house) == {other.receipt_id}
    finish(app_state)


def test_a_message_is_carried_out_once_however_often_it_is_sent(house: House, app_state: AppState, send: Send) -> None:
    linked(house, house.admit(), "4711")
    assert send("employee.terminated", external_id="4711").status_code == 202
    finish(app_state)
    returned = linked(house, house.admit(), "4711")  # hired again; the first message is still under way somewhere

    assert send("employee.terminated", external_id="4711").status_code == 202
    assert in_force(house) == {returned.receipt_id}
    assert send("employee.terminated", "msg_2", external_id="4711").status_code == 202
    assert in_force(house) == set()
    finish(app_state)


def test_unknown_ended_and_in_force_are_one_answer(house: House, app_state: AppState, send: Send) -> None:
    ended = house.admit()
    house.withdraw(ended)
    answers = [
        send("consent.revoked", "msg_1", receipt_id="0" * 32),
        send("consent.revoked", "msg_2", receipt_id=ended.receipt_id),
        send("consent.revoked", "msg_3", receipt_id=house.admit().receipt_id),
        send("employee.terminated", "msg_4", external_id="nobody"),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, '{"status":"accepted"}')}
    finish(app_state)


def test_a_sender_of_one_zone_ends_nothing_in_another(client: TestClient, house: House, app_state: AppState) -> None:
    here, there = house.admit(), house.invite("lab")
    key = app_state.site.revocations.senders.add(label="lobby's desk", zone="lobby")
    for number, person in enumerate((there, here)):
        body = json.dumps({"type": "consent.revoked", "data": {"receipt_id": person.receipt_id}}).encode()
        headers = sign(f"msg_{number}", house.clock(), body, [secret_of(app_state, key)])
        assert client.post(URL, content=body, headers=headers).status_code == 202
    assert in_force(house) == {there.receipt_id}
    finish(app_state)


def test_a_sender_signs_with_a_key_of_its_own(house: House, app_state: AppState, send: Send) -> None:
    own, person = SigningKey.from_seed(bytes(range(32))), house.admit()
    app_state.site.revocations.senders.add(label="signs", public_key=own.public.raw)
    assert send("consent.revoked", signed_with=own, receipt_id=person.receipt_id).status_code == 202
    assert in_force(house) == set()
    finish(app_state)


def test_after_a_rotation_both_secrets_are_good_for_a_while_and_an_ended_sender_for_nothing(
    house: House, app_state: AppState, send: Send, key: SenderKey
) -> None:
    senders = app_state.site.revocations.senders
    old, new = secret_of(app_state, key), secret_of(app_state, senders.rotate(key.sender.sender_id, grace_hours=24))
    assert old.reveal() != new.reveal()
    said = [
        send("consent.revoked", f"msg_{n}", signed_with=one, receipt_id="0" * 32) for n, one in enumerate((old, new))
    ]
    assert [one.status_code for one in said] == [202, 202]

    house.clock.move(hours=25)
    assert send("consent.revoked", "msg_3", signed_with=old, receipt_id="0" * 32).status_code == 401
    assert send("consent.revoked", "msg_4", signed_with=new, receipt_id="0" * 32).status_code == 202
    senders.end(key.sender.sender_id)
    assert send("consent.revoked", "msg_5", signed_with=new, receipt_id="0" * 32).status_code == 401


def test_who_is_not_known_is_refused_and_slowed_down(client: TestClient, house: House, send: Send) -> None:
    person = house.admit()
    stranger = SymmetricKey(bytes(32))
    refused = send("consent.revoked", signed_with=stranger, receipt_id=person.receipt_id)
    assert refused.status_code == 401
    assert refused.json()["type"] == "urn:volens:problem:signature"
    assert client.post(URL, content=b"{}").status_code == 401
    assert in_force(house) == {person.receipt_id}
    statuses = {send("consent.revoked", signed_with=stranger, receipt_id="0" * 32).status_code for _ in range(30)}
    assert statuses == {401, 429}


def test_who_sends_wrong_ones_too_often_is_not_worked_for(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def count(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise SignatureError("unknown")

    monkeypatch.setattr(hooks, "signed_by", count)
    standing = replace(app_state, address_rates=RateLimiter(1, 20, lambda: 0.0))
    with TestClient(application(standing), raise_server_exceptions=False) as client:
        statuses = [client.post(URL, content=b"{}").status_code for _ in range(40)]

    # The room where they are looked at is the one of those who withdraw.
    assert statuses == [401] * 20 + [429] * 20
    assert asked == 20


def test_a_replay_is_refused(client: TestClient, house: House, app_state: AppState, key: SenderKey) -> None:
    person = house.admit()
    body = json.dumps({"type": "consent.revoked", "data": {"receipt_id": person.receipt_id}}).encode()
    headers = sign("msg_1", house.clock() - timedelta(minutes=6), body, [secret_of(app_state, key)])
    answer = client.post(URL, content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:volens:problem:stale")
    assert in_force(house) == {person.receipt_id}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"type": "employee.hired", "data": {"external_id": "1"}}',
        b'{"type": "consent.revoked"}',
        b'{"type": "consent.revoked", "data": {}}',
        b'{"type": "consent.revoked", "data": {"external_id": 7}}',
        b'{"type": "consent.revoked", "data": {"external_id": "  "}}',
        b'{"type": "consent.revoked", "data": {"receipt_id": "short"}}',
        b'{"type": "consent.revoked", "data": {"external_id": "canary-4711", "receipt_id": "%s"}}' % (b"0" * 32),
        b"[" * 60_000,
    ],
)
def test_a_message_that_says_nothing_clear_is_refused_with_a_sentence(
    client: TestClient, house: House, app_state: AppState, key: SenderKey, body: bytes
) -> None:
    person = linked(house, house.admit(), "canary-4711")
    answer = client.post(URL, content=body, headers=sign("msg_1", house.clock(), body, [secret_of(app_state, key)]))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("got ")
    assert "canary" not in answer.text
    assert in_force(house) == {person.receipt_id}


def test_a_store_that_refuses_is_told_to_the_sender_who_comes_again(
    house: House, app_state: AppState, send: Send
) -> None:
    person = house.admit()
    with closing(sqlite3.connect(house.site.home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert send("consent.revoked", receipt_id=person.receipt_id).status_code == 503
        other.execute("ROLLBACK")
    assert in_force(house) == {person.receipt_id}
    assert send("consent.revoked", receipt_id=person.receipt_id).status_code == 202
    assert in_force(house) == set()
    finish(app_state)


def test_the_published_client_is_understood(
    client: TestClient, house: House, app_state: AppState, key: SenderKey
) -> None:
    person = linked(house, house.admit(), "4711")
    body = json.dumps({"type": "employee.terminated", "data": {"external_id": "4711"}})
    published = Webhook(secret_of(app_state, key).reveal())
    at = datetime.now(UTC)
    house.clock.time = at  # the published client takes the system's time
    headers = {
        "webhook-id": "msg_2mBYK",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": published.sign("msg_2mBYK", at, body),
    }
    assert client.post(URL, content=body.encode(), headers=headers).status_code == 202
    assert person.receipt_id not in in_force(house)
    finish(app_state)


def test_the_desk_says_what_the_staff_list_calls_a_person(
    client: TestClient, house: House, app_state: AppState, bearer: Callable[..., dict[str, str]], send: Send
) -> None:
    desk = bearer(Role.DESK)
    notice = client.get("/v1/zones/lobby/notice", headers=desk).json()
    new = {"name": "Ada", "jurisdiction": "FR", "notice_sha256": notice["sha256"], "external_id": "4711"}
    given = client.post("/v1/zones/lobby/consents", headers=desk, json=new)
    assert given.status_code == 201
    again = client.post("/v1/zones/lobby/consents", headers=desk, json=new)
    assert again.status_code == 403
    assert "4711" not in again.text
    assert in_force(house) == {given.json()["receipt_id"]}
    assert send("employee.terminated", external_id=" 4711 ").status_code == 202
    assert in_force(house) == set()
    finish(app_state)


def test_the_number_itself_is_nowhere_in_the_data_file(house: House) -> None:
    linked(house, house.admit(), "canary-personnel-number")
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert b"canary-personnel" not in path.read_bytes()
