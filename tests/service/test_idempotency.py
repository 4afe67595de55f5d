"""Idempotency: a repeated request is executed once, also if the first response was lost."""

import tempfile
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from house import House
from httpx2 import Response
from patience import PATIENCE_S
from PIL import Image
from signing import Signer
from starlette.testclient import TestClient

from tests.service.test_a_day import enroll, say_yes
from volens import Site
from volens.consent import Notice, TakeHome
from volens.service.http import REPLAYED, AppState
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
NAME = "Ada Canary Example"
SIGNED: dict[tuple[str, str | None], str] = {}
"""What each caller sent with each idempotency key, to be sent again with it."""


def ask(client: TestClient, shown: dict[str, str], zone: str = "lobby", name: str = NAME) -> Response:
    caller = (shown["Authorization"], shown.get("Idempotency-Key"))
    signed = SIGNED.get(caller) or Signer().signed(client, shown, zone)
    SIGNED[caller] = signed if caller[1] else ""
    return client.post(f"/v1/zones/{zone}/consents", headers=shown, json={"name": name, "signed": signed})


def live(app_state: AppState) -> int:
    return sum(one.live_consents for one in app_state.site.status().zones)


def test_a_repeated_request_records_one_consent_and_replays_the_response(
    client: TestClient, app_state: AppState, bearer: Bearer
) -> None:
    keyed = bearer(Role.DESK) | {"Idempotency-Key": str(uuid4())}
    first, second = ask(client, keyed), ask(client, keyed)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"
    assert live(app_state) == 1


def test_without_a_key_or_with_another_key_two_consents_are_recorded(
    client: TestClient, app_state: AppState, bearer: Bearer
) -> None:
    shown = bearer(Role.DESK)
    for key in ({}, {}, {"Idempotency-Key": str(uuid4())}, {"Idempotency-Key": str(uuid4())}):
        assert ask(client, shown | key).status_code == 201
    assert live(app_state) == 4


def test_the_same_key_of_another_caller_is_another_key(client: TestClient, app_state: AppState, bearer: Bearer) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first, second = (ask(client, bearer(Role.DESK) | key) for _ in range(2))
    assert first.json()["receipt_id"] != second.json()["receipt_id"]
    assert live(app_state) == 2


def test_a_key_with_a_different_body_is_refused(client: TestClient, app_state: AppState, bearer: Bearer) -> None:
    keyed = bearer(Role.DESK) | {"Idempotency-Key": str(uuid4())}
    ask(client, keyed)
    other = ask(client, keyed, name="Bob Canary Example")
    assert (other.status_code, other.json()["type"]) == (422, "urn:volens:problem:key-reused")
    assert "Canary" not in other.text
    assert live(app_state) == 1


