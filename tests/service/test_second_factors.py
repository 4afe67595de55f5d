"""Second factors over HTTP: set at the desk, presented at the door, never returned."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from declared_gates import open_gates
from house import House
from httpx2 import Response
from pins import cheap_pins
from starlette.testclient import TestClient

from tests.service.test_a_day import enroll, say_yes
from volens.service.http import AppState, application
from volens.service.process.service_log import log_to
from volens.service.sample_notice import publish_sample_notice
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
NUMBER, PIN = "04A1B2C3D4E5F6", "719035826471"


@pytest.fixture(autouse=True)
def cheap() -> Iterator[None]:
    with cheap_pins():
        yield


def come(client: TestClient, door: dict[str, str], zone: str, frame: bytes, **fields: str) -> Response:
    return client.post(f"/v1/zones/{zone}/pass", headers=door, files={"frame": frame}, data=fields)


def decisions(answer: Response) -> list[tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [(face["decision"], face["subject_id"]) for face in answer.json()["faces"]]


@pytest.mark.parametrize(
    ("kind", "field", "right", "wrong"),
    [("badge", "badge_number", NUMBER, "04FFFFFFFFFFFF"), ("pin", "pin", PIN, "900817264305")],
)
def test_a_person_matches_with_face_and_factor_and_with_neither_alone(
    house: House, client: TestClient, bearer: Bearer, views: list[bytes], kind: str, field: str, right: str, wrong: str
) -> None:
    operator, desk = bearer(Role.OPERATOR), bearer(Role.DESK)
    *photos, frame = views
    new = {"zone": "vault", "custody": "operator", "justification": "a", "alternative": "b", "retention_days": 9}
    made = client.post("/v1/zones", headers=operator, json=new | {"second_factor": kind})
    assert (made.status_code, made.json()["second_factor"]) == (201, kind)
    open_gates(house.site, "vault")
    publish_sample_notice(house.site, "vault", more="We compare your face at the door.")
    door = bearer(Role.DOOR, "vault")
    given = say_yes(client, desk, "vault")
    assert enroll(client, desk, given["take_home"], photos, "vault").status_code == 201
    address = f"/v1/zones/vault/consents/{given['receipt_id']}/factor"

    unset = come(client, door, "vault", frame, **{field: right})
    stored = client.put(address, headers=desk, json={field: right})
    passed = come(client, door, "vault", frame, **{field: right})
    refused = come(client, door, "vault", frame, **{field: wrong})
    looked = client.post("/v1/zones/vault/identify", headers=door | {"Content-Type": "image/jpeg"}, content=frame)
    claim: dict[str, Any] = {"frame": frame, "receipt": given["take_home"].encode()}
    claimed = [
        client.post("/v1/zones/vault/verify", headers=door, files=claim, data=fields).json()
        for fields in ({}, {field: wrong}, {field: right})
    ]

    assert decisions(unset) == [("no_match", None)]
    assert (stored.status_code, stored.content) == (204, b"")
    assert decisions(passed) == [("match", given["subject_id"])]
    assert passed.json()["second_factor"] == kind
    assert decisions(refused) == [("no_match", None)]
    assert decisions(looked) == [("factor_required", None)]
    assert looked.json()["faces"][0]["comparison_score"] is None
    assert [one["decision"] for one in claimed] == ["factor_required", "no_match", "match"]
    assert [one["face"]["subject_id"] for one in claimed] == [None, None, given["subject_id"]]

    assert client.delete(address, headers=desk).status_code == 204
    assert decisions(come(client, door, "vault", frame, **{field: right})) == [("no_match", None)]
    (listed,) = [one for one in client.get("/v1/zones", headers=desk).json() if one["zone"] == "vault"]
    assert listed["second_factor"] == kind


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "got neither badge_number nor pin"),
        ({"badge_number": NUMBER, "pin": PIN}, "got both badge_number and pin"),
        ({"pin": "secret7190"}, "got a PIN of 10 characters"),
        ({"badge_number": "secret;7190"}, "got a badge number of 11 characters"),
        ({"pin": PIN}, "got a PIN, but this zone requires the face alone"),
    ],
    ids=["neither", "both", "no PIN", "no number", "none is required"],
)
def test_an_invalid_factor_is_refused_without_being_repeated(
    client: TestClient, bearer: Bearer, views: list[bytes], fields: dict[str, str], said: str
) -> None:
    answer = come(client, bearer(Role.DOOR), "lobby", views[3], **fields)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]
    assert not [value for value in fields.values() if value in answer.text]


@pytest.mark.parametrize(
    ("new", "status"),
    [
        ({"pin": "1234"}, 422),
        ({"pin": "7190", "badge_number": NUMBER}, 422),
        ({}, 422),
        ({"pin": 7190}, 422),
        ({"pin": "7190", "more": "secret7190"}, 422),
        ({"pin": "7" * 201}, 422),
        ({"badge_number": NUMBER}, 422),
        ({"pin": "7190"}, 204),
    ],
)
def test_a_desk_sets_the_required_factor_and_cannot_read_it(
    house: House, client: TestClient, bearer: Bearer, new: dict[str, Any], status: int
) -> None:
    house.declare("vault", second_factor="pin")
    person = house.invite("vault")
    address = f"/v1/zones/vault/consents/{person.receipt_id}/factor"

    answer = client.put(address, headers=bearer(Role.DESK), json=new)

    assert answer.status_code == status, answer.text
    assert not [value for value in new.values() if str(value) in answer.text]
    elsewhere = client.put(address.replace("vault", "lobby"), headers=bearer(Role.DESK), json={"pin": "7190"})
    assert elsewhere.status_code == 404
    unknown = address.replace(person.receipt_id, "0" * 32)
    assert (
        client.put(unknown, headers=bearer(Role.DESK), json={"pin": "7190"}).json()["type"]
        == (elsewhere.json()["type"])
    )


def test_no_badge_number_and_no_pin_is_in_the_log(
    house: House, app_state: AppState, bearer: Bearer, views: list[bytes]
) -> None:
    house.declare("vault", second_factor="pin")
    person = house.invite("vault")
    written = io.StringIO()
    with TestClient(application(app_state, log=log_to(written)), raise_server_exceptions=False) as client:
        address = f"/v1/zones/vault/consents/{person.receipt_id}/factor"
        assert client.put(address, headers=bearer(Role.DESK), json={"pin": PIN}).status_code == 204
        assert client.put(address, headers=bearer(Role.DESK), json={"badge_number": NUMBER}).status_code == 422
        assert come(client, bearer(Role.DOOR, "vault"), "vault", views[3], pin=PIN).status_code == 200

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["operation"] for line in lines] == ["set_factor", "set_factor", "pass_door"]
    assert not [value for value in (PIN, NUMBER, person.receipt_id) if value in written.getvalue()]
