"""Leases over HTTP: a door asks, holds, gives up, and learns of a revocation; a withdrawal names both times."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from house import DIMENSION, House, Person
from starlette.testclient import TestClient

from volens.consent import Purpose, from_b64url
from volens.consent.lease import LEASE, LeaseDoor
from volens.face import Extractor
from volens.face.embedder import SFACE_MODEL
from volens.index.held_lease import HeldLease
from volens.service.door.lease_journal import DELIVERED_TOGETHER
from volens.service.http import AppState
from volens.service.http.lease_routes import MAX_DECISIONS
from volens.service.sample_notice import publish_sample_notice
from volens.store.keys import LeaseKey
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
URL = "/v1/leases"
TERM = 60
MODEL = SFACE_MODEL.model_id


@pytest.fixture
def ada(app_state: AppState, house: House) -> Iterator[Person]:
    """A person of the lobby, who agreed to its leases; enrolled with the model of the service."""
    app_state.site.zones.set_lease("lobby", TERM)
    publish_sample_notice(app_state.site, "lobby")
    house.model_id = MODEL
    return house.admit()


def ask(client: TestClient, door: dict[str, str]) -> dict[str, str]:
    answer = client.post(URL, json={"model": MODEL}, headers=door)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    body: dict[str, str] = answer.json()
    return body


def held(house: House, answer: dict[str, str]) -> HeldLease:
    claims, store = LEASE.peek(answer["lease"]), house.store
    of = LeaseDoor(store.verifier_key.public_keys, store.site.controller.site_id, Purpose("lobby"), claims.holder)
    with LeaseKey(from_b64url(answer["key"])) as key:
        references = from_b64url(answer["references"])
        return HeldLease.opened(
            answer["lease"], key, references, of, asked_at_s=0.0, dimension=DIMENSION, clock=lambda: 1.0
        )


def say(client: TestClient, door: dict[str, str], lease_id: str, *, holds: bool, wait_s: int = 0) -> bool:
    body = {"lease_id": lease_id, "holds": holds, "wait_s": wait_s}
    answer = client.post(f"{URL}/acknowledge", json=body, headers=door)
    assert answer.status_code == 200
    return bool(answer.json()["may_hold"])


def test_a_door_decides_with_the_lease_that_it_got(
    client: TestClient, house: House, bearer: Bearer, ada: Person
) -> None:
    door = bearer(Role.DOOR)
    lease = held(house, ask(client, door))
    assert (lease.claims.term_seconds, lease.claims.people, lease.claims.trigger) == (TERM, 1, "near")
    assert lease.best(ada.face) is not None
    assert say(client, door, lease.claims.lease_id, holds=True)


def test_a_withdrawal_ends_the_wait_of_a_door_and_names_both_times(
    client: TestClient, house: House, bearer: Bearer, ada: Person
) -> None:
    door, silent = bearer(Role.DOOR), bearer(Role.DOOR)
    lease, other = held(house, ask(client, door)).claims, held(house, ask(client, silent)).claims
    told: list[bool] = []

    def obey() -> None:
        told.append(say(client, door, lease.lease_id, holds=True, wait_s=10))
        say(client, door, lease.lease_id, holds=False)

    waiting = threading.Thread(target=obey)
    waiting.start()
    answer = client.post("/v1/withdrawals", json={"code": ada.code})
    waiting.join()
    assert (answer.status_code, told) == (200, [False])
    body: dict[str, Any] = answer.json()
    assert body["ended_at"] == "2099-03-01T12:00:00Z"
    assert body["stopped_everywhere_at"] == "2099-03-01T12:01:03Z"
    assert {one["door_id"]: one["acknowledged_at"] for one in body["holders"]} == {
        lease.holder: "2099-03-01T12:00:00Z",
        other.holder: None,
    }
    assert json.loads(body["certificate"])["certificate"]
    assert client.post("/v1/withdrawals", json={"code": ada.code}).json() == body
    assert ask(client, door)["lease"]
    assert not say(client, silent, other.lease_id, holds=True)


def test_a_restriction_names_both_times_too(
    client: TestClient, house: House, bearer: Bearer, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", 0.0)
    assert client.post("/v1/restrictions", json={"code": ada.code}).json()["holders"] == []
    client.post("/v1/restrictions/liftings", json={"code": ada.code})
    door = bearer(Role.DOOR)
    lease = held(house, ask(client, door)).claims
    body = client.post("/v1/restrictions", json={"code": ada.code}).json()
    assert (body["restricted_since"], body["stopped_everywhere_at"]) == (
        "2099-03-01T12:00:00Z",
        "2099-03-01T12:01:03Z",
    )
    assert not say(client, door, lease.lease_id, holds=False)
    body = client.post("/v1/restrictions", json={"code": ada.code}).json()
    assert body["stopped_everywhere_at"] == body["restricted_since"]


def test_the_pause_of_a_zone_waits_for_its_doors_and_names_both_times(
    client: TestClient, house: House, bearer: Bearer, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, operator, told = bearer(Role.DOOR), bearer(Role.OPERATOR), list[bool]()
    lease = held(house, ask(client, door)).claims

    def obey() -> None:
        told.append(say(client, door, lease.lease_id, holds=True, wait_s=10))
        say(client, door, lease.lease_id, holds=False)

    def change(state: str) -> dict[str, Any]:
        answer = client.put("/v1/zones/lobby/state", json={"state": state}, headers=operator)
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        return body

    waiting = threading.Thread(target=obey)
    waiting.start()
    paused = change("paused")
    waiting.join()
    assert (told, ada.receipt_id in str(paused)) == ([False], False)
    assert paused["stopped_everywhere_at"] == paused["paused_since"] == "2099-03-01T12:00:00Z"
    assert [one["acknowledged_at"] for one in paused["holders"]] == ["2099-03-01T12:00:00Z"]
    assert client.post(URL, json={"model": MODEL}, headers=door).status_code == 503
    resumed = change("in_use")
    assert (resumed["paused_since"], resumed["stopped_everywhere_at"], resumed["holders"]) == (None, None, [])

    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", 0.0)
    house.clock.move(minutes=5)
    ask(client, door)
    silent = change("paused")
    assert (silent["paused_since"], silent["stopped_everywhere_at"]) == ("2099-03-01T12:05:00Z", "2099-03-01T12:06:03Z")
    house.clock.move(seconds=10)
    assert change("paused") == silent


def test_a_lease_says_what_the_door_does_after_it(
    client: TestClient, house: House, bearer: Bearer, ada: Person
) -> None:
    operator, body = bearer(Role.OPERATOR), {"lease_seconds": TERM, "after_lease": "badge"}
    changed = client.put("/v1/zones/lobby/lease", json=body, headers=operator)
    assert (changed.status_code, changed.json()["after_lease"]) == (200, "badge")
    door = bearer(Role.DOOR)
    claims = held(house, ask(client, door)).claims
    assert (claims.after_lease.value, claims.people, bool(ada.receipt_id)) == ("badge", 1, True)
    doors = client.get("/v1/fleet", headers=operator).json()["doors"]
    assert [one["after_lease"] for one in doors if one["lease_until"]] == ["badge"]
    wrong = client.put("/v1/zones/lobby/lease", json=body | {"after_lease": "open"}, headers=operator)
    assert wrong.status_code == 422


def test_a_lease_is_refused_with_a_reason(
    client: TestClient, app_state: AppState, bearer: Bearer, extractor: Extractor
) -> None:
    door = bearer(Role.DOOR)
    refused = client.post(URL, json={"model": extractor.model.model_id}, headers=door)
    assert (refused.status_code, "has no leases" in refused.json()["detail"]) == (403, True)
    app_state.site.zones.set_lease("lobby", TERM)
    app_state.site.zones.set_liveness("lobby", "challenge")
    turning = client.post(URL, json={"model": extractor.model.model_id}, headers=door)
    assert (turning.status_code, "a door without a screen cannot ask" in turning.json()["detail"]) == (403, True)
    app_state.site.zones.set_liveness("lobby", "none")
    other = client.post(URL, json={"model": "other@00000000"}, headers=door)
    assert (other.status_code, "another model" in other.json()["detail"]) == (403, True)
    unknown = {"lease_id": "0" * 32, "holds": True}
    assert client.post(f"{URL}/acknowledge", json=unknown, headers=door).status_code == 404
    for body in ({}, {"lease_id": "0" * 32, "holds": "yes"}, {**unknown, "wait_s": 11}, {**unknown, "wait_s": -1}):
        assert client.post(f"{URL}/acknowledge", json=body, headers=door).status_code == 422


def test_as_many_decisions_as_are_allowed_fit_into_one_request(client: TestClient, bearer: Bearer, ada: Person) -> None:
    one = {"lease_id": "f" * 32, "minute": "2099-03-01T12:00:00Z", "who": "A" * 200}
    door = bearer(Role.DOOR)
    allowed = client.post("/v1/leases/decisions", json={"decisions": [one] * MAX_DECISIONS}, headers=door)
    assert (allowed.status_code, allowed.json()) == (200, {"recorded": 0}), ada
    more = client.post("/v1/leases/decisions", json={"decisions": [one] * (MAX_DECISIONS + 1)}, headers=door)
    assert more.status_code == 422
    assert DELIVERED_TOGETHER <= MAX_DECISIONS