def test_a_response_that_was_lost_after_the_commit_is_replayed(
    client: TestClient, app_state: AppState, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = bearer(Role.DESK) | {"Idempotency-Key": str(uuid4())}
    to_json, calls = TakeHome.to_json, []

    def lost(take_home: TakeHome) -> bytes:
        calls.append(to_json(take_home))
        if len(calls) == 2:  # the first is in the transaction, the second after the commit
            raise ConnectionAbortedError
        return calls[-1]

    monkeypatch.setattr(TakeHome, "to_json", lost)
    assert ask(client, keyed).status_code == 500
    assert live(app_state) == 1

    again = ask(client, keyed)

    assert (again.status_code, again.headers[REPLAYED]) == (201, "true")
    assert live(app_state) == 1
    assert client.post("/v1/withdrawals", json={"receipt": again.json()["take_home"]}).status_code == 200


def test_an_error_is_not_stored(client: TestClient, app_state: AppState, bearer: Bearer) -> None:
    keyed = bearer(Role.DESK) | {"Idempotency-Key": str(uuid4())}
    new = {"name": NAME, "signed": Signer().signed(client, keyed, "lab")}
    assert client.post("/v1/zones/lobby/consents", headers=keyed, json=new).status_code == 403
    assert ask(client, keyed).status_code == 201
    assert live(app_state) == 1


def test_while_a_request_runs_the_same_request_gets_409(
    client: TestClient, app_state: AppState, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = bearer(Role.DESK) | {"Idempotency-Key": str(uuid4())}
    begun, go_on, add = threading.Event(), threading.Event(), type(app_state.site).publish_notice

    def slowly(site: Site, zone: str, **more: Any) -> Notice:  # noqa: ANN401  as the method
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return add(site, zone, **more)

    monkeypatch.setattr(type(app_state.site), "publish_notice", slowly)
    shown = bearer(Role.OPERATOR) | {"Idempotency-Key": keyed["Idempotency-Key"]}
    answers: list[Response] = []
    text = app_state.site.notices.draft("lobby", "en")[0]

    def publish() -> None:
        notice = {"language": "en", "text": text}
        answers.append(client.post("/v1/zones/lobby/notices", headers=shown, json=notice))

    one = threading.Thread(target=publish)
    one.start()
    assert begun.wait(PATIENCE_S)
    publish()
    go_on.set()
    one.join()
    publish()
    assert [answer.status_code for answer in answers] == [409, 201, 201]
    assert int(answers[0].headers["Retry-After"]) >= 1
    assert answers[0].json()["type"] == "urn:volens:problem:request-in-progress"
    assert answers[1].json() == answers[2].json()


def test_an_enrollment_is_replayed_with_another_boundary_of_the_form(
    client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    shown = bearer(Role.DESK)
    given = say_yes(client, shown)
    keyed = shown | {"Idempotency-Key": str(uuid4())}
    first, second = (enroll(client, keyed, given["take_home"], views[:3]) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers[REPLAYED] == "true"
    other = enroll(client, keyed, given["take_home"], views[1:])
    assert other.status_code == 422


@pytest.mark.parametrize("custody", ["subject_key", "badge"])
def test_a_response_with_a_secret_is_not_replayed(
    client: TestClient, house: House, app_state: AppState, bearer: Bearer, views: list[bytes], custody: str
) -> None:
    house.declare("vault", custody)
    shown = bearer(Role.DESK)
    keyed = shown | {"Idempotency-Key": str(uuid4())}
    given = ask(client, keyed, "vault")
    again = ask(client, keyed, "vault")
    if custody == "badge":
        assert again.status_code == 201
        first, again = (enroll(client, keyed, given.json()["take_home"], views[:3], "vault") for _ in range(2))
        assert len(first.json()["badge"]) > 100
    assert (again.status_code, again.json()["type"]) == (409, "urn:volens:problem:response-unavailable")
    assert "Retry-After" not in again.headers
    assert live(app_state) == 1


@pytest.mark.parametrize("key", ["short", "x" * 256])
def test_an_invalid_key_is_refused(client: TestClient, app_state: AppState, bearer: Bearer, key: str) -> None:
    refused = ask(client, bearer(Role.DESK) | {"Idempotency-Key": key})
    assert refused.status_code == 422
    assert "such as a new UUID" in refused.json()["detail"]
    assert live(app_state) == 0


def test_every_creating_operation_accepts_a_key(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    creating = {
        operation["operationId"]: [one["name"] for one in operation.get("parameters", [])]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method == "post" and {"201", "202"} & set(operation["responses"])
    }
    del creating["revoke_by_hook"]  # its idempotency key is webhook-id
    assert len(creating) >= 4
    assert {name for name, parameters in creating.items() if "Idempotency-Key" not in parameters} == set()


def test_uploaded_photos_are_not_written_to_a_disk(
    client: TestClient, bearer: Bearer, views: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rolled(*_: object) -> None:
        raise AssertionError("a photo on a disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled)
    shown = bearer(Role.DESK)
    given = say_yes(client, shown)
    noise = np.random.default_rng(1).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    assert len(out.getvalue()) > 2 * 2**20
    refused = enroll(client, shown, given["take_home"], [*views[:2], out.getvalue()])
    assert refused.status_code == 422  # there is no face in it
    assert "face" in refused.json()["detail"]
