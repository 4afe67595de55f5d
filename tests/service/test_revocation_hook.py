"""Inbound webhooks: signed messages that revoke consents, as other programs of the organisation send them."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta

import pytest
from connections import lock_timeout
from house import House, Person
from httpx2 import Response
from patience import PATIENCE_S
from signing import Signer
from standardwebhooks import Webhook
from starlette.testclient import TestClient
from webhook_signer import Ed25519Signer

from volens import SubjectKey
from volens.service.http import AppState, RateLimiter, application
from volens.service.webhooks import SymmetricKey, sign, verification_key
from volens.store.people import live_receipts
from volens.store.programs import Role, SenderKey, Senders

URL = "/v1/hooks/revocations"
Key = SymmetricKey | Ed25519Signer
Send = Callable[..., Response]


@pytest.fixture
def key(app_state: AppState) -> SenderKey:
    return app_state.site.programs.senders.add(label="staff list")


def secret_of(app_state: AppState, key: SenderKey) -> SymmetricKey:
    found = verification_key(app_state.site.programs.senders, key)
    assert isinstance(found, SymmetricKey)
    return found


@pytest.fixture
def send(client: TestClient, app_state: AppState, house: House, key: SenderKey) -> Send:
    """Send a message with a valid signature unless another key is given."""

    def sender(kind: str, message_id: str = "msg_1", *, signed_with: Key | None = None, **data: str) -> Response:
        body = json.dumps({"type": kind, "timestamp": "2099-03-01T12:00:00Z", "data": data}).encode()
        headers = sign(message_id, house.clock(), body, [signed_with or secret_of(app_state, key)])
        return client.post(URL, content=body, headers=headers)

    return sender


def in_force(house: House, app_state: AppState) -> set[str]:
    """Return the consents in force when everything that was accepted has been carried out."""
    finish(app_state)
    with house.store.read() as connection:
        return set(live_receipts(connection))


def linked(house: House, person: Person, external_id: str) -> Person:
    house.site.link_external_id(person.receipt_id, external_id)
    return person


def finish(app_state: AppState) -> None:
    """Wait until the work that outlives its requests has finished."""
    until = time.monotonic() + PATIENCE_S
    while app_state.is_busy_afterwards:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_revocation_stops_matching_and_destroys_the_key(house: House, app_state: AppState, send: Send) -> None:
    gone, stays = linked(house, house.admit(), "4711"), linked(house, house.admit(), "4712")
    assert house.sees(gone)

    answer = send("employee.terminated", external_id="4711")

    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert in_force(house, app_state) == {stays.receipt_id}
    finish(app_state)
    assert house.store.keyring.wrapped_secrets([stays.receipt_id]).get(stays.receipt_id)
    assert house.store.keyring.wrapped_secrets([gone.receipt_id]).get(gone.receipt_id) is None


def test_a_termination_ends_all_consents_and_a_revocation_only_one(
    house: House, app_state: AppState, send: Send
) -> None:
    key = SubjectKey.from_seed(bytes(32))
    given = [
        house.site.give_consent(house.site.notice(zone), name="A", jurisdiction="FR", key=key, external_id=number)
        for zone, number in (("lobby", "4711"), ("lab", None))
    ]
    ids = [one.receipt.claims.receipt_id for one in given]

    assert send("consent.revoked", "msg_1", external_id="4711").status_code == 202
    assert in_force(house, app_state) == {ids[1]}

    again = house.site.give_consent(house.site.notice("lobby"), name="A", jurisdiction="FR", key=key)
    assert send("employee.terminated", "msg_2", receipt_id=again.receipt.claims.receipt_id).status_code == 202
    assert in_force(house, app_state) == set()
    finish(app_state)


def test_a_revocation_finds_the_external_id_in_another_spelling(house: House, app_state: AppState, send: Send) -> None:
    person = linked(house, house.admit(), "Zoe\N{COMBINING DIAERESIS}-4711")
    assert send(
        "employee.terminated", external_id="ZO\N{LATIN CAPITAL LETTER E WITH DIAERESIS}\N{EN DASH}4711"
    ).is_success
    finish(app_state)
    assert not house.sees(person)


def test_a_revocation_can_name_a_receipt(house: House, app_state: AppState, send: Send) -> None:
    person, other = house.admit(), house.admit()
    assert send("consent.revoked", receipt_id=person.receipt_id).status_code == 202
    assert in_force(house, app_state) == {other.receipt_id}
    finish(app_state)


def test_a_repeated_message_is_executed_once(house: House, app_state: AppState, send: Send) -> None:
    linked(house, house.admit(), "4711")
    assert send("employee.terminated", external_id="4711").status_code == 202
    finish(app_state)
    returned = linked(house, house.admit(), "4711")  # hired again, while the first message may be delivered again

    assert send("employee.terminated", external_id="4711").status_code == 202
    assert in_force(house, app_state) == {returned.receipt_id}
    assert send("employee.terminated", "msg_2", external_id="4711").status_code == 202
    assert in_force(house, app_state) == set()
    finish(app_state)


def test_unknown_ended_and_live_consents_get_the_same_response(house: House, app_state: AppState, send: Send) -> None:
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
    key = app_state.site.programs.senders.add(label="lobby's desk", zone="lobby")
    for number, person in enumerate((there, here)):
        body = json.dumps({"type": "consent.revoked", "data": {"receipt_id": person.receipt_id}}).encode()
        headers = sign(f"msg_{number}", house.clock(), body, [secret_of(app_state, key)])
        assert client.post(URL, content=body, headers=headers).status_code == 202
    assert in_force(house, app_state) == {there.receipt_id}
    finish(app_state)


def test_a_sender_can_sign_with_its_own_key_pair(house: House, app_state: AppState, send: Send) -> None:
    own, person = Ed25519Signer(bytes(range(32))), house.admit()
    app_state.site.programs.senders.add(label="signs", public_key=own.public.raw)
    assert send("consent.revoked", signed_with=own, receipt_id=person.receipt_id).status_code == 202
    assert in_force(house, app_state) == set()
    finish(app_state)


def test_after_a_rotation_both_secrets_are_valid_until_the_sender_is_ended(
    house: House, app_state: AppState, send: Send, key: SenderKey
) -> None:
    senders = app_state.site.programs.senders
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


def test_an_unknown_sender_is_refused_and_rate_limited(
    client: TestClient, house: House, app_state: AppState, send: Send
) -> None:
    person = house.admit()
    stranger = SymmetricKey(bytes(32))
    refused = send("consent.revoked", signed_with=stranger, receipt_id=person.receipt_id)
    assert refused.status_code == 401
    assert refused.json()["type"] == "urn:volens:problem:signature"
    assert client.post(URL, content=b"{}").status_code == 401
    assert in_force(house, app_state) == {person.receipt_id}
    statuses = {send("consent.revoked", signed_with=stranger, receipt_id="0" * 32).status_code for _ in range(30)}
    assert statuses == {401, 429}


def test_beyond_the_rate_limit_signatures_are_not_verified(
    app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, keys_in_force = [], Senders.keys_in_force

    def counted(senders: Senders) -> Sequence[SenderKey]:
        checked.append(senders)
        return keys_in_force(senders)

    monkeypatch.setattr(Senders, "keys_in_force", counted)
    app_state.address_limiter = RateLimiter(1, 20, lambda: 0.0)
    with TestClient(application(app_state), raise_server_exceptions=False) as client:
        statuses = [client.post(URL, content=b"{}").status_code for _ in range(40)]

    assert statuses == [401] * 20 + [429] * 20
    assert len(checked) == 20


def test_a_replay_is_refused(client: TestClient, house: House, app_state: AppState, key: SenderKey) -> None:
    person = house.admit()
    body = json.dumps({"type": "consent.revoked", "data": {"receipt_id": person.receipt_id}}).encode()
    headers = sign("msg_1", house.clock() - timedelta(minutes=6), body, [secret_of(app_state, key)])
    answer = client.post(URL, content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:volens:problem:stale")
    assert in_force(house, app_state) == {person.receipt_id}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"type": "employee.hired", "data": {"external_id": "1"}}',
        b'{"type": ["consent.revoked"], "data": {"external_id": "1"}}',
        b'{"type": {}, "data": {"external_id": "1"}}',
        b'{"type": "consent.revoked"}',
        b'{"type": "consent.revoked", "data": {"external_id": ["1"]}}',
        b'{"type": "consent.revoked", "data": {"receipt_id": null}}',
        b'{"type": "consent.revoked", "data": {}}',
        b'{"type": "consent.revoked", "data": {"external_id": 7}}',
        b'{"type": "consent.revoked", "data": {"external_id": "  "}}',
        b'{"type": "consent.revoked", "data": {"receipt_id": "short"}}',
        b'{"type": "consent.revoked", "data": {"external_id": "canary-4711", "receipt_id": "%s"}}' % (b"0" * 32),
        b"[" * 60_000,
    ],
)
def test_an_incomplete_message_is_refused_with_a_sentence(
    client: TestClient, house: House, app_state: AppState, key: SenderKey, body: bytes
) -> None:
    person = linked(house, house.admit(), "canary-4711")
    answer = client.post(URL, content=body, headers=sign("msg_1", house.clock(), body, [secret_of(app_state, key)]))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("got ")
    assert "canary" not in answer.text
    assert in_force(house, app_state) == {person.receipt_id}


def test_a_locked_store_gets_503_and_the_sender_can_retry(house: House, app_state: AppState, send: Send) -> None:
    person = house.admit()
    with lock_timeout(0.1), closing(sqlite3.connect(house.site.home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert send("consent.revoked", receipt_id=person.receipt_id).status_code == 503
        other.execute("ROLLBACK")
    assert in_force(house, app_state) == {person.receipt_id}
    assert send("consent.revoked", receipt_id=person.receipt_id).status_code == 202
    assert in_force(house, app_state) == set()
    finish(app_state)


def test_messages_of_the_standard_webhooks_client_are_accepted(
    client: TestClient, house: House, app_state: AppState, key: SenderKey
) -> None:
    person = linked(house, house.admit(), "4711")
    body = json.dumps({"type": "employee.terminated", "data": {"external_id": "4711"}})
    published = Webhook(secret_of(app_state, key).reveal())
    at = house.clock.time
    headers = {
        "webhook-id": "msg_2mBYK",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": published.sign("msg_2mBYK", at, body),
    }
    assert client.post(URL, content=body.encode(), headers=headers).status_code == 202
    assert person.receipt_id not in in_force(house, app_state)
    finish(app_state)


def test_the_desk_records_the_external_id_of_a_person(
    client: TestClient, house: House, app_state: AppState, bearer: Callable[..., dict[str, str]], send: Send
) -> None:
    desk = bearer(Role.DESK)
    given = Signer().consent(client, desk, external_id="4711")
    assert given.status_code == 201
    again = Signer().consent(client, desk, external_id="4711")
    assert again.status_code == 403
    assert "4711" not in again.text
    assert in_force(house, app_state) == {given.json()["receipt_id"]}
    assert send("employee.terminated", external_id=" 4711 ").status_code == 202
    assert in_force(house, app_state) == set()
    finish(app_state)


def test_the_external_id_is_not_in_the_data_file(house: House) -> None:
    linked(house, house.admit(), "canary-personnel-number")
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert b"canary-personnel" not in path.read_bytes()


def test_a_message_that_cannot_be_stored_stops_its_people_and_says_nothing_about_them(
    client: TestClient, house: House, app_state: AppState, send: Send
) -> None:
    gone, stays = linked(house, house.admit(), "4711"), linked(house, house.admit(), "4712")
    assert house.sees(gone)

    with lock_timeout(0.05):
        house.store.drop_caches()  # new connections have the short timeout
        with closing(sqlite3.connect(house.site.home / "volens.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            said = [
                send("employee.terminated", f"msg_{number}", external_id=external_id)
                for number, external_id in enumerate(("4711", "nobody"))
            ]
            finish(app_state)
            details = [{**answer.json(), "instance": ""} for answer in said]
            assert [answer.status_code for answer in said] == [503, 503]
            assert [int(answer.headers["Retry-After"]) for answer in said] == [2, 2]
            assert details[0] == details[1]
            assert "does not match the people whom it names, if it knows them" in details[0]["detail"]
            assert not house.sees(gone)
            assert house.sees(stays)
            assert "a withdrawal is not recorded yet" in client.get("/readyz").text
            other.execute("ROLLBACK")
    until = time.monotonic() + PATIENCE_S
    while client.get("/readyz").status_code != 200:  # the service stores and carries out both by itself
        assert time.monotonic() < until
        time.sleep(0.05)
    assert in_force(house, app_state) == {stays.receipt_id}
    assert send("employee.terminated", "msg_0", external_id="4711").status_code == 202  # as its sender would
