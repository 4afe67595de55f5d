"""The service sends webhooks to recipients, with door decisions if they subscribed to them."""

import json
from collections.abc import Callable

import pytest
from house import House
from receiver import receiver
from signing import Signer
from starlette.testclient import TestClient

from volens import SubjectKey, TakeHome
from volens.service.http import AppState
from volens.store.programs import MessageKind, Role

Bearer = Callable[..., dict[str, str]]


def enrolled(client: TestClient, app_state: AppState, bearer: Bearer, views: list[bytes]) -> TakeHome:
    notice = app_state.site.notice("lobby")
    given = app_state.site.give_consent(notice, name="A", jurisdiction="FR", key=SubjectKey.from_seed(bytes(32)))
    photos = [("photos", ("photo", view, "image/jpeg")) for view in views[:3]]
    files = [("receipt", ("receipt", given.to_json(), "application/json")), *photos]
    assert client.post("/v1/zones/lobby/enrollments", headers=bearer(Role.DESK), files=files).status_code == 201
    return given


@pytest.mark.parametrize("opted_in", [True, False])
def test_a_recipient_that_subscribed_gets_one_message_per_visit(
    client: TestClient, house: House, app_state: AppState, bearer: Bearer, views: list[bytes], *, opted_in: bool
) -> None:
    kinds = list(MessageKind) if opted_in else [MessageKind.SUBJECT_ERASED]
    with receiver() as panel:
        app_state.site.rights.recipients.add("lobby", "panel")
        app_state.site.programs.endpoints.add("lobby", "panel", url=panel.url, kinds=kinds, allow_private=True)
        given = enrolled(client, app_state, bearer, views)
        for _ in range(3):
            seen = client.post("/v1/zones/lobby/identify", headers=bearer(Role.DOOR), content=views[3])
            assert [face["decision"] for face in seen.json()["faces"]] == ["match"]
        if opted_in:
            panel.wait_for(2)  # before the consent ends, and its messages with it
        receipt = given.to_json().decode()
        assert client.post("/v1/withdrawals", json={"receipt": receipt}).status_code == 200
        got = panel.wait_for(3 if opted_in else 1)
        app_state.webhook_sender.close()  # acknowledgements are stored by then
    types = [json.loads(one.body)["type"] for one in got]
    assert types == ["consent.given", "door.decision", "subject.erased"] if opted_in else ["subject.erased"]
    assert house.site.programs.outbox.list() == []


def test_the_service_responds_while_every_receiver_hangs(
    client: TestClient, app_state: AppState, bearer: Bearer
) -> None:
    headers = bearer(Role.DESK)
    with receiver() as panel:
        panel.behaviour = panel.hang
        app_state.site.rights.recipients.add("lobby", "panel")
        app_state.site.programs.endpoints.add("lobby", "panel", url=panel.url, allow_private=True)
        for _ in range(12):
            assert Signer().consent(client, headers).status_code == 201
        panel.wait_for(2)
        assert client.get("/readyz").status_code == 200
        panel.ended.set()
