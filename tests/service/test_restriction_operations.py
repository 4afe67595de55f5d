"""Restriction over HTTP: by the person without a login, never rate-limited with a right code, and by the desk."""

from collections.abc import Callable

import pytest
from house import House
from starlette.testclient import TestClient

from volens.consent import WithdrawalCode
from volens.service.http import AppState, RateLimiter
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
URL = "/v1/restrictions"


def test_the_person_restricts_and_lifts_with_code_or_receipt(client: TestClient, house: House) -> None:
    person = house.admit()
    done = client.post(URL, json={"code": person.code})
    assert done.status_code == 200
    assert (done.json()["receipt_id"], done.json()["zone"]) == (person.receipt_id, "lobby")
    assert done.json()["restricted_since"] == "2099-03-01T12:00:00Z"
    assert not house.sees(person)
    assert client.post(URL, json={"code": person.code}).json() == done.json()

    lifted = client.post(f"{URL}/liftings", json={"receipt": person.take_home.to_json().decode()})
    assert (lifted.status_code, lifted.json()["restricted_since"]) == (200, None)
    assert house.sees(person)


def test_a_right_code_is_never_limited_and_wrong_ones_are(
    client: TestClient, app_state: AppState, house: House
) -> None:
    app_state.address_limiter = RateLimiter(0.001, 2, lambda: 0.0)
    person = house.admit()
    wrong = WithdrawalCode.generate(lambda size: bytes(range(size))).reveal()
    for url in (URL, f"{URL}/liftings"):
        statuses = [client.post(url, json={"code": one}).status_code for one in (wrong, "short", wrong, person.code)]
        assert statuses[2:] == [429, 200]


@pytest.mark.parametrize("body", [{}, {"code": "x", "receipt": "y"}, {"code": 3}, {"code": "x", "why": "y"}, []])
def test_a_body_that_names_no_consent_is_a_problem(client: TestClient, body: object) -> None:
    answer = client.post(URL, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_consent_that_has_ended_is_not_restricted(client: TestClient, house: House) -> None:
    person = house.admit()
    house.withdraw(person)
    assert client.post(URL, json={"code": person.code}).status_code == 404


def test_the_desk_restricts_and_lifts_after_an_identity_check(client: TestClient, house: House, bearer: Bearer) -> None:
    person, desk = house.admit(), bearer(Role.DESK, "lobby")
    url = f"/v1/zones/lobby/consents/{person.receipt_id}/restriction"
    done = client.put(url, headers=desk)
    assert (done.status_code, done.json()["zone"]) == (200, "lobby")
    assert not house.sees(person)
    (row,) = client.get("/v1/people", headers=desk).json()["items"]
    assert (row["state"], row["restricted_at"]) == ("restricted", "2099-03-01T12:00:00Z")

    assert client.post(f"{url}/lifting", json={"identity_checked": False}, headers=desk).status_code == 403
    assert not house.sees(person)
    assert client.post(f"{url}/lifting", json={"identity_checked": True}, headers=desk).status_code == 200
    assert house.sees(person)


def test_a_desk_of_another_zone_changes_nothing(client: TestClient, house: House, bearer: Bearer) -> None:
    person = house.admit()
    other = f"/v1/zones/lab/consents/{person.receipt_id}/restriction"
    assert client.put(other, headers=bearer(Role.DESK, "lab")).status_code == 404
    assert client.put(other.replace("lab/", "lobby/"), headers=bearer(Role.DESK, "lab")).status_code == 403
    assert house.sees(person)


def test_a_door_gets_the_answer_of_no_consent_for_a_restricted_claim(
    client: TestClient, house: House, bearer: Bearer, views: list[bytes]
) -> None:
    person = house.admit()
    house.site.changes.restrict(person.receipt_id)
    files = {"receipt": person.take_home.to_json(), "image": views[0]}
    answer = client.post("/v1/zones/lobby/verify", files=files, headers=bearer(Role.DOOR))
    assert answer.status_code in {404, 422}
    assert "paused" not in answer.text
