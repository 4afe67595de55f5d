"""The stream of a zone with a PIN: one request for the factor, one refusal, one visit for each correct PIN."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from house import House
from pins import cheap_pins
from starlette.testclient import TestClient
from websockets.sync.client import ClientConnection

from tests.service.test_a_day import enroll, say_yes
from tests.service.test_stream import Door, door, look, port, said
from volens.service.http import AppState
from volens.store.programs import Role

__all__ = ["door", "port"]

PIN = "719035"
Vault = tuple[ClientConnection, str, bytes]


@pytest.fixture
def cheap() -> Iterator[None]:
    with cheap_pins():
        yield


@pytest.fixture
def vault(
    house: House,
    client: TestClient,
    app_state: AppState,
    bearer: Callable[..., dict[str, str]],
    door: Door,
    views: list[bytes],
    cheap: None,
) -> Vault:
    """The stream of a door, the enrolled person, and a frame of them."""
    assert (app_state.site, cheap) == (house.site, None)
    house.declare("vault", second_factor="pin")
    *photos, frame = views
    desk = bearer(Role.DESK)
    given = say_yes(client, desk, "vault")
    assert enroll(client, desk, given["take_home"], photos, "vault").status_code == 201
    address = f"/v1/zones/vault/consents/{given['receipt_id']}/factor"
    assert client.put(address, headers=desk, json={"pin": PIN}).status_code == 204
    return door("vault", bearer(Role.DOOR, "vault")), given["subject_id"], frame


def present(one: ClientConnection, value: object, factor: str = "pin") -> None:
    one.send(json.dumps({"type": "present", "factor": factor, "value": value}))


def decisions(messages: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(one["decision"], one["subject_id"]) for one in messages if one["type"] == "decision"]


def test_a_known_face_requires_the_pin_and_matches_with_it(vault: Vault) -> None:
    one, subject_id, frame = vault
    assert said(one)["second_factor"] == "pin"

    assert decisions(look(one, frame)) == [("factor_required", None)]
    assert decisions(look(one, frame)) == []
    present(one, "900817")
    assert said(one) == {"type": "presented", "accepted": True}
    assert decisions(look(one, frame)) == [("no_match", None)]
    present(one, "90")
    assert said(one) == {"type": "presented", "accepted": False}
    present(one, PIN)
    assert said(one) == {"type": "presented", "accepted": True}
    *decided, answer = look(one, frame)
    assert decisions(decided) == [("match", subject_id)]
    assert answer["matches"] == 1
    assert decisions(look(one, frame)) == []


@pytest.mark.parametrize(("value", "factor"), [("04A1B2C3", "badge"), (719035, "pin"), (None, "pin"), ("x", "iris")])
def test_a_wrong_kind_of_factor_ends_the_stream_without_being_repeated(
    vault: Vault, value: object, factor: str
) -> None:
    one, _, _ = vault
    said(one)
    present(one, value, factor)
    problem = said(one)
    assert problem["type"] == "problem"
    assert "requires a pin as second factor" in problem["detail"]
    assert value is None or str(value) not in problem["detail"]
